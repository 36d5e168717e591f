//! What hostile reading found, at random: each class is a story that a seed composes, and whatever
//! the story, nothing is lost and nothing unchecked lands. An ordinary run tells one story of each
//! class, `just stress` ten. (Kills are in `kill`, a clone that breaks in
//! `spawn`, what GitHub answers in `github`.)

mod containment;
mod destroyed;
mod unreadable;

use std::io::{Write, stderr};
use std::time::Duration;

use libtest_mimic::Trial;

use crate::stage::{Ran, Stage, scale, seed, test, test_with};

/// No line of these stories takes longer, however busy the machine is.
const LONGEST: Duration = Duration::from_mins(4);

/// The line as `just orchestrate` runs it.
pub(crate) const LINE: &str =
    "bd-ready --follow | wt-spawn | agent-run | pr-open | pr-merge | wt-clean --all > /dev/null";

/// Runs a shell line to its end.
fn run(stage: &Stage, line: &str) -> Ran {
    stage.start(line).wait(LONGEST)
}

/// Runs the line until it says that all is well; what it said.
fn run_to_the_end(stage: &Stage) -> String {
    let mut said = String::new();
    for _ in 0..4 {
        let ran = run(stage, LINE);
        said += &ran.all();
        if ran.code == Some(0) {
            break;
        }
    }
    said
}

/// Tells a story as it is made, under `just stress`.
fn say(story: &str) {
    if scale() > 1 {
        let _ = writeln!(stderr(), "{story}");
    }
}

/// A few of these, each at most once, in any order.
fn some<T: Copy>(
    random: &mut fastrand::Rng,
    all: &[T],
    count: std::ops::RangeInclusive<usize>,
) -> Vec<T> {
    let count = random.usize(count).min(all.len());
    let mut all = all.to_vec();
    random.shuffle(&mut all);
    all.truncate(count);
    all
}

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for n in 0..scale() as u64 {
        let seed = seed() + n;
        trials.push(test_with(
            "bwrap",
            "tests/parts.sh",
            &format!("containment: agents attack at random, seed {seed}"),
            move || containment::story(seed),
        ));
        trials.push(test(
            &format!("destroyed work: people and the line at random, seed {seed}"),
            move || destroyed::story(seed),
        ));
        trials.push(test(
            &format!("unreadable answers: Beads and the remote at random, seed {seed}"),
            move || unreadable::story(seed),
        ));
    }
    trials
}
