//! `--all`: what a crash left, of beads that have landed, of landings, and of deletions.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use beads::{Bead, Phase, Status, lock};
use git::{Git, drop_free_locks, drop_old_notes, worktree};

use crate::Clean;

impl Clean<'_> {
    /// What a crash left: of beads that have landed, of landings, of deletions.
    pub(super) fn sweep(&self, named: &HashSet<String>) -> anyhow::Result<()> {
        let beads = self.tool.store.list()?;
        let remote = self.remote_branches()?;
        let landed = beads.iter().filter(|bead| bead.phase() == Phase::Merged);
        for bead in landed.filter(|bead| !named.contains(bead.id())) {
            let facts = bead.facts();
            let full = format!("refs/heads/{}", facts.branch);
            let ours = self.tool.repository.owns(&facts.host);
            let branch = remote.contains(&full) || (ours && self.look.commit(&full)?.is_some());
            let tree = ours
                && (fs::symlink_metadata(&facts.worktree).is_ok()
                    || self.look.git_dir_of(Path::new(&facts.worktree))?.is_some());
            let folder = self.tool.repository.folder(bead.id());
            let own_git = ours && folder.own_git().exists();
            if (tree || own_git || (branch && !self.args.keep_branch))
                && let Err(err) = self.try_one(bead.clone())
            {
                self.tool.pipe.fail(bead.id(), &err);
            }
            if ours && !self.args.dry.run {
                folder.drop_logs(self.args.keep_logs);
            }
        }
        if self.args.dry.run {
            return Ok(());
        }
        for (path, git_dir) in worktree::scratch(&self.look, &self.root) {
            self.or_complain(self.drop_scratch(&path, &git_dir));
        }
        self.or_complain(self.root.empty_trash());
        drop_old_notes(self.tool.repository.common());
        self.drop_locks(&beads);
        Ok(())
    }

    /// A worktree of checks or reviews, unless one is under way in it or a person has locked it. What
    /// a line that was killed has left at work there is ended.
    fn drop_scratch(&self, path: &Path, git_dir: &Path) -> anyhow::Result<()> {
        let name = self.root.scratch_lock(path);
        let name = name.context("it is no worktree of ours")?;
        let Some(lock) = lock::try_take(&self.tool.repository.state_dir().scratch_lock(&name))?
        else {
            return Ok(());
        };
        worktree::require_unlocked(path, git_dir)?;
        worktree::marker(&self.tool.repository, path).end();
        worktree::remove(&self.root, path, git_dir)?;
        lock.remove();
        Ok(())
    }

    fn or_complain(&self, done: anyhow::Result<()>) {
        if let Err(err) = done {
            self.tool.pipe.complain(&format!("{err:#}"));
        }
    }

    fn remote_branches(&self) -> anyhow::Result<HashSet<String>> {
        let Some(remote) = self.remote else {
            return Ok(HashSet::new());
        };
        let listed = Git::at(self.tool.repository.common()).run(&[
            "ls-remote",
            "--refs",
            "--heads",
            "--",
            remote,
        ])?;
        Ok(listed
            .lines()
            .filter_map(|line| Some(line.split_once('\t')?.1.to_owned()))
            .collect())
    }

    /// Removes lock files that nobody holds: of slots, of landings, and of beads that are shown and
    /// not under way.
    fn drop_locks(&self, beads: &[Bead]) {
        let state = self.tool.repository.state_dir();
        let over: HashSet<PathBuf> = beads
            .iter()
            // Another line may be about to take an open one in hand: it is not to find it locked.
            .filter(|bead| !bead.under_way() && bead.status() != Status::Open)
            .map(|bead| state.bead(bead.id()).path().to_owned())
            .chain([state.slots()])
            .collect();
        drop_free_locks(state.path(), |folder| over.contains(folder));
    }
}
