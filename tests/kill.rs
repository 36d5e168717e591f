//! Kills, everywhere: at random moments, and at every boundary between two effects. Whatever was
//! killed, the line is run again and everything is as if nothing had happened.

use std::collections::HashSet;
use std::fs;
use std::io::{Write, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::stage::{BIN, Stage, scale, seed, task, task_on, test_with};

/// The line as `just orchestrate` runs it, with `shim` before the programs.
pub(crate) const LINE: &str = "PATH=\"$PWD/../shim:$PATH\"
bd-ready --follow | wt-spawn | agent-run | pr-open | pr-merge ${CHECK:+--check \"$CHECK\"} | wt-clean --all > /dev/null";

const AGENT: &str = r#"
set -eu
echo "$BEAD_ID" > "$BEAD_ID.txt"
sleep 0.1
git add .
# A run before this one may have been killed right after its commit.
git diff --cached --quiet || git commit --quiet -m "$BEAD_ID"
"#;

const PROGRAMS: [&str; 6] = [
    "bd-ready",
    "wt-spawn",
    "agent-run",
    "pr-open",
    "pr-merge",
    "wt-clean",
];

/// What the programs do between two effects. `agent-run` stands for `agent-hold` and the agent too.
const CALLS: [&str; 6] = ["execve", "rename", "unlinkat", "fsync", "flock", "unlink"];

/// How many kills of each kind an ordinary run makes; `just stress` makes ten times as many.
const RANDOM: usize = 16;

fn stage(beads: &[Value]) -> Stage {
    let mut stage = Stage::new(beads);
    prepare(&mut stage);
    let check = stage.check("true");
    stage.set("CHECK", &check);
    stage
}

/// Makes a stage ready for [`LINE`]: an agent with a moment in which it can be killed at work.
pub(crate) fn prepare(stage: &mut Stage) {
    stage.simple();
    stage.agent(AGENT);
    fs::create_dir(stage.path("shim")).unwrap();
}

/// Reads the store all the time: it is whole at every moment.
struct Reader(Arc<AtomicBool>, JoinHandle<()>);

impl Reader {
    fn start(stage: &Stage) -> Self {
        let path = stage.path("work/.beads/issues.jsonl");
        let go = Arc::new(AtomicBool::new(true));
        let going = Arc::clone(&go);
        let count = fs::read_to_string(&path).unwrap().lines().count();
        let thread = thread::spawn(move || {
            while going.load(Ordering::Relaxed) {
                let Ok(text) = fs::read_to_string(&path) else {
                    // The stage of a test that failed is gone.
                    assert!(!going.load(Ordering::Relaxed), "the store is gone");
                    return;
                };
                assert_eq!(text.lines().count(), count, "{text}");
                for line in text.lines() {
                    serde_json::from_str::<Value>(line).expect(line);
                }
                thread::sleep(Duration::from_millis(2));
            }
        });
        Self(go, thread)
    }

    fn stop(self) {
        self.0.store(false, Ordering::Relaxed);
        self.1
            .join()
            .expect("the store was readable at every moment");
    }
}

/// Runs the line until it says that all is well: a program that lost its git to a kill has left an
/// error for the next run. Then nothing may show that there was a kill.
#[track_caller]
pub(crate) fn assert_recovers(stage: &Stage, what: &str) {
    let mut said = String::new();
    for _ in 0..4 {
        let ran = stage.sh(LINE);
        said += &ran.all();
        if ran.code == Some(0) {
            break;
        }
    }
    let beads = stage.stored();
    for bead in &beads {
        assert_eq!(
            bead["metadata"]["phase"], "merged",
            "{what}\n{bead}\n{said}"
        );
        assert_eq!(bead["status"], "closed", "{what}\n{bead}\n{said}");
    }
    let numbers: HashSet<u64> = beads
        .iter()
        .map(|bead| bead["metadata"]["pr_number"].as_u64().unwrap())
        .collect();
    assert_eq!(
        numbers,
        (1..=beads.len() as u64).collect(),
        "{what}\n{said}"
    );
    let main = stage.sh("git fetch --quiet && git log --format=%s origin/main && git ls-tree --name-only origin/main").ok();
    for bead in &beads {
        let id = bead["id"].as_str().unwrap();
        let landed = main
            .stdout
            .lines()
            .filter(|line| line.ends_with(&format!("({id})")))
            .count();
        assert_eq!(landed, 1, "{what}: {id}\n{}\n{said}", main.stdout);
        assert!(
            main.stdout.lines().any(|line| line == format!("{id}.txt")),
            "{what}: {id} lost"
        );
    }
    let refs = stage.sh("git ls-remote origin 'refs/pull/*' | wc -l; git ls-remote origin 'refs/beadline/open/*' | wc -l").ok();
    assert_eq!(
        refs.stdout,
        format!("{}\n0\n", beads.len()),
        "{what}\n{said}"
    );
    stage.assert_clean();
}

/// The processes of the line, or of its agents, by the name of the program.
fn victims(stage: &Stage, name: &str) -> Vec<Pid> {
    let own = stage.own().into_iter().filter(|(_, own)| own == name);
    own.map(|(pid, _)| pid).collect()
}

/// Kills the whole line, one of its processes or one of `others`, twice, each time within `longest`
/// of its start; then it has to recover.
pub(crate) fn random_kills(seed: u64, stage: &Stage, others: &[&str], longest: Duration) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut did = Vec::new();
    for _ in 0..2 {
        let mut line = stage.start(LINE);
        let all = [&["line", "line"], others, &PROGRAMS].concat();
        let victim = random.choice(&all).copied().unwrap();
        let at = longest.mul_f64(random.f64());
        did.push(format!("seed {seed}: {victim} killed after {at:?}"));
        thread::sleep(at);
        if victim == "line" {
            line.kill();
        } else {
            let found = victims(stage, victim);
            if let Some(pid) = random.choice(&found) {
                let _ = kill_process(*pid, Signal::KILL);
            }
            // What is left of the line ends when it has nothing to do, or now.
            let patience = Instant::now();
            while patience.elapsed() < Duration::from_millis(700) {
                thread::sleep(Duration::from_millis(20));
            }
            line.kill();
        }
        let _ = line.wait(Duration::from_mins(2));
    }
    assert_recovers(stage, &did.join("; "));
}

fn random_kills_on_a_file(seed: u64) {
    let stage = stage(&[
        task("t-1"),
        task_on("t-2", &[("t-1", "blocks")]),
        task("t-3"),
        task("t-4"),
    ]);
    let reader = Reader::start(&stage);
    let others = ["agent-hold", "sh", "git"];
    random_kills(seed, &stage, &others, Duration::from_millis(1500));
    reader.stop();
}

/// Kills `program` or one of its children at its `n`th `call`. Whether anything was killed.
fn exact_kill(program: &str, call: &str, n: usize) -> bool {
    let stage = stage(&[task("t-1")]);
    let shim = format!(
        "#!/bin/sh\nexec strace -f -qq -o '{trace}' -e trace={call} -e inject={call}:signal=KILL:when={n} -- '{bin}/{program}' \"$@\"\n",
        trace = stage.path("trace").display(),
        bin = BIN.display(),
    );
    stage.write(&format!("shim/{program}"), &shim);
    stage.sh("chmod +x ../shim/*").ok();
    let reader = Reader::start(&stage);
    let mut line = stage.start(LINE);
    let started = Instant::now();
    // A line that lost a program may wait for its agent's end, or for a back-off: not needed here.
    while !line.is_over() && started.elapsed() < Duration::from_secs(5) {
        thread::sleep(Duration::from_millis(10));
    }
    line.kill();
    let _ = line.wait(Duration::from_mins(2));
    let killed = stage.read("trace").contains("killed by SIGKILL");
    stage.sh("rm ../shim/*").ok();
    assert_recovers(&stage, &format!("{program} at {call} number {n}"));
    reader.stop();
    killed
}

/// Sweeps one program and one call, until the program ends by itself. An ordinary run takes a
/// seeded tenth of the points.
fn sweep(program: &str, call: &str) {
    let mut random = fastrand::Rng::with_seed(seed());
    let mut kills = 0;
    // PATH is searched with execve, once a folder: the same boundary many times.
    for n in 1..60 {
        if scale() < 10 && random.usize(0..10) > 0 {
            continue;
        }
        if !exact_kill(program, call, n) {
            break;
        }
        kills += 1;
    }
    let _ = writeln!(stderr(), "{kills} kills of {program} at {call}");
}

pub(crate) fn trials() -> Vec<Trial> {
    let with = |name: String, run: Box<dyn FnOnce() + Send>| {
        test_with("strace", "tests/parts.sh", &name, run)
    };
    let mut trials = Vec::new();
    for n in 0..(RANDOM * scale()) as u64 / 2 {
        let run = move || random_kills_on_a_file(seed() + n);
        trials.push(with(
            format!("kill: at random, seed {}", seed() + n),
            Box::new(run),
        ));
    }
    for program in &PROGRAMS[1..] {
        for call in CALLS {
            let run = move || sweep(program, call);
            trials.push(with(
                format!("kill: {program} at every {call}"),
                Box::new(run),
            ));
        }
    }
    trials
}
