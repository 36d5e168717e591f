//! The line on the real Beads: what it asks of it, and what a crash or a dead machine costs.

mod budget;
mod crashes;
mod leases;
mod machines;
mod takeovers;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::stage::{Stage, scale};

/// How many: a big count under `just stress`, a small one otherwise.
fn count<T>(big: T, small: T) -> T {
    if scale() < 10 { small } else { big }
}

/// A fact of a bead.
fn fact<'a>(bead: &'a Value, name: &str) -> &'a Value {
    &bead["metadata"][name]
}

/// Asserts that everything was merged exactly once, by one pull request each.
#[track_caller]
fn assert_all_merged(stage: &Stage, said: &str) {
    let beads = stage.stored();
    for bead in &beads {
        assert_eq!(bead["status"], "closed", "{bead}\n{said}");
        assert_eq!(fact(bead, "phase"), "merged", "{bead}\n{said}");
    }
    let log = stage
        .sh("git fetch --quiet && git log --format=%s origin/main")
        .ok();
    for bead in &beads {
        let id = bead["id"].as_str().unwrap();
        let end = format!("({id})");
        let landed = log
            .stdout
            .lines()
            .filter(|line| line.ends_with(&end))
            .count();
        assert_eq!(landed, 1, "{id}\n{}\n{said}", log.stdout);
    }
    let refs = "git ls-remote origin 'refs/pull/*' | wc -l
         git ls-remote origin 'refs/beadline/open/*' 'refs/heads/agent/*' | wc -l";
    let refs = stage.sh(refs).ok().stdout;
    assert_eq!(refs, format!("{}\n0\n", beads.len()), "{said}");
}

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = budget::trials();
    trials.extend(crashes::trials());
    trials.extend(leases::trials());
    trials.extend(machines::trials());
    trials.extend(takeovers::trials());
    trials
}
