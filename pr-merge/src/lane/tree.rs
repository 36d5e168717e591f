//! The lane's worktrees. The one in which merges are checked is kept from one landing to the next,
//! so that builds stay warm, and made anew after all that a check may have done to it; one in which
//! a head is reviewed is made for that review.

use std::fs;
use std::path::Path;

use beads::lock::{self, Lock};
use git::shell::{Ended, Judged};
use git::worktree::{self, Plan};
use git::{Git, Sha, Tree};

use crate::lane::Lanes;

impl Lanes<'_> {
    /// The worktree of the lane, at `commit`. What cannot be put right is made anew, and so is what
    /// a check has left that did not pass.
    pub(super) fn tree_at(&self, commit: Sha, base: &str, lane: &Lock) -> anyhow::Result<Tree> {
        let path = self.root.merge(base);
        let marker = worktree::marker(&self.tool.repository, &path);
        // A check of a program that was killed may still be at work there.
        marker.end();
        let kept = worktree::complete(&self.look, &path).ok().flatten();
        if let Some(tree) = kept.and_then(|kept| kept.sound().ok())
            && put_right(&tree, commit, lane).is_ok()
        {
            return Ok(tree);
        }
        let tree = self.anew(&path, commit, lane)?;
        self.args
            .furnish
            .fill(self.tool.repository.main(), &path, "", &marker)?;
        Plan::finish(&tree)?;
        put_right(&tree, commit, lane)?;
        Ok(tree)
    }

    /// A worktree at `commit`, with its files and nothing else. The caller holds the lane.
    pub(super) fn anew(&self, path: &Path, commit: Sha, lane: &Lock) -> anyhow::Result<Tree> {
        self.put_away(path)?;
        let plan = Plan {
            root: &self.root,
            path,
            branch: None,
            start: commit,
            lock: lane,
        };
        plan.make(&self.tool.repository, &self.look)
    }

    /// Puts away a worktree of this lane, whatever became of it. Nobody but lanes has such a place.
    pub(super) fn put_away(&self, path: &Path) -> anyhow::Result<()> {
        let folders = self.tool.repository.folders();
        fs::create_dir_all(&folders)?;
        let _one_at_a_time = lock::take_dir(&folders)?;
        match self.look.git_dir_of(path)? {
            Some(git_dir) => {
                worktree::require_unlocked(path, &git_dir)?;
                worktree::remove(&self.root, path, &git_dir)
            }
            None if self.root.holds(path) => self.root.discard(path),
            None => Ok(()),
        }
    }
}

/// Runs a check in the worktree, which counts as complete again only if it passes: its ignored
/// files vouch for nothing otherwise, nor do those of a check that was killed with us.
pub(crate) fn in_tree(
    tree: &Tree,
    check: impl FnOnce() -> anyhow::Result<Ended>,
) -> anyhow::Result<Ended> {
    Plan::unfinish(tree)?;
    let ended = unlocked(tree, check)?;
    if ended.judged() == Judged::Passed {
        // It may have removed that.
        let _ = Plan::finish(tree);
    }
    Ok(ended)
}

/// Runs what agents may have written in a worktree. A lock on it that comes meanwhile is no person's:
/// it would be kept for ever.
pub(crate) fn unlocked<T>(tree: &Tree, run: impl FnOnce() -> T) -> T {
    let lock = tree.git_dir().join("locked");
    let was_locked = lock.exists();
    let ended = run();
    if !was_locked {
        let _ = fs::remove_file(lock);
    }
    ended
}

/// Brings the worktree to `commit`, whatever a check that passed has changed in it; ignored files
/// stay.
fn put_right(tree: &Tree, commit: Sha, lane: &Lock) -> anyhow::Result<()> {
    // Left by a git that was killed: whoever has the lane is alone here.
    let _ = fs::remove_file(tree.git_dir().join("index.lock"));
    let git = Git::within(tree).with_tokens().holding(lane);
    // An index that no check has written: it may call changed files unchanged.
    git.run(&["read-tree", "HEAD"])?;
    git.ran(&["update-index", "-q", "--refresh"])?;
    git.run(&[
        "checkout",
        "--quiet",
        "--force",
        "--detach",
        &commit.to_string(),
    ])?;
    // Twice: repositories among what is left go, too.
    git.run(&["clean", "--quiet", "-d", "--force", "--force"])?;
    Ok(())
}
