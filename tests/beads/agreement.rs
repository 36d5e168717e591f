//! The file and the database say the same: which beads are ready, and in which order.

use std::collections::HashSet;
use std::fs;

use fastrand::Rng;
use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::tracker::{LARGEST, tracker};
use crate::stage::{Stage, root, scale, seed, test_with_bd};

/// Rows that `bd import` takes in one piece: of larger files it may drop another edge of a cycle.
const PIECE: usize = 250;

/// What Beads, `bd-ready` on its database, and `bd-ready` on the file answer.
struct Answers {
    bd: Vec<String>,
    database: Vec<String>,
    file: Vec<String>,
}

/// Asks all three about the lines of an export.
fn ask(stage: &Stage, lines: &str) -> Answers {
    stage.embed("work");
    stage.write("export.jsonl", lines);
    stage.sh("bd import ../export.jsonl").ok();
    let json = |script: &str| -> Vec<Value> {
        let ran = stage.sh(script).ok();
        serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{}", ran.all()))
    };
    let ready = json("bd ready --json --limit 0");
    let all =
        json("bd list --json --limit 0 --all --include-gates --include-infra --include-templates");
    let ours = || {
        let beads = stage.sh("bd-ready").ok().beads();
        beads.iter().map(id).collect()
    };
    let database = ours();
    stage
        .sh("rm -r .beads && mkdir .beads && cp ../export.jsonl .beads/issues.jsonl")
        .ok();
    Answers {
        bd: work(&ready, &all),
        database,
        file: ours(),
    }
}

fn id(bead: &Value) -> String {
    bead["id"].as_str().unwrap().to_owned()
}

/// What `bd ready` lists, less what is never an agent's work. The differences by design, all of
/// them: templates, what is somebody's, and containers, which are epics and whatever has children.
fn work(ready: &[Value], all: &[Value]) -> Vec<String> {
    let prefix = |id: &str| id.split('-').next().unwrap().to_owned();
    let mut parents = HashSet::new();
    for bead in all {
        let edges = bead["dependencies"].as_array().into_iter().flatten();
        let of_bead: Vec<&str> = edges
            .filter(|edge| edge["type"] == "parent-child")
            .map(|edge| edge["depends_on_id"].as_str().unwrap())
            .filter(|parent| prefix(parent) == prefix(&id(bead)))
            .collect();
        let by_id = id(bead);
        match (of_bead.is_empty(), by_id.rsplit_once('.')) {
            (true, Some((above, _))) => drop(parents.insert(above.to_owned())),
            _ => parents.extend(of_bead.into_iter().map(str::to_owned)),
        }
    }
    let is_work = |bead: &&Value| {
        let somebodys = bead["assignee"]
            .as_str()
            .is_some_and(|name| !name.is_empty());
        let container = bead["issue_type"] == "epic" || parents.contains(&id(bead));
        bead["is_template"] != true && !somebodys && !container
    };
    ready.iter().filter(is_work).map(id).collect()
}

/// Fails with the first tracker that is answered differently.
#[track_caller]
fn assert_same(lines: &str, what: &str, bd: &[String], ours: &[String]) {
    if bd == ours {
        return;
    }
    let prefix = |id: &String| id.split('-').next().unwrap().to_owned();
    let both = || bd.iter().zip(ours);
    let (one, other) = both().find(|(one, other)| one != other).unwrap_or_else(|| {
        let longer = if bd.len() > ours.len() { bd } else { ours };
        let at = bd.len().min(ours.len());
        (&longer[at], &longer[at])
    });
    for prefix in [prefix(one), prefix(other)] {
        let of = |ids: &[String]| -> Vec<String> {
            let own = |id: &&String| id.starts_with(&format!("{prefix}-"));
            ids.iter().filter(own).cloned().collect()
        };
        let own = |line: &&str| line.contains(&format!("\"id\":\"{prefix}-"));
        let tracker: Vec<&str> = lines.lines().filter(own).collect();
        assert_eq!(
            of(bd),
            of(ours),
            "bd ready, and bd-ready on the {what}; seed {}\n{}",
            seed(),
            tracker.join("\n")
        );
    }
    assert_eq!(bd, ours, "the order between trackers; seed {}", seed());
}

fn assert_agreed(stage: &Stage, lines: &str) -> usize {
    let answers = ask(stage, lines);
    assert_same(lines, "database", &answers.bd, &answers.database);
    assert_same(lines, "file", &answers.bd, &answers.file);
    answers.bd.len()
}

/// Generated trackers, as many at a time as make one piece.
fn generated() {
    let stage = Stage::new(&[]);
    let mut rng = Rng::with_seed(seed());
    let (mut pieces, mut piece): (Vec<Vec<Value>>, Vec<Value>) = (Vec::new(), Vec::new());
    for number in 0..30 * scale() {
        let beads = tracker(&mut rng, number);
        assert!(beads.len() <= LARGEST);
        if piece.len() + beads.len() > PIECE {
            pieces.push(std::mem::take(&mut piece));
        }
        piece.extend(beads);
    }
    pieces.push(piece);
    let mut ready = 0;
    for piece in pieces {
        let lines: Vec<String> = piece.iter().map(Value::to_string).collect();
        ready += assert_agreed(&stage, &lines.join("\n"));
    }
    assert!(ready > 100 * scale(), "only {ready} beads were ready");
}

fn real(file: &str) {
    let lines = fs::read_to_string(root().join("tests/data").join(file)).unwrap();
    assert!(assert_agreed(&Stage::new(&[]), &lines) > 0);
}

/// One tracker for each rule, so that none is left to chance.
fn rules() {
    let open = |id: &str, on: &[(&str, &str)]| {
        let edge =
            |(on, kind): &(&str, &str)| json!({"issue_id": id, "depends_on_id": on, "type": kind});
        let edges: Vec<Value> = on.iter().map(edge).collect();
        json!({"id": id, "title": id, "status": "open", "issue_type": "task", "priority": 2,
            "created_at": "2026-01-01T00:00:00Z", "dependencies": edges})
    };
    let with = |mut bead: Value, field: &str, value: Value| {
        bead[field] = value;
        bead
    };
    let beads = [
        // A cycle: its last edge is refused.
        open("cycle-1", &[("cycle-2", "blocks")]),
        open("cycle-2", &[("cycle-1", "blocks")]),
        // A bead that waits for what is above it.
        open("family-1", &[]),
        open("family-1.1", &[("family-1", "parent-child")]),
        open(
            "family-1.1.1",
            &[("family-1.1", "parent-child"), ("family-1", "blocks")],
        ),
        // Below a blocked bead by edge, and by id alone.
        open("below-1", &[]),
        open("below-2", &[("below-1", "blocks")]),
        open("below-2.1", &[("below-2", "parent-child")]),
        open("below-2.2", &[]),
        // A pinned parent passes nothing down.
        with(
            open("pin-1", &[("pin-2", "blocks")]),
            "status",
            json!("pinned"),
        ),
        open("pin-1.1", &[("pin-1", "parent-child")]),
        open("pin-2", &[]),
        // Another prefix is another tracker.
        open("here-1", &[("there-1", "blocks")]),
        open("there-1", &[]),
        // An ephemeral bead and a lasting one are not joined.
        open("last-1", &[("last-2", "blocks")]),
        with(open("last-2", &[]), "ephemeral", json!(true)),
        // Half a second makes the next one.
        with(
            open("second-1", &[]),
            "created_at",
            json!("2026-01-01T00:00:00.5Z"),
        ),
        with(
            open("second-2", &[]),
            "created_at",
            json!("2026-01-01T00:00:00.4Z"),
        ),
        // No priority is the first.
        with(open("first-1", &[]), "priority", Value::Null),
        // What was deleted blocks nothing.
        open("gone-1", &[("gone-2", "blocks"), ("gone-3", "blocks")]),
        with(open("gone-2", &[]), "status", json!("tombstone")),
    ];
    let lines: Vec<String> = beads.iter().map(Value::to_string).collect();
    let answers = ask(&Stage::new(&[]), &lines.join("\n"));
    assert_eq!(answers.bd, answers.file);
    assert_eq!(answers.bd, answers.database);
    assert_eq!(
        answers.bd,
        [
            "first-1",
            "below-1",
            "below-2.2",
            "cycle-2",
            "family-1.1.1",
            "gone-1",
            "here-1",
            "last-1",
            "pin-1.1",
            "pin-2",
            "second-2",
            "there-1",
            "second-1"
        ]
    );
}

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test_with_bd("the same answer: a tracker for each rule", rules),
        test_with_bd(
            "the same answer: generated trackers are ready in the same order in file and database",
            generated,
        ),
        test_with_bd("the same answer: a project's whole plan", || {
            real("project-plan.jsonl");
        }),
        test_with_bd("the same answer: a tracker that was long in use", || {
            real("beads-tracker.jsonl");
        }),
    ]
}
