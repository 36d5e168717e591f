//! Where the worktree and the branch of a bead are put, and when nothing of it is there yet.

use std::path::Path;

use anyhow::{bail, ensure};
use beads::{Bead, Hand};
use bytesize::ByteSize;
use git::worktree::{self, NewWorktree};
use git::{Git, Sha, Tree, clear_left};

use crate::spawn::Spawn;
use crate::start::{Start, has_landed};

impl Spawn<'_> {
    pub(crate) fn require_space(&self) -> anyhow::Result<()> {
        let there = self.root.path().ancestors().find(|dir| dir.exists());
        let Some(dir) = there else { return Ok(()) };
        let disk = rustix::fs::statvfs(dir)?;
        let free = ByteSize(disk.f_bavail.saturating_mul(disk.f_frsize));
        ensure!(
            free >= self.args.min_free,
            "only {free} free at '{}', less than --min-free {}",
            dir.display(),
            self.args.min_free
        );
        Ok(())
    }

    pub(crate) fn require_place(&self, bead: &Bead) -> anyhow::Result<()> {
        let worktree = &bead.facts().worktree;
        let path = Path::new(worktree);
        ensure!(
            path.parent() == Some(self.root.path()),
            "its worktree '{worktree}' lies outside '{}'",
            self.root.path().display()
        );
        ensure!(
            path == self.place(bead),
            "its worktree '{worktree}' is another bead's"
        );
        Ok(())
    }

    /// Puts the local branch where work can go on: what has landed or never was more than the base
    /// moves to the base, what only the remote has is taken up, and commits of its own stay.
    /// `tree`: the complete worktree that is on it, if there is one.
    pub(super) fn place_branch(
        &self,
        bead: &Bead,
        start: &Start,
        tree: Option<&Tree>,
        hand: &Hand,
    ) -> anyhow::Result<()> {
        let branch = &bead.facts().branch;
        let full = format!("refs/heads/{branch}");
        if let Some(at) = self.look.checked_out(&full)?
            && at != Path::new(&bead.facts().worktree)
        {
            bail!("its branch {branch} is checked out at '{}'", at.display());
        }
        let local = self.look.commit(&full)?;
        let remote = self.on_remote(bead, start)?;
        let start = start.at;
        let spent = |at: Sha| {
            let landed = has_landed(&self.look, bead, at, start)?;
            Ok::<bool, anyhow::Error>(landed || self.look.contains(start, at)?)
        };
        let theirs = match remote {
            Some(remote) if !spent(remote)? => Some(remote),
            _ => None,
        };
        let wanted = match (local, theirs) {
            (Some(local), _) if spent(local)? => theirs.unwrap_or(start),
            (Some(local), Some(theirs)) if self.look.contains(theirs, local)? => theirs,
            (None, Some(theirs)) => theirs,
            (_, _) => return Ok(()),
        };
        if local == Some(wanted) {
            return Ok(());
        }
        let new = wanted.to_string();
        if let Some(tree) = tree {
            clear_left(tree, branch);
            // Refuses, and so keeps, changes that were never committed.
            Git::within(tree)
                .with_tokens()
                .holding(hand.lock())
                .run(&["checkout", "--quiet", "-B", branch, &new])?;
        } else {
            // Compare-and-swap; empty: it must not be there.
            let old = local.map_or_else(String::new, |local| local.to_string());
            let git = Git::at(self.tool.repository.common()).holding(hand.lock());
            git.run(&["update-ref", &full, &new, &old])?;
        }
        Ok(())
    }

    /// Takes away what was made for a claim so far, where that is nothing but a worktree that is not
    /// complete and a branch at the base. `false`: there is more, and everything stays.
    pub(super) fn undo(&self, hand: &Hand, start: &Start) -> anyhow::Result<bool> {
        let facts = hand.bead().facts();
        let path = Path::new(&facts.worktree);
        let full = format!("refs/heads/{}", facts.branch);
        let local = self.look.commit(&full)?;
        let remote = self.on_remote(hand.bead(), start)?;
        let start = start.at;
        for at in local.iter().chain(&remote) {
            if !self.look.contains(start, *at)? {
                return Ok(false);
            }
        }
        let is_ours = path == self.place(hand.bead());
        if !is_ours || worktree::complete(&self.look, path)?.is_some() {
            return Ok(false);
        }
        let new = NewWorktree {
            root: &self.root,
            path,
            branch: None,
            start,
            lock: hand.lock(),
        };
        new.undo(&self.tool.repository, &self.look)?;
        if let Some(local) = local
            && self.look.checked_out(&full)?.is_none()
        {
            // Compare-and-swap.
            Git::at(self.tool.repository.common())
                .holding(hand.lock())
                .run(&["update-ref", "-d", &full, &local.to_string()])?;
        }
        Ok(true)
    }
}
