//! Merge queues: in at the head that was looked at, followed, and out with a reason.

use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::json;

use super::fake::Slip;
use super::repository::{Repository, one};
use super::test;
use crate::forge::fact;
use crate::stage::{Running, Stage, until};

/// A pull request in the queue, and the program that put it there.
fn queued() -> (Repository, Stage, Running) {
    let (repository, stage) = one();
    repository.fake.set(|world| world.has_queue = true);
    repository.fake.rule("merge_queue", &json!({}));
    let line = stage.start("pr-merge --no-checks --queue t-1");
    until("it is queued", || repository.fake.is_queued(1));
    (repository, stage, line)
}

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test("a queue is followed until it has landed the work", || {
            let (repository, stage, line) = queued();
            until("it is followed", || {
                line.said().contains("waits: the merge queue")
            });
            repository.fake.entry(1, Ok("AWAITING_CHECKS"));
            repository.fake.land(1, "squash");
            line.wait(Duration::from_mins(1))
                .ok()
                .says("t-1: landed as");
            assert_eq!(stage.bead("t-1")["status"], "closed");
            assert_eq!(repository.fake.count("PUT", "/merge"), 0);
            assert_eq!(repository.fake.count("POST", "enqueue"), 1);
        }),
        test("checks that fail in the queue send it back by name", || {
            let (repository, stage, line) = queued();
            let group = "f".repeat(40);
            repository.fake.run(&group, 1, "ci", "failure");
            repository.fake.entry(1, Err(("failed_checks", &group)));
            line.wait(Duration::from_mins(1))
                .ok()
                .says("sent back: checks failed in the merge queue: ci");
            assert!(fact(&stage, "t-1", "feedback").contains("failed_checks"));
        }),
        test(
            "a queue that lets go without a reason is a person's, and not asked again",
            || {
                let (repository, stage, line) = queued();
                repository.fake.entry(1, Err(("", &"f".repeat(40))));
                line.wait(Duration::from_mins(1))
                    .ok()
                    .says("waits for a person: the merge queue let go of it: it gives no reason");
                assert_eq!(repository.fake.count("POST", "enqueue"), 1);
                assert_eq!(stage.bead("t-1")["status"], "in_progress");
                // The next run puts it in again.
                let again = stage.start("pr-merge --no-checks --queue t-1");
                until("it is queued again", || repository.fake.is_queued(1));
                repository.fake.land(1, "merge");
                again.wait(Duration::from_mins(1)).ok();
                assert_eq!(stage.bead("t-1")["status"], "closed");
            },
        ),
        test("a queue that lands something else is caught", || {
            let (repository, stage, line) = queued();
            stage.sh("git fetch --quiet; git checkout --quiet -b x origin/main; echo x > x.txt; git add .
                git commit --quiet -m x; git push --quiet origin x:main; git checkout --quiet main").ok();
            repository
                .fake
                .set(|world| world.slip = Some(Slip::DropsLast));
            repository.fake.land(1, "squash");
            line.wait(Duration::from_mins(1))
                .ok()
                .says("which is not its work");
            assert_eq!(stage.bead("t-1")["status"], "blocked");
        }),
        test("without the flag a queue is a person's", || {
            let (repository, stage) = one();
            repository.fake.set(|world| world.has_queue = true);
            stage
                .sh("pr-merge --no-checks --once t-1")
                .ok()
                .says("its base lands by a merge queue, which takes `--queue`");
            assert_eq!(repository.fake.count("PUT", "/merge"), 0);
        }),
        test("a base without a queue is landed on as ever", || {
            let (repository, stage) = one();
            stage
                .sh("pr-merge --no-checks --once --queue t-1")
                .ok()
                .says("landed as");
            assert_eq!(repository.fake.count("PUT", "/merge"), 1);
        }),
        test(
            "a queue that was entered whose answer was lost is found",
            || {
                let (repository, stage) = one();
                repository.fake.set(|world| world.has_queue = true);
                let line = stage.start("pr-merge --no-checks --queue t-1");
                until("it is queued", || repository.fake.is_queued(1));
                stage.kill_all();
                drop(line);
                let line = stage.start("pr-merge --no-checks --queue t-1");
                until("it is found there", || {
                    line.said().contains("the merge queue has it")
                });
                repository.fake.land(1, "rebase");
                line.wait(Duration::from_mins(1)).ok();
                assert_eq!(stage.bead("t-1")["status"], "closed");
                assert_eq!(repository.fake.count("POST", "enqueue"), 1);
            },
        ),
    ]
}
