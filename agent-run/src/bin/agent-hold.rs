//! Owns one agent: starts it, bounds it, ends it and all that it started, and writes down how it
//! ended. It outlives the line; the lock that it holds is the sign that its agent lives.
//!
//! It decides nothing: no phase, no verdict, no bead is written here.

use std::io::{self, BufRead, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant, SystemTime};
use std::{env, fs, thread};

use agent::{Allowance, Cause, End, Lines, Listener, Log, command_line, words};
use anyhow::{Context, bail};
use beads::lock::{self, Lock};
use beads::secret::is_for_beads;
use beads::{Bead, Common, Tool, duration, pipe, time};
use clap::Parser;
use git::process::Marker;
use git::shell;
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, wait};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Hold one agent: agent-run starts this program, and nobody else has to
#[derive(Parser)]
#[command(
    name = "agent-hold",
    version,
    after_help = "Reads {\"agent\":CMD,\"launcher\":CMD} from stdin, as one line, says \"ready\" on stdout once it holds
a slot and its lock, waits for \"go\" on stdin, runs the agent, and ends with it. Without a \"go\"
nothing is started.
Exit status: 0 done, 1 something failed, 2 usage."
)]
struct Args {
    /// The bead that the agent works on
    #[arg(value_name = "ID")]
    id: String,

    /// The assignee of the claim whose lease is renewed
    #[arg(long, value_name = "TOKEN")]
    token: String,

    /// Number of the run; the log and the end record are named after it
    #[arg(long, value_name = "N")]
    run: u64,

    /// Folder that the agent works in
    #[arg(long, value_name = "DIR")]
    worktree: PathBuf,

    /// File that the agent reads from stdin
    #[arg(long, value_name = "FILE")]
    prompt: PathBuf,

    /// Commit that the branch is at
    #[arg(long, value_name = "SHA", default_value = "")]
    head: String,

    /// The marker, which people without privileges find this process by
    #[arg(long, value_name = "NAME=VALUE")]
    marker: String,

    #[command(flatten)]
    allowance: Allowance,

    /// Number of slots of this clone
    #[arg(long, value_name = "N")]
    max_agents: usize,

    /// End the agent after TIME
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Duration,

    /// End the agent after TIME without output and without a change in the worktree
    #[arg(long, value_name = "TIME", value_parser = duration)]
    stall: Duration,

    #[command(flatten)]
    common: Common,
}

/// How long an earlier `agent-hold` of the bead may take to let go of its lock.
const HANDOVER: Duration = Duration::from_secs(10);

/// How often the lease is renewed; Beads lets it run out after 5 minutes.
const RENEWAL: Duration = Duration::from_secs(100);

/// All writers of its output are gone: what is left in the pipe is read at once.
const LAST_WORDS: Duration = Duration::from_millis(20);

enum Event {
    Go,
    NoGo,
    Output(Vec<u8>),
    /// A child has ended, which may be the agent.
    Child,
    Signal,
    LeaseLost,
    Slot(io::Result<Lock>),
}

fn main() -> ExitCode {
    let args: Args = pipe::parse();
    Tool::run("agent-hold", &args.common, |tool| hold(tool, &args))
}

fn hold(tool: &Tool, args: &Args) -> anyhow::Result<()> {
    // A session of its own: what ends the line's group or terminal does not end the agent. And the
    // parent of whatever its agent leaves behind.
    let _ = rustix::process::setsid();
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    let lines = read_lines()?;
    // Bounded: an agent that floods its output waits for its log.
    let (sender, events) = mpsc::sync_channel(64);
    listen(&sender)?;

    let folder = tool.repository.folder(&args.id);
    let slots = tool.repository.state_dir().slots();
    let Some(_slot) = take_slot(&slots, args.max_agents, &sender, &events)? else {
        return Ok(());
    };
    let _hold = take_hold(&folder.hold_lock())?;
    let _ = writeln!(io::stdout(), "ready");
    loop {
        match events.recv() {
            Ok(Event::Go) => break,
            // A slot that came too late is let go of.
            Ok(Event::Slot(_) | Event::Child) => {}
            _ => return Ok(()),
        }
    }

    // One of an earlier bead of this id would speak for this run, should this program be killed.
    let _ = fs::remove_file(folder.end_record(args.run));
    let started_at = time::now();
    let mut log = Log::create(&folder.log(args.run))
        .with_context(|| format!("cannot write '{}'", folder.log(args.run).display()))?;
    let marker = Marker::from_argument(&args.marker);
    let mut listener = Listener::new(words(&lines.agent));
    let (mut cause, status) = match start(args, &lines, &sender) {
        Ok(agent) => {
            renew(tool, args, sender);
            watch(args, agent, &events, &mut log, &mut listener)
        }
        Err(err) => {
            let _ = log.add(format!("beadline: {err:#}\n").as_bytes());
            (Cause::NotStarted, None)
        }
    };
    marker.end_with_descendants();
    // What it printed while it ended.
    while let Ok(event) = events.recv_timeout(LAST_WORDS) {
        match event {
            Event::Output(bytes) => {
                let _ = log.add(&bytes);
                listener.hear(&bytes);
            }
            // Whoever ends all that carries the marker ends the agent a moment before this program
            // hears of it: that it failed is not the agent's doing.
            Event::Signal if cause == Cause::Exited && status != Some(0) => cause = Cause::Stopped,
            _ => {}
        }
    }
    End {
        cause,
        status,
        started_at,
        ended_at: time::now(),
        head_before: args.head.clone(),
        said: listener.end(status),
    }
    .write(&folder.end_record(args.run))
}

/// Reads the command lines, which come first.
fn read_lines() -> anyhow::Result<Lines> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    serde_json::from_str(&line).context("stdin tells no agent")
}

/// Listens to `agent-run` and to signals.
fn listen(sender: &SyncSender<Event>) -> anyhow::Result<()> {
    let go = sender.clone();
    thread::spawn(move || {
        let mut line = String::new();
        let read = io::stdin().lock().read_line(&mut line);
        let event = if read.is_ok() && line == "go\n" {
            Event::Go
        } else {
            Event::NoGo
        };
        let _ = go.send(event);
    });
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGCHLD])?;
    let ended = sender.clone();
    thread::spawn(move || {
        for signal in signals.forever() {
            let _ = ended.send(match signal {
                SIGCHLD => Event::Child,
                _ => Event::Signal,
            });
        }
    });
    Ok(())
}

/// Waits for any of the slots: in one thread each, the first to get one wins. `None`: told to end.
fn take_slot(
    slots: &Path,
    count: usize,
    sender: &SyncSender<Event>,
    events: &Receiver<Event>,
) -> anyhow::Result<Option<Lock>> {
    let paths: Vec<PathBuf> = (1..=count.max(1))
        .map(|n| slots.join(format!("{n}.lock")))
        .collect();
    for path in &paths {
        if let Some(slot) = lock::try_take(path)? {
            return Ok(Some(slot));
        }
    }
    for path in paths {
        let sender = sender.clone();
        thread::spawn(move || sender.send(Event::Slot(lock::take(&path))));
    }
    loop {
        match events.recv()? {
            Event::Slot(slot) => return Ok(Some(slot?)),
            Event::NoGo | Event::Signal => return Ok(None),
            _ => {}
        }
    }
}

/// Takes the bead's lock from an earlier `agent-hold` that is about to end.
fn take_hold(path: &Path) -> anyhow::Result<Lock> {
    let (sender, taken) = mpsc::channel();
    let wanted = path.to_owned();
    thread::spawn(move || sender.send(lock::take(&wanted)));
    match taken.recv_timeout(HANDOVER) {
        Ok(lock) => Ok(lock?),
        Err(_) => bail!("another agent of this bead is alive"),
    }
}

/// Starts the agent, and a thread that waits for its output.
fn start(args: &Args, lines: &Lines, sender: &SyncSender<Event>) -> anyhow::Result<Pid> {
    let (output, stdout) = io::pipe()?;
    let variables = env::vars_os().filter(|(name, _)| !is_for_beads(name));
    let sh = shell::Sh::new(lines.launcher.as_deref(), command_line(&lines.agent));
    #[expect(clippy::disallowed_methods, reason = "starts every agent")]
    let child = Command::new("sh")
        .args(&sh.arguments)
        .current_dir(&args.worktree)
        .env_clear()
        .envs(variables)
        .envs(sh.variable)
        .env("BD_READONLY", "1")
        .stdin(fs::File::open(&args.prompt)?)
        .stdout(stdout.try_clone()?)
        .stderr(Stdio::from(stdout))
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot start the agent in '{}'", args.worktree.display()))?;
    let printed = sender.clone();
    thread::spawn(move || read_output(output, &printed));
    Ok(Pid::from_child(&child))
}

/// Children of this thread alone (`__WNOTHREAD` of waitpid(2)): the agent, and the orphans among what
/// it started. What another thread has started, to reach Beads, that thread waits for.
const OF_THIS_THREAD: WaitOptions = WaitOptions::from_bits_retain(0x2000_0000);

/// Collects the children that have ended: nobody else does it for what the agent leaves behind.
/// Returns the agent's status, if it is among them; with a signal it is 128 more than that.
fn reap(agent: Pid) -> Option<i32> {
    let mut found = None;
    loop {
        match wait(OF_THIS_THREAD | WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid == agent => {
                let signal = status.terminating_signal().map(|signal| 128 + signal);
                found = status.exit_status().or(signal);
            }
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) | Err(_) => return found,
        }
    }
}

fn read_output(mut output: io::PipeReader, sender: &SyncSender<Event>) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(count @ 1..) = output.read(&mut bytes) {
        if sender.send(Event::Output(bytes[..count].to_vec())).is_err() {
            return;
        }
    }
}

/// Keeps the claim's lease alive; a claim that is lost ends the agent.
fn renew(tool: &Tool, args: &Args, sender: SyncSender<Event>) {
    let (tool, id, token) = (tool.clone(), args.id.clone(), args.token.clone());
    thread::spawn(move || {
        loop {
            thread::sleep(RENEWAL);
            // Beads out of reach is no word on the claim.
            if let Ok(false) = tool.store.renew(&id, &token)
                && tool.seek(&id).is_ok_and(|bead| !has(bead.as_ref(), &token))
            {
                let _ = sender.send(Event::LeaseLost);
            }
        }
    });
}

/// Whether a bead is under way by this claim.
fn has(bead: Option<&Bead>, token: &str) -> bool {
    bead.is_some_and(|bead| bead.under_way() && bead.assignee() == token)
}

/// Waits for the end of the agent, or for a reason to end it.
fn watch(
    args: &Args,
    agent: Pid,
    events: &Receiver<Event>,
    log: &mut Log,
    listener: &mut Listener,
) -> (Cause, Option<i32>) {
    let deadline = Instant::now() + args.timeout;
    let mut active = Instant::now();
    loop {
        let silent = active + args.stall;
        let now = Instant::now();
        // Looked at each time: a flood of output never lets the wait for it time out.
        if now >= deadline {
            return (Cause::Timeout, None);
        }
        match events.recv_timeout(deadline.min(silent).saturating_duration_since(now)) {
            Ok(Event::Output(bytes)) => {
                if listener.hear(&bytes) {
                    active = Instant::now();
                } else if now >= silent {
                    match changed_since(&args.worktree, args.stall) {
                        Some(change) => active = change,
                        None => return (Cause::Stalled, None),
                    }
                }
                // A full disk must not end the agent's work.
                let _ = log.add(&bytes);
                if args.allowance.exceeded(&listener.spent()).is_some() {
                    return (Cause::Overspent, None);
                }
            }
            Ok(Event::Child) => {
                if let Some(status) = reap(agent) {
                    return (Cause::Exited, Some(status));
                }
            }
            Ok(Event::Signal | Event::LeaseLost) | Err(RecvTimeoutError::Disconnected) => {
                return (Cause::Stopped, None);
            }
            Ok(Event::Go | Event::NoGo | Event::Slot(_)) => {}
            Err(RecvTimeoutError::Timeout) if Instant::now() >= deadline => {}
            Err(RecvTimeoutError::Timeout) => match changed_since(&args.worktree, args.stall) {
                Some(change) => active = change,
                None => return (Cause::Stalled, None),
            },
        }
    }
}

/// The time of the newest change in a worktree, if it is younger than `age`. Looked for only when
/// the agent has been silent for that long.
fn changed_since(worktree: &Path, age: Duration) -> Option<Instant> {
    let since = SystemTime::now().checked_sub(age)?;
    let newest = newest(worktree).filter(|newest| *newest > since)?;
    Instant::now().checked_sub(newest.elapsed().unwrap_or_default())
}

fn newest(path: &Path) -> Option<SystemTime> {
    let meta = fs::symlink_metadata(path).ok()?;
    // A file dated in the future says nothing.
    let own = meta.modified().ok().filter(|at| *at <= SystemTime::now());
    if !meta.is_dir() {
        return own;
    }
    let below = fs::read_dir(path)
        .ok()?
        .flatten()
        .filter_map(|entry| newest(&entry.path()));
    below.chain(own).max()
}
