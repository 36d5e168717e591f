//! Kills on a real database: of the line and its `bd`, and of the Dolt server.

use std::time::Duration;

use libtest_mimic::Trial;

use super::count;
use crate::kill::{LINE, assert_recovers, prepare, random_kills};
use crate::stage::{Dolt, Stage, seed, task, task_on, test_with_bd, until};

fn three() -> [serde_json::Value; 3] {
    [
        task("t-1"),
        task_on("t-2", &[("t-1", "blocks")]),
        task("t-3"),
    ]
}

fn kills_on_a_database(seed: u64) {
    let mut stage = Stage::on_bd(&three());
    prepare(&mut stage);
    // A killed bd is tried again by the next run.
    let others = ["agent-hold", "sh", "git", "bd", "bd"];
    random_kills(seed, &stage, &others, Duration::from_secs(10));
}

fn server_dies() {
    let mut dolt = Dolt::start();
    let mut stage = Stage::on_server(&dolt, &three());
    prepare(&mut stage);
    let line = stage.start(LINE);
    until("a claim was made", || line.said().contains("claimed"));
    dolt.kill();
    // Nothing is answered now, and nobody starts another server.
    stage.sh("bd list --json").code(1);
    dolt.go_on();
    let _ = line.wait(Duration::from_mins(9));
    assert_recovers(&stage, "the Dolt server was killed");
}

pub(crate) fn trials() -> Vec<Trial> {
    // Two kills each.
    let mut trials: Vec<Trial> = (0..count(20, 2))
        .map(|n| {
            let seed = seed() + n;
            test_with_bd(
                &format!("kill: at random, on an embedded database, seed {seed}"),
                move || kills_on_a_database(seed),
            )
        })
        .collect();
    trials.push(test_with_bd(
        "kill: the Dolt server, in the middle of a line, and it comes back",
        server_dies,
    ));
    trials
}
