//! The clone that a program was started in: where its Beads, its locks and its logs are.

use std::env;
use std::fs;
use std::path::{self, Path, PathBuf};
use std::sync::OnceLock;

use anyhow::Context;

use crate::clone::state::{BeadDir, StateDir};

/// One clone with all its worktrees. Reads only.
#[derive(Clone, Debug)]
pub struct Repository {
    common: PathBuf,
    main: PathBuf,
    host: OnceLock<String>,
}

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

    /// Its locks and logs.
    #[must_use]
    pub fn state_dir(&self) -> StateDir {
        StateDir::of(&self.common)
    }

    /// The locks and logs of one bead.
    #[must_use]
    pub fn folder(&self, id: &str) -> BeadDir {
        self.state_dir().bead(id)
    }
}
