//! Kills while groups are under test, and two clones at one base.

use std::fmt::Write as _;
use std::io::{Write, stderr};
use std::thread;
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::json;

use super::{COUNTS, assert_all_landed, many};
use crate::forge::second_clone;
use crate::merge::{check, landed, log};
use crate::stage::{BIN, Stage, scale, seed, test, test_with, until};

/// What the program does between two effects.
const CALLS: [&str; 6] = ["execve", "rename", "unlinkat", "fsync", "flock", "unlink"];

/// How many are in the queue, and which of them is red.
const COUNT: usize = 8;
const RED: usize = 5;

/// Runs until it says that all is well; then nothing may show that there was a kill.
#[track_caller]
fn assert_recovers(stage: &Stage, flag: &str, what: &str) {
    let line = format!("bd-ready --phase pr_created | pr-merge {flag} | wt-clean > /dev/null");
    let mut ran = stage.sh(&line);
    for _ in 0..3 {
        if ran.code == Some(0) {
            break;
        }
        ran = stage.sh(&line);
    }
    assert_all_landed(stage, COUNT, &[RED], &ran);
    // What landed before a kill was not handed on: its branches go now, as do all worktrees.
    let clean = "bd-ready --phase merged | wt-clean --all > /dev/null";
    stage.sh(clean).ok();
    let left = "git for-each-ref --format='%(refname)' refs/heads/agent
        git ls-remote origin 'refs/heads/*' 'refs/beadline/open/*' 'refs/beadline/turn/*' | cut -f2";
    let red = format!("agent/t-{RED}");
    assert_eq!(
        stage.sh(left).ok().stdout,
        format!("refs/heads/{red}\nrefs/beadline/open/{red}\nrefs/heads/{red}\nrefs/heads/main\n"),
        "{what}\n{}",
        ran.all()
    );
    // A person gives the red one up: nothing is left of anybody.
    stage.edit(&format!("t-{RED}"), &json!({"status": "closed"}));
    let away = format!("git branch --quiet -D {red}; git push --quiet origin :{red}; {clean}");
    stage.sh(&away).ok();
    stage.assert_clean();
}

/// Kills the program or one of its git at a random moment, twice.
fn random_kills(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let stage = many(COUNT, &[RED]);
    let flag = check(&stage, COUNTS) + " --check-jobs 2";
    let mut what = String::new();
    for _ in 0..2 {
        let mut line = stage.start(&format!("exec pr-merge {flag} t-{{1..{COUNT}}}"));
        let at = Duration::from_millis(1500).mul_f64(random.f64());
        write!(what, "seed {seed}: killed after {at:?}; ").unwrap();
        thread::sleep(at);
        line.kill();
        let _ = line.wait(Duration::from_mins(2));
    }
    assert_recovers(&stage, &flag, &what);
}

/// Kills the program or one of its children at its `n`th `call`. Whether anything was killed.
fn exact_kill(call: &str, n: usize) -> bool {
    let stage = many(COUNT, &[RED]);
    let flag = check(&stage, COUNTS) + " --check-jobs 2";
    let mut line = stage.start(&format!(
        "exec strace -f -qq -o ../trace -e trace={call} -e inject={call}:signal=KILL:when={n} -- '{}/pr-merge' {flag} --once t-{{1..{COUNT}}}",
        BIN.display()
    ));
    let started = std::time::Instant::now();
    while !line.is_over() && started.elapsed() < Duration::from_secs(20) {
        thread::sleep(Duration::from_millis(10));
    }
    line.kill();
    let _ = line.wait(Duration::from_mins(2));
    let killed = stage.read("trace").contains("killed by SIGKILL");
    assert_recovers(&stage, &flag, &format!("killed at {call} number {n}"));
    killed
}

/// Sweeps one call until the program ends by itself; an ordinary run takes a seeded tenth.
fn sweep(call: &str) {
    let mut random = fastrand::Rng::with_seed(seed());
    let mut kills = 0;
    for n in 1..60 {
        if scale() < 10 && random.usize(0..20) > 0 {
            continue;
        }
        if !exact_kill(call, n) {
            break;
        }
        kills += 1;
    }
    let _ = writeln!(stderr(), "{kills} kills of a queue at {call}");
}

pub(super) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        test(
            "queue: two clones that land groups on one base at once lose none, and land none twice",
            || {
                let ids: Vec<String> = (1..=16).map(|n| format!("t-{n}")).collect();
                let changes: Vec<String> =
                    (1..=16).map(|n| format!("echo {n} > {n}.txt")).collect();
                let work: Vec<(&str, &str)> = ids
                    .iter()
                    .zip(&changes)
                    .map(|(id, change)| (id.as_str(), change.as_str()))
                    .collect();
                let stage = crate::merge::pulled(&work[..8]);
                second_clone(&stage, &work[8..]);
                stage.sh("pr-open -C ../other t-{9..16}").ok();
                // Both are at it before one of them lands.
                let script = "touch ~/at-$([ -e 16.txt ] || [ -e 9.txt ] && echo two || echo one)
                    until [ -e ~/at-one ] && [ -e ~/at-two ]; do sleep 0.02; done";
                let flag = check(&stage, script);
                let both = format!(
                    "pr-merge {flag} t-{{1..8}} & one=$!
                     pr-merge {flag} -C ../other t-{{9..16}} & wait $one; wait $!"
                );
                let ran = stage.sh(&both).ok();
                assert_eq!(ran.ids().len(), 16, "{}", ran.all());
                let mut on_main = landed(&stage);
                assert_eq!(on_main.len(), 16, "{on_main:?}");
                on_main.sort();
                on_main.dedup();
                assert_eq!(on_main.len(), 16, "{on_main:?}");
            },
        ),
        test(
            "queue: killed in the middle of all its checks, the next run ends them and lands all",
            || {
                let stage = many(COUNT, &[]);
                let script = "echo $$ >> ~/log; if [ ! -e ~/go ]; then sleep 600; fi";
                let flag = check(&stage, script) + " --check-jobs 2 --batch 4";
                let mut running = stage.start(&format!("exec pr-merge {flag} t-{{1..{COUNT}}}"));
                until("two checks run", || log(&stage).len() == 2);
                running.kill();
                let _ = running.wait(Duration::from_mins(1));
                let alive = || !stage.processes().is_empty();
                assert!(alive(), "the checks went with their program");
                stage.write("home/go", "");
                let ran = stage.sh(&format!("pr-merge {flag} t-{{1..{COUNT}}}")).ok();
                assert_all_landed(&stage, COUNT, &[], &ran);
                assert!(!alive());
            },
        ),
    ];
    for n in 0..(4 * scale()) as u64 {
        let name = format!("kill: a queue at random, seed {}", seed() + n);
        trials.push(test(&name, move || random_kills(seed() + n)));
    }
    for call in CALLS {
        let name = format!("kill: a queue at every {call}");
        trials.push(test_with("strace", "tests/parts.sh", &name, move || {
            sweep(call);
        }));
    }
    trials
}
