//! What of an agent lives: every process that carries its marker in its environment, and its
//! `agent-hold`.
//!
//! Never a pid that was written down: pids are used again. Processes of agents start sessions of
//! their own and survive their group, but they inherit the environment (proc(5), `environ`).

use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use beads::Repository;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal, test_kill_process,
};

/// The variable that holds a [`Marker`].
pub const VARIABLE: &str = "BEADLINE_HOLD";

/// Between TERM and KILL.
const GRACE: Duration = Duration::from_secs(3);

/// After KILL a process is gone as soon as the kernel lets it go.
const GONE: Duration = Duration::from_secs(10);

/// A process that starts a program for longer hangs in the kernel.
const STARTING: Duration = Duration::from_secs(1);

/// Parents that end one after the other hand a process on so often.
const CLIMBS: usize = 10;

/// More listings of all processes, each with new ones, are a flood that has no end.
const LISTINGS: usize = 1000;

/// Names all processes that were started for one bead in one clone.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Marker(String);

impl Marker {
    /// The marker of a bead's agent, set-up and checks in this clone. The git directory stands in
    /// for the clone's name where it has none yet.
    #[must_use]
    pub fn of(repository: &Repository, id: &str) -> Self {
        match repository.host() {
            Some(host) => Self(format!("{host}:{id}")),
            None => Self(format!("{}:{id}", repository.common().display())),
        }
    }

    /// As a program of ours carries it on its command line: nobody can read its environment.
    #[must_use]
    pub fn argument(&self) -> String {
        format!("{VARIABLE}={}", self.0)
    }

    /// A marker as it was handed over on a command line.
    #[must_use]
    pub fn from_argument(argument: &str) -> Self {
        let text = argument.strip_prefix(VARIABLE).unwrap_or_default();
        Self(text.strip_prefix('=').unwrap_or_default().to_owned())
    }

    /// The value of the variable.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether any living process carries the marker, this one left out.
    #[must_use]
    pub fn is_carried(&self) -> bool {
        !living(|pid| carries(pid, std::slice::from_ref(self))).is_empty()
    }

    /// Ends all that carry the marker: TERM, then KILL. Returns once none is left, or none will go.
    pub fn end(&self) {
        end_all(std::slice::from_ref(self));
    }

    /// The same, and ends all that descend from this process. Of a subreaper that is all that its
    /// agent ever started, whatever that did to its environment.
    pub fn end_with_descendants(&self) {
        end(|pid| carries(pid, std::slice::from_ref(self)) || descends(pid));
    }
}

/// Ends all that carry any of the markers, as [`Marker::end`] does.
pub fn end_all(markers: &[Marker]) {
    end(|pid| carries(pid, markers));
}

/// The beads' markers of this clone that some process carries: all in one reading of `/proc`.
#[must_use]
pub fn marked(repository: &Repository) -> HashSet<String> {
    let prefix = format!("{VARIABLE}={}:", repository.host().unwrap_or_default()).into_bytes();
    let mut found = HashSet::new();
    for pid in pids() {
        for entry in environ(pid).split(|byte| *byte == 0) {
            if let Some(id) = entry.strip_prefix(&prefix[..]) {
                found.insert(String::from_utf8_lossy(id).into_owned());
            }
        }
    }
    found
}

/// A process, and a handle that stays its own when its pid is another's.
struct Process {
    pid: i32,
    handle: OwnedFd,
}

impl Process {
    /// `None`: it is gone.
    fn hold(pid: i32) -> Option<Self> {
        let handle = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
        Some(Self { pid, handle })
    }
}

fn end(is_meant: impl Fn(i32) -> bool) {
    let started = Instant::now();
    let mut asked: HashSet<i32> = HashSet::new();
    loop {
        let living = living(&is_meant);
        if living.is_empty() || started.elapsed() > GRACE + GONE {
            return;
        }
        let signal = if started.elapsed() < GRACE {
            Signal::TERM
        } else {
            Signal::KILL
        };
        for process in &living {
            // TERM once: a second one makes some programs skip their own cleaning up.
            if signal == Signal::KILL || asked.insert(process.pid) {
                let _ = pidfd_send_signal(&process.handle, signal);
            }
        }
        let left = GRACE
            .checked_sub(started.elapsed())
            .unwrap_or(Duration::from_millis(100));
        wait_for_one(&living, left);
    }
}

/// The living processes that are meant; none is a word that holds: what one of them started while
/// the others were looked at shows in the next listing.
fn living(is_meant: impl Fn(i32) -> bool) -> Vec<Process> {
    let mut seen = HashSet::new();
    for _ in 0..LISTINGS {
        let new: Vec<i32> = pids().filter(|pid| seen.insert(*pid)).collect();
        let living = held(&new, &is_meant);
        if new.is_empty() || !living.is_empty() {
            return living;
        }
    }
    Vec::new()
}

/// Those of the processes that are meant. Each is held before it is looked at: what is signalled
/// later is what was looked at, or nothing.
fn held(pids: &[i32], is_meant: impl Fn(i32) -> bool) -> Vec<Process> {
    let held = pids.iter().filter_map(|pid| Process::hold(*pid));
    held.filter(|process| is_meant(process.pid)).collect()
}

fn pids() -> impl Iterator<Item = i32> {
    let own = getpid().as_raw_nonzero().get();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(move |pid| *pid != own)
}

fn carries(pid: i32, markers: &[Marker]) -> bool {
    let prefix = format!("{VARIABLE}=").into_bytes();
    let is_marker = |value: &[u8]| markers.iter().any(|marker| marker.0.as_bytes() == value);
    environ(pid)
        .split(|byte| *byte == 0)
        .any(|entry| entry.strip_prefix(&prefix[..]).is_some_and(is_marker))
}

/// The environment of a process; empty where it has ended, or is another user's. A program of ours
/// lets nobody read that: its arguments count.
fn environ(pid: i32) -> Vec<u8> {
    let since = Instant::now();
    loop {
        let environ = match fs::read(format!("/proc/{pid}/environ")) {
            Ok(environ) => environ,
            Err(err) if err.kind() == ErrorKind::PermissionDenied => return arguments(pid),
            // The kernel's own have none, nor has one that is about to be gone: it still holds files.
            Err(_) => Vec::new(),
        };
        let length = |stat: Stat| stat.environ == Some(environ.len() as u64);
        if Stat::of(pid).is_none_or(length) || since.elapsed() > STARTING {
            return environ;
        }
        // It is just starting a program: it has lost one environment before it gets the next, or
        // while this one was read, which then may end anywhere, between two variables, too.
        thread::sleep(Duration::from_millis(1));
    }
}

/// The arguments of a process of this user, who may signal it.
fn arguments(pid: i32) -> Vec<u8> {
    let own = Pid::from_raw(pid).is_some_and(|pid| test_kill_process(pid).is_ok());
    let arguments = own.then(|| fs::read(format!("/proc/{pid}/cmdline")).ok());
    arguments.flatten().unwrap_or_default()
}

/// Whether a process is below this one. A parent that ends meanwhile hands it on: asked again.
fn descends(pid: i32) -> bool {
    let own = getpid().as_raw_nonzero().get();
    for _ in 0..CLIMBS {
        let mut at = pid;
        while let Some(parent) = Stat::of(at).and_then(|stat| stat.parent) {
            match parent {
                0 => return false,
                _ if parent == own => return true,
                _ => at = parent,
            }
        }
    }
    false
}

/// What `/proc/<pid>/stat` tells of a process.
#[derive(Debug, Eq, PartialEq)]
struct Stat {
    /// `None`: it has ended, and only its status is left.
    parent: Option<i32>,
    /// The length of its environment; `None`: it is between two programs, or ends.
    environ: Option<u64>,
}

/// A process of the kernel (`PF_KTHREAD` of linux/sched.h).
const KERNEL: u64 = 0x0020_0000;

impl Stat {
    fn of(pid: i32) -> Option<Self> {
        Self::read(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// `pid (comm) S ppid …`, and `comm` may hold anything (proc(5), whose numbers these are).
    fn read(stat: &str) -> Option<Self> {
        let words: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |n: usize| words.get(n - 3)?.parse::<u64>().ok();
        let ended = matches!(*words.first()?, "Z" | "X");
        let is_kernels = number(9)? & KERNEL != 0;
        // Where its code begins: the last that a program which is just started gets.
        let code = number(26)?;
        let (from, to) = (number(50)?, number(51)?);
        let parent = i32::try_from(number(4)?).ok()?;
        Some(Self {
            parent: (!ended).then_some(parent),
            environ: match ended || is_kernels {
                true => Some(0),
                false => (code != 0).then(|| to.saturating_sub(from)),
            },
        })
    }
}

/// Waits until one of the processes has ended (`pidfd_open(2)`: its handle becomes readable).
fn wait_for_one(processes: &[Process], longest: Duration) {
    let mut fds: Vec<PollFd> = processes
        .iter()
        .map(|process| PollFd::new(&process.handle, PollFlags::IN))
        .collect();
    let longest = Timespec {
        tv_sec: i64::try_from(longest.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: longest.subsec_nanos().into(),
    };
    let _ = poll(&mut fds, Some(&longest));
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::process::{Child, Command, Stdio};

    use super::*;

    #[expect(
        clippy::disallowed_methods,
        reason = "starts every child of these tests"
    )]
    fn start(script: &str, marker: &Marker) -> Child {
        let mut sh = Command::new("sh");
        // Each of them fills half a line of what is read at a time: what is cut off looks whole.
        let others = (0..200).map(|n| (format!("V{n:03}"), "x".repeat(27)));
        sh.env_clear().envs(others);
        let sh = sh.args(["-c", script, script]).stdout(Stdio::null());
        let sh = sh.stderr(Stdio::null()).env(VARIABLE, marker.as_str());
        sh.spawn().expect("a shell")
    }

    fn marker(of: &str) -> Marker {
        Marker(format!("{of} {}", std::process::id()))
    }

    #[test]
    fn what_starts_one_program_after_the_other_is_found_at_every_moment() {
        let marker = marker("again and again");
        for round in 0..100 {
            let mut child = start("exec sh -c \"$0\" \"$0\"", &marker);
            marker.end();
            let ended = child.try_wait().expect("a child");
            let _ = child.kill();
            let _ = child.wait();
            assert!(ended.is_some(), "it outlived its end in round {round}");
        }
    }

    #[test]
    fn a_handle_is_that_of_its_process_when_another_one_is_gone() {
        let marker = marker("gone");
        let mut children: Vec<Child> = (0..3).map(|_| start("exec sleep 600", &marker)).collect();
        let pids: Vec<i32> = children
            .iter()
            .map(|child| child.id().cast_signed())
            .collect();
        children[0].kill().expect("killed");
        children[0].wait().expect("a child");
        let held = held(&pids, |pid| carries(pid, std::slice::from_ref(&marker)));
        let of = |process: &Process| {
            let path = format!("/proc/self/fdinfo/{}", process.handle.as_raw_fd());
            fs::read_to_string(path).expect("a handle")
        };
        let right = |process: &Process| of(process).contains(&format!("Pid:\t{}\n", process.pid));
        assert_eq!(
            held.iter().map(|process| process.pid).collect::<Vec<_>>(),
            pids[1..]
        );
        assert!(
            held.iter().all(right),
            "{:?}",
            held.iter().map(of).collect::<Vec<_>>()
        );
        marker.end();
        assert!(!marker.is_carried());
        for child in &mut children[1..] {
            child.wait().expect("a child");
        }
    }

    #[test]
    fn the_kernels_line_on_a_process_is_read() {
        let line = |state, flags, [code, start, end]: [u64; 3]| {
            let (before, after) = (" 0".repeat(16), " 0".repeat(23));
            Stat::read(&format!(
                "7 (a) b) {state} 5 7 7 0 -1 {flags}{before} {code}{after} {start} {end} 0"
            ))
        };
        let stat = |parent, environ| Some(Stat { parent, environ });
        assert_eq!(line("S", 0, [9, 100, 130]), stat(Some(5), Some(30)));
        assert_eq!(line("S", 0, [9, 100, 100]), stat(Some(5), Some(0)));
        // Without memory, and with memory that is not laid out yet.
        assert_eq!(line("R", 0, [0, 0, 0]), stat(Some(5), None));
        assert_eq!(line("R", 0, [0, 100, 100]), stat(Some(5), None));
        assert_eq!(line("I", KERNEL, [0, 0, 0]), stat(Some(5), Some(0)));
        assert_eq!(line("Z", 0, [0, 0, 0]), stat(None, Some(0)));
        assert_eq!(Stat::read("7 (sh) S 5"), None);
    }
}
