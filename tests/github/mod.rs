//! The line on GitHub, and what vouches for the doubles that stand in for it.

mod answers;
mod checks;
mod fake;
mod faults;
mod gateway;
mod http;
mod line;
mod meanwhile;
mod myworld;
mod opening;
mod pushes;
mod queues;
mod recordings;
mod remarks;
mod repository;
mod spec;
mod unread;

use libtest_mimic::Trial;

use crate::stage;

/// A test on our own double.
fn test(name: &str, run: impl FnOnce() + Send + 'static) -> Trial {
    stage::test(&format!("github: {name}"), run)
}

/// The same, of a recipe.
fn test_with_just(name: &str, run: impl FnOnce() + Send + 'static) -> Trial {
    stage::test_with("just", "tests/parts.sh", &format!("github: {name}"), run)
}

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = spec::trials();
    trials.extend(recordings::trials());
    trials.extend(myworld::trials());
    trials.extend(line::trials());
    trials.extend(opening::trials());
    trials.extend(answers::trials());
    trials.extend(checks::trials());
    trials.extend(queues::trials());
    trials.extend(faults::trials());
    trials.extend(meanwhile::trials());
    trials.extend(unread::trials());
    trials.extend(remarks::trials());
    trials.extend(pushes::trials());
    trials
}
