//! Where beads live, behind one small interface.

mod answer;
mod bd;
mod id;
mod jsonl;
mod serve;

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use jiff::Timestamp;

use crate::clone::lock::Lock;
use crate::clone::repository::Repository;
use crate::record::bead::Bead;
use crate::record::change::{Change, Guard};
use crate::record::create::{New, Revision};
use crate::record::facts::Status;
use crate::store::bd::Bd;
use crate::store::jsonl::Jsonl;
use crate::store::serve::Serve;
use crate::time::now;
use crate::token::token;

/// What the tools ask of Beads. A write is one atomic step there, or does not happen.
pub trait Store: Send + Sync {
    /// The ids that `bd ready` lists now, in its order.
    ///
    /// # Errors
    /// When Beads cannot be read.
    fn ready(&self) -> anyhow::Result<Vec<String>>;

    /// Every bead, closed ones included.
    ///
    /// # Errors
    /// When Beads cannot be read.
    fn list(&self) -> anyhow::Result<Arc<Vec<Bead>>>;

    /// One bead as it is now; `None` when there is none with this id.
    ///
    /// # Errors
    /// When Beads cannot be read.
    fn show(&self, id: &str) -> anyhow::Result<Option<Bead>>;

    /// Changes a bead if the guard holds, in one step, and returns it as it is then.
    /// `None`: the guard did not hold, or the bead is gone; nothing was written.
    ///
    /// A program that writes in a process of its own keeps `lock` held as long as that lives.
    ///
    /// # Errors
    /// When Beads cannot be read or written. What was written then is unknown, and is done again
    /// by whoever reads the bead next.
    fn record(
        &self,
        id: &str,
        guard: &Guard,
        change: &Change,
        lock: Option<&Lock>,
    ) -> anyhow::Result<Option<Bead>>;

    /// Creates a bead, in one step, and returns it. What makes it in a process of its own keeps
    /// `lock` held as long as that lives.
    ///
    /// # Errors
    /// When its id is taken, something it depends on is not there, or Beads cannot be written.
    fn create(&self, new: &New, lock: Option<&Lock>) -> anyhow::Result<Bead>;

    /// Changes what a bead asks for, whoever has it, and returns it as it is then. After a kill
    /// the same revision may be made again.
    ///
    /// # Errors
    /// When there is no such bead, something it is to depend on is not there or depends on it, or
    /// Beads cannot be written.
    fn revise(&self, id: &str, revision: &Revision) -> anyhow::Result<Bead>;

    /// Renews the lease of a claim; `false` when the claim is lost. A store without leases only
    /// looks.
    ///
    /// # Errors
    /// When Beads cannot be reached.
    fn renew(&self, id: &str, token: &str) -> anyhow::Result<bool>;

    /// Gives a claim its lease, where a claim by compare-and-set leaves none. Without one it counts
    /// from its last write, and is renewed with the others: so a failure here is none.
    fn begin_lease(&self, _id: &str, _token: &str) {}

    /// The time on the clock that leases and last writes are judged by.
    ///
    /// # Errors
    /// When Beads cannot be reached.
    fn clock(&self) -> anyhow::Result<Timestamp> {
        Ok(now())
    }

    /// The file that changes when Beads is written on this machine, if there is one.
    fn watched(&self) -> Option<PathBuf>;

    /// Who else may write to Beads, and what a look at it costs.
    fn reach(&self) -> Reach;

    /// Takes a bead that is exactly as `found`: in progress, under a token made for this claim.
    ///
    /// # Errors
    /// When Beads cannot be read or written.
    fn claim(
        &self,
        found: &Bead,
        host: &str,
        change: Change,
        lock: Option<&Lock>,
    ) -> anyhow::Result<Option<Bead>> {
        let token = token(host)?;
        let change = change.status(Status::InProgress).assignee(token.as_str());
        let claimed = self.record(found.id(), &Guard::as_read(found), &change, lock)?;
        if claimed.is_some() {
            self.begin_lease(found.id(), &token);
        }
        Ok(claimed)
    }
}

/// Who else may write to Beads, and what a look at it costs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reach {
    /// A file: looking at one that did not change costs nothing.
    File,
    /// A database of this machine: a look that finds a change is a call of `bd`.
    Machine,
    /// A server: other machines write, too, so that every look is a call.
    Server,
}

impl Reach {
    /// How often Beads is looked at for a person's word while agents work and pull requests wait.
    #[must_use]
    pub fn tick(self) -> Duration {
        match self {
            Self::File => Duration::from_secs(2),
            // Each look costs a call, and calls wait for each other: a third of what a person is
            // promised.
            Self::Machine | Self::Server => Duration::from_secs(10),
        }
    }
}

/// What marks a folder as that of a Beads database.
const DATABASE: [&str; 5] = [
    "metadata.json",
    "redirect",
    "embeddeddolt",
    "dolt",
    "beads.db",
];

/// Opens the Beads of a clone: over HTTP where `BEADLINE_BEADS_URL` names a `bd serve`, else by `bd`
/// where there is a database, else the file.
///
/// # Errors
/// When there is none.
pub(crate) fn open(repository: &Repository) -> anyhow::Result<Box<dyn Store>> {
    let dir = repository.beads();
    if let Some(url) = env::var_os("BEADLINE_BEADS_URL").filter(|url| !url.is_empty()) {
        let url = url.to_str().context("BEADLINE_BEADS_URL is no text")?;
        return Ok(Box::new(Serve::open(url)?));
    }
    // Never the file beside a database: two trackers in one repository would drift apart.
    if DATABASE.iter().any(|mark| dir.join(mark).exists()) {
        return Ok(Box::new(Bd::new(repository.main(), dir)));
    }
    match dir.join("issues.jsonl").canonicalize() {
        Ok(file) => Ok(Box::new(Jsonl::new(file))),
        Err(_) => bail!(none(&dir)),
    }
}

fn none(dir: &Path) -> String {
    format!(
        "no beads at '{}': run bd init, or make issues.jsonl there",
        dir.display()
    )
}
