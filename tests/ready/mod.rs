//! `bd-ready`: what it prints, in which order, why it refuses, and when `--follow` ends.

mod follow;
mod plain;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::stage::{Stage, task};

/// A task with some fields of its own.
fn with(id: &str, fields: &Value) -> Value {
    let mut bead = task(id);
    bead.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    bead
}

/// A bead that this clone (`here`, see [`stage`]) has under way.
fn under_way(id: &str, phase: &str, facts: &Value) -> Value {
    let mut metadata = json!({"phase": phase, "host": "here"});
    metadata
        .as_object_mut()
        .unwrap()
        .extend(facts.as_object().unwrap().clone());
    with(
        id,
        &json!({"status": "in_progress", "assignee": "beadline/here/1", "metadata": metadata}),
    )
}

fn stage(beads: &[Value]) -> Stage {
    let stage = Stage::new(beads);
    stage.sh("git config beadline.host here").ok();
    stage
}

pub(crate) fn trials() -> Vec<Trial> {
    [plain::trials(), follow::trials()]
        .into_iter()
        .flatten()
        .collect()
}
