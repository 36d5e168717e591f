//! Real agents, with real tools, against a model that does as it is told (`tests/model.py`): cut off
//! from every network where the machine allows it, with a home of their own and keys that open
//! nothing.

mod containment;
mod failures;
mod lines;
mod usage;

use std::sync::LazyLock;
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::{Value, json};

pub(crate) use containment::recipe;

use crate::stage::{Ran, Running, Stage, command, root, task, test_with};

/// The agents that `tests/parts.sh` installs.
const AGENTS: [&str; 3] = ["codex", "gemini", "opencode"];

/// Several real agents on two busy cores take their time.
const LONGEST: Duration = Duration::from_mins(5);

/// What a line starts with to have no network but its own loopback.
static NETLESS: LazyLock<&str> = LazyLock::new(|| {
    let netless = "bwrap --dev-bind / / --unshare-net --";
    let tried = command("bash")
        .args(["-c", &format!("{netless} true 2> /dev/null")])
        .status();
    match tried.is_ok_and(|status| status.success()) {
        true => netless,
        false => "",
    }
});

/// A test for each of `agents`.
fn each<'a>(
    agents: &'a [&'static str],
    name: &'a str,
    run: fn(&'static str),
) -> impl Iterator<Item = Trial> + 'a {
    agents.iter().map(move |agent| {
        let agent = *agent;
        test_with(
            agent,
            "tests/parts.sh",
            &format!("{agent}: {name}"),
            move || run(agent),
        )
    })
}

/// A task whose description has the model run these commands.
fn told(id: &str, commands: &[&str]) -> Value {
    let mut bead = task(id);
    let commands: Vec<String> = commands
        .iter()
        .map(|command| format!("stub: {command}"))
        .collect();
    bead["description"] = json!(format!("Do as you are told:\n{}", commands.join("\n")));
    bead
}

/// A task whose model does its work as it should. Without command substitution, which gemini refuses.
fn work(id: &str) -> Value {
    let (write, commit) = (
        format!("echo {id} > {id}.txt"),
        format!("git add . && git commit -qm {id}"),
    );
    told(id, &[&write, &commit])
}

/// A stage with these beads and this agent, by name.
fn with_agent(agent: &str, beads: &[Value]) -> Stage {
    let mut stage = Stage::new(beads);
    stage.set("BEADLINE_AGENT", agent);
    stage.set("BEADLINE_NO_CHECKS", "1");
    stage
}

/// Starts a line beside a model of this mode.
fn start(stage: &Stage, mode: &str, line: &str) -> Running {
    stage.write("line.sh", line);
    let model = root().join("tests/model.py");
    stage.start(&format!(
        "{} python3 '{}' {mode} bash -euo pipefail ../line.sh",
        *NETLESS,
        model.display()
    ))
}

/// Runs a line beside a model of this mode.
fn run(stage: &Stage, mode: &str, line: &str) -> Ran {
    start(stage, mode, line).wait(LONGEST)
}

pub(crate) fn trials() -> Vec<Trial> {
    [
        lines::trials(),
        containment::trials(),
        failures::trials(),
        usage::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
