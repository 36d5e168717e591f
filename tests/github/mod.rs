//! The line on GitHub, and what vouches for the doubles that stand in for it.

mod http;
mod recordings;
mod spec;

use libtest_mimic::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = spec::trials();
    trials.extend(recordings::trials());
    trials
}
