//! The plan of a real project, taken through the whole line: 130 beads, 17 of them containers.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::stage::{Ran, Stage, root, test_with};

const LONGEST: Duration = Duration::from_mins(7);

/// Counts the agents that live at once, and the runs of each bead.
const AGENT: &str = r#"
set -eu
echo "$BEAD_ID" >> "$COUNTS/runs"
mkdir "$COUNTS/alive/$BEAD_ID"
ls "$COUNTS/alive" | wc -l >> "$COUNTS/most"
echo "$BEAD_ID" > "$BEAD_ID.txt"
git add . && git commit --quiet -m "$BEAD_ID"
rmdir "$COUNTS/alive/$BEAD_ID"
"#;

/// The plan on a clone of this very repository's kind: `.beads/issues.jsonl`, a bare remote.
fn plan() -> Stage {
    let mut stage = Stage::new(&[]);
    let text = fs::read_to_string(root().join("tests/data/project-plan.jsonl")).unwrap();
    // Two tasks are deferred until 2099: a person has called them up.
    let beads: Vec<Value> = text
        .lines()
        .map(|line| {
            let mut bead: Value = serde_json::from_str(line).unwrap();
            bead.as_object_mut().unwrap().remove("defer_until");
            bead
        })
        .collect();
    stage.beads(&beads);
    fs::create_dir_all(stage.path("counts/alive")).unwrap();
    let counts = stage.path("counts").display().to_string();
    stage.set("COUNTS", &counts);
    stage.set("BEADLINE_ENV", "COUNTS");
    stage.set("BEADLINE_MAX_AGENTS", "8");
    stage.simple();
    stage.agent(AGENT);
    stage
}

/// What must be so at the end, whoever and however many did it.
fn assert_done(stage: &Stage, ran: &[Ran], wanted: usize) {
    let beads = stage.stored();
    let merged: HashSet<&str> = beads
        .iter()
        .filter(|bead| bead["metadata"]["phase"] == "merged" && bead["status"] == "closed")
        .map(|bead| bead["id"].as_str().unwrap())
        .collect();
    let said: String = ran.iter().map(Ran::all).collect();
    assert_eq!(merged.len(), wanted, "{said}");
    let mut numbers: Vec<u64> = beads
        .iter()
        .filter_map(|bead| bead["metadata"]["pr_number"].as_u64())
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=wanted as u64).collect::<Vec<_>>());

    // Order: what a bead depends on is on main before it.
    let log = stage
        .sh("git fetch --quiet && git log --reverse --format=%s origin/main")
        .ok()
        .stdout;
    let place: HashMap<String, usize> = log
        .lines()
        .enumerate()
        .filter_map(|(at, line)| Some((line.strip_suffix(')')?.rsplit_once('(')?.1.to_owned(), at)))
        .collect();
    assert_eq!(place.len(), wanted, "{log}");
    for bead in beads
        .iter()
        .filter(|bead| merged.contains(bead["id"].as_str().unwrap()))
    {
        let id = bead["id"].as_str().unwrap();
        for edge in bead["dependencies"].as_array().into_iter().flatten() {
            let on = edge["depends_on_id"].as_str().unwrap();
            if edge["type"] == "blocks" && place.contains_key(on) {
                assert!(place[on] < place[id], "{id} landed before {on}");
            }
        }
    }

    // Every bead was worked on exactly once, and never too many at a time.
    let runs = stage.read("counts/runs");
    let once: HashSet<&str> = runs.lines().collect();
    assert_eq!((runs.lines().count(), &once), (wanted, &merged));
    let most = stage
        .read("counts/most")
        .lines()
        .map(|n| n.trim().parse::<u32>().unwrap())
        .max();
    assert!(most <= Some(8), "{most:?} agents at once");

    let refs = stage
        .sh("git ls-remote origin 'refs/pull/*' 'refs/beadline/*' | cut -f 2")
        .ok()
        .stdout;
    let of = |prefix: &str| refs.lines().filter(|line| line.starts_with(prefix)).count();
    assert_eq!(
        (
            of("refs/pull/"),
            of("refs/beadline/pull/"),
            of("refs/beadline/open/")
        ),
        (wanted, wanted, 0)
    );
    stage.assert_clean();
}

fn all_of_it(lines: usize) {
    let stage = plan();
    let running: Vec<_> = (0..lines)
        .map(|_| stage.start_just("orchestrate"))
        .collect();
    let ran: Vec<Ran> = running
        .into_iter()
        .map(|line| line.wait(LONGEST).ok())
        .collect();
    assert_done(&stage, &ran, 113);
    let containers = |bead: &&Value| bead["metadata"]["phase"] != "merged";
    for bead in stage.stored().iter().filter(containers) {
        assert_eq!(
            (&bead["status"], &bead["metadata"]["branch"]),
            (&"closed".into(), &Value::Null)
        );
    }
}

pub(crate) fn trials() -> Vec<Trial> {
    let with = |name: &str, run: fn()| test_with("just", "tests/parts.sh", name, run);
    vec![
        with(
            "plan: a real project's plan is merged whole, in order, once each",
            || all_of_it(1),
        ),
        with("plan: three lines at once do it once together", || {
            all_of_it(3);
        }),
        with("plan: --epic touches nothing outside the epic", || {
            let stage = plan();
            let before = stage.stored();
            let ran = stage.just("orchestrate --epic bd-244").ok();
            let below: Vec<String> = before
                .iter()
                .filter(|bead| bead["dependencies"].to_string().contains("\"bd-244\""))
                .map(|bead| bead["id"].as_str().unwrap().to_owned())
                .collect();
            let ready_below = stage
                .stored()
                .iter()
                .filter(|bead| bead["status"] == "closed" && bead["id"] != "bd-244")
                .count();
            assert_done(&stage, &[ran], ready_below);
            assert!(ready_below > 0);
            for (was, is) in before.iter().zip(stage.stored()) {
                let id = was["id"].as_str().unwrap();
                if !below.iter().any(|b| b == id) && id != "bd-244" {
                    assert_eq!(*was, is, "{id} is not below bd-244");
                }
            }
        }),
    ]
}
