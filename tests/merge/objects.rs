//! Objects of the clone that somebody has written meanwhile.

use libtest_mimic::Trial;

use super::{assert_landed, assert_state, check, log, main_head, pulled};
use crate::stage::test;

/// What is checked here is what its name brings elsewhere.
fn misnamed() {
    let stage = pulled(&[("t-1", "echo work > w.txt")]);
    let flag = check(&stage, "cat w.txt >> ~/log");
    let before = main_head(&stage);
    stage
        .sh(
            "at() { echo .git/objects/$(echo $1 | cut -c1-2)/$(echo $1 | cut -c3-); }
             work=$(at $(git rev-parse agent/t-1:w.txt)); cp $work ../kept
             mv -f $(at $(echo harmless | git hash-object -w --stdin)) $work",
        )
        .ok();
    stage
        .sh(&format!("pr-merge {flag} --once t-1"))
        .code(1)
        .says("t-1: its work cannot be checked")
        .says("is not what its name says");
    assert_state(&stage, "t-1", "in_progress", "pr_created");
    assert_eq!((main_head(&stage), log(&stage)), (before, vec![]));
    stage
        .sh("work=$(git rev-parse agent/t-1:w.txt)
             mv -f ../kept .git/objects/$(echo $work | cut -c1-2)/$(echo $work | cut -c3-)")
        .ok();
    stage.sh(&format!("pr-merge {flag} --once t-1")).ok();
    assert_landed(&stage, "t-1");
    assert_eq!(log(&stage), ["work"]);
}

pub(super) fn trials() -> Vec<Trial> {
    vec![test(
        "pr-merge: an object that was put under another's name after the verdict is not checked",
        misnamed,
    )]
}
