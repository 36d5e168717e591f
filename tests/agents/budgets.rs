//! Budgets over all beads, and agents whose words are scripted.

use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::LINE;
use crate::stage::{Stage, task, test, until};

/// What codex says of 1000 tokens; read because the command line has its name.
const THOUSAND: &str = r#"exec sh -c 'echo "{\"type\":\"turn.completed\",\"usage\":{\"input_tokens\":900,\"output_tokens\":100}}"; echo $BEAD_ID > $BEAD_ID.txt' codex"#;

fn started(stage: &Stage) -> usize {
    let runs = |bead: &Value| bead["metadata"]["run"].as_u64().is_some_and(|run| run > 0);
    stage.stored().iter().filter(|bead| runs(bead)).count()
}

/// A line with this budget starts so many of five agents; the next one, with this one, none.
fn reached(budget: &str, starts: usize, words: &'static str) {
    let mut stage = Stage::with_tasks(5);
    stage.set("BEADLINE_AGENT", THOUSAND);
    for _ in 0..2 {
        let mut line = stage.start(&format!("{LINE} --max-agents 1 {budget}"));
        until("the budget is reached", || {
            line.said().contains("nothing starts before")
        });
        assert!(line.said().contains(words), "{}", line.said());
        assert_eq!(line.said().matches("nothing starts before").count(), 1);
        line.kill();
        line.wait(Duration::from_secs(10));
        assert_eq!(started(&stage), starts);
    }
    let board = stage.sh(&format!("orch-status {budget}")).ok().stdout;
    let used = format!("last 24 h: {starts} runs, {} tokens", starts * 1000);
    assert!(
        board.contains(&used) && board.contains("is reached: nothing starts before"),
        "{board}"
    );
}

fn window() {
    let mut old = task("t-1");
    let run = |at: &str| json!({"run": 1, "started_at": at, "ended_at": at, "tokens": 5000, "cost": "0.1"});
    let hours_ago = |hours: u64| {
        let seconds = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let stage = Stage::empty();
        let at = seconds - hours * 3600;
        stage
            .sh(&format!("date -u -d @{at} +%FT%TZ"))
            .ok()
            .stdout
            .trim()
            .to_owned()
    };
    old["status"] = json!("closed");
    old["metadata"] = json!({"usage": {"input_tokens": 5000, "runs": [run(&hours_ago(25))]}});
    let mut stage = Stage::new(&[old.clone(), task("t-2")]);
    stage.set("BEADLINE_AGENT", THOUSAND);
    stage.sh(&format!("{LINE} --budget-tokens 5000")).ok();
    assert_eq!(started(&stage), 1);
    // The same an hour later in the day: no start, but for the bead in hand nothing changes.
    old["metadata"] = json!({"usage": {"input_tokens": 5000, "runs": [run(&hours_ago(23))]}});
    stage.beads(&[old, task("t-2")]);
    let mut line = stage.start(&format!("{LINE} --budget-tokens 5000"));
    until("the budget is reached", || {
        line.said().contains("nothing starts before")
    });
    line.kill();
    line.wait(Duration::from_secs(10));
    assert_eq!(started(&stage), 0);
}

fn told_at_stop() {
    let mut stage = Stage::with_tasks(1);
    stage.set(
        "BEADLINE_AGENT",
        &format!(
            "[ -e ../again ] || {{ {} ; touch ../told; sleep 600; }}; echo x > x.txt # codex",
            THOUSAND.trim_start_matches("exec ")
        ),
    );
    let line = stage.start(LINE);
    until("the agent has told", || {
        stage.path("work.worktrees/told").exists()
    });
    stage.sh("agent-stop t-1").ok();
    line.wait(Duration::from_mins(1)).code(1);
    stage.write("work.worktrees/again", "");
    stage.sh(LINE).ok();
    let usage = stage.bead("t-1")["metadata"]["usage"].clone();
    assert_eq!(
        (&usage["input_tokens"], &usage["output_tokens"]),
        (&json!(900), &json!(100))
    );
    assert_eq!(usage["runs"].as_array().unwrap().len(), 2);
}

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "agent-run: a budget of attempts holds for the next line, too",
            || {
                reached(
                    "--budget-attempts 2",
                    2,
                    "the budget of 2 runs in 24 hours is reached",
                );
            },
        ),
        test(
            "agent-run: a budget of tokens holds for the next line, too",
            || {
                reached(
                    "--budget-tokens 2500",
                    3,
                    "the budget of 2500 tokens in 24 hours is reached",
                );
            },
        ),
        test(
            "agent-run: a budget counts the runs of the last 24 hours",
            window,
        ),
        test(
            "agent-run: what a stopped agent has used is counted by the next run",
            told_at_stop,
        ),
    ]
}
