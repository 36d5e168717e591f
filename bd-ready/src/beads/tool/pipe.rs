//! The streams of a program: beads in, beads out, talk on stderr. Nothing else touches
//! them but `debug`, and `agent-hold`, which is in no pipe.

use std::env;
use std::fs::File;
use std::io::{self, BufRead, IsTerminal, Write};
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

use anyhow::Context;
use clap::builder::BoolishValueParser;
use clap::{Arg, ArgAction, ArgMatches, Parser};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::stdio::dup2_stdin;

use crate::record::bead::Bead;
use crate::secret;
use crate::text::harmless;

/// Exit status of a program that was called wrongly, as clap's own errors have it.
pub const USAGE: i32 = 2;

/// Settings that mean something when they are empty.
const MAY_BE_EMPTY: [&str; 1] = ["check-launcher"];

/// Begins every program: shows nobody what it was given, and reads the command line. A flag that is
/// marked `env` is a setting, too: the variable `BEADLINE_` and its name in capitals. A variable
/// that is set to nothing counts as unset.
#[must_use]
pub fn parse<A: Parser>() -> A {
    parse_with_sources().0
}

/// The same, with what tells which value came from the command line and which from a variable.
#[must_use]
pub fn parse_with_sources<A: Parser>() -> (A, ArgMatches) {
    secret::hide();
    let matches = A::command().mut_args(setting).get_matches();
    (
        A::from_arg_matches(&matches).unwrap_or_else(|err| err.exit()),
        matches,
    )
}

fn setting(arg: Arg) -> Arg {
    let (Some(_), Some(flag)) = (arg.get_env(), arg.get_long()) else {
        return arg;
    };
    let is_empty = |name: &str| env::var_os(name).is_some_and(|value| value.is_empty());
    let name = format!("BEADLINE_{}", flag.replace('-', "_").to_uppercase());
    if is_empty(&name) && !MAY_BE_EMPTY.contains(&flag) {
        return arg.env(None);
    }
    let arg = match arg.get_action() {
        ArgAction::SetTrue => arg.value_parser(BoolishValueParser::new()),
        _ => arg,
    };
    // clap keeps names for ever.
    arg.env(&*name.leak()).hide_env_values(true)
}

/// The streams of one program.
#[derive(Clone, Debug)]
pub struct Pipe(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    tool: &'static str,
    quiet: bool,
    failed: AtomicBool,
    closed: AtomicBool,
    ending: OnceLock<fn()>,
}

impl Pipe {
    /// Takes over the streams; `quiet` leaves on stderr only what went wrong.
    #[must_use]
    pub fn new(tool: &'static str, quiet: bool) -> Self {
        // Each bead in hand holds a lock file open; the usual soft limit is 1,024.
        let limit = getrlimit(Resource::Nofile);
        let _ = setrlimit(
            Resource::Nofile,
            Rlimit {
                current: limit.maximum,
                ..limit
            },
        );
        let inner = Inner {
            tool,
            quiet,
            failed: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            ending: OnceLock::new(),
        };
        Self(Arc::new(inner))
    }

    /// Says that something happened to a bead. Both may be untrusted text.
    pub fn say(&self, id: &str, what: &str) {
        if !self.0.quiet {
            self.line(&format!("{id}: {what}"));
        }
    }

    /// Says something about no bead in particular.
    pub fn remark(&self, what: &str) {
        if !self.0.quiet {
            self.line(what);
        }
    }

    /// Says what went wrong; the program will exit with 1.
    pub fn complain(&self, what: &str) {
        self.0.failed.store(true, Ordering::Relaxed);
        self.line(what);
    }

    /// Says what went wrong with a bead; the program will exit with 1.
    pub fn fail(&self, id: &str, err: &anyhow::Error) {
        self.complain(&format!("{id}: {err:#}"));
    }

    /// Ends the program because of how it was called.
    pub fn usage(&self, what: &str) -> ! {
        self.line(what);
        process::exit(USAGE)
    }

    /// The exit status so far: 1 after a complaint.
    #[must_use]
    pub fn exit(&self) -> process::ExitCode {
        u8::from(self.0.failed.load(Ordering::Relaxed)).into()
    }

    /// Prints a bead as one line, in one write, at once. Ends the program when it cannot: quietly
    /// when the reader is gone, with 1 otherwise; what it learned is in Beads already.
    pub fn emit(&self, bead: &Bead) {
        self.print(bead.line());
    }

    /// Prints any text as one line: for `orch-status` and flags that only print.
    pub fn print(&self, text: &str) {
        let mut line = String::with_capacity(text.len() + 1);
        line.push_str(text);
        line.push('\n');
        match io::stdout().lock().write_all(line.as_bytes()) {
            Ok(()) => {}
            Err(err) if err.kind() == io::ErrorKind::BrokenPipe => self.end_quietly(),
            Err(err) => {
                self.complain(&format!("cannot write stdout: {err}"));
                self.end(1)
            }
        }
    }

    /// Ends the program within a moment once the reader of stdout is gone, even if there is
    /// nothing to write; `ending` is called before, and before any other sudden end.
    pub fn watch_stdout(&self, ending: fn()) {
        let _ = self.0.ending.set(ending);
        let pipe = self.clone();
        thread::spawn(move || {
            let stdout = io::stdout();
            // No event is asked for: ERR and HUP are always reported (poll(2)).
            let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
            while poll(&mut fds, None).is_err() {}
            if fds[0].revents().intersects(PollFlags::ERR | PollFlags::HUP) {
                pipe.end_quietly();
            }
        });
    }

    /// Reads beads from stdin in a thread of its own and hands them on in order, then `None` at
    /// the end of input. A line that is no bead is complained about and left out.
    pub fn read(&self, mut hand_on: impl FnMut(Option<Bead>) + Send + 'static) {
        if io::stdin().is_terminal() {
            self.usage("stdin is a terminal: pipe beads in, or name them by id");
        }
        let pipe = self.clone();
        thread::spawn(move || {
            for (number, line) in (1..).zip(io::stdin().lock().split(b'\n')) {
                let line = match line {
                    Ok(line) => line,
                    // It would fail again for ever.
                    Err(err) => {
                        pipe.complain(&format!("cannot read stdin: {err}"));
                        break;
                    }
                };
                if pipe.0.closed.load(Ordering::Relaxed) {
                    break;
                }
                if line.trim_ascii().is_empty() {
                    continue;
                }
                match parse_line(&line) {
                    Ok(bead) => hand_on(Some(bead)),
                    Err(err) => pipe.complain(&format!("line {number}: {err:#}")),
                }
            }
            if pipe.0.closed.load(Ordering::Relaxed)
                && let Ok(nothing) = File::open("/dev/null")
            {
                let _ = dup2_stdin(nothing);
            }
            hand_on(None);
        });
    }

    /// Reads no further: what comes is left to the next run, and the program before this one ends
    /// as soon as it has something to write.
    pub fn stop_reading(&self) {
        self.0.closed.store(true, Ordering::Relaxed);
    }

    /// Hands on the lines of stdin with their numbers, for input that is not beads yet. Empty ones
    /// are left out; one that is not UTF-8 is an error.
    ///
    /// # Errors
    /// When stdin cannot be read.
    pub fn lines(
        &self,
        mut hand_on: impl FnMut(usize, anyhow::Result<&str>),
    ) -> anyhow::Result<()> {
        for (number, line) in (1..).zip(io::stdin().lock().split(b'\n')) {
            let line = line.context("cannot read stdin")?;
            if !line.trim_ascii().is_empty() {
                hand_on(number, std::str::from_utf8(&line).context("not UTF-8"));
            }
        }
        Ok(())
    }

    fn line(&self, what: &str) {
        // One write: lines of programs that share a terminal must not mix.
        let line = format!("{}: {}\n", self.0.tool, harmless(what));
        let _ = io::stderr().lock().write_all(line.as_bytes());
    }

    fn end_quietly(&self) -> ! {
        self.end(0)
    }

    fn end(&self, status: i32) -> ! {
        if let Some(ending) = self.0.ending.get() {
            ending();
        }
        process::exit(status)
    }
}

fn parse_line(line: &[u8]) -> anyhow::Result<Bead> {
    Bead::parse(std::str::from_utf8(line).context("not a bead: not UTF-8")?)
}
