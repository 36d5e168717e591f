//! Leases: whoever has a bead in hand keeps its claim alive, so that `bd reclaim` takes beads from
//! the dead only.

use libtest_mimic::Trial;

use super::{assert_all_merged, fact};
use crate::kill::{LINE, prepare};
use crate::stage::{Dolt, Stage, scale, task, test_with_bd, until};

/// Leaves work, says so, and waits for a word before it commits all of it.
const WAITS: &str = r#"
set -eu
echo "run $BEAD_RUN" >> work.txt
touch "$TMPDIR/run-$BEAD_RUN"
until test -e "$TMPDIR/go"; do sleep 0.1; done
git add . && git commit --quiet -m "$BEAD_ID"
"#;

#[track_caller]
fn assert_reclaim_takes_nothing(stage: &Stage) {
    let before = stage.bead("t-1");
    let ran = stage.sh("bd reclaim --older-than 0s").ok();
    let after = stage.bead("t-1");
    assert_eq!(after["status"], "in_progress", "{after}\n{}", ran.all());
    assert_eq!(after["assignee"], before["assignee"], "{}", ran.all());
}

fn lease(stage: &Stage) -> String {
    let bead = stage.bead("t-1");
    bead["lease_expires_at"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// Ages the lease until `bd reclaim` would take the bead, and returns it.
fn aged(stage: &Stage, dolt: &Dolt) -> String {
    stage.age(dolt, "t-1");
    lease(stage)
}

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test_with_bd(
            "leases: bd reclaim takes nothing from a live agent, and a dead one's bead is taken up with its work",
            || {
                let dolt = Dolt::start();
                let mut stage = Stage::on_server(&dolt, &[task("t-1")]);
                stage.simple();
                stage.agent(WAITS);
                let mut line = stage.start(LINE);
                until("the agent works", || stage.path("tmp/run-1").exists());
                assert_reclaim_takes_nothing(&stage);
                line.kill();
                if scale() >= 10 {
                    // Only its supervisor is left to renew it.
                    let old = aged(&stage, &dolt);
                    until("agent-hold renews the lease", || lease(&stage) != old);
                }
                assert_reclaim_takes_nothing(&stage);
                stage.kill_all();
                aged(&stage, &dolt);
                stage.sh("bd reclaim --older-than 0s").ok();
                let bead = stage.bead("t-1");
                assert_eq!(bead["status"], "open", "{bead}");
                stage.write("tmp/go", "");
                let ran = stage.sh(LINE).ok();
                assert_all_merged(&stage, &ran.all());
                let work = stage.sh("git show origin/main:work.txt").ok();
                assert_eq!(work.stdout, "run 1\nrun 2\n");
                stage.assert_clean();
            },
        ),
        test_with_bd(
            "leases: bd reclaim takes nothing from a pull request that a line holds",
            || {
                let dolt = Dolt::start();
                let mut stage = Stage::on_server(&dolt, &[task("t-1")]);
                prepare(&mut stage);
                stage.set("BEADLINE_BY_HAND", "1");
                stage.sh(LINE).ok();
                assert_eq!(fact(&stage.bead("t-1"), "phase"), "pr_created");
                let old = aged(&stage, &dolt);
                let mut line = stage.start(&LINE.replace("--follow", "--follow --forever"));
                until("pr-merge renews the lease", || lease(&stage) != old);
                assert_reclaim_takes_nothing(&stage);
                line.kill();
                stage.kill_all();
                aged(&stage, &dolt);
                stage.sh("bd reclaim --older-than 0s").ok();
                assert_eq!(stage.bead("t-1")["status"], "open");
                stage.set("BEADLINE_BY_HAND", "0");
                let ran = stage.sh(LINE).ok();
                assert_all_merged(&stage, &ran.all());
                stage.assert_clean();
            },
        ),
    ]
}
