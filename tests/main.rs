//! The real programs over real pipes, with real git and the real justfile.
//!
//! A harness of its own (libtest-mimic), so that a test whose parts are missing is reported as
//! ignored, by name, and never passes as green.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::too_many_lines, reason = "a list of tests is one function")]

mod agents;
mod beads;
mod clean;
mod contract;
mod database;
mod edges;
mod forge;
mod gitea;
mod github;
mod hostile;
mod import;
mod kill;
mod merge;
mod people;
mod plan;
mod readme;
mod ready;
mod real_agents;
mod recipes;
mod seed;
mod serve;
mod signals;
mod spawn;
mod stage;
mod status;
mod stress;
mod tidy;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let args = Arguments::from_args();
    stage::heed_signals();
    let mut trials: Vec<Trial> = Vec::new();
    trials.extend(agents::trials());
    trials.extend(beads::trials());
    trials.extend(clean::trials());
    trials.extend(contract::trials());
    trials.extend(database::trials());
    trials.extend(edges::trials());
    trials.extend(forge::trials());
    trials.extend(gitea::trials());
    trials.extend(github::trials());
    trials.extend(hostile::trials());
    trials.extend(import::trials());
    trials.extend(kill::trials());
    trials.extend(merge::trials());
    trials.extend(people::trials());
    trials.extend(plan::trials());
    trials.extend(readme::trials());
    trials.extend(ready::trials());
    trials.extend(real_agents::trials());
    trials.extend(recipes::trials());
    trials.extend(seed::trials());
    trials.extend(serve::trials());
    trials.extend(signals::trials());
    trials.extend(spawn::trials());
    trials.extend(stage::trials());
    trials.extend(status::trials());
    trials.extend(stress::trials());
    trials.extend(tidy::trials());
    let ended = libtest_mimic::run(&args, trials).exit_code();
    gitea::stop();
    ended
}
