//! Remotes that are away for a while, and pull requests that nobody can read.

use std::time::Duration;

use libtest_mimic::Trial;

use super::{check, landed, pulled};
use crate::forge::fact;
use crate::stage::{test, until};

/// What takes the remote away, and brings it back.
const AWAY: &str = "mv $HOME/../remote.git $HOME/../away.git";
const BACK: &str = "mv $HOME/../away.git $HOME/../remote.git";

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "pr-merge: a remote that is away for a while keeps everybody",
            || {
                let stage = pulled(&[("t-1", "echo 1 > 1.txt"), ("t-2", "echo 2 > 2.txt")]);
                stage.sh(AWAY).ok();
                let line = stage.start("pr-merge --no-checks t-1 t-2");
                let looks = || {
                    line.said()
                        .matches("cannot look at the pull requests")
                        .count()
                };
                until("it has looked twice", || looks() >= 2);
                stage.sh(BACK).ok();
                line.wait(Duration::from_mins(3)).ok();
                assert_eq!(landed(&stage).len(), 2);
                // One that looks once waits no longer than that.
                let stage = pulled(&[("t-1", "echo 1 > 1.txt")]);
                stage.sh(AWAY).ok();
                let line = stage.start("pr-merge --no-checks --once t-1");
                line.wait(Duration::from_mins(3))
                    .code(1)
                    .says("t-1: cannot reach the remote");
                assert_eq!(fact(&stage, "t-1", "phase"), "pr_created");
            },
        ),
        test(
            "pr-merge: a remote that goes away while a check runs costs nobody anything",
            || {
                let stage = pulled(&[("t-1", "echo 1 > 1.txt")]);
                let once = format!("[ -e ~/once ] || {{ touch ~/once; {AWAY}; }}");
                let line = stage.start(&format!("pr-merge {} t-1", check(&stage, &once)));
                until("it is not reached", || {
                    line.said().contains("t-1: cannot be read")
                });
                stage.sh(BACK).ok();
                line.wait(Duration::from_mins(3)).ok().says("landed as");
                assert_eq!(landed(&stage).len(), 1);
            },
        ),
        test(
            "pr-merge: a pull request whose ref is garbage fails alone",
            || {
                let stage = pulled(&[
                    ("t-1", "echo 1 > 1.txt"),
                    ("t-2", "echo 2 > 2.txt"),
                    ("t-3", "echo 3 > 3.txt"),
                ]);
                for garbage in [
                    "$(echo garbage | git hash-object -w --stdin)",
                    "main",
                    "main^{tree}",
                ] {
                    let push =
                        format!("git push --quiet --force origin {garbage}:refs/beadline/pull/2");
                    stage.sh(&push).ok();
                    let ran = stage.sh("pr-merge --no-checks --once t-2").code(1);
                    ran.says("t-2: ");
                    assert!(!fact(&stage, "t-2", "error").is_empty(), "{garbage}");
                }
                let ran = stage.sh("pr-merge --no-checks t-1 t-2 t-3").code(1);
                ran.says("t-2: ");
                assert_eq!(landed(&stage), ["Task t-1 (t-1)", "Task t-3 (t-3)"]);
                assert_eq!(fact(&stage, "t-2", "phase"), "pr_created");
            },
        ),
    ]
}
