//! One fetch for all beads that wait for one.

use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::anyhow;
use beads::{Repository, lock};
use git::{Base, Git, Root, worktree};

/// Before a fetch that failed is tried again: three failures in a row are enough.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];

/// Fetches the base and the agents' branches, on demand and never for one bead alone if several
/// wait.
#[derive(Debug)]
pub(crate) struct Fetch {
    refspecs: Vec<String>,
    state: Mutex<State>,
    done: Condvar,
}

#[derive(Debug, Default)]
struct State {
    running: bool,
    started: u64,
    finished: u64,
    /// Fetches that have failed, over and over.
    failed: u64,
    result: Option<Result<(), String>>,
}

impl Fetch {
    /// `branches`: the pattern of the agents' branches, such as `agent/*`.
    pub(crate) fn new(base: &Base, branches: &str) -> Self {
        let refspecs = base.remote.iter().flat_map(|remote| {
            let spec = |name: &str| format!("+refs/heads/{name}:refs/remotes/{remote}/{name}");
            [remote.clone(), spec(&base.branch), spec(branches)]
        });
        Self {
            refspecs: refspecs.collect(),
            state: Mutex::default(),
            done: Condvar::new(),
        }
    }

    /// Returns once a fetch is done that began after this call.
    ///
    /// # Errors
    /// When that fetch failed, or one that began before: the next one would fail as well.
    pub(crate) fn fresh(&self, repository: &Repository, root: &Root) -> anyhow::Result<()> {
        if self.refspecs.is_empty() {
            return Ok(());
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (wanted, failed) = (state.started + 1, state.failed);
        while state.finished < wanted && state.failed == failed {
            if state.running {
                state = self
                    .done
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.running = true;
            state.started += 1;
            drop(state);
            let result = self
                .fetch_patiently(repository, root)
                .map_err(|err| format!("{err:#}"));
            state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.running = false;
            state.finished = state.started;
            state.failed += u64::from(result.is_err());
            state.result = Some(result);
            self.done.notify_all();
        }
        match &state.result {
            Some(Err(why)) => Err(anyhow!("{why}")),
            _ => Ok(()),
        }
    }

    fn fetch_patiently(&self, repository: &Repository, root: &Root) -> anyhow::Result<()> {
        let mut fetched = self.fetch(repository, root);
        for pause in PAUSES {
            if fetched.as_ref().is_err_and(|err| !is_missing(err)) {
                thread::sleep(pause);
                fetched = self.fetch(repository, root);
            }
        }
        fetched
    }

    fn fetch(&self, repository: &Repository, root: &Root) -> anyhow::Result<()> {
        // Pruned: a branch that the remote has no more must not be taken up.
        let mut args = vec![
            "fetch",
            "--quiet",
            "--prune",
            "--no-tags",
            "--no-write-fetch-head",
            "--",
        ];
        args.extend(self.refspecs.iter().map(String::as_str));
        let git = Git::at(repository.common());
        let Err(err) = git.run(&args) else {
            return Ok(());
        };
        if !err.to_string().contains(" worktrees/") {
            return Err(err);
        }
        // It still meets half-made worktrees: keep others from adding, and clear what a crash left.
        let _one_at_a_time = lock::take_dir(&repository.folders())?;
        worktree::drop_unborn(repository, root)?;
        git.run(&args).map(drop)
    }
}

/// Whether a fetch failed because the remote lacks the base.
pub(crate) fn is_missing(err: &anyhow::Error) -> bool {
    err.to_string().contains("couldn't find remote ref")
}
