//! Beads and the remote give answers that nobody can read, at random moments and for random times.
//! No bead is ended or blocked for it, no agent is ended, and when it is over everything lands, once.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use crate::stage::{Running, Stage, task, task_on, until};

use super::{LINE, LONGEST, run_to_the_end, say};

const BEADS: [&str; 4] = ["t-1", "t-2", "t-3", "t-4"];

/// Says when it has begun, and when it is told to end.
const AGENT: &str = "set -eu; trap 'echo $BEAD_ID >> \"$HOME/ended\"; exit 1' TERM
echo \"$BEAD_ID\" > \"$BEAD_ID.txt\"; touch \"$HOME/begun\"
n=0; while [ $n -lt 30 ]; do sleep 0.1; n=$((n + 1)); done
git add .; git diff --cached --quiet || git commit --quiet -m \"$BEAD_ID\"\n";

/// What the remote says while `~/fault` holds that word.
const REMOTE: &str = "#!/bin/sh
case $(cat \"$HOME/fault\" 2>/dev/null) in
away) exit 1;;
silent) exit 0;;
garbage) head -c 200 /dev/urandom;;
words) echo 'remote: <html>503</html>'; exit 0;;
half) git-PROGRAM \"$@\" | head -c 150;;
*) exec git-PROGRAM \"$@\";;
esac\n";

#[derive(Clone, Copy)]
enum Fault {
    /// What the file of beads says instead of what it says.
    Beads(fn(&str, &mut fastrand::Rng) -> String),
    /// What the remote does.
    Remote(&'static str),
    /// A ref of the remote that is no answer.
    Ref(&'static str),
}

/// The first of them only hide beads.
const HIDDEN: usize = 3;

const FAULTS: [(&str, Fault); 14] = [
    ("no beads", Fault::Beads(|_, _| String::new())),
    ("blank lines", Fault::Beads(|_, _| "\n\n".to_owned())),
    (
        "some of the beads",
        Fault::Beads(|text, random| {
            text.split_inclusive('\n')
                .filter(|_| random.bool())
                .collect()
        }),
    ),
    (
        "half of the beads",
        Fault::Beads(|text, random| text.chars().take(random.usize(0..text.len())).collect()),
    ),
    (
        "a conflict",
        Fault::Beads(|text, _| format!("<<<<<<< HEAD\n{text}=======\n{text}")),
    ),
    (
        "odd statuses",
        Fault::Beads(|text, _| text.replace("\"status\":\"", "\"status\":7,\"was\":\"")),
    ),
    ("a remote that is away", Fault::Remote("away")),
    ("a remote that says nothing", Fault::Remote("silent")),
    ("a remote that says garbage", Fault::Remote("garbage")),
    ("a remote that says a page", Fault::Remote("words")),
    ("half of an answer", Fault::Remote("half")),
    ("no pull request", Fault::Ref("refs/beadline/pull/9")),
    ("no head", Fault::Ref("refs/pull/9/head")),
    ("no branch", Fault::Ref("refs/beadline/open/agent/t-9")),
];

impl Fault {
    /// Lets it last so long. Whoever writes beads waits meanwhile, as the programs do for each other:
    /// what the line writes is not to be lost by the test itself.
    fn last(self, stage: &Stage, random: &mut fastrand::Rng, long: Duration) {
        match self {
            Self::Beads(odd) => {
                let file = stage.path("work/.beads/issues.jsonl");
                let hold = stage.start("exec 9< .beads; flock 9; touch ../locked; until [ -e ../over ]; do sleep 0.05; done");
                until("beads are locked", || stage.path("locked").exists());
                let text = fs::read_to_string(&file).unwrap();
                put(stage, &odd(&text, random));
                std::thread::sleep(long);
                put(stage, &text);
                stage.write("over", "");
                hold.wait(LONGEST).ok();
                for mark in ["locked", "over"] {
                    fs::remove_file(stage.path(mark)).unwrap();
                }
            }
            Self::Remote(word) => {
                stage.write("home/fault", word);
                std::thread::sleep(long);
                stage.write("home/fault", "");
            }
            // It stays: only one look at it may fail, not those at others.
            Self::Ref(name) => {
                let script =
                    format!("git update-ref {name} $(echo garbage | git hash-object -w --stdin)");
                let _ = stage.sh_in("remote.git", &script);
            }
        }
    }
}

/// Puts a text in the place of the file of beads, in one step.
fn put(stage: &Stage, text: &str) {
    let new = stage.path("work/.beads/odd");
    fs::write(&new, text).unwrap();
    fs::rename(new, stage.path("work/.beads/issues.jsonl")).unwrap();
}

fn stage() -> Stage {
    let beads = BEADS.map(|id| match id {
        "t-4" => task_on(id, &[("t-1", "blocks")]),
        id => task(id),
    });
    let mut stage = Stage::new(&beads);
    stage.agent(AGENT);
    stage.set("BEADLINE_NO_CHECKS", "1");
    for program in ["upload-pack", "receive-pack"] {
        let path = format!("home/{program}");
        stage.write(&path, &REMOTE.replace("PROGRAM", program));
        fs::set_permissions(stage.path(&path), fs::Permissions::from_mode(0o755)).unwrap();
    }
    stage
        .sh("git config remote.origin.uploadpack ~/upload-pack; git config remote.origin.receivepack ~/receive-pack")
        .ok();
    stage
}

/// Faults one after the other, with pauses, while the line runs.
fn disturb(
    stage: &Stage,
    random: &mut fastrand::Rng,
    line: &mut Running,
    faults: &[(&str, Fault)],
) -> String {
    let mut told = String::new();
    until("an agent works", || stage.path("home/begun").exists());
    for n in 0..3 {
        if line.is_over() {
            break;
        }
        // The first one meets agents at work, for longer than the line takes to look.
        let shortest = if n == 0 { 2200 } else { 50 };
        let (name, fault) = *random.choice(faults).unwrap();
        let long = Duration::from_millis(random.u64(shortest..3500));
        writeln!(told, "{name} for {long:?}").unwrap();
        fault.last(stage, random, long);
        std::thread::sleep(Duration::from_millis(random.u64(0..2000)));
    }
    told
}

pub(super) fn story(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let stage = stage();
    let mut line = stage.start(LINE);
    let mut said = format!("seed {seed}\n");
    // What is not shown for a moment disturbs nobody; of the rest the next run takes up what failed.
    let gentle = random.bool();
    let faults = if gentle {
        &FAULTS[..HIDDEN]
    } else {
        &FAULTS[..]
    };
    said += &disturb(&stage, &mut random, &mut line, faults);
    say(&said);
    said += &line.wait(LONGEST).all();
    for bead in stage.stored() {
        assert_ne!(bead["status"], "blocked", "{bead}\n{said}");
        if gentle {
            assert_eq!(bead["status"], "closed", "{bead}\n{said}");
        }
    }
    assert!(
        !stage.path("home/ended").exists(),
        "an agent was ended\n{said}"
    );
    said += &run_to_the_end(&stage);
    let subjects = stage
        .sh("git -C ../remote.git log --format=%s main")
        .ok()
        .stdout;
    for id in BEADS {
        let bead = stage.bead(id);
        assert_eq!(bead["status"], "closed", "{bead}\n{said}");
        let landed = subjects
            .lines()
            .filter(|line| line.ends_with(&format!("({id})")));
        assert_eq!(landed.count(), 1, "{id}\n{subjects}\n{said}");
    }
    assert_eq!(stage.stored().len(), BEADS.len(), "{said}");
}
