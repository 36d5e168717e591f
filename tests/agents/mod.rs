//! Agents: what they may do to their worktree, what is left of them, and what is made of their work.

mod absences;
mod budgets;
mod environment;
mod escapes;
mod forged;
mod gitlinks;
mod leftovers;
mod logs;
mod outliving;
mod presets;
mod prompts;
mod runs;
mod secrets;
mod slots;
mod verdicts;
mod words;

use std::fs;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::stage::Stage;

/// Beads to their agents, and no further.
const LINE: &str = "bd-ready --resume | wt-spawn --quiet | agent-run";

/// The one file of work that most agents here commit.
const WORK: &str = "echo work > work.txt; git add work.txt; git commit --quiet -m work\n";

/// A stage with one bead and this agent, whose first failed run is its last.
fn with_agent(script: &str) -> Stage {
    let mut stage = Stage::with_tasks(1);
    stage.agent(script);
    stage.set("BEADLINE_ATTEMPTS", "1");
    stage.set("BEADLINE_NO_CHECKS", "1");
    stage
}

/// The facts of `t-1`.
fn facts(stage: &Stage) -> Value {
    stage.bead("t-1")["metadata"].clone()
}

fn log(stage: &Stage, run: u64) -> String {
    let bytes = fs::read(stage.path(&format!("work/.git/beadline/t-1/{run}.log"))).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether the bead is in this phase, and its agent has said so by a file in its home.
fn works(stage: &Stage, sign: &str) -> bool {
    facts(stage)["phase"] == "working" && stage.path(&format!("home/{sign}")).exists()
}

fn lines(stage: &Stage, path: &str) -> Vec<String> {
    let text = fs::read_to_string(stage.path(path)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Whether a process lives; a zombie does not.
fn lives(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit_once(')')
        .is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

#[track_caller]
fn assert_blocked(stage: &Stage, outcome: &str, note: &str) {
    let bead = stage.bead("t-1");
    let notes = bead["notes"].as_str().unwrap_or_default();
    assert_eq!(bead["status"], "blocked", "{bead:#}");
    assert_eq!(bead["assignee"], "");
    assert_eq!(bead["metadata"]["outcome"], outcome);
    assert!(notes.contains(note), "{notes}");
    assert!(notes.contains("just retry t-1"), "{notes}");
}

pub(crate) fn trials() -> Vec<Trial> {
    [
        absences::trials(),
        verdicts::trials(),
        escapes::trials(),
        forged::trials(),
        gitlinks::trials(),
        leftovers::trials(),
        presets::trials(),
        prompts::trials(),
        runs::trials(),
        secrets::trials(),
        budgets::trials(),
        environment::trials(),
        slots::trials(),
        words::trials(),
        logs::trials(),
        outliving::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
