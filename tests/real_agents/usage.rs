//! What agents use, as real ones tell it, and what bounds it. The model claims 1200 tokens in and 34
//! out a turn; opencode counts $1 and $10 a million.

use libtest_mimic::Trial;
use serde_json::json;

use super::{AGENTS, each, run, told, with_agent, work};

const LINE: &str = "bd-ready --resume | wt-spawn --quiet | agent-run";

fn summed(agent: &'static str) {
    let mut stage = with_agent(agent, &[work("t-1")]);
    // The first run does not pass, the second does.
    stage.set(
        "BEADLINE_CHECK",
        "[ -e ../second ] || { touch ../second; exit 1; }",
    );
    let ran = run(&stage, "ok", LINE).ok();
    let usage = stage.bead("t-1")["metadata"]["usage"].clone();
    let runs = usage["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 2, "{}", ran.all());
    // Three turns in the first run; the second has nothing left to commit, and says so in one more.
    let turns = usage["output_tokens"].as_u64().unwrap() / 34;
    assert!(turns >= 5, "{usage}");
    assert_eq!(usage["input_tokens"], 1200 * turns);
    let sum: u64 = runs.iter().map(|run| run["tokens"].as_u64().unwrap()).sum();
    assert_eq!(sum, 1234 * turns);
    assert!(
        runs.iter().all(|run| run["ended_at"].is_string()),
        "{usage}"
    );
    let cost = match agent {
        "opencode" => format!("0.{:06}", 1540 * turns),
        _ => "0.000000".to_owned(),
    };
    assert_eq!(usage["cost"], cost);
}

/// An agent that tells while it runs is stopped in the middle of it.
fn allowance(agent: &'static str) {
    let many: Vec<String> = (1..=20).map(|n| format!("echo {n} >> work.txt")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (limit, note) in [
        ("--max-tokens 3000", "and may use 3000 tokens"),
        ("--max-cost 0.004", "and may cost $0.004000"),
    ] {
        let stage = with_agent(agent, &[told("t-1", &many)]);
        let ran = run(&stage, "ok", &format!("{LINE} {limit}")).ok();
        let bead = stage.bead("t-1");
        assert_eq!(
            (&bead["status"], &bead["metadata"]["run"]),
            (&json!("blocked"), &json!(1)),
            "{}",
            ran.all()
        );
        assert!(bead["notes"].as_str().unwrap().contains(note), "{bead:#}");
        let lines = stage
            .sh("git show agent/t-1:work.txt")
            .ok()
            .stdout
            .lines()
            .count();
        assert!((1..20).contains(&lines), "{lines} lines\n{}", ran.all());
        assert_eq!(stage.processes(), Vec::<String>::new());
        // A person has to allow more, not only to open it again.
        let again = run(
            &stage,
            "ok",
            &format!("wt-spawn --retry t-1 | agent-run {limit}"),
        )
        .ok();
        again.says("blocked, a person has to look at it");
        assert_eq!(stage.bead("t-1")["metadata"]["run"], 1);
    }
}

pub(super) fn trials() -> Vec<Trial> {
    let summed = each(
        &AGENTS,
        "tokens and cost of all runs are summed in the bead",
        summed,
    );
    let allowance = each(
        &["opencode"],
        "an agent that uses more than its bead may is stopped, and a person asked",
        allowance,
    );
    summed.chain(allowance).collect()
}
