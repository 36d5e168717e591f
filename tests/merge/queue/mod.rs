//! The queue: pull requests that are tested together, and land together.

mod counts;
mod groups;
mod kills;
mod slots;
mod turns;
mod verdicts;

use libtest_mimic::Trial;
use serde_json::json;

use super::{ask, landed, pulled};
use crate::forge::fact;
use crate::stage::{Ran, Stage};

/// A check that counts its runs and is red where a red file is.
const COUNTS: &str = "echo \"${BEAD_ID:-group}\" >> ~/log
for file in red-*; do [ ! -e \"$file\" ] || { echo \"$file is here\"; exit 7; }; done";

/// Beads `t-1` to `t-<count>` at open pull requests, with a file each; these have a red file, too.
fn many(count: usize, reds: &[usize]) -> Stage {
    let change = |n| match reds.contains(&n) {
        true => format!("echo {n} > {n}.txt; touch red-{n}"),
        false => format!("echo {n} > {n}.txt"),
    };
    let work: Vec<(String, String)> = (1..=count).map(|n| (format!("t-{n}"), change(n))).collect();
    let work: Vec<(&str, &str)> = work
        .iter()
        .map(|(id, change)| (id.as_str(), change.as_str()))
        .collect();
    pulled(&work)
}

/// Everybody landed once, with its file, but these, which were not sent back more than once.
#[track_caller]
fn assert_all_landed(stage: &Stage, count: usize, but: &[usize], ran: &Ran) {
    let good = || (1..=count).filter(|n| !but.contains(n));
    let mut subjects: Vec<String> = good().map(|n| format!("Task t-{n} (t-{n})")).collect();
    let mut on_main = landed(stage);
    on_main.retain(|subject| subject.starts_with("Task "));
    on_main.sort();
    subjects.sort();
    assert_eq!(on_main, subjects, "{}", ran.all());
    for n in good() {
        let bead = stage.bead(&format!("t-{n}"));
        let is = (&bead["status"], &bead["metadata"]["phase"]);
        assert_eq!(is, (&json!("closed"), &json!("merged")), "{}", ran.all());
        assert_eq!(bead["metadata"]["round"], 0, "{bead}\n{}", ran.all());
        let commit = fact(stage, bead["id"].as_str().unwrap(), "merged_sha");
        ask(
            stage,
            &format!("git merge-base --is-ancestor {commit} main && git cat-file -e main:{n}.txt"),
        );
    }
    for n in but {
        let bead = stage.bead(&format!("t-{n}"));
        let is = (&bead["metadata"]["phase"], &bead["metadata"]["round"]);
        assert_eq!(is, (&json!("spawned"), &json!(1)), "{}", ran.all());
    }
}

pub(super) fn trials() -> Vec<Trial> {
    [
        groups::trials(),
        slots::trials(),
        verdicts::trials(),
        kills::trials(),
        turns::trials(),
        counts::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
