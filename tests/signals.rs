//! Signals: what ends with a program, and what it must not leave at work.

use std::fs;
use std::time::Duration;

use libtest_mimic::Trial;
use rustix::process::{Pid, Signal, kill_process};

use crate::forge::committed;
use crate::stage::{Stage, task, test, until};

/// A command of the settings that leaves a process of a session of its own, and does not end. The
/// next one finds out whether anything of that is still at work.
const COMMAND: &str = r#"
set -eu
lives() { grep -qs '^State:.[^ZX]' "/proc/$1/status"; }
if mkdir ~/once 2> /dev/null; then
    setsid sh -c 'echo $$ > ~/daemon.new; mv ~/daemon.new ~/daemon; exec sleep 600' &
    echo $$ > ~/command.new; mv ~/command.new ~/command; sleep 600
fi
for pid in $(cat ~/command ~/daemon); do ! lives $pid || echo $pid >> ~/overlap; done
echo ran >> ~/log
[ -z "${BEADLINE_VERDICT:-}" ] || echo '{"verdict":"approve"}' > "$BEADLINE_VERDICT"
"#;

/// What starts commands: a name, what comes before, and the program.
const STARTERS: [(&str, &str, &str); 4] = [
    (
        "a set-up",
        "bd-ready --resume",
        "wt-spawn --setup 'sh ~/../command.sh'",
    ),
    (
        "a check",
        "bd-ready --resume | wt-spawn",
        "agent-run --check 'sh ~/../command.sh'",
    ),
    (
        "a check of a merge",
        "pr-open t-1",
        "pr-merge --check 'sh ~/../command.sh'",
    ),
    (
        "a review",
        "pr-open t-1",
        "pr-merge --no-checks --review 'sh ~/../command.sh'",
    ),
];

/// Starts a program, and waits until its command has started all of its processes. Then the program
/// gets the signal. Returns those processes.
#[track_caller]
fn signalled(stage: &Stage, before: &str, program: &str, signal: Signal) -> [String; 2] {
    stage.write("command.sh", COMMAND);
    stage.sh(&format!("{before} > ../beads")).ok();
    let running = stage.start(&format!("exec {program} < ../beads"));
    until("the command is at work", || {
        ["home/command", "home/daemon"]
            .iter()
            .all(|file| stage.path(file).exists())
    });
    kill_process(Pid::from_raw(running.pid()).unwrap(), signal).unwrap();
    running
        .wait(Duration::from_mins(1))
        .code(128 + signal.as_raw());
    ["home/command", "home/daemon"].map(|file| stage.read(file))
}

/// A stage on which the program at hand has something to do.
fn stage_for(program: &str) -> Stage {
    let mut stage = Stage::new(&[task("t-1")]);
    stage.simple();
    stage.set("BEADLINE_NO_CHECKS", "");
    if program.starts_with("pr-merge") {
        committed(&stage, &[("t-1", "echo 1 > 1.txt")]);
    }
    stage
}

/// Runs the program again, to its end: the bead stands where it would without the signal.
#[track_caller]
fn assert_goes_on(stage: &Stage, before: &str, program: &str) {
    stage.sh(&format!("{before} | {program}")).ok();
    assert_eq!(stage.read("home/log"), "ran\n", "{program}");
    assert!(
        !stage.path("home/overlap").exists(),
        "{program}: two at once"
    );
    let bead = stage.bead("t-1");
    let phase = match program.split(' ').next() {
        Some("wt-spawn") => "spawned",
        Some("agent-run") => "committed",
        _ => "merged",
    };
    assert_eq!(bead["metadata"]["phase"], phase, "{bead:#}");
    for fact in ["round", "error", "feedback"] {
        let value = &bead["metadata"][fact];
        assert!(
            value.is_null() || value == "" || value == 0,
            "{program}: {bead:#}"
        );
    }
    if phase == "committed" {
        assert_eq!(bead["metadata"]["attempt"], 1, "{bead:#}");
    }
    assert_eq!(stage.processes(), Vec::<String>::new());
}

fn lives(pid: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", pid.trim())).unwrap_or_default();
    let state = status
        .lines()
        .find_map(|line| line.strip_prefix("State:\t"));
    state.is_some_and(|state| !state.starts_with(['Z', 'X']))
}

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for (what, before, program) in STARTERS {
        trials.push(test(
            &format!("signals: {what} ends with its program, and nothing is made of it"),
            || {
                let stage = stage_for(program);
                let left = signalled(&stage, before, program, Signal::TERM);
                assert_eq!(left.map(|pid| lives(&pid)), [false, false]);
                assert_goes_on(&stage, before, program);
            },
        ));
        trials.push(test(
            &format!("signals: {what} of a killed program is ended before the next one starts"),
            || {
                let stage = stage_for(program);
                let left = signalled(&stage, before, program, Signal::KILL);
                assert_eq!(
                    left.map(|pid| lives(&pid)),
                    [true, true],
                    "nothing is tested here"
                );
                assert_goes_on(&stage, before, program);
            },
        ));
    }
    trials.push(test(
        "signals: INT and HUP end a program as TERM does, and its check with it",
        || {
            let (_, before, program) = STARTERS[2];
            for signal in [Signal::INT, Signal::HUP] {
                let stage = stage_for(program);
                let left = signalled(&stage, before, program, signal);
                assert_eq!(left.map(|pid| lives(&pid)), [false, false]);
                assert_goes_on(&stage, before, program);
            }
        },
    ));
    trials.push(test("signals: one that is ignored stays ignored", || {
        let stage = stage_for("pr-merge");
        stage.write(
            "check.sh",
            "touch ~/started; until [ -e ~/go ]; do sleep 0.05; done",
        );
        stage.sh("pr-open t-1 > ../beads").ok();
        let line = "trap '' HUP INT; exec pr-merge --check 'sh ~/../check.sh' < ../beads";
        let running = stage.start(line);
        until("the check runs", || stage.path("home/started").exists());
        for signal in [Signal::HUP, Signal::INT] {
            kill_process(Pid::from_raw(running.pid()).unwrap(), signal).unwrap();
        }
        stage.write("home/go", "");
        assert_eq!(running.wait(Duration::from_mins(1)).ok().ids(), ["t-1"]);
    }));
    trials
}
