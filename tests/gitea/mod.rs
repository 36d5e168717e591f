//! The line on a real Gitea.

mod answers;
mod faults;
mod kills;
mod line;
mod opening;
mod people;
mod pushes;
mod repository;
mod server;

use libtest_mimic::Trial;

use crate::stage;

pub(crate) use server::stop;

/// A test that needs Gitea.
fn test(name: &str, run: impl FnOnce() + Send + 'static) -> Trial {
    let part = server::part().to_str().unwrap();
    stage::test_with(part, "tests/parts.sh", &format!("gitea: {name}"), run)
}

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = line::trials();
    trials.extend(opening::trials());
    trials.extend(answers::trials());
    trials.extend(people::trials());
    trials.extend(pushes::trials());
    trials.extend(faults::trials());
    trials.extend(kills::trials());
    trials
}
