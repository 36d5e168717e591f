//! Command lines of a person's settings (`--setup`, `--check`, `--review`), run in a worktree.
//!
//! They run the agent's code or beside it: they get the agent's environment, a time limit, and an
//! end to all that they started.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{mem, thread};

use anyhow::Context;
use beads::debug;
use beads::pipe::Pipe;
use signal_hook::low_level::emulate_default_handler;

use crate::output::Output;
use crate::process::{self, Marker, VARIABLE};
use crate::signals;

/// What an agent's environment may hold; the rest of ours, tokens above all, stays with us. These name
/// people and places: who commits and with which settings, where tools lie and keep their things.
const ALLOWED: [&str; 56] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "TERM",
    "TMPDIR",
    "TZ",
    "DO_NOT_TRACK",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
    "XDG_CACHE_HOME",
    "XDG_RUNTIME_DIR",
    "CODEX_HOME",
    "CLAUDE_CONFIG_DIR",
    // git(1): who commits, in containers and CI, where no file says so.
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_AUTHOR_NAME",
    "GIT_AUTHOR_EMAIL",
    "GIT_COMMITTER_NAME",
    "GIT_COMMITTER_EMAIL",
    // The way to the network.
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "https_proxy",
    "http_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    // Toolchains.
    "CARGO_HOME",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "JAVA_HOME",
    "GRADLE_USER_HOME",
    "ANDROID_HOME",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "PYENV_ROOT",
    "GOPATH",
    "GOROOT",
    "GOCACHE",
    "GOMODCACHE",
    "NVM_DIR",
    "PNPM_HOME",
    "BUN_INSTALL",
    "DENO_DIR",
    "DOTNET_ROOT",
    "LD_LIBRARY_PATH",
];

/// The variable that hands a command line to `sh`.
const LINE: &str = "BEADLINE_LINE";

/// Who the commands that run now run for: they are ended when the program has to end suddenly.
static RUNNING: Mutex<Vec<Marker>> = Mutex::new(Vec::new());

/// A command line and what it runs with.
#[derive(Debug)]
pub struct Command<'a> {
    /// Given to `sh`.
    pub line: &'a str,
    /// The command line that starts it, if it does not start by itself.
    pub launcher: Option<&'a str>,
    /// The folder it runs in.
    pub dir: &'a Path,
    /// Variables beside the allowed ones.
    pub variables: Vec<(OsString, OsString)>,
    /// Who it runs for.
    pub marker: &'a Marker,
    /// What it reads from stdin.
    pub input: Vec<u8>,
    /// Whether its stderr counts as output too.
    pub with_stderr: bool,
    /// When it is ended.
    pub timeout: Duration,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit status; `None`: a signal or the time limit ended it.
    pub code: Option<i32>,
    /// The time limit, if that ended it.
    pub timeout: Option<Duration>,
    /// The end of what it printed.
    pub output: String,
}

/// What a check's end says of what it has checked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Judged {
    /// It passed.
    Passed,
    /// It failed.
    Failed,
    /// A signal or the time limit ended it: perhaps another run would tell.
    Died,
    /// It could not run at all.
    NotRun,
    /// It asks to be run at another time.
    Later,
}

/// The environment of agents and of what runs beside them: the allowed variables, those named in
/// `extra`, Beads read-only, and commits unsigned (a fleet cannot type a passphrase).
#[must_use]
pub fn environment(extra: &[String]) -> Vec<(OsString, OsString)> {
    let allowed = |name: &OsString| {
        name.to_str().is_some_and(|name| {
            ALLOWED.contains(&name) || name.starts_with("LC_") || extra.iter().any(|e| e == name)
        })
    };
    let fixed = [
        ("BD_READONLY", "1"),
        ("GIT_CONFIG_COUNT", "2"),
        ("GIT_CONFIG_KEY_0", "commit.gpgsign"),
        ("GIT_CONFIG_VALUE_0", "false"),
        ("GIT_CONFIG_KEY_1", "tag.gpgsign"),
        ("GIT_CONFIG_VALUE_1", "false"),
        ("GIT_TERMINAL_PROMPT", "0"),
    ];
    let fixed = fixed
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()));
    env::vars_os()
        .filter(|(name, _)| allowed(name))
        .chain(fixed)
        .collect()
}

/// How `sh` runs a command line.
#[derive(Debug)]
pub struct Sh {
    /// Its arguments, which every user of the machine can read.
    pub arguments: Vec<String>,
    /// A variable, if it needs one. The command line does not see it.
    pub variable: Option<(OsString, OsString)>,
}

impl Sh {
    /// A command line by itself stands in no argument, as it may hold a key. It is appended to a
    /// launcher's, and reaches the launcher as arguments, whatever is in it: that may start it where
    /// no variable and no file of ours gets to.
    #[must_use]
    pub fn new(launcher: Option<&str>, line: &str) -> Self {
        let owned = |arguments: &[&str]| arguments.iter().map(ToString::to_string).collect();
        match launcher {
            None => Self {
                // `$LINE` is put in its place before anything of it runs.
                arguments: owned(&["-c", &format!("eval \"unset {LINE}\n${LINE}\"")]),
                variable: Some((LINE.into(), line.into())),
            },
            Some(launcher) => {
                let whole = format!("{launcher} \"$@\"");
                Self {
                    arguments: owned(&["-c", &whole, "launcher", "sh", "-c", line]),
                    variable: None,
                }
            }
        }
    }
}

impl Ended {
    /// How it ended, in words.
    #[must_use]
    pub fn how(&self) -> String {
        match (self.code, self.timeout) {
            (Some(code), _) => format!("exit {code}"),
            (None, Some(limit)) => format!("no end after {limit:?}"),
            (None, None) => "killed".to_owned(),
        }
    }

    /// What it says, as a check. A shell tells of a command that is missing or cannot be run by 127
    /// and 126, of a signal by 128 and its number; 75 is `EX_TEMPFAIL` of sysexits.h.
    #[must_use]
    pub fn judged(&self) -> Judged {
        match self.code {
            Some(0) => Judged::Passed,
            Some(75) => Judged::Later,
            Some(126 | 127) => Judged::NotRun,
            None | Some(129..=159) => Judged::Died,
            Some(_) => Judged::Failed,
        }
    }
}

impl Command<'_> {
    /// Runs it to its end, and ends what it left behind.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn run(self) -> anyhow::Result<Ended> {
        let (output, printed) = Output::open().context("no pipe")?;
        let sh = Sh::new(self.launcher, self.line);
        let variables = self
            .variables
            .into_iter()
            .chain([(VARIABLE.into(), self.marker.as_str().into())])
            .chain(sh.variable);
        #[expect(
            clippy::disallowed_methods,
            reason = "starts every command of the settings"
        )]
        let command = duct::cmd("sh", sh.arguments)
            .dir(self.dir)
            .full_env(variables)
            .stdin_file(input(&self.input).context("no temporary file")?);
        // Inside of where stdout goes: the other way round it would be our own stdout, the pipe.
        let command = if self.with_stderr {
            command.stderr_to_stdout()
        } else {
            command.stderr_null()
        };
        let command = command.stdout_file(printed).before_spawn(|command| {
            command.process_group(0);
            Ok(())
        });
        let mut ran = debug::program("sh", "-c", self.dir);
        // None starts unseen by what ends them all.
        let mut all = running();
        let child = command
            .unchecked()
            .start()
            .with_context(|| format!("cannot run '{}'", self.line))?;
        all.push(self.marker.clone());
        drop(all);
        let ended = child.wait_timeout(self.timeout);
        let code = ended
            .as_ref()
            .ok()
            .and_then(|out| out.as_ref().and_then(|o| o.status.code()));
        ran.exited(code);
        let timeout = matches!(ended, Ok(None)).then_some(self.timeout);
        self.marker.end();
        let mut all = running();
        if let Some(at) = all.iter().position(|marker| marker == self.marker) {
            all.swap_remove(at);
        }
        drop(all);
        ended?;
        // What timed out has been ended: this only collects its status.
        let _ = child.wait_timeout(Duration::from_secs(1));
        Ok(Ended {
            code,
            timeout,
            output: output.end(),
        })
    }
}

/// From here on the commands that run are ended when this program has to end suddenly: the reader
/// of its stdout is gone, or a signal asks for it.
///
/// # Errors
/// When signals cannot be listened to.
pub fn watch(pipe: &Pipe) -> anyhow::Result<()> {
    pipe.watch_stdout(end_all);
    let mut asked = signals::to_end().context("cannot listen to signals")?;
    thread::spawn(move || {
        for signal in asked.forever() {
            end_all();
            // As if it had not been listened to: who waits for this program is told the signal.
            let _ = emulate_default_handler(signal);
        }
    });
    Ok(())
}

/// Ends the commands that run now. From here on none starts, and nobody is told how one ended: that
/// would be written down as the command's own doing.
pub fn end_all() {
    let running = running();
    process::end_all(&running);
    mem::forget(running);
}

fn running() -> MutexGuard<'static, Vec<Marker>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file with what a command reads: a pipe would have to be waited for until it is read to its end,
/// or until nothing that the command left behind holds it.
fn input(bytes: &[u8]) -> io::Result<File> {
    if bytes.is_empty() {
        return File::open("/dev/null");
    }
    let mut file = tempfile::tempfile()?;
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}
