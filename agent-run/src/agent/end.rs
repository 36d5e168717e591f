//! How a run ended, as `agent-hold` writes it down: `<run>.json` in the bead's folder.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::words::Said;

/// Why a run ended.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The agent ended by itself.
    Exited,
    /// It was ended at the wall-clock limit.
    Timeout,
    /// It was ended as it neither printed nor changed anything for too long.
    Stalled,
    /// Somebody ended `agent-hold`, or its claim was lost.
    Stopped,
    /// It was ended as it had used more than it may.
    Overspent,
    /// It could not be started.
    NotStarted,
}

/// The end of a run.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct End {
    /// Why.
    pub cause: Cause,
    /// Exit status of the agent's command line, if it ended by itself; with a signal 128 more than
    /// its number, as shells say it.
    pub status: Option<i32>,
    /// When the agent was started.
    pub started_at: Timestamp,
    /// When all of it was gone.
    pub ended_at: Timestamp,
    /// The commit that the branch was at when it was started; empty: none.
    #[serde(default)]
    pub head_before: String,
    /// What it said.
    #[serde(default)]
    pub said: Said,
}

impl End {
    /// The record at `path`. `None`: there is none that can be read, so the run was interrupted.
    #[must_use]
    pub fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    /// Writes the record, whole or not at all.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let new = path.with_extension("json.new");
        let write = || -> anyhow::Result<()> {
            let mut file = File::create(&new)?;
            file.write_all(&serde_json::to_vec(self)?)?;
            file.sync_all()?;
            Ok(fs::rename(&new, path)?)
        };
        let written = write();
        if written.is_err() {
            // A disk that is full is not to be filled further.
            let _ = fs::remove_file(&new);
        }
        written.with_context(|| format!("cannot write '{}'", path.display()))
    }
}
