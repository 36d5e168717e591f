//! Dry runs, which change nothing.

use std::collections::BTreeMap;

use libtest_mimic::Trial;
use serde_json::json;

use super::{LINE, swept};
use crate::forge::committed;
use crate::stage::{Stage, task, test, until};

/// Every file of the scratch folder with what is in it, objects and the output of tests aside.
fn snapshot(stage: &Stage) -> BTreeMap<String, String> {
    let listed = stage.sh_in(
        "",
        "find home remote.git work work.worktrees -not -path '*/objects/*' \\( -type f -o -type l \\) \
         -exec cksum {} + 2>/dev/null || true; find home remote.git work -type d",
    );
    let entry = |line: &str| {
        let (sum, path) = line.rsplit_once(' ').unwrap_or(("", line));
        (path.to_owned(), sum.to_owned())
    };
    listed
        .stdout
        .lines()
        .filter(|line| !line.contains("/objects"))
        .map(entry)
        .collect()
}

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "contract: the whole line as a dry run prints what would be, and changes nothing",
            || {
                let mut stage = Stage::with_tasks(2);
                stage.simple();
                let before = snapshot(&stage);
                let line = LINE
                    .map(|program| format!("{program} --dry-run"))
                    .join(" | ");
                let ran = stage.sh(&format!("bd-ready | {line}")).ok();
                assert_eq!(ran.ids(), ["t-1", "t-2"], "{}", ran.all());
                for bead in ran.beads() {
                    assert_eq!(
                        (&bead["status"], &bead["metadata"]["phase"]),
                        (&json!("closed"), &json!("merged"))
                    );
                    assert!(
                        bead["metadata"]
                            .as_object()
                            .unwrap()
                            .values()
                            .all(|value| !value.is_null()),
                        "{bead}"
                    );
                }
                for program in LINE {
                    assert_eq!(
                        ran.stderr.matches(&format!("{program}: t-")).count(),
                        2,
                        "{}",
                        ran.all()
                    );
                }
                assert_eq!(snapshot(&stage), before);
            },
        ),
        test(
            "contract: a dry run of each program on a bead that waits for it changes nothing",
            || {
                let mut stage = Stage::with_tasks(1);
                stage.simple();
                let after = ["spawned", "committed", "pr_created", "merged", "merged"];
                for (program, phase) in LINE.iter().zip(after) {
                    let before = snapshot(&stage);
                    let ran = stage
                        .sh(&format!("{program} --dry-run t-1"))
                        .ok()
                        .says(&format!("{program}: t-1: would "));
                    assert_eq!(ran.beads()[0]["metadata"]["phase"], phase, "{}", ran.all());
                    assert_eq!(snapshot(&stage), before, "{program}");
                    stage
                        .sh(&format!("{program} --dry-run --quiet t-1"))
                        .ok()
                        .says_not(program);
                    stage.sh(&format!("{program} t-1")).ok();
                }
                swept(&stage);
            },
        ),
        test(
            "pr-merge: a dry run names the groups that would be tested first, and changes nothing",
            || {
                let mut beads: Vec<_> = (1..=6).map(|n| task(&format!("t-{n}"))).collect();
                beads[5]["priority"] = json!(0);
                let stage = Stage::new(&beads);
                let work: Vec<(String, String)> = (1..=6)
                    .map(|n| (format!("t-{n}"), format!("echo {n} > {n}.txt")))
                    .collect();
                let work: Vec<(&str, &str)> =
                    work.iter().map(|(id, how)| (&**id, &**how)).collect();
                committed(&stage, &work);
                stage.sh("pr-open t-2 t-1 t-3 t-4 t-5 t-6").ok();
                // One of them could not land.
                stage.sh("git commit --quiet --allow-empty -m more; echo 5 other > 5.txt; git add 5.txt; git commit --quiet -m five; git push --quiet origin HEAD:main").ok();
                let before = snapshot(&stage);
                let plan = |flags: &str| {
                    let line = format!("pr-merge --dry-run {flags} t-1 t-2 t-3 t-4 t-5 t-6");
                    let ran = stage.sh(&line).ok();
                    assert_eq!(snapshot(&stage), before);
                    let told = |line: &str| Some(line.strip_prefix("pr-merge: main: ")?.to_owned());
                    ran.stderr.lines().filter_map(told).collect::<Vec<_>>()
                };
                assert_eq!(
                    plan("--check true"),
                    ["would first check t-6, t-2, t-1, t-3, t-4 together"]
                );
                assert_eq!(plan("--check true --batch 1"), ["would first check t-6"]);
                assert_eq!(
                    plan("--check true --batch 2 --check-jobs 2"),
                    ["would first check side by side: t-6, t-2; t-1, t-3"]
                );
                assert_eq!(plan("--no-checks"), [""; 0]);
                assert_eq!(plan("--check true --quiet"), [""; 0]);
            },
        ),
        test(
            "contract: a dry run of agent-stop and of a sweep leaves everything",
            || {
                let mut stage = Stage::with_tasks(1);
                stage.agent("touch started; exec sleep 300");
                let mut line = stage.start("bd-ready | wt-spawn | agent-run");
                until("the agent works", || {
                    stage.path("work.worktrees/t-1/started").exists()
                });
                let before = snapshot(&stage);
                stage
                    .sh("agent-stop --dry-run t-1")
                    .ok()
                    .says("t-1: its agent would be ended");
                stage
                    .sh("agent-stop --dry-run --all")
                    .ok()
                    .says("t-1: its agent would be ended");
                stage.sh("wt-clean --all --dry-run < /dev/null").ok();
                assert_eq!(snapshot(&stage), before);
                assert!(!stage.processes().is_empty());
                stage.sh("agent-stop --all").ok();
                line.kill();
            },
        ),
    ]
}
