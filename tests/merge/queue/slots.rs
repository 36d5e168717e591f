//! Checks that run beside each other, and beside all else.

use std::collections::HashSet;
use std::time::Duration;

use libtest_mimic::Trial;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::{assert_all_landed, many};
use crate::forge::committed;
use crate::merge::{ask, assert_landed, assert_state, check, landed, log};
use crate::stage::{Stage, test, until};

/// Says where it runs, and that it has started; goes on when three others have.
const FOUR: &str = "pwd >> ~/log; mkdir -p ~/at; touch ~/at/$$
until [ $(ls ~/at | wc -l) -ge 4 ]; do sleep 0.02; done";

/// A pull request to `main`, and before it one to `release`.
fn two_bases() -> Stage {
    let stage = Stage::with_tasks(2);
    stage
        .sh("git push --quiet origin main:release; git fetch --quiet")
        .ok();
    committed(
        &stage,
        &[("t-1", "echo 1 > 1.txt"), ("t-2", "echo 2 > 2.txt")],
    );
    stage.edit("t-1", &json!({"metadata": {"base": "release"}}));
    stage.sh("pr-open t-1 t-2").ok();
    stage
}

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test("queue: four slots run four checks at once", || {
            let stage = many(20, &[]);
            let flag = check(&stage, FOUR);
            let ran = stage
                .sh(&format!("pr-merge {flag} --check-jobs 4 t-{{1..20}}"))
                .ok();
            assert_all_landed(&stage, 20, &[], &ran);
            let places: HashSet<String> = log(&stage)[..4].iter().cloned().collect();
            assert_eq!(places.len(), 4, "{}", ran.all());
        }),
        test(
            "queue: as many slots as there are, one by one, are as many checks at once",
            || {
                let stage = many(6, &[]);
                let flag = check(&stage, FOUR);
                let ran = stage
                    .sh(&format!(
                        "BEADLINE_CHECK_JOBS=4 pr-merge {flag} --batch 1 t-{{1..6}}"
                    ))
                    .ok();
                assert_all_landed(&stage, 6, &[], &ran);
            },
        ),
        test(
            "queue: a check that hangs on one base holds up no other base",
            || {
                let stage = two_bases();
                let script = "[ ! -e 1.txt ] || { touch ~/started; until [ -e ~/go ]; do sleep 0.05; done; }";
                let flag = check(&stage, script);
                let running = stage.start(&format!("pr-merge {flag} t-1 t-2"));
                until("the check of the first hangs", || {
                    stage.path("home/started").exists()
                });
                until("the second has landed", || landed(&stage).len() == 1);
                assert_state(&stage, "t-1", "in_progress", "pr_created");
                stage.write("home/go", "");
                running.wait(Duration::from_mins(2)).ok();
                assert_landed(&stage, "t-2");
                assert_state(&stage, "t-1", "closed", "merged");
                let subjects = ask(&stage, "git log --format=%s release");
                assert_eq!(subjects, "Task t-1 (t-1)\nfirst");
            },
        ),
        test(
            "queue: a bead that is taken away ends the check that it is in, and the others land",
            || {
                for count in [1, 4] {
                    let stage = many(count, &[]);
                    let script = "[ ! -e 1.txt ] || { touch ~/started; sleep 600; }";
                    let flag = check(&stage, script);
                    let running = stage.start(&format!("pr-merge {flag} t-{{1..{count}}}"));
                    until("its check runs", || stage.path("home/started").exists());
                    stage.edit("t-1", &json!({"status": "blocked", "assignee": ""}));
                    let ran = running.wait(Duration::from_mins(2)).ok().says("t-1: left");
                    assert_eq!(stage.processes(), Vec::<String>::new(), "{}", ran.all());
                    assert_state(&stage, "t-1", "blocked", "pr_created");
                    assert_eq!(landed(&stage).len(), count - 1, "{}", ran.all());
                    for n in 2..=count {
                        assert_landed(&stage, &format!("t-{n}"));
                    }
                }
            },
        ),
        test("queue: SIGTERM ends all of its checks with it", || {
            let stage = many(20, &[]);
            let flag = check(&stage, &format!("{FOUR}\ntouch ~/all; sleep 600"));
            let line = format!("exec pr-merge {flag} --check-jobs 4 t-{{1..20}}");
            let running = stage.start(&line);
            until("all checks run", || stage.path("home/all").exists());
            kill_process(Pid::from_raw(running.pid()).unwrap(), Signal::TERM).unwrap();
            let ran = running.wait(Duration::from_mins(1)).code(128 + 15);
            assert_eq!(stage.processes(), Vec::<String>::new(), "{}", ran.all());
            assert_eq!(landed(&stage), Vec::<String>::new());
            for n in 1..=20 {
                assert_state(&stage, &format!("t-{n}"), "in_progress", "pr_created");
            }
        }),
    ]
}
