//! Branches that are there already: taken up, moved to the base, or left alone.

use libtest_mimic::Trial;
use serde_json::json;

use super::{assert_whole, commit, elsewhere, ids, reopen};
use crate::stage::{Stage, test};

/// Runs `wt-spawn`, which gives these beads whole worktrees on branches that are the fresh base.
#[track_caller]
fn spawn_from_base(stage: &Stage, ids: &[String]) {
    stage.sh("bd-ready | wt-spawn").ok();
    assert_whole(stage, ids);
    for id in ids {
        assert_eq!(
            commit(stage, &format!("agent/{id}")),
            commit(stage, "origin/main")
        );
    }
}

#[expect(clippy::too_many_lines, reason = "a list of tests")]
pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "wt-spawn: a local branch with commits of its own is taken up",
            || {
                let stage = Stage::with_tasks(1);
                stage
                    .sh("git branch agent/t-1 $(git commit-tree -p HEAD -m own HEAD^{tree})")
                    .ok();
                let own = commit(&stage, "agent/t-1");
                stage.sh("wt-spawn t-1").ok();
                assert_whole(&stage, &ids(1));
                assert_eq!(commit(&stage, "agent/t-1"), own);
            },
        ),
        test(
            "wt-spawn: a remote branch with commits of its own is taken up, also over an older local one",
            || {
                let stage = Stage::with_tasks(2);
                elsewhere(&stage, "for id in t-1 t-2; do
                git checkout --quiet -b agent/$id main; git commit --quiet --allow-empty -m $id; git push --quiet -u origin agent/$id; done");
                stage.sh("git branch agent/t-2; bd-ready | wt-spawn").ok();
                assert_whole(&stage, &ids(2));
                for id in ids(2) {
                    assert_eq!(
                        commit(&stage, &format!("agent/{id}")),
                        commit(&stage, &format!("origin/agent/{id}"))
                    );
                    assert_ne!(
                        commit(&stage, &format!("agent/{id}")),
                        commit(&stage, "main")
                    );
                }
            },
        ),
        test(
            "wt-spawn: a branch without commits of its own moves to the fresh base",
            || {
                let stage = Stage::with_tasks(2);
                stage
                    .sh("git branch agent/t-1; git push --quiet origin HEAD:agent/t-2")
                    .ok();
                elsewhere(
                    &stage,
                    "git commit --quiet --allow-empty -m later; git push --quiet origin main",
                );
                spawn_from_base(&stage, &ids(2));
            },
        ),
        test(
            "wt-spawn: a branch that is checked out by a person is neither moved nor taken",
            || {
                let stage = Stage::with_tasks(1);
                stage.sh("git checkout --quiet -b agent/t-1").ok();
                elsewhere(
                    &stage,
                    "git checkout --quiet -b agent/t-1; git commit --quiet --allow-empty -m more; git push --quiet -u origin agent/t-1",
                );
                let before = commit(&stage, "HEAD");
                stage
                    .sh("wt-spawn t-1")
                    .code(1)
                    .says("t-1: its branch agent/t-1 is checked out at");
                assert_eq!(commit(&stage, "HEAD"), before);
            },
        ),
        test(
            "wt-spawn: what has landed and was reopened moves to the base, its worktree kept or not",
            || {
                let mut stage = Stage::with_tasks(2);
                stage.simple();
                stage
                    .sh("bd-ready | wt-spawn | agent-run | pr-open | pr-merge")
                    .ok();
                // The one's worktree is still there; the other's is gone, its branches are not.
                stage.sh("wt-clean --keep-branch t-2").ok();
                for id in ids(2) {
                    let bead = stage.bead(&id);
                    assert_eq!(
                        bead["metadata"]["pushed"],
                        json!(commit(&stage, &format!("agent/{id}")))
                    );
                    reopen(&stage, &id);
                }
                spawn_from_base(&stage, &ids(2));
                for id in ids(2) {
                    stage
                        .sh(&format!("test -f ../work.worktrees/{id}/{id}.txt"))
                        .ok();
                }
            },
        ),
        test(
            "wt-spawn: work that was pushed after a landing has not landed",
            || {
                let mut stage = Stage::with_tasks(1);
                stage.simple();
                stage
                    .sh("bd-ready | wt-spawn | agent-run | pr-open | pr-merge | wt-clean")
                    .ok();
                reopen(&stage, "t-1");
                stage.agent(
                    "set -eu; echo again > again.txt; git add .; git commit --quiet -m again",
                );
                stage.sh("bd-ready | wt-spawn | agent-run | pr-open").ok();
                let work = commit(&stage, "agent/t-1");
                stage.edit("t-1", &json!({"status": "blocked", "assignee": ""}));
                stage.sh("wt-spawn --retry t-1").ok();
                assert_eq!(commit(&stage, "agent/t-1"), work);
                stage.sh("test -f ../work.worktrees/t-1/again.txt").ok();
            },
        ),
    ]
}
