//! What every program that reads beads promises of its streams, its flags and its settings.

mod dry_runs;
mod flags;
mod records;
mod streams;

use libtest_mimic::Trial;

use crate::stage::{Ran, Stage};

/// The line, program by program, as it is run on a bead that has work to do.
const LINE: [&str; 5] = ["wt-spawn", "agent-run", "pr-open", "pr-merge", "wt-clean"];

/// Asserts that nothing is left once `--all` has taken away what beads share.
#[track_caller]
fn swept(stage: &Stage) {
    stage.sh("wt-clean --all < /dev/null").ok();
    stage.assert_clean();
}

#[track_caller]
fn each(ran: &Ran, expected: &str) {
    assert_eq!(ran.stdout, expected, "{}", ran.all());
}

pub(crate) fn trials() -> Vec<Trial> {
    [
        streams::trials(),
        records::trials(),
        dry_runs::trials(),
        flags::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
