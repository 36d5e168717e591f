//! Beads that have landed are removed, all of what there is of them.

use libtest_mimic::Trial;

use super::{ids, landed, left, lines};
use crate::stage::test;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "wt-clean: after a landing nothing is left, and a second run finds nothing to do",
            || {
                let stage = landed(2);
                let ran = stage
                    .sh("bd-ready --phase merged | wt-clean")
                    .ok()
                    .says("t-1: cleaned")
                    .says("t-2: cleaned");
                assert_eq!(ran.ids(), ["t-1", "t-2"]);
                for id in ids(2) {
                    assert_eq!(left(&stage, &id), "");
                }
                stage
                    .sh("! find .git/beadline/t-* -name '*.lock' | grep .")
                    .ok();
                let before = stage.stored();
                let again = stage
                    .sh("bd-ready --phase merged | wt-clean")
                    .ok()
                    .says_not("t-");
                assert_eq!(again.ids(), ["t-1", "t-2"]);
                assert_eq!(stage.stored(), before);
                stage.sh("wt-clean --all < /dev/null").ok();
                stage.assert_clean();
            },
        ),
        test(
            "wt-clean: --keep-branch keeps both branches, --dry-run everything",
            || {
                let stage = landed(1);
                let before = left(&stage, "t-1");
                stage
                    .sh("wt-clean --dry-run t-1")
                    .ok()
                    .says("t-1: would be cleaned");
                stage
                    .sh("bd-ready --phase merged | wt-clean --all --dry-run")
                    .ok();
                assert_eq!(left(&stage, "t-1"), before);
                for flags in ["", "--all"] {
                    stage
                        .sh(&format!("wt-clean --keep-branch {flags} t-1"))
                        .ok();
                    let left = left(&stage, "t-1");
                    assert_eq!(
                        (lines(&left, "refs/heads/agent/t-1"), left.lines().count()),
                        (2, 2),
                        "{left}"
                    );
                }
                stage.sh("wt-clean --all t-1").ok();
                stage.assert_clean();
            },
        ),
        test(
            "wt-clean: a bead whose remote is out of reach stays whole, and goes when it is back",
            || {
                let stage = landed(1);
                stage
                    .sh("mv ../remote.git ../away; wt-clean t-1")
                    .code(1)
                    .says("t-1: ");
                stage.sh("git rev-parse agent/t-1; test -f ../work.worktrees/t-1/t-1.txt; mv ../away ../remote.git; wt-clean --all t-1").ok();
                stage.assert_clean();
            },
        ),
        test(
            "wt-clean: what another program has in hand is left to it",
            || {
                let stage = landed(1);
                let before = left(&stage, "t-1");
                let ran = stage
                    .sh("flock .git/beadline/t-1/stage.lock wt-clean t-1")
                    .ok();
                assert_eq!(ran.says("t-1: left to another program").stdout, "");
                assert_eq!(left(&stage, "t-1"), before);
            },
        ),
        test(
            "wt-clean: a worktree with folders that forbid it is removed",
            || {
                let stage = landed(1);
                stage.sh("cd ../work.worktrees/t-1; mkdir -p ignored/ro; touch ignored/ro/x; chmod 500 ignored/ro
                      cd ../../work; wt-clean --all t-1").ok();
                stage.assert_clean();
            },
        ),
    ]
}
