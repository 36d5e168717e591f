//! The whole line: a protected branch, a required check, an approval by a second user.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{panic, thread};

use super::repository::{Repository, landed};
use super::server::REVIEWER;
use super::test;
use crate::stage::{Ran, Running, task, task_on};
use libtest_mimic::Trial;
use serde_json::{Value, json};

/// What CI and a reviewer do: each new head of an open pull request gets its status and approval.
pub(super) fn attend(repository: &Repository, over: &AtomicBool) {
    let mut seen: HashSet<String> = HashSet::new();
    while !over.load(Ordering::Relaxed) {
        let open = repository.get("/pulls?state=open&sort=oldest&limit=50");
        for pull in open.as_array().unwrap() {
            let number = pull["number"].as_u64().unwrap();
            let head = repository.head(number);
            if !seen.insert(head.clone()) {
                continue;
            }
            // It may have been landed or moved a moment ago.
            let body = json!({"context": "ci", "state": "success"});
            repository.ask(REVIEWER, "POST", &format!("/statuses/{head}"), Some(&body));
            repository.review(REVIEWER, number, "APPROVED", &head);
        }
        thread::sleep(Duration::from_millis(200));
    }
}

/// Runs while CI and a reviewer attend to the repository.
pub(super) fn attended<T>(repository: &Repository, run: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| attend(repository, &over));
        let done = panic::catch_unwind(panic::AssertUnwindSafe(run));
        over.store(true, Ordering::Relaxed);
        done.unwrap_or_else(|why| panic::resume_unwind(why))
    })
}

/// Waits for a line that may take long.
pub(super) fn long(line: Running) -> Ran {
    line.wait(Duration::from_mins(8))
}

pub(super) fn trials() -> Vec<Trial> {
    vec![test(
        "a plan of 30 beads lands through a protected branch, each once",
        || {
            let beads: Vec<Value> = (1..=30)
                .map(|n| match n {
                    1..=10 => task(&format!("t-{n}")),
                    _ => task_on(&format!("t-{n}"), &[(&format!("t-{}", n - 10), "blocks")]),
                })
                .collect();
            let (repository, mut stage) = Repository::stage(&beads);
            repository.protect(&["ci"], 1);
            stage.simple();
            stage.set("BEADLINE_NO_CHECKS", "0");
            let ran = attended(&repository, || long(stage.start_just("orchestrate"))).ok();
            for bead in stage.stored() {
                assert_eq!(bead["metadata"]["phase"], "merged", "{bead}\n{}", ran.all());
            }
            let mut landed = landed(&stage);
            landed.sort();
            let mut wanted: Vec<_> = (1..=30).map(|n| format!("Task t-{n} (t-{n})")).collect();
            wanted.sort();
            assert_eq!(landed, wanted);
            let pulls = repository.pulls();
            assert_eq!(pulls.len(), 30);
            assert!(pulls.iter().all(|(_, _, merged)| *merged), "{pulls:?}");
            let left = stage.sh("git ls-remote --heads origin | cut -f2").ok();
            assert_eq!(left.stdout, "refs/heads/main\n", "{}", ran.all());
        },
    )]
}
