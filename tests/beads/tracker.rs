//! Generated trackers: everything that a tracker may hold and `bd import` takes, in any mixture.

use fastrand::Rng;
use serde_json::{Value, json};

/// Beads of a tracker at the most.
pub(super) const LARGEST: usize = 60;

const STATUSES: [&str; 8] = [
    "open",
    "in_progress",
    "blocked",
    "deferred",
    "closed",
    "pinned",
    "hooked",
    "tombstone",
];

const TYPES: [&str; 12] = [
    "task",
    "bug",
    "feature",
    "chore",
    "spike",
    "story",
    "milestone",
    "decision",
    "epic",
    "message",
    "molecule",
    "gate",
];

const EDGES: [&str; 8] = [
    "blocks",
    "blocks",
    "blocks",
    "conditional-blocks",
    "waits-for",
    "parent-child",
    "related",
    "discovered-from",
];

const GATES: [&str; 5] = [
    "",
    "{}",
    r#"{"gate":"all-children"}"#,
    r#"{"gate":"any-children"}"#,
    r#"{"gate":"any-children","also_blocks":true}"#,
];

/// The beads of tracker number `number`, whose ids begin with `t<number>-`.
pub(super) fn tracker(rng: &mut Rng, number: usize) -> Vec<Value> {
    let ids = ids(rng, number);
    let mut beads: Vec<Value> = (0..ids.len()).map(|at| bead(rng, &ids, at)).collect();
    // Beads without a time count from their import, and more than one of them from the same second
    // or not.
    if rng.u8(..4) == 0 {
        let at = rng.usize(..beads.len());
        beads[at].as_object_mut().unwrap().remove("created_at");
    }
    beads
}

fn ids(rng: &mut Rng, number: usize) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    for at in 0..rng.usize(1..=LARGEST) {
        let parent = ids.get(rng.usize(..=ids.len())).cloned();
        ids.push(match parent {
            Some(parent) if rng.u8(..4) == 0 => format!("{parent}.{at}"),
            _ => format!("t{number}-{}{at}", rng.choice(["", "a", "B"]).unwrap()),
        });
    }
    rng.shuffle(&mut ids);
    ids
}

fn bead(rng: &mut Rng, ids: &[String], at: usize) -> Value {
    let id = &ids[at];
    let mostly = |rng: &mut Rng, first: &'static str, all: &[&'static str]| match rng.u8(..3) {
        0 => all[rng.usize(..all.len())],
        _ => first,
    };
    let mut bead = json!({
        "id": id, "title": id, "status": mostly(rng, "open", &STATUSES),
        "issue_type": mostly(rng, "task", &TYPES), "created_at": time(rng),
        "updated_at": "2026-02-01T00:00:00Z",
    });
    if rng.u8(..8) != 0 {
        bead["priority"] = rng.u8(..5).into();
    }
    for (field, value) in [
        ("pinned", json!(true)),
        ("is_template", json!(true)),
        ("ephemeral", json!(true)),
        ("wisp", json!(true)),
        ("wisp_plane", json!(true)),
        ("no_history", json!(true)),
        ("assignee", json!("alice")),
        ("defer_until", json!("2026-01-02T00:00:00Z")),
        ("defer_until", json!("2099-01-02T00:00:00+01:00")),
    ] {
        let contradicts =
            field == "no_history" && ["ephemeral", "wisp"].iter().any(|f| bead.get(f).is_some());
        if rng.u8(..25) == 0 && !contradicts {
            bead[field] = value;
        }
    }
    bead["dependencies"] = edges(rng, ids, id);
    bead
}

/// Times that share days, seconds and parts of seconds, in several zones.
fn time(rng: &mut Rng) -> String {
    let zone = rng.choice(["Z", "+02:00", "-07:30"]).unwrap();
    let (day, second) = (rng.u8(1..4), rng.u8(..3));
    let part = rng.choice(["", ".1", ".499999", ".5", ".9"]).unwrap();
    format!("2026-01-0{day}T23:59:{second:02}{part}{zone}")
}

/// Edges to anything: other beads, itself, nothing, the same one twice, another tracker's bead.
fn edges(rng: &mut Rng, ids: &[String], id: &str) -> Value {
    let count = [0, 0, 0, 1, 1, 2, 3][rng.usize(..7)];
    let mut edges: Vec<Value> = Vec::new();
    for _ in 0..count {
        let kind = EDGES[rng.usize(..EDGES.len())];
        let target = match rng.u8(..20) {
            0 => id.to_owned(),
            1 => format!("{id}x"),
            2 => "t0-0".to_owned(),
            3 => "external:other:thing".to_owned(),
            _ => ids[rng.usize(..ids.len())].clone(),
        };
        let mut edge = json!({"issue_id": id, "depends_on_id": target, "type": kind});
        if kind == "waits-for" {
            edge["metadata"] = GATES[rng.usize(..GATES.len())].into();
        }
        edges.push(edge);
    }
    edges.into()
}
