//! What a kill leaves.

use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::json;

use super::{ask, assert_landed, assert_state, check, elsewhere, landed, log, main_head, pulled};
use crate::forge::{fact, on_remote};
use crate::stage::{test, until};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "pr-merge: a worktree of checks is used on, whichever half of its marks a kill has left",
            || {
                // The word below the clone's own folder and the mark beside git's index say the same.
                let halves = [
                    "rm $(grep -lrx .merge-main .git/beadline)",
                    "cd $(dirname $(grep -l merge-main .git/worktrees/*/gitdir)); mv beadline-ready beadline-making",
                ];
                for half in halves {
                    let stage = pulled(&[("t-1", "echo 1 > 1.txt"), ("t-2", "echo 2 > 2.txt")]);
                    let flag = check(&stage, "true");
                    stage.sh(&format!("pr-merge {flag} t-1")).ok();
                    stage.sh(half).ok();
                    stage.sh(&format!("pr-merge {flag} t-2")).ok();
                    assert_landed(&stage, "t-2");
                }
            },
        ),
        test(
            "pr-merge: what landed while not even its opening was recorded is found by its head",
            || {
                let stage = pulled(&[("t-1", "echo 1 > 1.txt")]);
                let mut before = stage.bead("t-1");
                before["metadata"]["phase"] = json!("committed");
                before["metadata"]["pr_number"] = json!(0);
                before["metadata"]["pushed"] = json!("");
                stage.sh("pr-merge --no-checks t-1").ok();
                let head = main_head(&stage);
                stage.beads(&[before]);
                stage.sh("pr-open t-1 | pr-merge --no-checks").ok();
                assert_landed(&stage, "t-1");
                assert_eq!(
                    (main_head(&stage), fact(&stage, "t-1", "pr_number")),
                    (head, "1".to_owned())
                );
                assert_eq!(on_remote(&stage, "refs/beadline/pull/2"), "");
            },
        ),
        test(
            "pr-merge: what landed and was not recorded is closed by the next run, and lands once",
            || {
                for method in ["squash", "merge", "rebase"] {
                    let stage = pulled(&[("t-1", "echo 1 > 1.txt")]);
                    let before = stage.bead("t-1");
                    stage
                        .sh(&format!("pr-merge --no-checks --method {method} t-1"))
                        .ok();
                    let (head, commit) = (main_head(&stage), fact(&stage, "t-1", "merged_sha"));
                    stage.beads(&[before]);
                    // The base has gone on.
                    stage.sh(&elsewhere("main", "echo else > else.txt")).ok();
                    let flag = check(&stage, "echo ran >> ~/log");
                    let ran = stage.sh(&format!("pr-merge {flag} t-1")).ok();
                    assert_eq!((ran.ids(), log(&stage)), (vec!["t-1".to_owned()], vec![]));
                    assert_landed(&stage, "t-1");
                    assert_eq!(fact(&stage, "t-1", "merged_sha"), commit);
                    assert_eq!(ask(&stage, "git rev-parse main~"), head);
                }
            },
        ),
        test(
            "pr-merge: killed by KILL while its landing is answered, the next run closes the bead",
            || {
                let stage = pulled(&[("t-1", "echo 1 > 1.txt")]);
                crate::forge::hook(
                    &stage,
                    "post-receive",
                    "#!/bin/sh\nkill -9 \"$(cat \"$HOME/pid\")\"\n",
                );
                stage
                    .sh("echo $$ > ~/pid; exec pr-merge --no-checks t-1")
                    .code(128 + 9);
                assert_state(&stage, "t-1", "in_progress", "pr_created");
                stage
                    .sh("rm ../remote.git/hooks/post-receive; pr-merge --no-checks t-1")
                    .ok();
                assert_landed(&stage, "t-1");
                assert_eq!(landed(&stage), ["Task t-1 (t-1)"]);
            },
        ),
        test(
            "pr-merge: killed in the middle of a check, the next run ends that check and lands the bead",
            || {
                let stage = pulled(&[("t-1", "echo 1 > 1.txt")]);
                let flag = check(
                    &stage,
                    "if mkdir ~/once 2>/dev/null; then echo $$ > ~/orphan; sleep 600; fi; if grep -q sh /proc/$(cat ~/orphan)/cmdline; then exit 1; fi; echo ran >> ~/log",
                );
                let mut running = stage.start(&format!("exec pr-merge {flag} t-1"));
                until("the check runs", || stage.path("home/orphan").exists());
                running.kill();
                assert_eq!(running.wait(Duration::from_mins(1)).code, Some(128 + 9));
                let alive = || !stage.processes().is_empty();
                assert!(
                    alive(),
                    "the check went with its program: nothing is tested here"
                );
                stage.sh(&format!("pr-merge {flag} t-1")).ok();
                assert_landed(&stage, "t-1");
                assert!(!alive());
                assert_eq!(log(&stage), ["ran"]);
            },
        ),
        test(
            "pr-merge: when its reader goes away it ends within a moment, and its check with it",
            || {
                let stage = pulled(&[("t-1", "echo 1 > 1.txt")]);
                let flag = check(&stage, "touch ~/started; sleep 600");
                let line =
                    format!("pr-merge {flag} t-1 | until [ -e ~/started ]; do sleep 0.05; done");
                let ran = stage.sh(&line).ok();
                assert!(ran.took < Duration::from_mins(1), "{}", ran.all());
                assert_eq!(stage.processes(), Vec::<String>::new());
                assert_state(&stage, "t-1", "in_progress", "pr_created");
            },
        ),
    ]
}
