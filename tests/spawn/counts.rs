//! Many beads, many programs, and kills at any moment: one worktree a bead.

use libtest_mimic::Trial;

use super::{assert_whole, ids, lines};
use crate::stage::{Stage, scale, test};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "wt-spawn: 64 beads at once get 64 worktrees and no stray branch, again and again",
            || {
                for _ in 0..2 * scale() {
                    let stage = Stage::with_tasks(64);
                    let ran = stage.sh("bd-ready | wt-spawn --jobs 16").ok();
                    assert_eq!(ran.beads().len(), 64, "{}", ran.all());
                    assert_whole(&stage, &ids(64));
                }
            },
        ),
        test(
            "wt-spawn: of 16 that race for the same beads exactly one claims each",
            || {
                let stage = Stage::with_tasks(16);
                let ran = stage
                    .sh("bd-ready > ../beads; pids=
                     for i in {1..16}; do
                         wt-spawn < ../beads > ../out.$i 2> ../err.$i & pids=\"$pids $!\"
                     done
                     for pid in $pids; do wait $pid; done
                     cat ../err.* >&2; cat ../out.*")
                    .ok();
                for id in ids(16) {
                    assert_eq!(
                        lines(&ran.stderr, &format!(" {id}: claimed")),
                        1,
                        "{}",
                        ran.all()
                    );
                    for n in 1..=16 {
                        let won = stage
                            .read(&format!("out.{n}"))
                            .contains(&format!("\"id\":\"{id}\""));
                        let lost = stage
                            .read(&format!("err.{n}"))
                            .contains(&format!(" {id}: left"));
                        assert!(won || lost, "{n} says nothing of {id}\n{}", ran.all());
                    }
                }
                assert_whole(&stage, &ids(16));
            },
        ),
        test("wt-spawn: beads that wait together share a fetch", || {
            let stage = Stage::with_tasks(16);
            // A remote that is slow to answer, and counts.
            stage.write("home/upload", "#!/bin/sh\necho fetch >> \"$HOME/fetches\"; sleep 1\nexec git-upload-pack \"$@\"\n");
            stage
                .sh("chmod +x ~/upload; git config remote.origin.uploadpack ~/upload")
                .ok();
            stage.sh("bd-ready | wt-spawn --jobs 16").ok();
            assert_whole(&stage, &ids(16));
            let fetches = lines(&stage.read("home/fetches"), "fetch");
            assert!((1..=6).contains(&fetches), "{fetches} fetches for 16 beads");
        }),
        test(
            "wt-spawn: killed at any moment, the next run makes all worktrees whole",
            || {
                let mut random = fastrand::Rng::with_seed(crate::stage::seed());
                for _ in 0..3 * scale() {
                    let stage = Stage::with_tasks(8);
                    for _ in 0..3 {
                        let mut running = stage.start("bd-ready --resume | wt-spawn");
                        std::thread::sleep(std::time::Duration::from_millis(random.u64(20..600)));
                        running.kill();
                    }
                    stage.sh("bd-ready --resume | wt-spawn").ok();
                    assert_whole(&stage, &ids(8));
                }
            },
        ),
    ]
}
