//! Beads as records: what is kept of them, and how they are named.

use libtest_mimic::Trial;
use serde_json::json;

use super::{LINE, each, swept};
use crate::stage::{Stage, test};

/// What no program knows and every program keeps, byte for byte.
const ODD: &str = r#"{"z":18446744073709551616,"id":"t-1","title":"T\u00e9 \/","n":[1.10, 1e2,-0],"o":{"b":1,"a":null},"status":"#;

/// A stage with one bead of this clone in a phase, for programs that only look at it.
fn in_phase(phase: &str) -> Stage {
    let mut stage = Stage::with_tasks(1);
    stage.simple();
    stage.sh("git config beadline.host here").ok();
    let (status, assignee) = match phase {
        "" => ("open", ""),
        "merged" => ("closed", "beadline/here/1"),
        _ => ("in_progress", "beadline/here/1"),
    };
    let facts = json!({"phase": phase, "host": "here", "base": "main", "branch": "agent/t-1"});
    stage.edit(
        "t-1",
        &json!({"status": status, "assignee": assignee, "metadata": facts}),
    );
    stage
}

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "contract: what no program knows survives the whole line, on stdout and in the store",
            || {
                let mut stage = Stage::new(&[]);
                stage.simple();
                let line = format!(
                    "{ODD}\"open\",\"metadata\":{{\"mine\":1e2,\"u\":\"\\u00e9\"}},\"last\":1.0E+2}}"
                );
                stage.write("work/.beads/issues.jsonl", &format!("{line}\n"));
                each(&stage.sh("bd-ready"), &format!("{line}\n"));
                let ran = stage
                    .sh("bd-ready | wt-spawn | agent-run | pr-open | pr-merge | wt-clean")
                    .ok();
                for text in [&ran.stdout, &stage.read("work/.beads/issues.jsonl")] {
                    assert!(
                        text.starts_with(&format!(
                            "{ODD}\"closed\",\"metadata\":{{\"mine\":1e2,\"u\":\"\\u00e9\","
                        )),
                        "{text}"
                    );
                    assert!(text.contains("},\"last\":1.0E+2,"), "{text}");
                    assert_eq!(text.lines().count(), 1);
                }
                swept(&stage);
            },
        ),
        test(
            "contract: a field that only the pipe has stays on the pipe",
            || {
                let stage = Stage::with_tasks(1);
                let ran = stage
                    .feed("wt-spawn", "{\"extra\": 1.10 ,\"id\":\"t-1\"}")
                    .ok();
                assert!(
                    ran.stdout
                        .starts_with("{\"extra\":1.10,\"id\":\"t-1\",\"title\":"),
                    "{}",
                    ran.all()
                );
                assert!(!stage.read("work/.beads/issues.jsonl").contains("extra"));
            },
        ),
        test(
            "contract: a bead past a program's phase passes as the very line, one not there yet names the program",
            || {
                // In the order of the line: what has been done, and which program comes next.
                let phases = [
                    ("", "wt-spawn"),
                    ("spawned", "agent-run"),
                    ("working", "agent-run"),
                    ("committed", "pr-open"),
                    ("pr_created", "pr-merge"),
                    ("merged", "wt-clean"),
                ];
                let place = |program: &str| LINE.iter().position(|name| *name == program).unwrap();
                for (phase, next) in phases {
                    let stage = in_phase(phase);
                    let odd =
                        stage
                            .read("work/.beads/issues.jsonl")
                            .replacen('{', "{ \"n\": 1.10,\t", 1);
                    for program in LINE.into_iter().take(4) {
                        // It repairs a worktree that an agent is to use.
                        let repairs = program == "wt-spawn" && next == "agent-run";
                        if place(program) < place(next) && !repairs {
                            each(&stage.feed(program, &odd).ok(), &odd);
                        } else if place(program) > place(next) {
                            let ran = stage
                                .feed(program, &odd)
                                .code(1)
                                .says(&format!("{program}: t-1: "));
                            each(&ran.says(&format!("run {next} first")), "");
                        }
                    }
                    if phase != "merged" {
                        each(
                            &stage
                                .feed("wt-clean", &odd)
                                .code(1)
                                .says("run pr-merge first"),
                            "",
                        );
                    }
                }
            },
        ),
        test(
            "contract: beads may be named by id, and an unknown one is an error",
            || {
                let mut stage = Stage::with_tasks(2);
                stage.simple();
                for program in LINE {
                    let ran = stage
                        .sh(&format!("{program} t-1 nope t-2 < /dev/null"))
                        .code(1);
                    assert_eq!(ran.ids(), ["t-1", "t-2"], "{}", ran.all());
                    ran.says(&format!("{program}: nope: no such bead"));
                }
                let ran = stage
                    .sh("agent-stop t-1 nope")
                    .code(1)
                    .says("agent-stop: nope: no such bead");
                assert_eq!(ran.ids(), ["t-1"]);
                stage
                    .sh("bd-ready nope")
                    .code(1)
                    .says("bd-ready: nope: no such bead");
                stage
                    .sh("orch-status --epic nope")
                    .code(1)
                    .says("nope: no such bead");
                stage
                    .sh("bd-ready --epic nope")
                    .code(1)
                    .says("nope: no such bead");
                swept(&stage);
            },
        ),
        test(
            "contract: an unknown bead on stdin is left, and said",
            || {
                let mut stage = Stage::with_tasks(1);
                stage.simple();
                for (program, line) in [
                    ("wt-spawn", json!({"id": "nope"})),
                    (
                        "pr-open",
                        json!({"id": "nope", "status": "in_progress", "metadata": {"phase": "committed"}}),
                    ),
                ] {
                    let ran = stage
                        .feed(program, &line.to_string())
                        .ok()
                        .says("nope: left: there is no such bead");
                    each(&ran, "");
                }
            },
        ),
    ]
}
