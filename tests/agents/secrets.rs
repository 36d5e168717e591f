//! What agents see of the programs around them, as processes of the same user.

use std::time::Duration;

use libtest_mimic::Trial;

use super::{WORK, facts, lines, with_agent};
use crate::stage::{Running, Stage, test_with, until};

/// The whole line.
const LINE: &str = "bd-ready --resume | wt-spawn | agent-run | pr-open | pr-merge";

/// Starts a line as an ordinary user has it: without root's right to look into every process.
fn start_as_a_user(stage: &Stage, line: &str) -> Running {
    stage.start(&format!(
        "as=; [ \"$(id -u)\" != 0 ] || as='setpriv --bounding-set -all'
         exec $as bash -euo pipefail -c '{line}'"
    ))
}

/// The stage's path marks what is searched for: other tests run beside this one.
fn no_process_shows_a_secret() {
    let mut stage = with_agent("");
    let here = stage.path("").display().to_string();
    let (token, key) = (format!("{here}token"), format!("{here}key"));
    stage.write(
        "search.sh",
        &format!(
            "SHOWN='{token}' sleep 600 & shown=$!
             until [ \"$(cat /proc/$shown/comm)\" = sleep ]; do :; done
             for process in /proc/[0-9]*; do
               read -r name < $process/comm || continue
               for file in environ cmdline; do
                 ! tr '\\0' '\\n' 2>/dev/null < $process/$file | grep -q '{token}' || echo \"$name $file token\"
               done
               ! tr '\\0' '\\n' 2>/dev/null < $process/cmdline | grep -q '{key}' || echo \"$name cmdline key\"
             done 2>/dev/null | sort -u > \"$HOME/found\"
             kill $shown\n{WORK}"
        ),
    );
    // A key in front of the agent's command line, as people write it.
    stage.set(
        "BEADLINE_AGENT",
        &format!("KEY='{key}' sh '{here}search.sh'"),
    );
    for name in ["GH_TOKEN", "GITEA_TOKEN", "BEADS_DOLT_PASSWORD"] {
        stage.set(name, &token);
    }
    start_as_a_user(&stage, LINE)
        .wait(Duration::from_mins(2))
        .ok();
    assert_eq!(facts(&stage)["outcome"], "done");
    // The shell that has the whole line is no program of ours; what the search shows it has found.
    let mut found = lines(&stage, "home/found");
    found.retain(|line| line != "bash environ token");
    assert_eq!(found, ["sleep environ token"]);
}

fn an_agent_is_found_and_ended() {
    let mut stage = with_agent("");
    // Only its supervisor is left to be found.
    stage.agent("touch ~/works; exec env -i sleep 600");
    let mut line = start_as_a_user(&stage, LINE);
    until("the agent works", || super::works(&stage, "works"));
    line.kill();
    start_as_a_user(&stage, "orch-status --json; agent-stop t-1")
        .wait(Duration::from_mins(1))
        .ok()
        .says("agent ended");
    assert_eq!(facts(&stage)["outcome"], "stopped");
    assert_eq!(stage.processes(), Vec::<String>::new());
}

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test_with(
            "setpriv",
            "util-linux",
            "the line: no process of it shows tokens or the keys of agents to an agent",
            no_process_shows_a_secret,
        ),
        test_with(
            "setpriv",
            "util-linux",
            "agent-stop: an agent whose supervisor shows nothing of itself is found and ended",
            an_agent_is_found_and_ended,
        ),
    ]
}
