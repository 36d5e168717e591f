//! What a crash left is made whole; what is not ours is never touched.

use libtest_mimic::Trial;
use serde_json::json;

use super::{assert_whole, elsewhere, facts, ids};
use crate::forge::committed;
use crate::stage::{Stage, test, until};

/// Leaves a bead as a `wt-spawn` does that is killed right after its claim.
fn claim(stage: &Stage, id: &str) {
    stage.sh("git config beadline.host box-1").ok();
    let facts = facts(stage, id, "box-1");
    stage.edit(
        id,
        &json!({"status": "in_progress", "assignee": "beadline/box-1/0", "metadata": facts}),
    );
}

pub(super) fn trials() -> Vec<Trial> {
    // Run in the clone, with $id and $tree.
    let crashed = [
        "true",
        "git branch agent/$id",
        "mkdir -p .git/worktrees/$id; printf initializing > .git/worktrees/$id/locked",
        "git worktree add --quiet --no-checkout -b agent/$id $tree",
        "git worktree add --quiet --no-checkout -b agent/$id $tree; printf initializing > .git/worktrees/$id/locked",
        "git worktree add --quiet --no-checkout -b agent/$id $tree; printf initializing > .git/worktrees/$id/locked; rm -r $tree",
        "git worktree add --quiet --no-checkout -b agent/$id $tree; cd .git/worktrees/$id; printf initializing > locked; printf '%040d\\n' 0 > HEAD",
        "git worktree add --quiet --no-checkout -b agent/$id $tree; touch .git/worktrees/$id/beadline-making; echo on > $tree/a.txt",
        "git worktree add --quiet -b agent/$id $tree; touch .git/worktrees/$id/{beadline-making,index.lock}; rm $tree/.gitignore",
        "git worktree add --quiet -b agent/$id $tree; touch .git/worktrees/$id/beadline-making; echo half > $tree/set-up",
        "git worktree add --quiet -b agent/$id $tree; touch .git/worktrees/$id/beadline-ready; rm -r $tree",
        "git worktree add --quiet -b agent/$id $tree; rm -r .git/worktrees/$id; rm $tree/a.txt $tree/.gitignore",
        "mkdir -p $tree",
        "git worktree add --quiet -b agent/$id $tree; touch .git/worktrees/$id/beadline-ready",
    ];
    // The same, each with what is said of it; nothing of these may be touched.
    let foreign = [
        (
            "mkdir -p $tree; echo mine > $tree/mine",
            "in the way: no worktree of this repository",
        ),
        (
            "git worktree add --quiet -b mine $tree",
            "in the way: beadline did not make it",
        ),
        (
            "git worktree add --quiet -b agent/$id $tree",
            "in the way: beadline did not make it",
        ),
        (
            "git worktree add --quiet --no-checkout -b agent/$id $tree; git worktree lock --reason precious $tree",
            "is locked: precious",
        ),
        (
            "mkdir -p ../outside/$id ../work.worktrees; echo mine > ../outside/$id/mine; ln -s ../outside/$id $tree",
            "in the way: a symbolic link",
        ),
        (
            "mkdir -p ../outside; git worktree add --quiet -b agent/$id $tree; touch .git/worktrees/$id/beadline-ready; mv $tree ../outside/$id; ln -s ../outside/$id $tree",
            "in the way: a symbolic link",
        ),
        (
            "git clone --quiet ../remote.git $tree; echo mine > $tree/mine",
            "in the way: no worktree of this repository",
        ),
        (
            "mkdir -p ../work.worktrees; echo mine > $tree",
            "in the way: no worktree of this repository",
        ),
    ];
    vec![
        test(
            "wt-spawn: whatever a crash left of a worktree is made whole",
            move || {
                let count = crashed.len();
                let stage = Stage::with_tasks(count);
                for (id, crash) in ids(count).iter().zip(crashed) {
                    claim(&stage, id);
                    stage
                        .sh(&format!("id={id} tree=../work.worktrees/{id}\n{crash}"))
                        .ok();
                }
                stage.sh("rm -rf .git/beadline").ok();
                let ran = stage.sh("bd-ready --resume | wt-spawn").ok();
                assert_eq!(ran.beads().len(), count, "{}", ran.all());
                assert_whole(&stage, &ids(count));
                stage
                    .sh("git worktree prune --verbose 2>&1 | (! grep .)")
                    .ok();
                // A second run finds nothing to do.
                stage
                    .sh("bd-ready --resume | wt-spawn")
                    .ok()
                    .says_not("worktree");
            },
        ),
        test(
            "wt-spawn: what it did not make and finds in the place is never touched",
            move || {
                let count = foreign.len();
                let stage = Stage::with_tasks(count);
                for (id, (state, _)) in ids(count).iter().zip(foreign) {
                    claim(&stage, id);
                    stage
                        .sh(&format!("id={id} tree=../work.worktrees/{id}\n{state}"))
                        .ok();
                }
                // Their branches are ahead on the remote, which tempts.
                elsewhere(&stage, &format!("for n in {{1..{count}}}; do git checkout --quiet -b agent/t-$n main
                git commit --quiet --allow-empty -m ahead; git push --quiet origin agent/t-$n; done"));
                let look = "find ../work.worktrees ../outside -not -name .git -not -path '*/.git/*' -printf '%p %y %i %T@ %l\\n' | sort
                        for tree in ../work.worktrees/*/ ../outside/*/; do git -C $tree rev-parse HEAD || true; done 2>/dev/null";
                let before = stage.sh(look).ok().stdout;
                let ran = stage.sh("bd-ready --resume | wt-spawn").code(1);
                assert_eq!(ran.stdout, "", "{}", ran.all());
                for (id, (_, why)) in ids(count).iter().zip(foreign) {
                    ran.says_of(id, why);
                    assert!(
                        stage.bead(id)["metadata"]["error"]
                            .as_str()
                            .unwrap()
                            .contains(why)
                    );
                }
                assert_eq!(stage.sh(look).ok().stdout, before);
            },
        ),
        test(
            "wt-spawn: a worktree whose git was killed before it had a head keeps nobody from fetching",
            || {
                let stage = Stage::with_tasks(2);
                committed(&stage, &[("t-1", "echo 1 > 1.txt")]);
                stage.sh("pr-open t-1").ok();
                stage.sh("git worktree add --quiet --no-checkout -b agent/t-2 ../work.worktrees/t-2; cd .git/worktrees/t-2
                          printf initializing > locked; printf '%040d\\n' 0 > HEAD; touch -d '1 minute ago' HEAD").ok();
                elsewhere(
                    &stage,
                    "echo new > new.txt; git add .; git commit --quiet -m new; git push --quiet",
                );
                let ran = stage.sh("pr-merge --no-checks t-1").ok();
                assert_eq!(ran.ids(), ["t-1"], "{}", ran.all());
                assert_eq!(stage.sh("wt-spawn t-2").ok().ids(), ["t-2"]);
                stage.sh("test -f .git/worktrees/t-2/beadline-ready && test -f ../work.worktrees/t-2/new.txt").ok();
            },
        ),
        test("wt-spawn: nothing is repaired under a living agent", || {
            let stage = Stage::with_tasks(2);
            for id in ids(2) {
                claim(&stage, &id);
                stage.edit(&id, &json!({"metadata": {"phase": "working", "run": 1}}));
            }
            stage.sh("mkdir -p .git/beadline/t-1; setsid flock .git/beadline/t-1/hold.lock sleep 300 > /dev/null 2>&1 < /dev/null &
                      BEADLINE_HOLD=box-1:t-2 setsid sleep 300 > /dev/null 2>&1 < /dev/null &").ok();
            until("the holder of a lock", || {
                stage
                    .sh("flock --nonblock .git/beadline/t-1/hold.lock true")
                    .code
                    == Some(1)
            });
            assert_eq!(stage.sh("bd-ready --resume | wt-spawn").ok().ids(), ids(2));
            stage.sh("! ls ../work.worktrees 2>/dev/null").ok();
            assert_eq!(stage.processes().len(), 1);
        }),
        test(
            "wt-spawn: a complete worktree that a person locked passes as it is",
            || {
                let stage = Stage::with_tasks(1);
                stage.sh("wt-spawn t-1; git worktree lock ../work.worktrees/t-1; echo mine > ../work.worktrees/t-1/mine").ok();
                assert_eq!(stage.sh("bd-ready --resume | wt-spawn").ok().ids(), ["t-1"]);
                assert_eq!(stage.read("work.worktrees/t-1/mine"), "mine\n");
            },
        ),
    ]
}
