//! `<git common dir>/beadline`: every path below it, what lies there, and who writes it.
//!
//! Locks, logs, and what can be made anew. It may be deleted while no line and no agent runs: that
//! loses logs, and the commits of a run behind a launcher that no verdict was given on yet.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use jiff::Timestamp;

use crate::clone::lock::{self, Lock};
use crate::record::name::Name;
use crate::time::is_since;

/// The state of a clone: one folder a bead, and beside them what belongs to no bead. Locks that
/// nobody holds may go at any time.
#[derive(Clone, Debug)]
pub struct StateDir(PathBuf);

/// The folder of one bead, or of one worktree for checks or reviews.
#[derive(Clone, Debug)]
pub struct BeadDir(PathBuf);

impl StateDir {
    /// That of the clone with this git common directory.
    #[must_use]
    pub fn of(common: &Path) -> Self {
        Self(common.join("beadline"))
    }

    /// The directory's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Waits until nobody else names the clone, or adds or removes a worktree: the directory itself
    /// is locked.
    ///
    /// # Errors
    /// When it cannot be made or locked.
    pub fn lock(&self) -> io::Result<Lock> {
        fs::create_dir_all(&self.0)?;
        lock::take_dir(&self.0)
    }

    /// The folder of a bead.
    #[must_use]
    pub fn bead(&self, id: &str) -> BeadDir {
        BeadDir(self.0.join(Name::of(id).as_str()))
    }

    /// The folder of the bead whose worktree is at `path`: both have the same name.
    #[must_use]
    pub fn of_worktree(&self, path: &Path) -> BeadDir {
        BeadDir(self.0.join(path.file_name().unwrap_or_default()))
    }

    /// One lock for each agent that may run, `<n>.lock`: `agent-hold` holds one for its whole life.
    #[must_use]
    pub fn slots(&self) -> PathBuf {
        self.0.join("slots")
    }

    /// Written by `agent-stop --all`: when it was called last.
    fn stop(&self) -> PathBuf {
        self.0.join("stop")
    }

    /// Keeps the lines that run now from starting anything more.
    ///
    /// # Errors
    /// When the file cannot be written; it is named.
    pub fn forbid_starts(&self) -> anyhow::Result<()> {
        let touch = || {
            fs::create_dir_all(&self.0)?;
            File::create(self.stop())?.set_modified(SystemTime::now())
        };
        touch().with_context(|| format!("cannot write '{}'", self.stop().display()))
    }

    /// Whether starts were forbidden after `start`.
    #[must_use]
    pub fn stopped_since(&self, start: SystemTime) -> bool {
        let stop = fs::metadata(self.stop()).and_then(|meta| meta.modified());
        let stop = stop.ok().and_then(|at| Timestamp::try_from(at).ok());
        Timestamp::try_from(start).is_ok_and(|start| stop.is_some_and(|at| is_since(at, start)))
    }

    /// Held by `bd-import` for its whole life.
    #[must_use]
    pub fn import_lock(&self) -> PathBuf {
        self.0.join("import.lock")
    }

    /// Held by `pr-merge` while something lands on this base, from the last look to the proof. Its
    /// time says until when a merge that was sent may still be under way.
    #[must_use]
    pub fn landing_lock(&self, base: &str) -> PathBuf {
        self.0.join(format!("merge-{}.lock", Name::of(base)))
    }

    /// Held by whoever works in a worktree for checks or reviews, which knows its lock's name.
    #[must_use]
    pub fn scratch_lock(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Commits that passed, as `pr-merge` has seen: `<fingerprint of the check>/<commit>`. They count
    /// for a day.
    #[must_use]
    pub fn checked(&self) -> PathBuf {
        self.0.join("checked")
    }

    /// What is being tested for this base, as `pr-merge` has written it for those who look on.
    #[must_use]
    pub fn testing(&self, base: &str) -> PathBuf {
        self.0.join(format!("queue-{}.json", Name::of(base)))
    }

    /// Held by whoever writes to GitHub. Its time says when the next one may.
    #[must_use]
    pub fn github_turn(&self) -> PathBuf {
        self.0.join("github.turn")
    }

    /// One note for each git at work that changes something, `<random>`, and for those that were
    /// killed: whose locks they have left is told by nothing else.
    #[must_use]
    pub fn gits(&self) -> PathBuf {
        self.0.join("gits")
    }

    /// A git directory in which is fetched, so that nobody else's `FETCH_HEAD` is read.
    #[must_use]
    pub fn fetches(&self) -> PathBuf {
        self.0.join(".fetch")
    }
}

impl BeadDir {
    /// The folder's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Held while a program acts on the bead.
    #[must_use]
    pub fn stage_lock(&self) -> PathBuf {
        self.0.join("stage.lock")
    }

    /// Held by `agent-hold` for its whole life.
    #[must_use]
    pub fn hold_lock(&self) -> PathBuf {
        self.0.join("hold.lock")
    }

    /// What the agent of this run printed, written by `agent-hold`.
    #[must_use]
    pub fn log(&self, run: u64) -> PathBuf {
        self.0.join(format!("{run}.log"))
    }

    /// How this run ended, written by `agent-hold`.
    #[must_use]
    pub fn end_record(&self, run: u64) -> PathBuf {
        self.0.join(format!("{run}.json"))
    }

    /// What the last agent was told, written by `agent-run`: its time is when that run began.
    #[must_use]
    pub fn prompt(&self) -> PathBuf {
        self.0.join("prompt")
    }

    /// What ties the complete worktree to the clone, as it was made: what an agent changes of that is
    /// put right by it.
    #[must_use]
    pub fn tree(&self) -> PathBuf {
        self.0.join("tree")
    }

    /// What was put right in the worktree since its last run began, one path a line.
    #[must_use]
    pub fn altered(&self) -> PathBuf {
        self.0.join("altered")
    }

    /// What was in the place of something that was put right, and repositories of submodules: kept
    /// for a person.
    #[must_use]
    pub fn aside(&self) -> PathBuf {
        self.0.join("aside")
    }

    /// Objects and refs of an agent behind a launcher. They are not deleted before its verdict.
    #[must_use]
    pub fn own_git(&self) -> PathBuf {
        self.0.join("git")
    }

    /// Where a reviewer writes its verdict, as long as it runs.
    #[must_use]
    pub fn review(&self) -> PathBuf {
        self.0.join("review")
    }

    /// Removes the logs and end records that are older than `age`.
    pub fn drop_logs(&self, age: Duration) {
        let is_old = |path: &Path| {
            let modified = fs::metadata(path).and_then(|meta| meta.modified());
            modified.is_ok_and(|at| at.elapsed().is_ok_and(|since| since >= age))
        };
        for entry in fs::read_dir(&self.0).into_iter().flatten().flatten() {
            let path = entry.path();
            let kind = path.extension().and_then(|kind| kind.to_str());
            if matches!(kind, Some("log" | "json")) && is_old(&path) {
                let _ = fs::remove_file(path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bead_gets_the_place_of_something_else() {
        let state = StateDir::of(Path::new("/r/.git"));
        let others = [
            state.slots(),
            state.stop(),
            state.import_lock(),
            state.landing_lock("main"),
            state.scratch_lock("check-main.lock"),
            state.checked(),
            state.testing("main"),
            state.testing("a/b"),
            state.github_turn(),
            state.gits(),
            state.fetches(),
        ];
        for other in others {
            let name = other.file_name().and_then(|name| name.to_str());
            let bead = state.bead(name.expect("a name"));
            assert_ne!(bead.path(), other);
            assert_eq!(bead.path().parent(), other.parent());
        }
    }
}
