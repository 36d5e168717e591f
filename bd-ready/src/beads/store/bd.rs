//! The real Beads: `bd`, on an embedded database or on a server.
//!
//! What it relies on was measured on Beads 1.3.0.

mod call;
mod write;

use std::collections::HashMap;
use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context, bail, ensure};
use jiff::Timestamp;
use serde::Deserialize;

use crate::clone::lock::Lock;
use crate::record::bead::Bead;
use crate::record::change::{Change, Guard};
use crate::record::create::{New, Revision};
use crate::store::answer;
use crate::store::{Reach, Store};
use crate::time::now;

use call::{Caller, GUARD_MISSED, pauses};

/// What `bd list` leaves out unless told otherwise.
const ALL: [&str; 7] = [
    "list",
    "--all",
    "--limit=0",
    "--include-gates",
    "--include-infra",
    "--include-templates",
    "--no-pager",
];

/// The store behind `bd`.
#[derive(Debug)]
pub(crate) struct Bd {
    caller: Caller,
    /// `.beads`.
    beads: PathBuf,
    reach: Reach,
    seen: Mutex<Seen>,
}

/// What was read, and the state of the database that it was read at.
#[derive(Debug, Default)]
struct Seen {
    list: Option<(Stamp, Arc<Vec<Bead>>)>,
    ready: Option<(Stamp, Timestamp, Vec<String>)>,
    shown: HashMap<String, (Stamp, Bead)>,
}

/// Names a state of an embedded database: when `bd` last noted a write, and the size of Dolt's
/// journal, which every write lengthens. (`bd dep` notes nothing; reading changes times only.)
#[derive(Clone, Debug, Eq, PartialEq)]
struct Stamp {
    touched: Option<(i64, i64)>,
    journal: u64,
}

impl Seen {
    /// What was ready at this state of the database, unless time alone has made more so.
    fn still_ready(&self, stamp: Option<&Stamp>) -> Option<Vec<String>> {
        let ((at, read_at, ready), (_, beads)) = (self.ready.as_ref()?, self.list.as_ref()?);
        let now = now();
        let came_due = |until: Timestamp| *read_at < until && until <= now;
        let more = beads.iter().filter_map(Bead::defer_until).any(came_due);
        (stamp == Some(at) && !more).then(|| ready.clone())
    }
}

impl Bd {
    pub(crate) fn new(dir: &Path, beads: PathBuf) -> Self {
        let reach = reach(&beads);
        let embedded = reach == Reach::Machine;
        Self {
            caller: Caller::new(dir.to_owned(), beads.clone(), embedded),
            reach,
            beads,
            seen: Mutex::default(),
        }
    }

    fn beads(&self, args: &[&str]) -> anyhow::Result<Vec<Bead>> {
        let stdout = self.caller.run(&[args, &["--json"]].concat())?;
        answer::beads(&stdout).with_context(|| format!("bd {}", args[0]))
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state of the database; `None` where other machines write to it.
    fn stamp(&self) -> Option<Stamp> {
        if self.reach != Reach::Machine {
            return None;
        }
        let touched = fs::metadata(self.touched()).ok();
        let databases = fs::read_dir(self.beads.join("embeddeddolt")).ok()?;
        let journals = databases
            .flatten()
            .filter_map(|database| fs::read_dir(database.path().join(".dolt/noms")).ok())
            .flat_map(Iterator::flatten);
        Some(Stamp {
            touched: touched.map(|meta| (meta.mtime(), meta.mtime_nsec())),
            journal: journals
                .filter_map(|file| file.metadata().ok())
                .map(|meta| meta.len())
                .sum(),
        })
    }

    fn touched(&self) -> PathBuf {
        self.beads.join("last-touched")
    }

    /// What a write answered: the row, without its edges.
    fn written(
        &self,
        id: &str,
        guard: &Guard,
        change: &Change,
        stdout: &str,
    ) -> anyhow::Result<Bead> {
        let row = answer::beads(stdout).context("bd update")?;
        let Some(bead) = row.into_iter().next() else {
            bail!("bd update: it answered nothing");
        };
        if bead.id() != id {
            // It takes the beginning of an id for the id, and ours was deleted a moment ago.
            let wrote = Guard {
                assignee: change.assignee.clone().unwrap_or_default(),
                status: change.status.unwrap_or(guard.status),
            };
            let back = Change::default()
                .status(guard.status)
                .assignee(guard.assignee.as_str());
            self.caller
                .output(&write::strs(&write::update(bead.id(), &wrote, &back)), None)?;
            bail!("it was deleted");
        }
        bead.with_assignee()
    }
}

impl Store for Bd {
    fn ready(&self) -> anyhow::Result<Vec<String>> {
        let stamp = self.stamp();
        if let Some(ready) = self.seen().still_ready(stamp.as_ref()) {
            return Ok(ready);
        }
        let read_at = now();
        let rows = self.beads(&["ready", "--limit=0", "--brief"])?;
        let ready: Vec<String> = rows.iter().map(|bead| bead.id().to_owned()).collect();
        self.seen().ready = stamp.map(|stamp| (stamp, read_at, ready.clone()));
        Ok(ready)
    }

    fn list(&self) -> anyhow::Result<Arc<Vec<Bead>>> {
        let stamp = self.stamp();
        if let Some((at, beads)) = &self.seen().list
            && stamp.as_ref() == Some(at)
        {
            return Ok(Arc::clone(beads));
        }
        let beads = Arc::new(self.beads(&ALL)?);
        self.seen().list = stamp.map(|stamp| (stamp, Arc::clone(&beads)));
        Ok(beads)
    }

    fn show(&self, id: &str) -> anyhow::Result<Option<Bead>> {
        let stamp = self.stamp();
        if let Some(stamp) = &stamp
            && let Some((at, bead)) = self.seen().shown.get(id)
            && at == stamp
        {
            return Ok(Some(bead.clone()));
        }
        // `bd show` has edges in another form, takes the beginning of an id, and notes a write.
        // A comma would be two ids; none has one.
        if id.contains(',') {
            return Ok(None);
        }
        let rows = self.beads(&[&ALL[..], &[&format!("--id={id}")]].concat())?;
        let bead = rows.into_iter().find(|bead| bead.id() == id);
        if let (Some(stamp), Some(bead)) = (stamp, &bead) {
            let shown = (stamp, bead.clone());
            self.seen().shown.insert(id.to_owned(), shown);
        }
        Ok(bead)
    }

    fn record(
        &self,
        id: &str,
        guard: &Guard,
        change: &Change,
        lock: Option<&Lock>,
    ) -> anyhow::Result<Option<Bead>> {
        let ran = self
            .caller
            .output(&write::strs(&write::update(id, guard, change)), lock)?;
        match ran.code {
            Some(0) => self.written(id, guard, change, &ran.stdout).map(Some),
            // The try before this one may have written, and its answer was lost.
            Some(GUARD_MISSED) if ran.again => {
                let bead = self.show(id)?;
                Ok(bead.filter(|bead| change.is_done_to(bead, guard)))
            }
            Some(GUARD_MISSED) => Ok(None),
            _ if self.show(id)?.is_none() => Ok(None),
            _ => bail!("bd update: {}", ran.why()),
        }
    }

    fn create(&self, new: &New, lock: Option<&Lock>) -> anyhow::Result<Bead> {
        new.check()?;
        self.caller.require_new_enough()?;
        // Gone when this is over: what is too long for an argument.
        let (args, _long) = write::create(new)?;
        let mut pauses = pauses();
        loop {
            let ran = self
                .caller
                .once(&write::strs(&args), lock.map(Lock::as_stdin).transpose()?)?;
            if ran.code == Some(0) {
                return new.with_edges(&answer::bead(&ran.stdout).context("bd create")?);
            }
            // It may be there although the answer was lost: then another would be one too many.
            if let Some(bead) = self.list()?.iter().find(|bead| new.is(bead)) {
                return Ok(bead.clone());
            }
            let again = ran.is_transient() && new.is_known_again();
            match pauses.next().filter(|_| again) {
                Some(pause) => thread::sleep(pause),
                None => bail!("bd create: {}", ran.why()),
            }
        }
    }

    fn revise(&self, id: &str, revision: &Revision) -> anyhow::Result<Bead> {
        // Edges first: the metadata of the last write says that all was done.
        for on in &revision.unblock {
            self.caller
                .run(&["dep", "remove", "--json", "--", id, on])?;
        }
        for on in &revision.block {
            self.caller.run(&["dep", "add", "--json", "--", id, on])?;
        }
        let args = write::revise(id, revision)?;
        self.caller.require_new_enough()?;
        let text = revision.description.as_deref();
        let ran = self
            .caller
            .retried(&write::strs(&args), || text.map(write::body).transpose())?;
        ensure!(ran.code == Some(0), "bd update: {}", ran.why());
        self.show(id)?.context("no such bead")
    }

    fn renew(&self, id: &str, token: &str) -> anyhow::Result<bool> {
        let ran = self
            .caller
            .output(&["heartbeat", id, "--actor", token, "--json"], None)?;
        if ran.code == Some(0) {
            return Ok(true);
        }
        // Refused, or failed: the bead tells.
        let bead = self.show(id)?;
        if bead.is_some_and(|bead| bead.under_way() && bead.assignee() == token) {
            bail!("bd heartbeat: {}", ran.why());
        }
        Ok(false)
    }

    fn begin_lease(&self, id: &str, token: &str) {
        let _ = self.renew(id, token);
    }

    fn clock(&self) -> anyhow::Result<Timestamp> {
        if self.reach != Reach::Server {
            return Ok(now());
        }
        let stdout = self
            .caller
            .run(&["sql", "--json", "SELECT UTC_TIMESTAMP(6) AS at_utc"])?;
        let [Told { at_utc }] =
            serde_json::from_str(answer::data(&stdout)).context("bd sql: no time")?;
        Ok(at_utc)
    }

    fn watched(&self) -> Option<PathBuf> {
        Some(self.touched())
    }

    fn reach(&self) -> Reach {
        self.reach
    }
}

/// What the server tells of its clock.
#[derive(Deserialize)]
struct Told {
    at_utc: Timestamp,
}

/// Where the database is, as `.beads/metadata.json` says it.
fn reach(beads: &Path) -> Reach {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Mode {
        dolt_mode: String,
    }
    let text = fs::read_to_string(beads.join("metadata.json")).unwrap_or_default();
    let Mode { dolt_mode } = serde_json::from_str(&text).unwrap_or_default();
    let wanted = env::var_os("BEADS_DOLT_SERVER_MODE").is_some_and(|value| value == "1");
    match dolt_mode.as_str() {
        "" | "embedded" if !wanted => Reach::Machine,
        _ => Reach::Server,
    }
}
