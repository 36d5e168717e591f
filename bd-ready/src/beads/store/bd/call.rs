//! Calls of `bd`: each is one process, kept off the pipe and bounded in time.

use std::env;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use serde::Deserialize;

use crate::clone::lock::{self, Lock};
use crate::retry::retry;
use crate::store::answer;
use crate::{debug, secret};

/// The oldest `bd` that has all that is needed, and its name for people.
const OLDEST: (u32, u32) = (1, 3);

/// No call takes longer unless its database is stuck; `BEADLINE_BEADS_TIMEOUT` says otherwise.
const LONGEST: Duration = Duration::from_mins(2);

/// Pauses between the tries of a call whose failure is plainly transient: some 45 s in all, as long
/// as a server may take to come back.
const PAUSES: [Duration; 8] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(15),
    Duration::from_secs(15),
];

/// What `bd` says, in any case of letters, when trying again helps: another process has the
/// database, or its server is away.
const TRANSIENT: [&str; 16] = [
    "database is locked",
    "locked by another",
    "workspace gate busy",
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
    "circuit breaker is open",
];

/// A guard of a write did not hold (`bd update --help`).
pub(super) const GUARD_MISSED: i32 = 13;

/// What an environment may not decide for `bd`, which asks git where it is.
const SCRUBBED: [&str; 4] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    // The mark of an agent's processes: what renews its lease is none.
    "BEADLINE_HOLD",
];

/// Calls `bd` in one folder.
#[derive(Debug)]
pub(super) struct Caller {
    /// The main worktree, where it runs.
    dir: PathBuf,
    /// `.beads`.
    beads: PathBuf,
    /// Whether the database serves one process at a time.
    embedded: bool,
    /// Whether `bd` is known to be new enough.
    checked: Mutex<bool>,
}

/// How a call ended.
pub(super) struct Ran {
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    stderr: String,
    /// An earlier try may have had its effect although it failed.
    pub(super) again: bool,
}

impl Caller {
    pub(super) fn new(dir: PathBuf, beads: PathBuf, embedded: bool) -> Self {
        Self {
            dir,
            beads,
            embedded,
            checked: Mutex::default(),
        }
    }

    /// Runs to success and returns stdout.
    pub(super) fn run(&self, args: &[&str]) -> anyhow::Result<String> {
        let ran = self.output(args, None)?;
        ensure!(ran.code == Some(0), "bd {}: {}", args[0], ran.why());
        Ok(ran.stdout)
    }

    /// Runs to an end, whatever it is; transient failures are tried again.
    pub(super) fn output(&self, args: &[&str], lock: Option<&Lock>) -> anyhow::Result<Ran> {
        // Should this program be killed, its last write is over before the next one has the bead.
        self.retried(args, || Ok(lock.map(Lock::as_stdin).transpose()?))
    }

    /// The same, with a stdin for every try.
    pub(super) fn retried(
        &self,
        args: &[&str],
        stdin: impl Fn() -> anyhow::Result<Option<File>>,
    ) -> anyhow::Result<Ran> {
        self.require_new_enough()?;
        let run = || self.once(args, stdin()?);
        let is_transient = |ran: &anyhow::Result<Ran>| ran.as_ref().is_ok_and(Ran::is_transient);
        let (ran, again) = retry(pauses(), run, is_transient);
        Ok(Ran { again, ..ran? })
    }

    pub(super) fn once(&self, args: &[&str], stdin: Option<File>) -> anyhow::Result<Ran> {
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
        for name in secret::names(secret::is_for_forges) {
            bd = bd.env_remove(name);
        }
        if env::var_os("BEADS_DIR").is_some() {
            bd = bd.env("BEADS_DIR", &self.beads);
        }
        bd = match stdin {
            Some(file) => bd.stdin_file(file),
            None => bd.stdin_null(),
        };
        // Ours wait for their turn here, not in `bd`, where some would starve: it is no time of
        // the call.
        let turn = self.embedded.then(|| lock::take_dir(&self.beads));
        let _turn = turn
            .transpose()
            .with_context(|| format!("cannot lock '{}'", self.beads.display()))?;
        let mut running = debug::program("bd", args[0], &self.dir);
        let bd = bd.start().map_err(|err| self.not_started(&err))?;
        let longest = longest()?;
        let Some(out) = bd.wait_timeout(longest)? else {
            bd.kill()?;
            // It is gone at once, unless it hangs inside the kernel.
            bd.wait_timeout(Duration::from_secs(1))?;
            bail!("bd {}: no end after {longest:?}", args[0]);
        };
        running.exited(out.status.code());
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

    pub(super) fn require_new_enough(&self) -> anyhow::Result<()> {
        // Held while it is asked, so that many threads ask once.
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        if *checked {
            return Ok(());
        }
        let ran = self.once(&["version", "--json"], None)?;
        let version = serde_json::from_str(answer::data(&ran.stdout))
            .map(|Version { version }| version)
            .with_context(|| format!("bd version: {}", ran.why()))?;
        let mut numbers = version.split('.').map(|part| part.parse::<u32>().ok());
        let is = (numbers.next().flatten(), numbers.next().flatten());
        let (major, minor) = OLDEST;
        ensure!(
            is >= (Some(major), Some(minor)),
            "bd is version {version}: version {major}.{minor} or newer is needed"
        );
        *checked = true;
        Ok(())
    }
}

/// The pauses, each half to one and a half times as long: or all whose server was away would be back
/// at the same moment.
pub(super) fn pauses() -> impl Iterator<Item = Duration> {
    PAUSES
        .into_iter()
        .map(|pause| pause.mul_f64(0.5 + fastrand::f64()))
}

fn longest() -> anyhow::Result<Duration> {
    match env::var("BEADLINE_BEADS_TIMEOUT") {
        Ok(text) if !text.is_empty() => {
            crate::time::some_time(&text).context("BEADLINE_BEADS_TIMEOUT")
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
    pub(super) fn is_transient(&self) -> bool {
        let failed = !matches!(self.code, Some(0 | GUARD_MISSED));
        // With `--json` some of it is said on stdout.
        let said = format!("{}\n{}", self.stderr, self.stdout).to_lowercase();
        failed && TRANSIENT.iter().any(|sign| said.contains(sign))
    }

    /// The cause in one line: the last `error` that it names, else what it said.
    pub(super) fn why(&self) -> String {
        let parse = |text: &str| serde_json::from_str::<Refusal>(answer::data(text)).ok();
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
