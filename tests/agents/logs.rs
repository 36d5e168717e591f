//! Logs: as people read them, while they are written, and for how long they are kept.

use std::time::Duration;

use libtest_mimic::Trial;

use super::{LINE, WORK, with_agent};
use crate::stage::{Stage, test, test_with, until};

/// What codex prints, and a title that a terminal would take.
const SAID: &str = r#"printf '%s\n' '{"type":"item.started","item":{"type":"command_execution","command":"ls\u001b[2J"}}' \
 '{"type":"item.completed","item":{"type":"command_execution","command":"ls","aggregated_output":"a.txt\n","exit_code":0}}' \
 '{"type":"item.completed","item":{"type":"agent_message","text":"Done."}}' \
 '{"type":"turn.completed","usage":{"input_tokens":3600,"output_tokens":102}}'
printf 'plain \033]0;title\007'
"#;

const SHOWN: &str =
    "$ ls\\u{1b}[2J\n  a.txt\nDone.\n= 3600 tokens in, 102 out\nplain \\u{1b}]0;title\\u{7}\n";

fn shown() {
    let stage = with_agent(&format!("{SAID}{WORK}"));
    stage
        .sh("agent-log t-1")
        .code(1)
        .says("t-1: no agent has run");
    stage.sh(LINE).ok();
    assert_eq!(stage.sh("agent-log t-1").ok().stdout, SHOWN);
    // Of a run that is over there is nothing to wait for.
    assert_eq!(stage.sh("agent-log --follow t-1").ok().stdout, SHOWN);
    let raw = stage.sh("agent-log --raw t-1").ok().stdout;
    assert!(raw.starts_with("{\"type\":\"item.started\""), "{raw}");
    assert!(raw.ends_with("plain \\u{1b}]0;title\\u{7}\n"), "{raw}");
    stage.sh("agent-log t-1 --run 7").code(1).says("no log at");
    stage.sh("agent-log t-9").code(1).says("t-9: no such bead");
}

fn followed() {
    let stage = with_agent(&format!(
        "seq 1 300; touch \"$HOME/works\"; while [ ! -e \"$HOME/go\" ]; do sleep 0.05; done; {SAID}{WORK}"
    ));
    let line = stage.start(LINE);
    until("the agent works", || stage.path("home/works").exists());
    let mut tail = stage.start("agent-log --follow t-1");
    until("what is there is shown", || {
        tail.said().ends_with("\n300\n")
    });
    assert!(tail.said().starts_with("201\n") && !tail.is_over());
    stage.write("home/go", "");
    let tail = tail.wait(Duration::from_mins(1)).ok().stdout;
    assert!(tail.ends_with(&format!("\n300\n{SHOWN}")), "{tail}");
    line.wait(Duration::from_mins(1)).ok();
}

fn dropped() {
    let mut stage = Stage::with_tasks(2);
    stage.simple();
    stage
        .sh("bd-ready | wt-spawn | agent-run | pr-open | pr-merge | wt-clean")
        .ok();
    let logs = || {
        stage
            .sh("cd .git/beadline; find . -name '*.log' -o -name '*.json' | sort")
            .ok()
            .stdout
    };
    let all = "./t-1/1.json\n./t-1/1.log\n./t-2/1.json\n./t-2/1.log\n";
    stage
        .sh("touch -d '29 days ago' .git/beadline/t-1/*; wt-clean --all < /dev/null")
        .ok();
    assert_eq!(logs(), all);
    stage
        .sh("touch -d '31 days ago' .git/beadline/t-1/*; wt-clean --all --dry-run < /dev/null")
        .ok();
    assert_eq!(logs(), all);
    stage.sh("wt-clean --all < /dev/null").ok();
    assert_eq!(logs(), "./t-2/1.json\n./t-2/1.log\n");
    assert!(!stage.path("work/.git/beadline/t-1").exists());
    stage.sh("wt-clean --keep-logs 0s t-2").ok();
    assert_eq!(logs(), "");
}

fn recipes() {
    let stage = with_agent(&format!("{SAID}{WORK}"));
    stage.sh(LINE).ok();
    assert_eq!(stage.just("log t-1").ok().stdout, SHOWN);
    assert_eq!(stage.just("tail t-1").ok().stdout, SHOWN);
    assert!(stage.just("tail t-1 --raw").ok().stdout.starts_with('{'));
}

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "agent-log: shows words, calls, results and tokens, and no control code",
            shown,
        ),
        test(
            "agent-log: --follow shows the last 100 lines and goes on until the run has ended",
            followed,
        ),
        test(
            "wt-clean: --keep-logs drops what is older of beads that have landed",
            dropped,
        ),
        test_with(
            "just",
            "tests/parts.sh",
            "recipes: log and tail show what an agent has said and done",
            recipes,
        ),
    ]
}
