//! Programs and servers that die, and go on.

use std::thread;
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::Value;

use super::line::{attended, long};
use super::repository::{Repository, landed};
use super::server::Server;
use super::test;
use crate::stage::{Stage, scale, seed, task, until};

#[track_caller]
fn assert_each_once(repository: &Repository, stage: &Stage, count: usize, said: &str) {
    let mut landed = landed(stage);
    landed.sort();
    let mut wanted: Vec<_> = (1..=count).map(|n| format!("Task t-{n} (t-{n})")).collect();
    wanted.sort();
    assert_eq!(landed, wanted, "{said}\n{:#?}", stage.stored());
    // Not all need be called merged: a kill may cut the server off between its push to the base and
    // its database, and then the work has landed and the pull request is closed.
    let pulls = repository.pulls();
    assert_eq!(pulls.len(), count, "{pulls:?}\n{said}");
    let closed = pulls.iter().all(|(_, state, _)| state == "closed");
    assert!(closed, "{pulls:?}\n{said}");
}

fn tasks(count: usize) -> Vec<Value> {
    (1..=count).map(|n| task(&format!("t-{n}"))).collect()
}

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "killed at any moment, the line opens and lands everything once",
            || {
                let (kills, count) = (4 * scale(), 5 * scale().min(4));
                let (repository, mut stage) = Repository::stage(&tasks(count));
                repository.protect(&["ci"], 1);
                // A run before this one may have been killed right after its commit.
                stage.agent(
                    "set -eu
echo \"$BEAD_ID\" > \"$BEAD_ID.txt\"
git add .
git diff --cached --quiet || git commit --quiet -m \"$BEAD_ID\"",
                );
                let mut random = fastrand::Rng::with_seed(seed());
                let ran = attended(&repository, || {
                    for _ in 0..kills {
                        let mut line = stage.start_just("orchestrate");
                        // Any moment: there is no event to wait for.
                        thread::sleep(Duration::from_millis(random.u64(100..8000)));
                        line.kill();
                        let _ = line.wait(Duration::from_mins(2));
                    }
                    long(stage.start_just("orchestrate"))
                });
                assert_each_once(&repository, &stage, count, &ran.ok().all());
            },
        ),
        test(
            "a server that goes down and comes back loses nothing",
            || {
                // Its stop would disturb the other tests.
                let server: &'static Server = Box::leak(Box::new(Server::new()));
                let (repository, mut stage) = Repository::stage_on(server, &tasks(4));
                stage.simple();
                let line = stage.start_just("orchestrate");
                until("one has landed", || line.said().contains("landed as"));
                server.stop();
                server.start();
                let first = long(line);
                // What gave up meanwhile is taken up by the next run.
                let second = long(stage.start_just("orchestrate")).ok();
                let said = first.all() + &second.all();
                assert_each_once(&repository, &stage, 4, &said);
                server.end();
            },
        ),
    ]
}
