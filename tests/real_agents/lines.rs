//! The whole line with a real agent.

use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::{AGENTS, each, run, told, with_agent, work};

/// Eight beads: a diamond, a chain, and one of each way in which agents leave their worktree.
fn plan() -> Vec<Value> {
    let on = |mut bead: Value, blockers: &[&str]| {
        let id = bead["id"].clone();
        let edge = |on: &&str| json!({"issue_id": id, "depends_on_id": on, "type": "blocks"});
        bead["dependencies"] = blockers.iter().map(edge).collect();
        bead
    };
    vec![
        work("t-1"),
        on(
            told(
                "t-2",
                &["cat t-1.txt > t-2.txt", "git add . && git commit -qm two"],
            ),
            &["t-1"],
        ),
        // Leaves its work uncommitted.
        on(told("t-3", &["cat t-1.txt > t-3.txt"]), &["t-1"]),
        on(
            told("t-4", &["cat t-2.txt t-3.txt > t-4.txt", "git add ."]),
            &["t-2", "t-3"],
        ),
        // Leaves a command behind, in a session of its own.
        told(
            "t-5",
            &[
                "setsid sh -c 'tail -f /dev/null' > /dev/null 2>&1 < /dev/null &",
                "echo five > t-5.txt",
            ],
        ),
        // Changes nothing.
        told("t-6", &["ls"]),
        on(work("t-7"), &["t-6"]),
        told(
            "t-8",
            &[
                "git checkout -qb mine",
                "echo eight > t-8.txt",
                "git add . && git commit -qm eight",
            ],
        ),
    ]
}

fn whole_line(agent: &'static str) {
    let stage = with_agent(agent, &plan());
    let ran = run(
        &stage,
        "ok",
        &format!(
            "just --justfile '{}/justfile' orchestrate",
            crate::stage::root().display()
        ),
    )
    .ok();
    for id in ["t-1", "t-2", "t-3", "t-4", "t-5", "t-8"] {
        let bead = stage.bead(id);
        assert_eq!(bead["metadata"]["phase"], "merged", "{id}: {}", ran.all());
    }
    assert_eq!(stage.bead("t-6")["status"], "blocked");
    assert_eq!(stage.bead("t-6")["metadata"]["outcome"], "no_change");
    assert_eq!(stage.bead("t-7")["status"], "open");
    let landed = stage
        .sh("for n in 1 2 3 4 5 8; do git show origin/main:t-$n.txt; done")
        .ok()
        .stdout;
    assert_eq!(landed, "t-1\nt-1\nt-1\nt-1\nt-1\nfive\neight\n");
    assert_eq!(stage.processes(), Vec::<String>::new());
}

pub(super) fn trials() -> Vec<Trial> {
    each(
        &AGENTS,
        "eight beads from ready to merged, whatever the agent leaves behind",
        whole_line,
    )
    .collect()
}
