//! A `bd` that fails, hangs, or talks nonsense, a database that is locked, a server that goes away:
//! the error is clear, nothing is lost, and the next run goes on.

use std::fs;
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::Value;

use super::{as_fake, fake};
use crate::stage::{Dolt, Ran, Stage, task, test_with_bd, until};

/// A `bd` that does this instead of the commands named, which are separated by `|`.
fn instead(stage: &Stage, commands: &str, script: &str) {
    fake(
        stage,
        &format!("case $1 in {commands}) {script} ;; esac\nexec \"$REAL_BD\" \"$@\""),
    );
}

fn phase(stage: &Stage) -> (Value, Value) {
    let bead = stage.bead("t-1");
    (bead["status"].clone(), bead["metadata"]["phase"].clone())
}

/// Both a read and a write go wrong in this way; then all is as before, and a real `bd` goes on.
fn assert_failed_and_goes_on(script: &str, says: &str) {
    let stage = Stage::on_bd(&[task("t-1")]);
    let said = |ran: Ran| {
        let ran = ran.code(1).says(says);
        assert!(ran.stdout.is_empty(), "{}", ran.all());
        let lines = ran.stderr.lines().filter(|line| line.contains(says));
        assert_eq!(lines.count(), 1, "{}", ran.all());
    };
    for (commands, program) in [
        ("list|ready", "bd-ready"),
        ("list", "wt-spawn t-1"),
        ("update", "wt-spawn t-1"),
    ] {
        instead(&stage, commands, script);
        said(stage.sh(&as_fake(&format!("BEADLINE_BEADS_TIMEOUT=2s {program}"))));
        assert_eq!(phase(&stage), ("open".into(), Value::Null), "{program}");
    }
    assert_eq!(stage.sh("wt-spawn t-1").ok().ids(), ["t-1"]);
    assert_eq!(phase(&stage), ("in_progress".into(), "spawned".into()));
}

fn fails() {
    assert_failed_and_goes_on(
        "echo '{\"error\":\"disk on fire\",\"schema_version\":1}' >&2; exit 1",
        "disk on fire",
    );
}

fn is_killed() {
    assert_failed_and_goes_on("kill -9 $$", "killed");
}

fn talks_nonsense() {
    assert_failed_and_goes_on("printf 'panic: \\033[2Jgoroutine 1\\n'; exit 0", "no JSON");
}

fn hangs() {
    assert_failed_and_goes_on(
        "echo $$ >> \"${0%/*}/pids\"; exec sleep 600",
        "no end after 2s",
    );
}

fn is_ended_when_it_hangs() {
    let stage = Stage::on_bd(&[task("t-1")]);
    instead(&stage, "ready", "echo $$ > \"${0%/*}/pid\"; exec sleep 600");
    stage
        .sh(&as_fake("BEADLINE_BEADS_TIMEOUT=1s bd-ready"))
        .code(1)
        .says("bd ready: no end after 1s");
    let pid = stage.read("fake/pid");
    assert!(
        !std::path::Path::new("/proc").join(pid.trim()).exists(),
        "{pid}"
    );
    stage
        .sh("BEADLINE_BEADS_TIMEOUT=soon bd-ready")
        .code(1)
        .says("BEADLINE_BEADS_TIMEOUT");
}

/// The write is done, but its answer is lost: the bead is ours, and the next run takes it up.
fn answer_lost() {
    let stage = Stage::on_bd(&[task("t-1")]);
    instead(
        &stage,
        "update",
        "\"$REAL_BD\" \"$@\" > /dev/null; echo oops; exit 0",
    );
    stage.sh(&as_fake("wt-spawn t-1")).code(1).says("no JSON");
    assert_eq!(phase(&stage), ("in_progress".into(), "spawned".into()));
    let claimed = stage.bead("t-1")["assignee"].clone();
    assert_eq!(stage.sh("bd-ready --resume | wt-spawn").ok().ids(), ["t-1"]);
    assert_eq!(stage.bead("t-1")["assignee"], claimed);
}

/// Locked twice: tried again, and nobody notices.
fn locked_for_a_while() {
    let stage = Stage::on_bd(&[task("t-1")]);
    let twice = "echo >> \"${0%/*}/$1\"; [ \"$(wc -l < \"${0%/*}/$1\")\" -gt 2 ] || { echo 'Error: database is locked' >&2; exit 1; }";
    instead(&stage, "list|ready|update", twice);
    assert_eq!(
        stage.sh(&as_fake("bd-ready | wt-spawn")).ok().ids(),
        ["t-1"]
    );
    assert_eq!(phase(&stage), ("in_progress".into(), "spawned".into()));
}

/// Locked by another process, as maintenance does it: waited for.
fn really_locked() {
    let stage = Stage::on_bd(&[task("t-1")]);
    fake(
        &stage,
        "echo >> \"${0%/*}/calls\"; exec \"$REAL_BD\" \"$@\"",
    );
    let lock = "work/.beads/embeddeddolt.gate.lock";
    let mut holder = stage.start("exec flock -x .beads/embeddeddolt.gate.lock sleep 600");
    until("the lock is held", || stage.holds(lock));
    let running = stage.start(&as_fake("wt-spawn t-1"));
    let calls = stage.path("fake/calls");
    until("bd is tried again", || {
        fs::read(&calls).is_ok_and(|calls| calls.len() > 2)
    });
    holder.kill();
    assert_eq!(running.wait(Duration::from_mins(2)).ok().ids(), ["t-1"]);
    assert_eq!(phase(&stage), ("in_progress".into(), "spawned".into()));
}

/// A write that looked failed was done: the second try finds its own claim, and goes on with it.
fn done_though_it_failed() {
    let stage = Stage::on_bd(&[task("t-1")]);
    let script = "[ -e \"${0%/*}/done\" ] || { touch \"${0%/*}/done\"; \"$REAL_BD\" \"$@\" > /dev/null; echo 'Error: invalid connection' >&2; exit 1; }";
    instead(&stage, "update", script);
    let spawned = stage.sh(&as_fake("wt-spawn t-1")).ok().beads();
    assert_eq!(spawned[0]["assignee"], stage.bead("t-1")["assignee"]);
}

/// The server goes away in the middle, and comes back: the same programs go on.
fn server_away() {
    let mut dolt = Dolt::start();
    let stage = Stage::on_server(&dolt, &[task("t-1")]);
    fake(
        &stage,
        "echo >> \"${0%/*}/calls\"; exec \"$REAL_BD\" \"$@\"",
    );
    dolt.kill();
    let running = stage.start(&as_fake("wt-spawn t-1"));
    // Its version, and two tries.
    let calls = stage.path("fake/calls");
    until("bd is tried again", || {
        fs::read(&calls).is_ok_and(|calls| calls.len() > 2)
    });
    dolt.go_on();
    assert_eq!(running.wait(Duration::from_mins(2)).ok().ids(), ["t-1"]);
    until("the claim is stored", || phase(&stage).1 == "spawned");
}

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test_with_bd(
            "a bd that fails is an error with its words, and nothing is lost",
            fails,
        ),
        test_with_bd(
            "a bd that is killed is an error, and nothing is lost",
            is_killed,
        ),
        test_with_bd(
            "a bd that talks nonsense is an error, and nothing is lost",
            talks_nonsense,
        ),
        test_with_bd("a bd that hangs is an error, and nothing is lost", hangs),
        test_with_bd("a bd that hangs is ended", is_ended_when_it_hangs),
        test_with_bd(
            "a write whose answer is lost is taken up by the next run",
            answer_lost,
        ),
        test_with_bd(
            "a database that is locked for a while is tried again",
            locked_for_a_while,
        ),
        test_with_bd(
            "a database that another process has is waited for",
            really_locked,
        ),
        test_with_bd(
            "a write that was done though it failed is found to be ours",
            done_though_it_failed,
        ),
        test_with_bd(
            "a server that goes away and comes back is waited for",
            server_away,
        ),
    ]
}
