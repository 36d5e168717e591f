//! What every program that reads beads promises of its streams, its flags and its settings.

use std::collections::BTreeMap;
use std::fs;

use libtest_mimic::Trial;
use serde_json::json;

use crate::stage::{Ran, Stage, test, test_with, until};

/// The line, program by program, as it is run on a bead that has work to do.
const LINE: [&str; 5] = ["wt-spawn", "agent-run", "pr-open", "pr-merge", "wt-clean"];

/// Every program that reads beads.
const FILTERS: [&str; 6] = [
    "wt-spawn",
    "agent-run",
    "pr-open",
    "pr-merge",
    "wt-clean",
    "agent-stop",
];

/// Every program that people call.
const ALL: [&str; 8] = [
    "bd-ready",
    "wt-spawn",
    "agent-run",
    "pr-open",
    "pr-merge",
    "wt-clean",
    "agent-stop",
    "orch-status",
];

/// What no program knows and every program keeps, byte for byte.
const ODD: &str = r#"{"z":18446744073709551616,"id":"t-1","title":"T\u00e9 \/","n":[1.10, 1e2,-0],"o":{"b":1,"a":null},"status":"#;

/// `prog` reads FIFO `in` and writes FIFO `out`; `ask LINE` feeds one bead and waits for the answer.
const FIFOS: &str = r#"
    cd ../tmp && mkfifo in out
    begin() { "$@" -C ../work < in > out & pid=$!; exec 8> in 9< out; }
    ask() { printf '%s\n' "$1" >&8; IFS= read -r -t 60 answer <&9; }
    finish() { exec 8>&-; ! IFS= read -r -t 60 answer <&9; exec 9<&-; wait "$pid"; }
"#;

/// A stage whose beads have landed, so that every program lets them pass, `wt-clean` included.
fn landed(count: usize) -> Stage {
    let mut stage = Stage::with_tasks(count);
    stage.simple();
    let ran = stage
        .sh("bd-ready | wt-spawn | agent-run | pr-open | pr-merge | tee ../landed")
        .ok();
    assert_eq!(ran.ids().len(), count, "{}", ran.all());
    stage
}

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

/// Asserts that nothing is left once `--all` has taken away what beads share.
#[track_caller]
fn swept(stage: &Stage) {
    stage.sh("wt-clean --all < /dev/null").ok();
    stage.assert_clean();
}

#[track_caller]
fn each(ran: &Ran, expected: &str) {
    assert_eq!(ran.stdout, expected, "{}", ran.all());
}

fn streams() -> Vec<Trial> {
    vec![
        test(
            "contract: each bead comes out before the next one is fed",
            || {
                let mut stage = Stage::with_tasks(2);
                stage.simple();
                stage.sh("bd-ready > ../lines").ok();
                for program in LINE {
                    let ran = stage.sh(&format!(
                    "{FIFOS} begin {program}
                     while IFS= read -r bead <&7; do ask \"$bead\"; echo \"$answer\"; done 7< ../lines
                     finish"
                ));
                    let ran = ran.ok();
                    assert_eq!(ran.ids(), ["t-1", "t-2"], "{}", ran.all());
                    stage.write("lines", &ran.stdout);
                    stage.sh("rm ../tmp/in ../tmp/out").ok();
                }
                swept(&stage);
            },
        ),
        test("contract: a bead that passes comes out at once", || {
            let stage = landed(2);
            for program in FILTERS {
                let ran = stage.sh(&format!(
                    "{FIFOS} begin {program}
                     while IFS= read -r bead <&7; do ask \"$bead\"; echo \"$answer\"; done 7< ../landed
                     finish; rm in out"
                ));
                let ran = ran.ok();
                assert_eq!(ran.ids(), ["t-1", "t-2"], "{}", ran.all());
            }
        }),
        test(
            "contract: a reader that leaves early ends a program quietly",
            || {
                let stage = landed(1);
                stage
                    .sh("for i in {1..2000}; do cat ../landed; done > ../many")
                    .ok();
                for program in FILTERS {
                    let line = format!(
                        "set +e; cat ../many | {program} | head -1; exit ${{PIPESTATUS[1]}}"
                    );
                    let ran = stage.sh(&line).ok();
                    assert_eq!(
                        (ran.stdout.lines().count(), ran.ids()),
                        (1, vec!["t-1".to_owned()])
                    );
                    assert!(!ran.stderr.contains("annot"), "{}", ran.all());
                }
                for program in ["bd-ready --phase merged", "orch-status --json"] {
                    stage
                        .sh(&format!(
                            "set +e; {program} | true; exit ${{PIPESTATUS[0]}}"
                        ))
                        .ok()
                        .says_not("annot");
                }
            },
        ),
        test(
            "contract: a full disk on stdout and a folder on stdin are errors",
            || {
                let stage = landed(1);
                for program in FILTERS {
                    let full = stage.sh(&format!("{program} < ../landed > /dev/full"));
                    full.code(1)
                        .says(&format!("{program}: cannot write stdout"));
                    stage
                        .sh(&format!("{program} < ."))
                        .code(1)
                        .says(&format!("{program}: cannot read stdin"));
                }
                for program in [
                    "bd-ready --phase merged",
                    "orch-status",
                    "orch-status --json",
                ] {
                    stage
                        .sh(&format!("{program} > /dev/full"))
                        .code(1)
                        .says("cannot write stdout");
                }
            },
        ),
        test(
            "contract: a line that is no bead is named, and the rest goes on",
            || {
                let stage = landed(2);
                let lines = stage.read("landed");
                let (one, two) = lines.trim_end().split_once('\n').unwrap();
                let bad = format!(
                    "{one}\n\\377\\n[1]\\n{{\"title\":\"x\"}}\\n\\n \\r\\n{{\"id\":7}}\\n{{\"id\":\"\"}}\\n"
                );
                stage.write("two", two);
                stage
                    .sh(&format!(
                        "{{ head -n 1 ../landed; printf '{}'; cat ../two; }} > ../bad",
                        &bad[one.len() + 1..]
                    ))
                    .ok();
                for program in FILTERS {
                    let ran = stage.sh(&format!("{program} < ../bad")).code(1);
                    assert_eq!(ran.ids(), ["t-1", "t-2"], "{}", ran.all());
                    for (number, why) in [
                        (2, "not UTF-8"),
                        (3, "not a bead"),
                        (4, "`id`"),
                        (7, "not a bead"),
                        (8, "`id`"),
                    ] {
                        let said = ran.stderr.lines().any(|line| {
                            line.starts_with(&format!("{program}: line {number}: "))
                                && line.contains(why)
                        });
                        assert!(said, "line {number}: {}", ran.all());
                    }
                    assert_eq!(ran.stderr.matches(": line ").count(), 5, "{}", ran.all());
                }
            },
        ),
        test(
            "contract: long titles, CRLF, a missing last newline and no input at all",
            || {
                let stage = landed(2);
                stage.edit("t-1", &json!({"title": "x".repeat(1_000_000)}));
                stage
                    .sh("bd-ready --phase merged | sed 's/$/\\r/' | head -c -2 > ../crlf")
                    .ok();
                assert!(stage.read("crlf").ends_with('}') && stage.read("crlf").contains("}\r\n"));
                for program in FILTERS {
                    let ran = stage.sh(&format!("{program} < ../crlf")).ok();
                    assert_eq!(ran.ids(), ["t-1", "t-2"]);
                    assert!(
                        ran.stdout.len() > 1_000_000
                            && !ran.stdout.contains('\r')
                            && ran.stdout.ends_with("}\n")
                    );
                    let nothing = stage.sh(&format!("{program} < /dev/null")).ok();
                    assert_eq!(
                        (nothing.stdout.as_str(), nothing.stderr.as_str()),
                        ("", ""),
                        "{program}"
                    );
                }
            },
        ),
        test_with(
            "script",
            "package bsdutils",
            "contract: a terminal on stdin is a usage error",
            || {
                let mut stage = Stage::with_tasks(1);
                stage.simple();
                for program in FILTERS {
                    let ran = stage
                        .sh(&format!("script -qec {program} /dev/null < /dev/null"))
                        .code(2);
                    assert!(ran.stdout.contains("stdin is a terminal"), "{}", ran.all());
                }
                stage
                    .sh("script -qec 'wt-clean --all' /dev/null < /dev/null")
                    .ok();
                stage
                    .sh("script -qec 'wt-spawn t-1' /dev/null < /dev/null")
                    .ok();
                assert_eq!(stage.bead("t-1")["metadata"]["phase"], "spawned");
            },
        ),
        test(
            "contract: a program whose reader dies ends at once, though it has nothing to write",
            || {
                let stage = landed(1);
                for program in FILTERS {
                    let ran = stage.sh(&format!(
                    "{FIFOS} begin {program}; ask \"$(cat ../landed)\"
                     t=${{EPOCHREALTIME/./}}; exec 9<&-; wait $pid; echo $(( ${{EPOCHREALTIME/./}} - t ))
                     rm in out"
                ));
                    assert_prompt(&ran.ok());
                }
            },
        ),
        test(
            "contract: bd-ready --follow ends at once when its reader dies",
            || {
                let stage = Stage::with_tasks(1);
                let ran = stage.sh(
                "mkfifo ../out; bd-ready --follow > ../out & exec 9< ../out; read -r -t 60 bead <&9
                 t=${EPOCHREALTIME/./}; exec 9<&-; wait $!; echo $(( ${EPOCHREALTIME/./} - t ))",
            );
                assert_prompt(&ran.ok());
            },
        ),
        test(
            "contract: agent-run ends at once when its reader dies, and its agents go on",
            || {
                let mut stage = Stage::with_tasks(1);
                stage.agent("echo at work; sleep 300");
                stage.sh("bd-ready | wt-spawn > ../line").ok();
                let ran = stage.sh(&format!(
                "{FIFOS} begin agent-run; cat ../line >&8
                 until grep -q '\"phase\":\"working\"' ../work/.beads/issues.jsonl; do sleep 0.05; done
                 t=${{EPOCHREALTIME/./}}; exec 9<&-; wait $pid; echo $(( ${{EPOCHREALTIME/./}} - t ))"
            ));
                assert_prompt(&ran.ok());
                assert!(
                    stage
                        .sh("orch-status --json")
                        .ok()
                        .stdout
                        .contains(r#""agent":"alive""#)
                );
                stage.sh("agent-stop t-1 --quiet").ok().says_not("agent");
                assert_eq!(stage.processes(), Vec::<String>::new());
            },
        ),
    ]
}

/// One second is promised; as much again is for a busy machine.
#[track_caller]
fn assert_prompt(ran: &Ran) {
    let micros: u64 = ran
        .stdout
        .trim()
        .parse()
        .unwrap_or_else(|_| panic!("{}", ran.all()));
    assert!(micros < 2_000_000, "{}", ran.all());
}

fn records() -> Vec<Trial> {
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

fn dry_runs() -> Vec<Trial> {
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

fn flags() -> Vec<Trial> {
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
                    "agent-run",
                    "agent-run --agent true --timeout soon",
                    "agent-run --agent true --timeout -5s",
                    "pr-merge",
                    "pr-merge --check true --no-checks",
                    "pr-merge --no-checks --method push",
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
                    ("BEADLINE_AGENT=", "agent-run", 2),
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

pub(crate) fn trials() -> Vec<Trial> {
    [streams(), records(), dry_runs(), flags()]
        .into_iter()
        .flatten()
        .collect()
}
