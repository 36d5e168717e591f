//! The real Beads behind the programs: which store is found, that both say the same, who wins a
//! claim, and what comes of a `bd` that fails.

mod agreement;
mod claims;
mod detection;
mod failures;
mod tracker;

use libtest_mimic::Trial;

use crate::stage::Stage;

/// Puts a `bd` before the real one, which it reaches as `"$REAL_BD"`. `as_fake` makes a shell line
/// run with it.
fn fake(stage: &Stage, script: &str) {
    stage.write("fake/bd", &format!("#!/bin/bash\n{script}\n"));
    stage.sh("chmod +x ../fake/bd").ok();
}

fn as_fake(script: &str) -> String {
    format!("export REAL_BD=$(command -v bd) PATH=$(cd .. && pwd)/fake:$PATH\n{script}")
}

pub(crate) fn trials() -> Vec<Trial> {
    [
        detection::trials(),
        agreement::trials(),
        claims::trials(),
        failures::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
