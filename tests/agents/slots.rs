//! How many agents are alive at a time.

use libtest_mimic::Trial;

use super::{LINE, lines};
use crate::stage::{Stage, test};

/// Agents that write down how many are alive; `$HOME/counts` gets a line each.
const COUNTED: &str =
    "mkdir -p \"$HOME/alive/$BEAD_ID\"; sleep 0.3; ls \"$HOME/alive\" | wc -l >> \"$HOME/counts\"
sleep 0.3; rmdir \"$HOME/alive/$BEAD_ID\"; echo $BEAD_ID > $BEAD_ID.txt";

#[track_caller]
fn assert_counts(stage: &Stage, agents: usize, most: usize) {
    let counts: Vec<usize> = lines(stage, "home/counts")
        .iter()
        .map(|n| n.trim().parse().unwrap())
        .collect();
    assert_eq!(counts.len(), agents);
    assert!(counts.iter().all(|count| *count <= most), "{counts:?}");
    assert!(
        counts.iter().any(|count| *count > 1),
        "they worked one after the other: {counts:?}"
    );
}

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "agent-run: never more agents alive than --max-agents",
            || {
                let mut stage = Stage::with_tasks(12);
                stage.agent(COUNTED);
                let ran = stage.sh(&format!("{LINE} --max-agents 3")).ok();
                assert_eq!(ran.ids().len(), 12);
                assert_counts(&stage, 12, 3);
            },
        ),
        test(
            "agent-run: three at once in one clone share the slots",
            || {
                let mut stage = Stage::with_tasks(9);
                stage.agent(COUNTED);
                stage.set("BEADLINE_MAX_AGENTS", "2");
                let ran = stage.sh("bd-ready | wt-spawn --quiet > ../all
                 for n in 1 4 7; do sed -n \"$n,$((n + 2))p\" ../all | agent-run & done; wait");
                assert_eq!(ran.ok().ids().len(), 9);
                assert_counts(&stage, 9, 2);
            },
        ),
    ]
}
