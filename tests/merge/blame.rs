//! Who is sent back for a red check, and what a check may do to the lane's worktree.

use std::fmt::Write as _;

use libtest_mimic::Trial;

use super::{assert_landed, assert_sent_back, assert_state, check, landed, log, pulled};
use crate::forge::fact;
use crate::stage::{Stage, test};

/// Work on beads `t-1` to `t-<count>`: a file each.
pub(super) fn several(count: usize) -> Stage {
    let work: Vec<(String, String)> = (1..=count)
        .map(|n| (format!("t-{n}"), format!("echo {n} > {n}.txt")))
        .collect();
    let work: Vec<(&str, &str)> = work
        .iter()
        .map(|(id, change)| (id.as_str(), change.as_str()))
        .collect();
    pulled(&work)
}

/// Not sent back: it waits, with these words.
#[track_caller]
fn assert_waits(stage: &Stage, id: &str, words: &str) {
    assert_state(stage, id, "in_progress", "pr_created");
    assert_eq!(fact(stage, id, "round"), "0");
    let waits = fact(stage, id, "waits");
    assert!(waits.contains(words), "no '{words}': {waits}");
}

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "pr-merge: a base that is red by itself blames nobody, and what mends it lands",
            || {
                // The base is red until 3.txt is there; 2.txt is red everywhere.
                let stage = several(3);
                let script = "echo \"${BEAD_ID:-base}\" >> ~/log; test -e 3.txt; test ! -e 2.txt";
                let flag = check(&stage, script);
                let flags = format!("{flag} --batch 1 --retries 0");
                let ran = stage.sh(&format!("pr-merge {flags} t-1 t-2 t-3")).ok();
                let ran = ran
                    .says("the check fails on main itself")
                    .says("t-1: waits: the check fails on origin/main itself, too (exit 1)");
                assert_eq!(ran.ids(), ["t-1", "t-3"], "{}", ran.all());
                assert_eq!(landed(&stage), ["Task t-3 (t-3)", "Task t-1 (t-1)"]);
                assert_sent_back(&stage, "t-2", &["exit 1"]);
                // The base that t-3 has mended was tested with it.
                let once = ["t-1", "base", "t-2", "t-3", "t-1", "t-2"];
                assert_eq!(log(&stage), once);
            },
        ),
        test(
            "pr-merge: what nobody mends waits, and keeps no line alive",
            || {
                let stage = several(2);
                let flag = check(&stage, "echo ran >> ~/log; exit 1");
                let flags = format!("{flag} --batch 1 --retries 0");
                let ran = stage.sh(&format!("pr-merge {flags} t-1 t-2")).ok();
                assert_eq!((ran.stdout.as_str(), log(&stage).len()), ("", 3));
                for id in ["t-1", "t-2"] {
                    assert_waits(&stage, id, "fails on origin/main itself");
                }
            },
        ),
        test(
            "pr-merge: a check that did not run sends nobody back",
            || {
                for (code, words) in [
                    (126, "the check cannot run (exit 126)"),
                    (127, "the check cannot run (exit 127)"),
                    (75, "the check is to be run later (exit 75)"),
                ] {
                    let stage = several(1);
                    let flag = check(&stage, &format!("echo ran >> ~/log; exit {code}"));
                    stage
                        .sh(&format!("pr-merge {flag} --once t-1"))
                        .ok()
                        .says(&format!("t-1: still waits: {words}"));
                    assert_state(&stage, "t-1", "in_progress", "pr_created");
                    assert_eq!(
                        (fact(&stage, "t-1", "round").as_str(), log(&stage).len()),
                        ("0", 1)
                    );
                    assert_eq!(landed(&stage), Vec::<String>::new());
                }
            },
        ),
        test(
            "pr-merge: a check that dies runs once more, and is red if it dies again",
            || {
                let stage = several(2);
                let script = "[ -e 2.txt ] || mkdir ~/once 2>/dev/null || exit 0
                [ ! -e 1.txt ] && [ ! -e 2.txt ] || kill -9 $$";
                let flag = check(&stage, script);
                let ran = stage.sh(&format!("pr-merge {flag} t-1 t-2")).ok();
                let ran = ran.says("t-1: the check died (").says("t-2: sent back");
                assert_eq!(ran.ids(), ["t-1"]);
                assert_landed(&stage, "t-1");
                assert_sent_back(&stage, "t-2", &["The check failed"]);
            },
        ),
        test(
            "pr-merge: whatever one check does to the lane's worktree, the next one sees none of it",
            || {
                let acts = [
                    "rm -r .git; exit 1",
                    "mkdir -p ro/x; touch ro/x/file; chmod -R a-w ro; exit 1",
                    "mkdir -p ignored; touch ignored/poison; exit 1",
                    "rm -rf $(git rev-parse --git-dir) .git; exit 1",
                    "chmod a-w .; exit 1",
                    "git worktree lock --reason mine .; exit 1",
                    "rm a.txt; mkdir a.txt; git init --quiet nested; touch nested/file; exit 1",
                    "echo broken > $(git rev-parse --git-dir)/index; exit 1",
                    "echo /dev/null > $(git rev-parse --git-dir)/gitdir; exit 1",
                    "echo changed > a.txt; git update-index --skip-worktree a.txt",
                    "rm a.txt; mkdir a.txt; git init --quiet nested; touch nested/file",
                    "echo broken > $(git rev-parse --git-dir)/index",
                    "mkdir -p ro/x; touch ro/x/file; chmod -R a-w ro .",
                    "git worktree lock --reason mine .; rm -r .git",
                    "true",
                ];
                let stage = several(acts.len());
                let mut script = "test \"$(cat a.txt)\" = one
                    [ ! -e ignored/poison ] || { echo poisoned >> ~/log; exit 0; }
                    [ ! -e nested ] && [ ! -e ro ] || { echo left >> ~/log; exit 1; }\n"
                    .to_owned();
                for (number, act) in (1..).zip(acts) {
                    writeln!(script, "if [ \"$BEAD_ID\" = t-{number} ]; then {act}; fi").unwrap();
                }
                let flag = check(&stage, &script);
                // Root can write and remove whatever forbids it.
                let line = format!("pr-merge {flag} t-{{1..{}}}", acts.len());
                let ran = stage.without_privileges(&line).ok();
                assert_eq!(log(&stage), Vec::<String>::new(), "{}", ran.all());
                for (number, act) in (1..).zip(acts) {
                    let id = format!("t-{number}");
                    match act.contains("exit 1") {
                        true => assert_sent_back(&stage, &id, &["exit 1"]),
                        false => assert_landed(&stage, &id),
                    }
                }
            },
        ),
    ]
}
