//! What people and others do while a check of ours runs: all of it is seen before the merge goes out.

use std::time::Duration;

use libtest_mimic::Trial;

use super::repository::{Repository, assert_landed, landed, one};
use super::test;
use crate::forge::fact;
use crate::stage::{Ran, Stage, until};

/// A check that says that it has started, and what it sees; it ends when it may.
const CHECK: &str = "ls >> ~/log; touch ~/started; until [ -e ~/go ]; do sleep 0.02; done";

/// Lands with a check of ours; what happens meanwhile happens while that runs.
fn while_it_runs(stage: &Stage, meanwhile: impl FnOnce()) -> Ran {
    let running = stage.start(&format!("pr-merge --once --check '{CHECK}' t-1"));
    until("its check runs", || stage.path("home/started").exists());
    meanwhile();
    stage.write("home/go", "");
    running.wait(Duration::from_mins(1)).ok()
}

fn merges(repository: &Repository) -> usize {
    repository.fake.count("PUT", "/merge")
}

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "a pull request that was retargeted waits for a person",
            || {
                let (repository, stage) = one();
                stage.sh("git push --quiet origin main:release").ok();
                repository.fake.retarget(1, "release");
                stage
                    .sh("pr-merge --once --no-checks t-1")
                    .ok()
                    .says("waits for a person: it is to land on release, not on main");
                assert_eq!(merges(&repository), 0);
                repository.fake.retarget(1, "main");
                stage.sh("pr-merge --once --no-checks t-1").ok();
                assert_landed(&stage, &["t-1"]);
            },
        ),
        test(
            "a pull request that is retargeted while its check runs does not land",
            || {
                let (repository, stage) = one();
                stage.sh("git push --quiet origin main:release").ok();
                while_it_runs(&stage, || repository.fake.retarget(1, "release"))
                    .says("it is to land on release");
                assert_eq!(merges(&repository), 0);
            },
        ),
        test(
            "one that was merged into another base is a person's",
            || {
                let (repository, stage) = one();
                stage.sh("git push --quiet origin main:release").ok();
                repository.fake.retarget(1, "release");
                repository.fake.land(1, "squash");
                stage
                    .sh("pr-merge --once --no-checks t-1")
                    .ok()
                    .says("it was merged into release, not main");
                assert_eq!(stage.bead("t-1")["status"], "blocked");
            },
        ),
        test(
            "a base that moves while the check runs is tested again",
            || {
                let (repository, stage) = one();
                while_it_runs(&stage, || {
                    stage
                        .sh("echo else > else.txt; git add .; git commit --quiet -m else
                         git push --quiet \"$HOME/../remote.git\" main")
                        .ok();
                });
                assert_eq!(landed(&stage), ["else", "Task t-1 (t-1)"]);
                assert_eq!(
                    stage.read("home/log"),
                    "a.txt\nw.txt\na.txt\nelse.txt\nw.txt\n"
                );
                assert_eq!(merges(&repository), 1);
            },
        ),
        test(
            "changes that are wanted, and checks that turn red, while ours runs are heard",
            || {
                let (repository, stage) = one();
                let head = repository.fake.head(1);
                while_it_runs(&stage, || {
                    repository.fake.review("ann", 1, "CHANGES_REQUESTED", &head);
                })
                .says("sent back: ann wants changes");
                assert!(fact(&stage, "t-1", "feedback").contains("as I see it"));
                let (second, stage) = one();
                let head = second.fake.head(1);
                while_it_runs(&stage, || second.fake.status(&head, "ci", "failure"))
                    .says("sent back: checks failed: ci");
                assert_eq!((merges(&repository), merges(&second)), (0, 0));
            },
        ),
        test(
            "what a person has merged while its check fails is not sent back",
            || {
                let (repository, stage) = one();
                let check = CHECK.replace("done", "done; exit 1");
                let running = stage.start(&format!("pr-merge --once --check '{check}' t-1"));
                until("its check runs", || stage.path("home/started").exists());
                repository.fake.land(1, "squash");
                stage.write("home/go", "");
                running.wait(Duration::from_mins(1)).ok().says("landed as");
                assert_eq!(stage.bead("t-1")["status"], "closed");
            },
        ),
    ]
}
