//! Taking over what another clone has under way: from a machine that died, and by hand.

use std::time::Duration;

use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::Value;

use super::budget::count_calls;
use super::{assert_all_merged, fact};
use crate::kill::{LINE, prepare};
use crate::stage::{Dolt, Stage, task, test_with_bd, until};

/// A server, and two machines on it.
fn two(beads: &[Value]) -> (Dolt, Stage, Stage) {
    let dolt = Dolt::start();
    let mut one = Stage::on_server(&dolt, beads);
    prepare(&mut one);
    let mut other = Stage::joining(&one);
    prepare(&mut other);
    (dolt, one, other)
}

fn committed_and_pushed() {
    let (dolt, one, other) = two(&[task("t-1")]);
    one.sh("bd-ready | wt-spawn | agent-run").ok();
    // All that pr-open did before it died.
    one.sh("git push --quiet origin agent/t-1").ok();
    let before = one.bead("t-1");
    assert_eq!(fact(&before, "phase"), "committed");

    // Its lease is still good, then not yet long enough over.
    let left = other.sh("bd-ready --resume").ok();
    assert_eq!(left.stdout, "");
    one.age(&dolt, "t-1");
    let left = other.sh("bd-ready --resume --lost-after 2h").ok();
    assert_eq!(left.stdout, "");
    let record = other.sh("bd-ready --resume").ok();
    assert_eq!(record.ids(), ["t-1"]);
    other
        .feed(
            "wt-spawn --lost-after 2h | agent-run | pr-open",
            &record.stdout,
        )
        .ok()
        .says("it belongs to the clone");
    assert_eq!(one.bead("t-1")["assignee"], before["assignee"]);

    let ran = other.sh(LINE).ok().says("taken over");
    assert_all_merged(&one, &ran.all());
    let bead = one.bead("t-1");
    assert_ne!(fact(&bead, "host"), fact(&before, "host"));
    // The second agent found the work done, and there was nothing to add.
    let head = |bead: &Value| fact(bead, "head").as_str().unwrap().to_owned();
    assert_eq!(head(&bead), head(&before), "{}", ran.all());
    other.assert_clean();
    // What the first machine has is its own.
    assert!(one.path("work.worktrees/t-1/t-1.txt").exists());
}

fn with_a_pull_request() {
    let (dolt, one, other) = two(&[task("t-1")]);
    one.sh("bd-ready | wt-spawn | agent-run | pr-open").ok();
    let before = one.bead("t-1");
    assert_eq!(fact(&before, "phase"), "pr_created");
    one.age(&dolt, "t-1");
    let dry = other.sh("bd-ready --resume | wt-spawn --dry-run").ok();
    assert_eq!(
        fact(&dry.beads()[0], "phase"),
        "pr_created",
        "{}",
        dry.all()
    );
    let _ = dry.says("t-1: would be taken over");
    let ran = other.sh(LINE).ok().says("taken over");
    assert_all_merged(&one, &ran.all());
    let after = one.bead("t-1");
    for same in ["run", "pr_number", "head", "pushed"] {
        assert_eq!(
            fact(&before, same),
            fact(&after, same),
            "{same}\n{}",
            ran.all()
        );
    }
    other.assert_clean();
}

/// A line that never ends, and the error of another machine's run that began later.
fn given_up_by_the_dead() {
    let (dolt, one, other) = two(&[task("t-1")]);
    one.sh("bd-ready | wt-spawn | agent-run").ok();
    count_calls(&other);
    let mut line = other.start(&LINE.replace("--follow", "--follow --forever"));
    until("the other line has looked", || {
        other.read("calls").contains("bd-ready ready")
    });
    one.sh(
        r#"bd update t-1 --metadata "{\"error\":\"disk full\",\"error_at\":\"$(date -u +%FT%T.%6NZ)\"}""#,
    )
    .ok();
    one.age(&dolt, "t-1");
    until("it was taken over and merged", || {
        line.said().contains("t-1: landed as")
    });
    line.kill();
    assert_eq!(fact(&one.bead("t-1"), "error"), "");
}

/// A machine that stood still while others took its beads over, and then goes on.
fn late_writes() {
    let (dolt, mut one, other) = two(&[task("t-1"), task("t-2")]);
    // The first agent, and the check of the other's landing, wait for a word.
    one.agent(
        r#"
set -eu
echo late > "$BEAD_ID.txt"
if [ "$BEAD_ID" = t-1 ]; then
    touch "$TMPDIR/working"
    until test -e "$TMPDIR/go"; do sleep 0.1; done
fi
git add . && git commit --quiet -m "$BEAD_ID"
"#,
    );
    one.set("BEADLINE_NO_CHECKS", "0");
    one.set(
        "BEADLINE_CHECK",
        r#"case "$PWD" in */.merge-*) touch "$TMPDIR/checking"; until test -e "$TMPDIR/go"; do sleep 0.1; done ;; esac"#,
    );
    let line = one.start(LINE);
    until("it works and checks", || {
        one.path("tmp/working").exists() && one.path("tmp/checking").exists()
    });
    one.signal(Signal::STOP);
    one.age(&dolt, "t-1");
    one.age(&dolt, "t-2");
    let ran = other.sh(LINE).ok();
    assert_all_merged(&other, &ran.all());
    let after = other.stored();

    one.write("tmp/go", "");
    one.signal(Signal::CONT);
    let late = line.wait(Duration::from_mins(5));
    assert_eq!(late.code, Some(0), "{}", late.all());
    assert_eq!(other.stored(), after, "{}", late.all());
    assert_all_merged(&other, &late.all());
    let work = other
        .sh("git show origin/main:t-1.txt origin/main:t-2.txt")
        .ok();
    assert_eq!(work.stdout, "t-1\nlate\n", "{}", late.all());
    other.assert_clean();
    assert_eq!(one.processes(), Vec::<String>::new());
    assert!(one.path("work.worktrees/t-1/t-1.txt").exists());
}

/// Which beads are lost is told by the server's clock, not by this machine's.
fn by_the_servers_clock() {
    let dolt = Dolt::start();
    let stage = Stage::on_server(&dolt, &[task("t-1")]);
    // As a clone with another name sees it.
    stage
        .sh("bd-ready | wt-spawn && git config beadline.host elsewhere-1")
        .ok();
    stage.write(
        "shim/bd",
        r#"#!/bin/bash
if [ "$1" = sql ]; then echo "[{\"at_utc\":\"$(date -u -d "$AT" +%FT%TZ)\"}]"; exit; fi
PATH=${PATH#*:} exec bd "$@"
"#,
    );
    stage.sh("chmod +x ../shim/bd").ok();
    let lost_at = |at: &str| {
        let ready = format!("AT='{at}' PATH=\"$PWD/../shim:$PATH\" bd-ready --resume");
        stage.sh(&ready).ok().ids()
    };
    assert_eq!(lost_at("now"), [""; 0]);
    assert_eq!(lost_at("1 hour"), ["t-1"]);
    stage.age(&dolt, "t-1");
    assert_eq!(lost_at("-1 hour"), [""; 0]);
    assert_eq!(stage.sh("bd-ready --resume").ok().ids(), ["t-1"]);
    // A server that does not tell has lost nothing.
    let ran = stage.sh("AT=never; export AT PATH=\"$PWD/../shim:$PATH\"; bd-ready --resume");
    assert_eq!(ran.ok().says("cannot read the clock").ids(), [""; 0]);
}

/// In an embedded database a clone cannot see that another one died.
fn by_hand() {
    let mut stage = Stage::on_bd(&[task("t-1")]);
    prepare(&mut stage);
    stage.sh("bd-ready | wt-spawn | agent-run").ok();
    // As a clone with another name sees it.
    stage.sh("git config beadline.host elsewhere-1").ok();
    let before = stage.bead("t-1");
    let ran = stage
        .sh(&LINE.replace("--follow", "--follow --lost-after 0s"))
        .ok();
    assert!(
        ran.stderr.contains("t-1: under way in the clone"),
        "{}",
        ran.all()
    );
    assert_eq!(stage.bead("t-1")["assignee"], before["assignee"]);
    let line = LINE.replace("bd-ready --follow | wt-spawn", "wt-spawn --retry t-1");
    stage
        .sh("git worktree remove --force ../work.worktrees/t-1")
        .ok();
    let ran = stage.sh(&line).ok().says("taken over");
    assert_all_merged(&stage, &ran.all());
    assert_eq!(fact(&stage.bead("t-1"), "host"), "elsewhere-1");
    stage.assert_clean();
}

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test_with_bd(
            "take-over: a committed bead whose branch was pushed, once --lost-after is over",
            committed_and_pushed,
        ),
        test_with_bd(
            "take-over: a bead with a pull request lands without another run",
            with_a_pull_request,
        ),
        test_with_bd(
            "take-over: what a dead machine's run gave up is tried again by a line that began before",
            given_up_by_the_dead,
        ),
        test_with_bd(
            "take-over: a machine that comes back late writes nothing",
            late_writes,
        ),
        test_with_bd(
            "take-over: the server's clock tells which beads are lost",
            by_the_servers_clock,
        ),
        test_with_bd(
            "take-over: another clone's bead in an embedded database is named, and taken by hand only",
            by_hand,
        ),
    ]
}
