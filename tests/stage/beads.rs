//! Beads of a stage: made, stored, read and changed.

use std::fmt::Write as _;
use std::fs;

use serde_json::{Value, json};

use super::Stage;

/// A plain open task.
pub(crate) fn task(id: &str) -> Value {
    json!({
        "id": id, "title": format!("Task {id}"), "status": "open", "priority": 2,
        "issue_type": "task", "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
    })
}

/// The task with edges: `(depends_on_id, type)`.
pub(crate) fn task_on(id: &str, edges: &[(&str, &str)]) -> Value {
    let mut bead = task(id);
    let edge =
        |(on, kind): &(&str, &str)| json!({"issue_id": id, "depends_on_id": on, "type": kind});
    bead["dependencies"] = edges.iter().map(edge).collect();
    bead
}

impl Stage {
    /// Writes `.beads/issues.jsonl`.
    pub(crate) fn beads(&self, beads: &[Value]) {
        let lines: String = beads.iter().fold(String::new(), |mut lines, bead| {
            writeln!(lines, "{bead}").unwrap();
            lines
        });
        self.write("work/.beads/issues.jsonl", &lines);
    }

    /// All beads as they are stored.
    pub(crate) fn stored(&self) -> Vec<Value> {
        if self.bd {
            return self.listed();
        }
        let text = self.read("work/.beads/issues.jsonl");
        text.lines()
            .map(|line| serde_json::from_str(line).expect(line))
            .collect()
    }

    /// One bead as it is stored.
    #[track_caller]
    pub(crate) fn bead(&self, id: &str) -> Value {
        let found = self.stored().into_iter().find(|bead| bead["id"] == id);
        found.unwrap_or_else(|| panic!("no bead {id}"))
    }

    /// Changes a bead as a person would: `change` is merged into it, metadata key by key.
    pub(crate) fn edit(&self, id: &str, change: &Value) {
        let text = self.read("work/.beads/issues.jsonl");
        let mut lines = String::new();
        for line in text.lines() {
            let mut bead: Value = serde_json::from_str(line).unwrap();
            if bead["id"] == id {
                merge(&mut bead, change);
            }
            writeln!(lines, "{bead}").unwrap();
        }
        // In one step, as an editor that is worth its name does.
        let new = self.path("work/.beads/edited");
        fs::write(&new, lines).unwrap();
        fs::rename(new, self.path("work/.beads/issues.jsonl")).unwrap();
    }
}

fn merge(bead: &mut Value, change: &Value) {
    for (key, value) in change.as_object().unwrap() {
        match (key.as_str(), value) {
            ("metadata", Value::Object(_)) if bead["metadata"].is_object() => {
                merge(&mut bead["metadata"], value);
            }
            _ => bead[key] = value.clone(),
        }
    }
}
