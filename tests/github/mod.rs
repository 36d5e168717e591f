//! The line on GitHub, and what vouches for the doubles that stand in for it.

mod fake;
mod gateway;
mod http;
mod line;
mod myworld;
mod recordings;
mod repository;
mod spec;

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
    trials
}
