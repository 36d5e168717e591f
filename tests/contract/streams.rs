//! Streams: when beads come out, and what readers, disks and odd input do to a program.

use libtest_mimic::Trial;
use serde_json::json;

use super::{LINE, swept};
use crate::stage::{Ran, Stage, test, test_with};

/// Every program that reads beads.
const FILTERS: [&str; 6] = [
    "wt-spawn",
    "agent-run",
    "pr-open",
    "pr-merge",
    "wt-clean",
    "agent-stop",
];

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

pub(super) fn trials() -> Vec<Trial> {
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
                 until grep -qs 'at work' ../work/.git/beadline/t-1/1.log; do sleep 0.05; done
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
