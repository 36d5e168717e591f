//! Remotes that refuse, are out of reach, or are not there.

use std::time::Duration;

use libtest_mimic::Trial;

use super::{again, assert_one_open, fact, one, refuse};
use crate::stage::{Ran, Stage, test, test_with, until};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "pr-open: a remote that takes no branch is an error, and the next run takes the bead up",
            || {
                let stage = one();
                refuse(&stage, "refs/heads/agent/*");
                let ran = stage
                    .sh("pr-open t-1")
                    .code(1)
                    .says("hook declined")
                    .says("not here");
                assert_eq!(ran.stdout, "");
                assert_eq!(fact(&stage, "t-1", "phase"), "committed");
                assert!(
                    fact(&stage, "t-1", "error").contains("hook declined"),
                    "{}",
                    stage.bead("t-1")
                );
                stage
                    .sh("rm ../remote.git/hooks/pre-receive; pr-open t-1")
                    .ok();
                assert_eq!(
                    fact(&stage, "t-1", "error") + &fact(&stage, "t-1", "error_at"),
                    ""
                );
                assert_one_open(&stage);
            },
        ),
        test(
            "pr-open: a remote that takes no pull request gives the bead to a person",
            || {
                for (first, refused) in
                    [("true", "refs/beadline/*"), ("pr-open t-1", "refs/pull/*")]
                {
                    let stage = one();
                    stage.sh(first).ok();
                    again(&stage, "t-1", "git commit --quiet --allow-empty -m more");
                    refuse(&stage, refused);
                    let ran = stage
                        .sh("pr-open t-1")
                        .ok()
                        .says("t-1: blocked")
                        .says("hook declined");
                    assert_eq!(ran.stdout, "");
                    assert_eq!(stage.bead("t-1")["status"], "blocked");
                }
            },
        ),
        test(
            "pr-open: without a remote it says so, and an unreachable one is tried again by the next run",
            || {
                let stage = one();
                let before = stage.bead("t-1");
                stage
                    .sh("git remote rename --no-progress origin away; pr-open t-1")
                    .code(1)
                    .says("no remote 'origin'");
                assert_eq!(stage.bead("t-1"), before);
                stage
                    .sh("git remote rename --no-progress away origin; mv ../remote.git ../gone.git")
                    .ok();
                let ran = stage.sh("pr-open t-1").code(1).says("t-1: git ");
                assert_eq!(ran.stdout, "");
                assert!(
                    !fact(&stage, "t-1", "error").is_empty()
                        && !fact(&stage, "t-1", "error_at").is_empty()
                );
                assert_eq!(fact(&stage, "t-1", "phase"), "committed");
                stage.sh("mv ../gone.git ../remote.git; pr-open t-1").ok();
                assert_eq!(fact(&stage, "t-1", "error"), "");
                assert_one_open(&stage);
            },
        ),
        test_with(
            "just",
            "tests/parts.sh",
            "the line: it ends by itself when drafts wait or the remote refuses",
            || {
                let mut stage = Stage::with_tasks(2);
                stage.simple();
                refuse(&stage, "refs/heads/agent/t-1");
                stage.set("BEADLINE_DRAFT", "1");
                let ran: Ran = stage.just("orchestrate").code(1);
                let ran = ran
                    .says("pr-open: t-1: [remote rejected] (pre-receive hook declined): git push: ")
                    .says("pr-merge: t-2: still waits: it is a draft");
                assert!(ran.took < Duration::from_mins(1), "{}", ran.all());
                // The next line takes up both, once a person has done her part.
                stage.sh("rm ../remote.git/hooks/pre-receive").ok();
                stage
                    .sh("git fetch --quiet; git merge --quiet origin/agent/t-2; git push --quiet")
                    .ok();
                stage.set("BEADLINE_DRAFT", "0");
                stage.just("orchestrate").ok();
                until("both are closed", || {
                    stage.stored().iter().all(|bead| bead["status"] == "closed")
                });
                stage.assert_clean();
            },
        ),
        test_with(
            "just",
            "tests/parts.sh",
            "the line: without a remote it ends at once, and says why",
            || {
                let mut stage = Stage::with_tasks(2);
                stage.simple();
                stage.sh("git remote remove origin").ok();
                let ran = stage
                    .just("orchestrate")
                    .code(1)
                    .says("no remote 'origin': pull requests need one");
                assert!(ran.took < Duration::from_mins(1), "{}", ran.all());
            },
        ),
    ]
}
