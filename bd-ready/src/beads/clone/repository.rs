//! The clone that a program was started in: where its Beads, its locks and its logs are.

use std::env;
use std::fs;
use std::path::{self, Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use jiff::Timestamp;

use crate::record::name::Name;
use crate::time::is_since;

/// One clone with all its worktrees. Reads only.
#[derive(Clone, Debug)]
pub struct Repository {
    common: PathBuf,
    main: PathBuf,
    host: OnceLock<String>,
}

/// The folder of one bead's locks and logs: `<git common dir>/beadline/<name>`.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Repository {
    /// Finds the clone that `dir` lies in, from inside any of its worktrees.
    ///
    /// # Errors
    /// When `dir` lies in no git repository, or its configuration cannot be read.
    pub fn discover(dir: &Path) -> anyhow::Result<Self> {
        let found = gix::discover(dir)
            .with_context(|| format!("no git repository at '{}'", dir.display()))?;
        let main = found
            .main_repo()
            .context("cannot open the main worktree's repository")?;
        let common = fs::canonicalize(main.common_dir())?;
        let work = main
            .workdir()
            .map_or_else(|| Ok(common.clone()), fs::canonicalize)?;
        Ok(Self {
            common,
            main: work,
            host: OnceLock::new(),
        })
    }

    /// The git common directory, absolute.
    #[must_use]
    pub fn common(&self) -> &Path {
        &self.common
    }

    /// The main worktree, absolute; of a bare repository the repository itself.
    #[must_use]
    pub fn main(&self) -> &Path {
        &self.main
    }

    /// The name of this clone, once a claim has made one: it may be made while we run.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        if self.host.get().is_none() {
            let opened = gix::open(&self.common).ok()?;
            let host = opened
                .config_snapshot()
                .string("beadline.host")?
                .to_string();
            let _ = self.host.set(host);
        }
        self.host.get().map(String::as_str)
    }

    /// Whether a bead with this `host` fact is worked on here.
    #[must_use]
    pub fn owns(&self, host: &str) -> bool {
        self.host() == Some(host)
    }

    /// Where Beads lives: `$BEADS_DIR`, else `.beads` of the main worktree.
    #[must_use]
    pub fn beads(&self) -> PathBuf {
        match env::var_os("BEADS_DIR") {
            // The programs and bd run in other folders.
            Some(dir) if !dir.is_empty() => path::absolute(&dir).unwrap_or_else(|_| dir.into()),
            _ => self.main.join(".beads"),
        }
    }

    /// The folder of locks and logs. Deleting it loses logs only.
    #[must_use]
    pub fn folders(&self) -> PathBuf {
        self.common.join("beadline")
    }

    /// The folder of one bead.
    #[must_use]
    pub fn folder(&self, id: &str) -> Folder {
        Folder(self.folders().join(Name::of(id).as_str()))
    }

    /// Whether `agent-stop --all` was called after `start`.
    #[must_use]
    pub fn stopped_since(&self, start: SystemTime) -> bool {
        let stop = fs::metadata(self.folders().join("stop")).and_then(|meta| meta.modified());
        let stop = stop.ok().and_then(|at| Timestamp::try_from(at).ok());
        Timestamp::try_from(start).is_ok_and(|start| stop.is_some_and(|at| is_since(at, start)))
    }
}

impl Folder {
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

    /// What the agent of this run printed.
    #[must_use]
    pub fn log(&self, run: u64) -> PathBuf {
        self.0.join(format!("{run}.log"))
    }

    /// How this run ended.
    #[must_use]
    pub fn end_record(&self, run: u64) -> PathBuf {
        self.0.join(format!("{run}.json"))
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
