//! Where checks and reviews run: worktrees of ours, one for each slot, with a lock and a marker of
//! its own. One in which merges are checked is kept, so that builds stay warm, and made anew after
//! all that a check may have done to it; one in which a head is reviewed is made for that review.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use beads::Tool;
use beads::lock::{self, Lock};
use git::process::Marker;
use git::shell::{Ended, Judged};
use git::worktree::{self, NewWorktree};
use git::{Git, Look, Root, Sha, Tree, put, small};

use crate::Args;

/// Says in the folder of a worktree what its includes and its set-up were.
const FURNISHED: &str = "beadline-furnished";

/// Runs checks and reviews, each in a thread of its own.
#[derive(Clone)]
pub(crate) struct Runner {
    pub(super) tool: Tool,
    pub(super) args: Arc<Args>,
    pub(super) look: Arc<Look>,
    root: Root,
}

/// A place to run in, which is ours alone until this is dropped.
pub(crate) struct Slot {
    pub(super) path: PathBuf,
    pub(crate) lock: Lock,
    /// That of the lock's file.
    pub(crate) name: String,
    pub(crate) marker: Marker,
}

impl Runner {
    /// # Errors
    /// When the place of the worktrees cannot be used.
    pub(crate) fn new(tool: &Tool, args: &Arc<Args>, look: &Arc<Look>) -> anyhow::Result<Self> {
        let under = args.under.dir.as_deref();
        Ok(Self {
            tool: tool.clone(),
            args: Arc::clone(args),
            look: Arc::clone(look),
            root: Root::new(&tool.repository, &args.common.dir, under)?,
        })
    }

    /// A place for checks of landings on `base` that nobody has, of the first `count`.
    ///
    /// # Errors
    /// When locks cannot be taken.
    pub(crate) fn slot(&self, base: &str, count: usize) -> anyhow::Result<Option<Slot>> {
        for number in 1..=count {
            let slot = self.take(self.root.merge(base, number))?;
            if slot.is_some() {
                return Ok(slot);
            }
        }
        Ok(None)
    }

    /// The place for reviews of heads that are to land on `base`, unless somebody has it.
    ///
    /// # Errors
    /// When its lock cannot be taken.
    pub(crate) fn desk(&self, base: &str) -> anyhow::Result<Option<Slot>> {
        self.take(self.root.review(base))
    }

    fn take(&self, path: PathBuf) -> anyhow::Result<Option<Slot>> {
        let name = self.root.scratch_lock(&path);
        let name = name.context("it is no worktree of ours")?;
        let lock_path = self.tool.repository.state_dir().scratch_lock(&name);
        let lock = lock::try_take(&lock_path)
            .with_context(|| format!("cannot lock '{}'", lock_path.display()))?;
        let Some(lock) = lock else {
            return Ok(None);
        };
        let marker = worktree::marker(&self.tool.repository, &path);
        // What a program that was killed has left may still be at work there.
        marker.end();
        Ok(Some(Slot {
            path,
            lock,
            name,
            marker,
        }))
    }

    /// The worktree of the slot, at `commit`, furnished. What cannot be put right is made anew, and
    /// so is what a check has left that did not pass. The inner error: includes or set-up failed,
    /// which may be the commit's own doing.
    pub(super) fn tree_at(&self, commit: Sha, slot: &Slot) -> anyhow::Result<Result<Tree, String>> {
        let (path, main) = (&slot.path, self.tool.repository.main());
        let furnish = &self.args.furnish;
        let wanted = furnish.fingerprint(main, "")?;
        let kept = worktree::complete(&self.look, path).ok().flatten();
        if let Some(tree) = kept.and_then(|kept| kept.sound().ok())
            && small(&tree.git_dir().join(FURNISHED)).as_deref() == Some(wanted.as_bytes())
            && put_right(&tree, commit, &slot.lock).is_ok()
        {
            return Ok(Ok(tree));
        }
        let tree = self.anew(commit, slot)?;
        if let Err(err) = furnish.fill(main, path, "", &slot.marker) {
            return Ok(Err(format!("{err:#}")));
        }
        put(&tree.git_dir().join(FURNISHED), wanted.as_bytes())?;
        NewWorktree::finish(&tree)?;
        put_right(&tree, commit, &slot.lock)?;
        Ok(Ok(tree))
    }

    /// A worktree at `commit`, with its files and nothing else.
    pub(super) fn anew(&self, commit: Sha, slot: &Slot) -> anyhow::Result<Tree> {
        self.put_away(&slot.path)?;
        let new = NewWorktree {
            root: &self.root,
            path: &slot.path,
            branch: None,
            start: commit,
            lock: &slot.lock,
        };
        new.make(&self.tool.repository, &self.look)
    }

    /// Puts away a worktree of a slot, whatever became of it. Nobody but slots has such a place.
    pub(super) fn put_away(&self, path: &Path) -> anyhow::Result<()> {
        let _one_at_a_time = self.tool.repository.state_dir().lock()?;
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
pub(super) fn in_tree(
    tree: &Tree,
    check: impl FnOnce() -> anyhow::Result<Ended>,
) -> anyhow::Result<Ended> {
    NewWorktree::unfinish(tree)?;
    let ended = unlocked(tree, check)?;
    if ended.judged() == Judged::Passed {
        // It may have removed that.
        let _ = NewWorktree::finish(tree);
    }
    Ok(ended)
}

/// Runs what agents may have written in a worktree. A lock on it that comes meanwhile is no person's:
/// it would be kept for ever.
pub(super) fn unlocked<T>(tree: &Tree, run: impl FnOnce() -> T) -> T {
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
fn put_right(tree: &Tree, commit: Sha, lock: &Lock) -> anyhow::Result<()> {
    // Left by a git that was killed: whoever has the slot is alone here.
    let _ = fs::remove_file(tree.git_dir().join("index.lock"));
    let git = Git::within(tree).with_tokens().holding(lock);
    // An index that no check has written: it may call changed files unchanged.
    git.run(&["read-tree", "HEAD"])?;
    git.output(&["update-index", "-q", "--refresh"])?;
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
