//! The real Beads: `bd`, on an embedded database or on a server.
//!
//! The only file that runs `bd`. Every call is one process, kept off the pipe and bounded in time.
//! What it relies on was measured on Beads 1.3.0.

use std::collections::HashMap;
use std::env;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::answer;
use crate::bead::{Bead, CLAIM};
use crate::change::{Change, Guard};
use crate::lock::Lock;
use crate::store::{Reach, Store, now};

/// The oldest `bd` that has all that is needed, and its name for people.
const OLDEST: (u32, u32) = (1, 3);

/// No call takes longer unless its database is stuck; `BEADLINE_BEADS_TIMEOUT` says otherwise.
const LONGEST: Duration = Duration::from_mins(2);

/// Pauses between the tries of a call whose failure is plainly transient: half a minute in all, as
/// long as a server may take to come back.
const PAUSES: [Duration; 7] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(15),
];

/// What `bd` says, in any case of letters, when trying again helps: another process has the
/// database, or its server is away.
const TRANSIENT: [&str; 14] = [
    "database is locked",
    "locked by another",
    "lock wait timeout",
    "could not acquire",
    "serialization failure",
    "try restarting transaction",
    "connection refused",
    "connection reset",
    "invalid connection",
    "bad connection",
    "broken pipe",
    "unexpected eof",
    "i/o timeout",
    "server unreachable",
];

/// A guard of a write did not hold (`bd update --help`).
const GUARD_MISSED: i32 = 13;

/// What an environment may not decide for `bd`, which asks git where it is.
const SCRUBBED: [&str; 4] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    // The mark of an agent's processes: what renews its lease is none.
    "BEADLINE_HOLD",
];

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
    /// The main worktree, where it runs.
    dir: PathBuf,
    /// `.beads`.
    beads: PathBuf,
    reach: Reach,
    checked: OnceLock<()>,
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

/// How a call ended.
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
    /// An earlier try may have had its effect although it failed.
    again: bool,
}

impl Bd {
    pub(crate) fn new(dir: &Path, beads: PathBuf) -> Self {
        Self {
            dir: dir.to_owned(),
            reach: reach(&beads),
            beads,
            checked: OnceLock::new(),
            seen: Mutex::default(),
        }
    }

    /// Runs to success and returns stdout.
    fn run(&self, args: &[&str]) -> anyhow::Result<String> {
        let ran = self.ran(args, None)?;
        ensure!(ran.code == Some(0), "bd {}: {}", args[0], ran.why());
        Ok(ran.stdout)
    }

    fn beads(&self, args: &[&str]) -> anyhow::Result<Vec<Bead>> {
        let stdout = self.run(&[args, &["--json"]].concat())?;
        answer::beads(&stdout).with_context(|| format!("bd {}", args[0]))
    }

    /// Runs to an end, whatever it is; transient failures are tried again.
    fn ran(&self, args: &[&str], lock: Option<&Lock>) -> anyhow::Result<Ran> {
        self.require_new_enough()?;
        let mut again = false;
        for pause in PAUSES {
            let ran = self.once(args, lock)?;
            if !ran.is_transient() {
                return Ok(Ran { again, ..ran });
            }
            again = true;
            thread::sleep(pause);
        }
        let ran = self.once(args, lock)?;
        Ok(Ran { again, ..ran })
    }

    fn once(&self, args: &[&str], lock: Option<&Lock>) -> anyhow::Result<Ran> {
        // Files, as a pipe would not end while a server that `bd` started holds it.
        let (mut stdout, mut stderr) = (tempfile::tempfile()?, tempfile::tempfile()?);
        #[expect(clippy::disallowed_methods, reason = "starts every bd")]
        let mut bd = duct::cmd("bd", args)
            .dir(&self.dir)
            .stdout_file(stdout.try_clone()?)
            .stderr_file(stderr.try_clone()?)
            .unchecked();
        for name in SCRUBBED {
            bd = bd.env_remove(name);
        }
        if env::var_os("BEADS_DIR").is_some() {
            bd = bd.env("BEADS_DIR", &self.beads);
        }
        // Should this program be killed, its last write is over before the next one has the bead.
        bd = match lock {
            Some(lock) => bd.stdin_file(lock.as_stdin()?),
            None => bd.stdin_null(),
        };
        let bd = bd.start().map_err(|err| self.not_started(&err))?;
        let longest = longest()?;
        let Some(out) = bd.wait_timeout(longest)? else {
            bd.kill()?;
            bail!("bd {}: no end after {longest:?}", args[0]);
        };
        Ok(Ran {
            code: out.status.code(),
            stdout: text_of(&mut stdout)?,
            stderr: text_of(&mut stderr)?,
            again: false,
        })
    }

    fn not_started(&self, err: &std::io::Error) -> anyhow::Error {
        let (major, minor) = OLDEST;
        anyhow!(
            "'{}' holds a Beads database, but bd cannot be run ({err}): install bd {major}.{minor} or newer",
            self.beads.display()
        )
    }

    fn require_new_enough(&self) -> anyhow::Result<()> {
        if self.checked.get().is_some() {
            return Ok(());
        }
        let ran = self.once(&["version", "--json"], None)?;
        let version = serde_json::from_str(&ran.stdout)
            .map(|Version { version }| version)
            .with_context(|| format!("bd version: {}", ran.why()))?;
        let mut numbers = version.split('.').map(|part| part.parse::<u32>().ok());
        let is = (numbers.next().flatten(), numbers.next().flatten());
        let (major, minor) = OLDEST;
        ensure!(
            is >= (Some(major), Some(minor)),
            "bd is version {version}: version {major}.{minor} or newer is needed"
        );
        let _ = self.checked.set(());
        Ok(())
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
            self.ran(&strs(&update(bead.id(), &wrote, &back)), None)?;
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
        let ran = self.ran(&strs(&update(id, guard, change)), lock)?;
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

    fn renew(&self, id: &str, token: &str) -> anyhow::Result<bool> {
        let ran = self.ran(&["heartbeat", id, "--actor", token, "--json"], None)?;
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

    fn watched(&self) -> Option<PathBuf> {
        Some(self.touched())
    }

    fn reach(&self) -> Reach {
        self.reach
    }
}

/// The one guarded write of `change`. Values stand behind `=`, so that none reads as a flag.
fn update(id: &str, guard: &Guard, change: &Change) -> Vec<String> {
    let word = |status| serde_json::to_value(status).ok();
    let word = |status| match word(status) {
        Some(Value::String(word)) => word,
        _ => String::new(),
    };
    let claim = |name: &&str| name.starts_with(CLAIM);
    let actor = [
        change.assignee.as_deref().unwrap_or_default(),
        &guard.assignee,
    ]
    .into_iter()
    .find(claim)
    .unwrap_or("beadline");
    let mut args = vec![
        "update".to_owned(),
        format!("--actor={actor}"),
        format!("--if-assignee={}", guard.assignee),
        format!("--if-status={}", word(guard.status)),
        "--json".to_owned(),
    ];
    if let Some(status) = change.status {
        args.push(format!("--status={}", word(status)));
    }
    if let Some(assignee) = &change.assignee {
        args.push(format!("--assignee={assignee}"));
    }
    if let Some(note) = &change.note {
        args.push(format!("--append-notes={}", note.replace('\0', "")));
    }
    if !change.facts.is_empty() {
        args.push(format!(
            "--metadata={}",
            Value::Object(change.facts.clone())
        ));
    }
    args.extend(["--".to_owned(), id.to_owned()]);
    args
}

fn strs(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
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

fn longest() -> anyhow::Result<Duration> {
    match env::var("BEADLINE_BEADS_TIMEOUT") {
        Ok(text) if !text.is_empty() => {
            crate::tool::duration(&text).context("BEADLINE_BEADS_TIMEOUT")
        }
        _ => Ok(LONGEST),
    }
}

fn text_of(file: &mut File) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What `bd version --json` says.
#[derive(Deserialize)]
struct Version {
    version: String,
}

/// What `bd` says of a failure with `--json`.
#[derive(Deserialize)]
struct Refusal {
    error: String,
    #[serde(default)]
    failed: Vec<Refusal>,
}

impl Ran {
    fn is_transient(&self) -> bool {
        let failed = !matches!(self.code, Some(0 | GUARD_MISSED));
        let said = self.stderr.to_lowercase();
        failed && TRANSIENT.iter().any(|sign| said.contains(sign))
    }

    /// The cause in one line: the last `error` that it names, else what it said.
    fn why(&self) -> String {
        let parse = |text: &str| serde_json::from_str::<Refusal>(text).ok();
        let refusal = parse(&self.stdout)
            .or_else(|| parse(&self.stderr))
            .or_else(|| self.stderr.lines().find_map(parse));
        let how = match self.code {
            Some(code) => format!("exit {code}"),
            None => "killed".to_owned(),
        };
        if let Some(refusal) = refusal {
            let first = refusal.failed.into_iter().next();
            return first.map_or(refusal.error, |first| first.error);
        }
        let said: Vec<&str> = self.stderr.lines().map(str::trim).collect();
        match said.is_empty() {
            true => how,
            false => format!("{how}: {}", said.join("; ")),
        }
    }
}
