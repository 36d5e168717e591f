//! What a second import changes: what changed in the files, and did not change in Beads.
//!
//! The bead keeps in its metadata, under `imported`, what the import last made of each field. Where
//! the bead still says that, the file may change it; where it does not, a person has.

use beads::{Bead, New, Revision};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// What the last import made of the fields: hashes of texts, and the rest as it is.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
struct Imported {
    title: String,
    description: String,
    acceptance_criteria: String,
    priority: i64,
    parent: String,
    blocks: Vec<String>,
}

/// The key in metadata.
const KEY: &str = "imported";

/// The bead's own key, and what stands there.
fn imported(bead: &Bead) -> (Map<String, Value>, Imported) {
    let line: Value = serde_json::from_str(bead.line()).unwrap_or_default();
    let metadata = line["metadata"].as_object().cloned().unwrap_or_default();
    let last = metadata.get(KEY).cloned().unwrap_or_default();
    let last = serde_json::from_value(last).unwrap_or(Imported {
        // None that a bead has: what is not known counts as changed.
        priority: -1,
        ..Imported::default()
    });
    (metadata, last)
}

/// Notes in a new bead what is made of its fields, so that the next import can tell.
pub(crate) fn sign(new: &mut New) {
    let imported = Imported {
        title: hash(&new.title),
        description: hash(&new.description),
        acceptance_criteria: hash(&new.acceptance_criteria),
        priority: new.priority,
        parent: new.parent.clone().unwrap_or_default(),
        blocks: new.edges.iter().map(|(on, _)| on.clone()).collect(),
    };
    new.metadata.insert(KEY.to_owned(), json!(imported));
}

/// What is to change in `bead`, so that it is as the files say now; and the fields that changed in
/// the files and in Beads, which stay.
pub(crate) fn revision(bead: &Bead, wanted: &New) -> (Revision, Vec<&'static str>) {
    let (metadata, last) = imported(bead);
    let mut next = last.clone();
    let mut revision = Revision::default();
    let mut stay = Vec::new();
    let texts = [
        ("title", &wanted.title, &mut next.title, &mut revision.title),
        (
            "description",
            &wanted.description,
            &mut next.description,
            &mut revision.description,
        ),
        (
            "acceptance_criteria",
            &wanted.acceptance_criteria,
            &mut next.acceptance_criteria,
            &mut revision.acceptance_criteria,
        ),
    ];
    for (field, text, last, change) in texts {
        match field_step(&hash(&bead.text(field)), &hash(text), last) {
            Step::Keep => {}
            Step::Write => *change = Some(text.clone()),
            Step::Conflict => stay.push(field),
        }
    }
    match field_step(&bead.priority(), &wanted.priority, &mut next.priority) {
        Step::Keep => {}
        Step::Write => revision.priority = Some(wanted.priority),
        Step::Conflict => stay.push("priority"),
    }
    let on = |kind: &str| -> Vec<String> {
        let edges = bead.dependencies().iter().filter(|edge| edge.kind == kind);
        edges.map(|edge| edge.depends_on_id.clone()).collect()
    };
    let parent = on("parent-child").pop().unwrap_or_default();
    let wanted_parent = wanted.parent.clone().unwrap_or_default();
    match field_step(&parent, &wanted_parent, &mut next.parent) {
        Step::Keep => {}
        Step::Write => revision.parent.clone_from(&wanted.parent),
        Step::Conflict => stay.push("parent"),
    }
    let (blocks, wanted_blocks) = (on("blocks"), ids(wanted));
    let there = |list: &[String], id: &String| list.contains(id);
    revision.block = wanted_blocks
        .iter()
        .filter(|id| !there(&last.blocks, id) && !there(&blocks, id))
        .cloned()
        .collect();
    revision.unblock = last
        .blocks
        .iter()
        .filter(|id| !there(&wanted_blocks, id) && there(&blocks, id))
        .cloned()
        .collect();
    next.blocks = wanted_blocks;
    revision.metadata.clone_from(&wanted.metadata);
    revision.metadata.insert(KEY.to_owned(), json!(next));
    revision
        .metadata
        .retain(|key, value| metadata.get(key) != Some(value));
    (revision, stay)
}

enum Step {
    Keep,
    Write,
    Conflict,
}

/// One field: as it is in Beads, as the files say, and as the last import left it.
fn field_step<T: Clone + PartialEq>(there: &T, wanted: &T, last: &mut T) -> Step {
    if there == wanted {
        last.clone_from(wanted);
        Step::Keep
    } else if there == last {
        last.clone_from(wanted);
        Step::Write
    } else if wanted == last {
        Step::Keep
    } else {
        Step::Conflict
    }
}

fn ids(wanted: &New) -> Vec<String> {
    wanted.edges.iter().map(|(on, _)| on.clone()).collect()
}

/// A short hash of a text. Line ends and empty lines around it do not count: a store may change
/// them.
fn hash(text: &str) -> String {
    let digest = Sha256::digest(text.replace("\r\n", "\n").trim());
    digest
        .iter()
        .take(8)
        .fold(String::new(), |hash, byte| format!("{hash}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_side_changes_a_field() {
        let table = [
            // In Beads, in the files, at the last import: written, said, noted.
            (("a", "a", "a"), (false, false, "a")),
            (("a", "b", "a"), (true, false, "b")),
            (("b", "a", "a"), (false, false, "a")),
            (("b", "b", "a"), (false, false, "b")),
            (("b", "c", "a"), (false, true, "a")),
        ];
        for ((there, wanted, last), (written, said, noted)) in table {
            let mut last = last;
            let step = field_step(&there, &wanted, &mut last);
            let (is_written, is_said) =
                (matches!(step, Step::Write), matches!(step, Step::Conflict));
            assert_eq!(
                (is_written, is_said, last),
                (written, said, noted),
                "{there} {wanted}"
            );
        }
    }
}
