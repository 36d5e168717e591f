//! What is made of an agent whose model fails it.

use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::{AGENTS, each, run, start, told, with_agent, work};
use crate::stage::{Ran, Stage, scale, until};

const LINE: &str = "bd-ready --resume | wt-spawn --quiet | agent-run";

fn facts(stage: &Stage, id: &str) -> Value {
    stage.bead(id)["metadata"].clone()
}

/// One bead beside a model of this mode, until its first failed run is its last.
fn one(agent: &str, mode: &str, flags: &str) -> (Stage, Ran) {
    let stage = with_agent(agent, &[work("t-1")]);
    let ran = run(&stage, mode, &format!("{LINE} --attempts 1 {flags}"));
    (stage, ran)
}

fn bad_key(agent: &'static str) {
    let beads: Vec<Value> = (1..=6).map(|n| work(&format!("t-{n}"))).collect();
    let stage = with_agent(agent, &beads);
    let ran = run(&stage, "401", &format!("{LINE} --max-agents 1")).code(1);
    assert_eq!(ran.stdout, "");
    let said = "no further agent is started: the agent's model does not take its key";
    assert_eq!(ran.stderr.matches(said).count(), 1, "{}", ran.all());
    let runs = |id: &String| facts(&stage, id)["run"].as_u64().unwrap_or(0);
    let ids: Vec<String> = (1..=6).map(|n| format!("t-{n}")).collect();
    assert_eq!(ids.iter().map(runs).sum::<u64>(), 3, "{}", ran.all());
    for id in &ids {
        let facts = facts(&stage, id);
        assert_ne!(stage.bead(id)["status"], "blocked");
        if runs(id) > 0 {
            assert_eq!(
                (&facts["outcome"], &facts["attempt"]),
                (&json!("unauthorized"), &json!(0))
            );
        } else {
            assert_eq!(facts["error"].as_str().unwrap_or(""), "");
        }
    }
    // With a good key the next run goes on with all of them.
    let ran = run(&stage, "ok", LINE).ok();
    assert_eq!(ran.ids(), ids, "{}", ran.all());
}

fn limited(agent: &'static str) {
    let stage = with_agent(agent, &[work("t-1")]);
    let line = start(&stage, "429+2", &format!("{LINE} --attempts 1"));
    until("its first run has met the limit", || {
        facts(&stage, "t-1")["outcome"] == "rate_limited"
    });
    stage.write("home/mode", "ok");
    let ran = line.wait(super::LONGEST).ok();
    let facts = facts(&stage, "t-1");
    assert_eq!(facts["outcome"], "done", "{}", ran.all());
    assert_eq!((&facts["run"], &facts["attempt"]), (&json!(2), &json!(1)));
    // Only opencode hands on when its model is there again.
    let pause = if agent == "opencode" { 2 } else { 10 };
    ran.says(&format!(
        "t-1: run 1 ended: rate limited: runs again in {pause} s"
    ));
}

/// Three beads beside a model that cannot be reached: enough to stop, and none pays for it.
fn out_of_reach(agent: &str, mode: &str, outcome: &str, flags: &str) {
    let beads: Vec<Value> = (1..=3).map(|n| work(&format!("t-{n}"))).collect();
    let stage = with_agent(agent, &beads);
    let ran = run(&stage, mode, &format!("{LINE} --attempts 1 {flags}")).code(1);
    for id in ["t-1", "t-2", "t-3"] {
        let facts = facts(&stage, id);
        assert_eq!(facts["outcome"], outcome, "{}", ran.all());
        assert_eq!(facts["attempt"], 0, "{}", ran.all());
    }
    ran.says("no further agent is started: the agent's model cannot be reached");
    assert_eq!(stage.processes(), Vec::<String>::new());
}

/// opencode runs that make its database at the same time may fail for another reason.
fn one_by_one(agent: &str) -> &'static str {
    if agent == "opencode" {
        "--max-agents 1"
    } else {
        ""
    }
}

fn broken(agent: &'static str) {
    out_of_reach(agent, "500", "failed", one_by_one(agent));
}

fn cut(agent: &'static str) {
    out_of_reach(agent, "cut", "failed", one_by_one(agent));
}

fn hang(agent: &'static str) {
    let (stage, ran) = one(agent, "hang", "--stall 6s");
    let bead = stage.bead("t-1");
    assert_eq!(bead["metadata"]["outcome"], "stalled", "{}", ran.all());
    assert_eq!(bead["status"], "blocked");
    assert_eq!(stage.processes(), Vec::<String>::new());
}

fn refused(agent: &'static str) {
    match agent {
        // It says for ever that it waits for the network.
        "codex" => out_of_reach(agent, "refused", "stalled", "--stall 3s"),
        _ => out_of_reach(agent, "refused", "failed", one_by_one(agent)),
    }
}

/// Commands that never end: codex turns to its model again when one has not ended for long.
const ENDLESS: [&str; 5] = [
    "echo work > work.txt",
    "tail -f /dev/null",
    "tail -f /dev/null",
    "tail -f /dev/null",
    "tail -f /dev/null",
];

/// An agent ended while its shell command runs: gemini then ends with status 0.
fn time_up(agent: &'static str) {
    let stage = with_agent(agent, &[told("t-1", &ENDLESS)]);
    let ran = run(&stage, "ok", &format!("{LINE} --attempts 1 --timeout 20s")).ok();
    let bead = stage.bead("t-1");
    assert_eq!(bead["metadata"]["outcome"], "timeout", "{}", ran.all());
    assert_eq!(bead["status"], "blocked");
    assert_eq!(stage.processes(), Vec::<String>::new());
}

fn stopped(agent: &'static str) {
    let stage = with_agent(agent, &[told("t-1", &ENDLESS)]);
    let line = start(&stage, "ok", LINE);
    until("the agent works", || {
        stage.path("work.worktrees/t-1/work.txt").exists()
    });
    stage.sh("agent-stop --all").ok();
    let ran = line.wait(super::LONGEST);
    assert_eq!(facts(&stage, "t-1")["outcome"], "stopped", "{}", ran.all());
    assert_eq!(stage.read("work.worktrees/t-1/work.txt"), "work\n");
    assert_eq!(stage.processes(), Vec::<String>::new());
}

pub(super) fn trials() -> Vec<Trial> {
    // opencode asks for more than a minute before it gives up.
    let quick = match scale() {
        1 => &AGENTS[..2],
        _ => &AGENTS[..],
    };
    let name = "a bad key stops the line after three runs, and no bead pays for it";
    let mut trials: Vec<Trial> = each(&AGENTS, name, bad_key).collect();
    trials.extend(each(
        &AGENTS,
        "a rate limit is waited for, and costs no attempt",
        limited,
    ));
    trials.extend(each(
        quick,
        "a model that fails for ever is out of reach",
        broken,
    ));
    trials.extend(each(quick, "a stream that is cut is a failure", cut));
    trials.extend(each(
        quick,
        "a model that is not there is out of reach",
        refused,
    ));
    trials.extend(each(
        &AGENTS,
        "a model that does not answer stalls its agent",
        hang,
    ));
    trials.extend(each(
        &AGENTS,
        "an agent whose time is up leaves nothing behind",
        time_up,
    ));
    trials.extend(each(
        &AGENTS,
        "an agent that is stopped leaves nothing behind",
        stopped,
    ));
    trials
}
