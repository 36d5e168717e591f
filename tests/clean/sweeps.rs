//! `--all`: what a crash left at any step.

use libtest_mimic::Trial;

use super::{ids, landed, lines};
use crate::stage::test;

fn sweeps() {
    // Run in the clone, with $id and $tree.
    let crashed = [
        "true",
        "git push --quiet origin :agent/$id",
        "git push --quiet origin :agent/$id; git -C $tree checkout --quiet --detach",
        "git push --quiet origin :agent/$id; git -C $tree checkout --quiet --detach; git branch --quiet -D agent/$id",
        "mkdir -p $root/.trash; mv $tree $root/.trash/$id-0",
        "git push --quiet origin :agent/$id; git update-ref -d refs/heads/agent/$id; mkdir -p $root/.trash; mv $tree $root/.trash/$id-0; rm -r $root/.trash/$id-0/.git",
        "git worktree remove $tree",
        "git worktree remove $tree; git branch --quiet -D agent/$id",
        "git worktree remove $tree; git push --quiet origin :agent/$id",
        "rm -r $tree",
    ];
    let count = crashed.len();
    let stage = landed(count);
    for (id, crash) in ids(count).iter().zip(crashed) {
        stage
            .sh(&format!(
                "id={id} root=../work.worktrees tree=../work.worktrees/{id}\n{crash}"
            ))
            .ok();
    }
    stage
        .sh(
            "git worktree add --quiet --detach ../work.worktrees/.merge-other; touch .git/beadline/merge-other.lock .git/beadline/check-other.lock
             git worktree add --quiet --detach ../work.worktrees/.merge-other+2
             git worktree add --quiet --detach ../work.worktrees/.review-other
             BEADLINE_HOLD=$(git config beadline.host):.review-other setsid sleep 600 > /dev/null 2>&1 &",
        )
        .ok();
    // A check or a review that is under way keeps its worktree, a person's lock, too.
    stage.sh("git worktree add --quiet --detach ../work.worktrees/.merge-busy+3
              git worktree add --quiet --detach ../work.worktrees/.review-busy
              git worktree add --quiet --detach ../work.worktrees/.merge-locked; git worktree lock ../work.worktrees/.merge-locked").ok();
    let ran = stage
        .sh("flock .git/beadline/check-busy+3.lock flock .git/beadline/review-busy.lock wt-clean --all < /dev/null")
        .code(1);
    assert_eq!(
        (ran.stdout.as_str(), lines(&ran.stderr, "is locked")),
        ("", 1),
        "{}",
        ran.all()
    );
    let left = stage.sh("ls -A ../work.worktrees; git for-each-ref refs/heads/agent; git ls-remote origin 'refs/heads/agent/*'").ok();
    assert_eq!(left.stdout, ".merge-busy+3\n.merge-locked\n.review-busy\n");
    stage
        .sh("git worktree unlock ../work.worktrees/.merge-locked; wt-clean --all < /dev/null")
        .ok();
    stage.assert_clean();
    stage
        .sh("test ! -e ../work.worktrees; git worktree prune --verbose 2>&1 | (! grep .)")
        .ok();
}

/// A line that died while a forge was asked to merge says so by the time of its lane's lock.
fn in_flight() {
    let stage = landed(1);
    stage
        .sh("touch -d '+20 seconds' .git/beadline/merge-asked.lock
             wt-clean --all < /dev/null
             test -e .git/beadline/merge-asked.lock
             touch .git/beadline/merge-asked.lock
             wt-clean --all < /dev/null")
        .ok();
    stage.assert_clean();
}

pub(super) fn trials() -> Vec<Trial> {
    vec![sweep(), merge_in_flight()]
}

fn merge_in_flight() -> Trial {
    test(
        "wt-clean: --all keeps the word of a merge that is in flight",
        in_flight,
    )
}

fn sweep() -> Trial {
    test(
        "wt-clean: --all sweeps what a crash left at any step",
        sweeps,
    )
}
