//! Flags and settings.

use std::fs;
use std::time::Duration;

use libtest_mimic::Trial;

use super::{LINE, each};
use crate::stage::{Stage, test};

/// Every program that people call.
const ALL: [&str; 9] = [
    "bd-ready",
    "wt-spawn",
    "agent-run",
    "pr-open",
    "pr-merge",
    "wt-clean",
    "agent-stop",
    "agent-log",
    "orch-status",
];

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "contract: --quiet leaves only what went wrong; else something is said for each bead",
            || {
                for quiet in ["", " --quiet"] {
                    let mut stage = Stage::with_tasks(1);
                    stage.simple();
                    for program in LINE {
                        let ran = stage.sh(&format!("{program}{quiet} t-1")).ok();
                        let said = ran
                            .stderr
                            .lines()
                            .all(|line| line.starts_with(&format!("{program}: t-1: ")));
                        assert!(
                            said && ran.stderr.is_empty() != quiet.is_empty(),
                            "{}",
                            ran.all()
                        );
                        stage
                            .sh(&format!("{program}{quiet} nope"))
                            .code(1)
                            .says("no such bead");
                    }
                }
            },
        ),
        test(
            "contract: none of what a program cannot do without is a usage error, also in a variable",
            || {
                let stage = Stage::with_tasks(1);
                for call in [
                    "bd-ready --follow --interval 0s",
                    "bd-ready --follow --max-agents 0",
                    "bd-ready --follow --max-prs 0",
                    "BEADLINE_MAX_AGENTS=0 bd-ready --follow",
                    "BEADLINE_MAX_PRS=0 bd-ready --follow",
                    "wt-spawn t-1 --jobs 0",
                    "agent-run t-1 --max-agents 0",
                    "agent-run t-1 --timeout 0s",
                    "BEADLINE_STALL=0s agent-run t-1",
                    "BEADLINE_MAX_AGENTS=0 agent-run t-1",
                    "BEADLINE_WAIT=0s pr-merge t-1",
                ] {
                    let line = stage.start(&format!("env {call}"));
                    let ran = line.wait(Duration::from_secs(20)).code(2);
                    ran.says("invalid value '0").says(" needed");
                }
            },
        ),
        test(
            "contract: --help shows an example, --version the version, and a wrong call exits with 2",
            || {
                let stage = Stage::with_tasks(1);
                for program in ALL {
                    let help = stage.sh(&format!("{program} --help")).ok();
                    assert!(
                        help.stdout.contains("Example: ") && help.stdout.contains("Exit status: "),
                        "{}",
                        help.all()
                    );
                    assert!(
                        help.stdout.contains("-C <DIR>") && help.stdout.contains("--quiet"),
                        "{}",
                        help.all()
                    );
                    let version = stage.sh(&format!("{program} --version")).ok();
                    each(
                        &version,
                        &format!("{program} {}\n", env!("CARGO_PKG_VERSION")),
                    );
                    stage
                        .sh(&format!("{program} --nonsense < /dev/null"))
                        .code(2)
                        .says("--nonsense");
                    stage
                        .sh(&format!("{program} -C /nowhere t-1 < /dev/null"))
                        .code(match program {
                            // Takes no ids.
                            "orch-status" => 2,
                            _ => 1,
                        });
                }
                stage.sh("agent-hold --help").ok();
                stage.sh("agent-hold --version").ok();
                for wrong in [
                    "wt-spawn --branch agent/x",
                    "wt-spawn --min-free much",
                    "agent-run --list-agents --agent true",
                    "agent-run --agent true --timeout soon",
                    "agent-run --agent true --timeout -5s",
                    "pr-merge",
                    "pr-merge --check true --no-checks",
                    "pr-merge --no-checks --method push",
                    "pr-merge --no-checks --land squash",
                    "bd-ready --phase done",
                    "bd-ready --limit -1",
                ] {
                    each(&stage.sh(&format!("{wrong} < /dev/null")).code(2), "");
                }
            },
        ),
        test(
            "contract: a program works in the repository that -C names, and from inside a worktree",
            || {
                let mut stage = Stage::with_tasks(2);
                stage.simple();
                let ran = stage
                    .sh_in(
                        "",
                        "bd-ready -C work t-1 | wt-spawn -C work | agent-run -C work",
                    )
                    .ok();
                assert_eq!(ran.ids(), ["t-1"]);
                let inside = stage
                    .sh_in("work.worktrees/t-1", "bd-ready t-2 | wt-spawn | agent-run")
                    .ok();
                assert_eq!(inside.ids(), ["t-2"]);
                assert!(stage.path("work.worktrees/t-2/t-2.txt").exists());
            },
        ),
        test(
            "contract: variables are settings: empty is unset, booleans are read, the command line wins",
            || {
                let stage = Stage::with_tasks(1);
                let table: &[(&str, &str, i32)] = &[
                    ("BEADLINE_NO_CHECKS=1", "pr-merge", 0),
                    ("BEADLINE_NO_CHECKS=true", "pr-merge", 0),
                    ("BEADLINE_NO_CHECKS=yes", "pr-merge", 0),
                    ("BEADLINE_NO_CHECKS=0", "pr-merge", 2),
                    ("BEADLINE_NO_CHECKS=false", "pr-merge", 2),
                    ("BEADLINE_NO_CHECKS=no", "pr-merge", 2),
                    ("BEADLINE_NO_CHECKS=", "pr-merge", 2),
                    ("BEADLINE_NO_CHECKS=perhaps", "pr-merge", 2),
                    ("BEADLINE_NO_CHECKS=0", "pr-merge --no-checks", 0),
                    ("BEADLINE_BY_HAND=yes", "pr-merge", 0),
                    ("BEADLINE_BY_HAND=no", "pr-merge", 2),
                    ("BEADLINE_BY_HAND=", "pr-merge", 2),
                    ("BEADLINE_CHECK=", "pr-merge", 2),
                    ("BEADLINE_CHECK=true", "pr-merge", 0),
                    (
                        "BEADLINE_CHECK=false BEADLINE_NO_CHECKS=1",
                        "pr-merge --check true",
                        0,
                    ),
                    ("BEADLINE_METHOD=push", "pr-merge --no-checks", 2),
                    (
                        "BEADLINE_METHOD=push",
                        "pr-merge --no-checks --method merge",
                        0,
                    ),
                    ("BEADLINE_METHOD=", "pr-merge --no-checks", 0),
                    ("BEADLINE_DRAFT=2", "pr-open", 2),
                    ("BEADLINE_DRAFT=", "pr-open", 0),
                    ("BEADLINE_AGENT=", "agent-run --agent true", 0),
                    ("BEADLINE_AGENT=true", "agent-run", 0),
                    ("BEADLINE_MAX_AGENTS=x", "bd-ready", 2),
                    ("BEADLINE_MAX_AGENTS=", "bd-ready", 0),
                    ("BEADLINE_MAX_AGENTS=x", "bd-ready --max-agents 1", 0),
                    ("BEADLINE_TIMEOUT=x BEADLINE_AGENT=true", "agent-run", 2),
                    ("BEADLINE_TIMEOUT= BEADLINE_AGENT=true", "agent-run", 0),
                    ("BEADLINE_BRANCH=", "wt-spawn", 0),
                    ("BEADLINE_BRANCH=x", "wt-spawn", 2),
                    ("BEADLINE_UNDER=", "wt-spawn", 0),
                ];
                for (variables, program, code) in table {
                    stage
                        .sh(&format!("{variables} {program} < /dev/null"))
                        .code(*code);
                }
            },
        ),
        test(
            "contract: --check is run though BEADLINE_NO_CHECKS says no, and the other way round",
            || {
                for (variable, flag, lands) in [
                    ("BEADLINE_NO_CHECKS=1", "--check false", false),
                    ("BEADLINE_CHECK=false", "--no-checks", true),
                    (
                        "BEADLINE_CHECK=false BEADLINE_NO_CHECKS=",
                        "--check=true",
                        true,
                    ),
                    ("BEADLINE_CHECK=false", "", false),
                ] {
                    let mut stage = Stage::with_tasks(1);
                    stage.simple();
                    let line = format!(
                        "bd-ready | wt-spawn | agent-run | pr-open | env -u BEADLINE_NO_CHECKS {variable} pr-merge {flag}"
                    );
                    let ran = stage.sh(&line).ok();
                    assert_eq!(ran.ids().len(), usize::from(lands), "{}", ran.all());
                    assert_eq!(stage.bead("t-1")["status"] == "closed", lands);
                }
            },
        ),
        test(
            "contract: BEADLINE_LOG=debug tells of each program that was run, and of no argument",
            || {
                let mut stage = Stage::with_tasks(2);
                stage.simple();
                stage.set("BEADLINE_SETUP", "true hunter2");
                let quiet = stage.sh("bd-ready t-1 | wt-spawn").ok();
                assert!(!quiet.stderr.contains("debug: "), "{}", quiet.all());
                stage.set("BEADLINE_LOG", "debug");
                let ran = stage.sh("bd-ready t-2 | wt-spawn | agent-run").ok();
                assert_eq!(ran.ids(), ["t-2"]);
                for (program, verb) in [
                    ("wt-spawn", "git worktree"),
                    ("wt-spawn", "sh -c"),
                    ("agent-run", "git "),
                ] {
                    let begins = format!("{program}: debug: {verb}");
                    let told = ran.stderr.lines().any(|line| {
                        line.starts_with(&begins)
                            && line.contains(": exit 0, ")
                            && line.ends_with(" ms")
                    });
                    assert!(told, "{begins}: {}", ran.all());
                }
                assert!(!ran.stderr.contains("hunter2"), "{}", ran.all());
            },
        ),
        test(
            "contract: settings of worktree and branch are variables, too",
            || {
                let mut stage = Stage::with_tasks(2);
                stage.simple();
                stage.set("BEADLINE_UNDER", "../elsewhere");
                stage.set("BEADLINE_BRANCH", "bot/{id}/x");
                stage.sh("wt-spawn t-1").ok();
                stage
                    .sh("wt-spawn --under ../there --branch 'hand-{id}' t-2")
                    .ok();
                for (id, folder, branch) in [
                    ("t-1", "elsewhere", "bot/t-1/x"),
                    ("t-2", "there", "hand-t-2"),
                ] {
                    let facts = &stage.bead(id)["metadata"];
                    let place = fs::canonicalize(stage.path(&format!("{folder}/{id}"))).unwrap();
                    assert_eq!(
                        (facts["worktree"].as_str(), facts["branch"].as_str()),
                        (place.to_str(), Some(branch))
                    );
                }
            },
        ),
    ]
}
