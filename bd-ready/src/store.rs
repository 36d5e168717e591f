//! Where beads live, behind one small interface.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use jiff::Timestamp;
use rustix::rand::{GetRandomFlags, getrandom};

use crate::bead::{Bead, CLAIM};
use crate::change::{Change, Guard};
use crate::create::{New, Revision};
use crate::facts::Status;
use crate::jsonl::Jsonl;
use crate::repository::Repository;

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
    /// # Errors
    /// When Beads cannot be read or written.
    fn record(&self, id: &str, guard: &Guard, change: &Change) -> anyhow::Result<Option<Bead>>;

    /// Creates a bead, in one step, and returns it.
    ///
    /// # Errors
    /// When its id is taken, something it depends on is not there, or Beads cannot be written.
    fn create(&self, new: &New) -> anyhow::Result<Bead>;

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

    /// The file whose change says that Beads changed on this machine.
    fn watched(&self) -> PathBuf;

    /// Whether other machines may change Beads without touching [`Store::watched`].
    fn shared(&self) -> bool;

    /// Takes a bead that is exactly as `found`: in progress, under a token made for this claim.
    ///
    /// # Errors
    /// When Beads cannot be read or written.
    fn claim(&self, found: &Bead, host: &str, change: Change) -> anyhow::Result<Option<Bead>> {
        let change = change.status(Status::InProgress).assignee(token(host)?);
        self.record(found.id(), &Guard::as_read(found), &change)
    }
}

/// Opens the Beads of a clone.
///
/// # Errors
/// When there is none, or only a database, which this version cannot speak to.
pub fn open(repository: &Repository) -> anyhow::Result<Box<dyn Store>> {
    let dir = repository.beads();
    // Never fall back silently: two trackers in one repository would drift apart.
    for database in ["embeddeddolt", "dolt", "beads.db"] {
        if dir.join(database).exists() {
            bail!(
                "'{}' holds a Beads database; only issues.jsonl can be used yet",
                dir.display()
            );
        }
    }
    let file = dir.join("issues.jsonl");
    let file = file
        .canonicalize()
        .with_context(|| format!("no beads at '{}'", file.display()))?;
    Ok(Box::new(Jsonl::new(file)))
}

/// The token of a new claim: `beadline/<host>/<64 random bits>`.
fn token(host: &str) -> anyhow::Result<String> {
    Ok(format!("{CLAIM}{host}/{}", random()?))
}

/// 64 random bits from the kernel, as hexadecimal digits.
///
/// # Errors
/// When the kernel has none.
pub fn random() -> anyhow::Result<String> {
    let mut bits = [0; 8];
    getrandom(&mut bits, GetRandomFlags::empty()).context("no random numbers")?;
    Ok(format!("{:016x}", u64::from_ne_bytes(bits)))
}

/// The time now, to the microsecond, as Beads keeps it.
#[must_use]
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}
