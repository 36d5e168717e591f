//! Where the base and the agents' branches are: the remote's word, one fetch for all beads that
//! wait for one.

use std::time::Duration;

use anyhow::Context;
use beads::{Bead, retry};
use git::{Base, Heard, Sha, is_missing, worktree};

use crate::spawn::Spawn;
use crate::start::Start;

/// Before a fetch that failed is tried again: three failures in a row are enough.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];

impl Spawn<'_> {
    /// The base. Asked for once, unless it was given.
    pub(crate) fn base(&self) -> anyhow::Result<&Base> {
        if let Some(known) = self.base.get() {
            return Ok(known);
        }
        let (name, asked) = (&self.args.remote.name, self.args.base.as_deref());
        let found = Base::find(&self.tool.repository, &self.look, name, asked)?;
        Ok(self.base.get_or_init(|| found))
    }

    /// What the remote says from here on.
    pub(crate) fn fetch_base(&self) -> anyhow::Result<Start> {
        let fetch = || retry(PAUSES, || self.fetch(), Result::is_err).0;
        let start = self.fetches.ask(fetch)?;
        let base = &self.base()?.branch;
        start.with_context(|| {
            format!("the base branch '{base}' is not on the remote: push it first")
        })
    }

    /// Where the branch of a bead is on the remote, if it is there.
    pub(crate) fn on_remote(&self, bead: &Bead, start: &Start) -> anyhow::Result<Option<Sha>> {
        let (branch, remote) = (&bead.facts().branch, &self.base()?.remote);
        match remote {
            Some(_) if *branch == self.branch(bead) => start.heard.branch(&self.look, branch),
            // Called so under other settings.
            Some(_) => Base {
                remote: remote.clone(),
                branch: branch.clone(),
            }
            .now(&self.tool.repository, &self.look),
            None => Ok(None),
        }
    }

    /// `None`: there is no base.
    fn fetch(&self) -> anyhow::Result<Option<Start>> {
        let base = self.base().context("cannot fetch the base")?;
        let Base { remote, branch } = base;
        let Some(remote) = remote else {
            let at = base.now(&self.tool.repository, &self.look)?;
            let heard = Heard::default();
            return Ok(at.map(|at| Start { at, heard }));
        };
        let heard = match self.fetch_branches(remote, branch) {
            Err(err) if is_missing(&err) => return Ok(None),
            heard => heard.context("cannot fetch the base")?,
        };
        let at = heard.branch(&self.look, branch)?;
        Ok(at.map(|at| Start { at, heard }))
    }

    /// Fetches the base and the agents' branches.
    fn fetch_branches(&self, remote: &str, base: &str) -> anyhow::Result<Heard> {
        let spec = |name: &str| format!("+refs/heads/{name}:refs/remotes/{remote}/{name}");
        let (base, branches) = (spec(base), spec(&self.branches));
        // Pruned: what the remote has no more is nobody's to find here.
        let args = ["--prune", "--", remote, &base, &branches];
        let repository = &self.tool.repository;
        let heard = Heard::fetch(repository, &args);
        if !heard
            .as_ref()
            .is_err_and(|err| err.to_string().contains(" worktrees/"))
        {
            return heard;
        }
        // It still meets half-made worktrees: keep others from adding, and clear what a crash left.
        let _one_at_a_time = repository.state_dir().lock()?;
        worktree::drop_unborn(repository, &self.root)?;
        Heard::fetch(repository, &args)
    }
}
