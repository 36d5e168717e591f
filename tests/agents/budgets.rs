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

fn reached_meanwhile() {
    let mut stage = Stage::with_tasks(3);
    stage.agent(
        "touch \"$HOME/$BEAD_ID\"; until [ -e \"$HOME/go\" ]; do sleep 0.05; done; echo x > x.txt",
    );
    stage.sh("bd-ready | wt-spawn --quiet > /dev/null").ok();
    let first = stage.start("agent-run --max-agents 1 t-1");
    until("the first agent works", || stage.path("home/t-1").exists());
    let mut second = stage.start("agent-run --max-agents 1 --budget-attempts 2 t-2");
    until("the second holder waits for the slot", || {
        let lines = stage.processes();
        lines.iter().any(|line| line.ends_with("-- t-2 "))
    });
    let now = stage.sh("date -u +%FT%TZ").ok().stdout;
    let run = json!({"run": 1, "started_at": now.trim()});
    stage.edit("t-3", &json!({"metadata": {"usage": {"runs": [run]}}}));
    stage.write("home/go", "");
    first.wait(Duration::from_mins(1)).ok();
    until("the budget is reached", || {
        second.said().contains("nothing starts before")
    });
    assert!(!stage.path("home/t-2").exists());
    second.kill();
    second.wait(Duration::from_secs(10));
}

fn untold() {
    let mut stage = Stage::with_tasks(1);
    stage.set("BEADLINE_AGENT", THOUSAND);
    let cost = "agent-run: the agent does not tell what it costs: no limit in dollars bounds it";
    let tokens = "agent-run: the agent does not tell its tokens: no limit of tokens bounds it";
    let ran = stage.sh("agent-run --max-cost 1 --max-tokens 1 < /dev/null");
    let ran = ran.ok().says(cost);
    assert!(!ran.stderr.contains(tokens), "{}", ran.all());
    stage
        .sh("agent-run --agent true --budget-cost 1 --budget-tokens 1 < /dev/null")
        .ok()
        .says(cost)
        .says(tokens);
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
            "agent-run: a budget that is reached while a bead waits for a slot holds for it, too",
            reached_meanwhile,
        ),
        test(
            "agent-run: a limit of what the agent does not tell is said to bound nothing",
            untold,
        ),
        test(
            "agent-run: what a stopped agent has used is counted by the next run",
            told_at_stop,
        ),
    ]
}
