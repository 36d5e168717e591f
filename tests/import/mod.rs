//! `bd-import`: beads of a plan's files, and of JSON lines.

mod again;
mod forms;
mod hostile;
mod kills;
mod lines;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::stage::{Ran, Stage, root};

/// A stage with the sample plan.
fn sample(stage: Stage) -> Stage {
    let plan = root().join("tests/data/plan");
    stage.sh(&format!("cp -r '{}' .plan", plan.display())).ok();
    stage
}

/// A stage with one epic, `e`, of these tasks: `(name, text)`.
fn stage(tasks: &[(&str, &str)]) -> Stage {
    let stage = Stage::new(&[]);
    stage.write("work/.plan/e/PLAN.md", "# Epic: E\n");
    for (name, text) in tasks {
        stage.write(&format!("work/.plan/e/tasks/{name}"), text);
    }
    stage
}

impl Stage {
    /// The stored bead with this title.
    #[track_caller]
    fn titled(&self, title: &str) -> Value {
        let mut found = self
            .stored()
            .into_iter()
            .filter(|bead| bead["title"] == title);
        let bead = found.next().unwrap_or_else(|| panic!("no bead '{title}'"));
        assert!(found.next().is_none(), "two beads '{title}'");
        bead
    }

    /// The titles of what blocks the bead with this title, sorted.
    #[track_caller]
    fn blockers(&self, title: &str) -> Vec<String> {
        let bead = self.titled(title);
        let rows = bead["dependencies"].as_array().cloned().unwrap_or_default();
        let blocks = rows.iter().filter(|row| row["type"] == "blocks");
        let beads = self.stored();
        let title = |row: &Value| {
            let on = beads.iter().find(|bead| bead["id"] == row["depends_on_id"]);
            on.unwrap()["title"].as_str().unwrap().to_owned()
        };
        let mut titles: Vec<String> = blocks.map(title).collect();
        titles.sort();
        titles
    }

    /// Imports the plan.
    fn import_plan(&self) -> Ran {
        self.sh("bd-import --plan")
    }
}

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    trials.extend(again::trials());
    trials.extend(forms::trials());
    trials.extend(hostile::trials());
    trials.extend(kills::trials());
    trials.extend(lines::trials());
    trials
}
