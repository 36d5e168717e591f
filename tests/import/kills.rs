//! Kills between two writes: the next import goes on, and makes nothing twice.

use std::time::Duration;

use libtest_mimic::Trial;
use rustix::process::{Pid, Signal, kill_process};

use super::sample;
use crate::stage::{BIN, Stage, scale, test_with, test_with_bd, until};

/// Kills an import at its `n`th `call`. Whether it came to that.
fn killed(call: &str, n: usize) -> bool {
    let stage = sample(Stage::new(&[]));
    let ran = stage.sh(&format!(
        "strace -f -qq -o ../trace -e trace={call} -e inject={call}:signal=KILL:when={n} -- '{}/bd-import' --plan",
        BIN.display()
    ));
    let killed = ran.code != Some(0);
    stage.import_plan().ok();
    let files: Vec<String> = stage
        .stored()
        .iter()
        .map(|bead| {
            format!(
                "{}{}",
                bead["metadata"]["spec_file"], bead["metadata"]["plan_file"]
            )
        })
        .collect();
    let once: std::collections::HashSet<&String> = files.iter().collect();
    assert_eq!(
        (files.len(), once.len()),
        (9, 9),
        "{call} {n}\n{}",
        ran.all()
    );
    assert_eq!(
        stage.blockers("Ring the alarm"),
        ["Keep the readings", "Open a valve"]
    );
    stage
        .import_plan()
        .ok()
        .says("0 created, 0 updated, 9 unchanged");
    killed
}

fn sweep(call: &str) {
    let step = if scale() < 10 { 5 } else { 1 };
    let kills = (1..200)
        .step_by(step)
        .take_while(|n| killed(call, *n))
        .count();
    assert!(kills > 0, "nothing was killed at {call}");
}

/// The real bd: the import is killed once some beads are there; its bd goes on without it.
fn killed_on_bd() {
    let stage = sample(Stage::on_bd(&[]));
    for count in [1, 4] {
        let running = stage.start("exec bd-import --plan");
        until("beads are made", || {
            running.said().matches(" created from ").count() >= count
        });
        let import = Pid::from_raw(running.pid()).unwrap();
        kill_process(import, Signal::KILL).unwrap();
        let _ = running.wait(Duration::from_mins(1));
    }
    stage.import_plan().ok();
    assert_eq!(stage.stored().len(), 9);
    assert_eq!(
        stage.blockers("Ring the alarm"),
        ["Keep the readings", "Open a valve"]
    );
}

/// Two at once: one waits for the other.
fn two_at_once() {
    let stage = sample(Stage::new(&[]));
    stage
        .sh("bd-import --plan > ../a & bd-import --plan > ../b; wait")
        .ok();
    assert_eq!(stage.stored().len(), 9);
}

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        test_with_bd(
            "import: killed on the real bd, it goes on and makes nothing twice",
            killed_on_bd,
        ),
        crate::stage::test("import: two at once make everything once", two_at_once),
    ];
    for call in ["fsync", "rename", "flock"] {
        let name = format!("import: killed at a {call}, it goes on and makes nothing twice");
        trials.push(test_with("strace", "tests/parts.sh", &name, move || {
            sweep(call);
        }));
    }
    trials
}
