//! What of an agent lives: every process that carries its marker in its environment.
//!
//! Never a pid that was written down: pids are used again. Processes of agents start sessions of
//! their own and survive their group, but they inherit the environment (proc(5), `environ`).

use std::collections::HashSet;
use std::fs;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use beads::Repository;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, getpid, kill_process_group, pidfd_open, pidfd_send_signal,
};

/// The variable that holds a [`Marker`].
pub const VARIABLE: &str = "BEADLINE_HOLD";

/// Between TERM and KILL.
const GRACE: Duration = Duration::from_secs(3);

/// After KILL a process is gone as soon as the kernel lets it go.
const GONE: Duration = Duration::from_secs(10);

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

    /// A marker as it was handed over on a command line.
    #[must_use]
    pub fn from_text(text: String) -> Self {
        Self(text)
    }

    /// The value of the variable.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The living processes that carry the marker, this one left out.
    #[must_use]
    pub fn processes(&self) -> Vec<i32> {
        let wanted = format!("{VARIABLE}={}", self.0).into_bytes();
        let carries = |pid: &i32| {
            let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environ
                .split(|byte| *byte == 0)
                .any(|entry| entry == wanted)
        };
        pids().filter(carries).collect()
    }

    /// Ends all that carry the marker: TERM, then KILL. Returns once none is left, or none will go.
    pub fn end(&self) {
        end_all(|| self.processes());
    }

    /// The same, and ends all that descend from this process. Of a subreaper that is all that its
    /// agent ever started, whatever that did to its environment.
    pub fn end_with_descendants(&self) {
        end_all(|| {
            let mut living = self.processes();
            living.extend(descendants());
            living
        });
    }
}

fn end_all(living: impl Fn() -> Vec<i32>) {
    let started = Instant::now();
    let mut asked: HashSet<i32> = HashSet::new();
    loop {
        let living = living();
        if living.is_empty() || started.elapsed() > GRACE + GONE {
            return;
        }
        let signal = if started.elapsed() < GRACE {
            Signal::TERM
        } else {
            Signal::KILL
        };
        let handles: Vec<OwnedFd> = living.iter().filter_map(|pid| handle(*pid)).collect();
        for (pid, handle) in living.iter().zip(&handles) {
            // TERM once: a second one makes some programs skip their own cleaning up.
            if signal == Signal::KILL || asked.insert(*pid) {
                let _ = pidfd_send_signal(handle, signal);
            }
        }
        let left = GRACE
            .checked_sub(started.elapsed())
            .unwrap_or(Duration::from_millis(100));
        wait_for_one(&handles, left);
    }
}

/// The beads' markers of this clone that some process carries: all in one reading of `/proc`.
#[must_use]
pub fn marked(repository: &Repository) -> HashSet<String> {
    let prefix = format!("{VARIABLE}={}:", repository.host().unwrap_or_default()).into_bytes();
    let mut found = HashSet::new();
    for pid in pids() {
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        for entry in environ.split(|byte| *byte == 0) {
            if let Some(id) = entry.strip_prefix(&prefix[..]) {
                found.insert(String::from_utf8_lossy(id).into_owned());
            }
        }
    }
    found
}

/// Sends KILL to a process group.
pub fn kill_group(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(pid, Signal::KILL);
    }
}

fn pids() -> impl Iterator<Item = i32> {
    let own = getpid().as_raw_nonzero().get();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(move |pid| *pid != own)
}

/// The living processes below this one.
fn descendants() -> Vec<i32> {
    let parents: Vec<(i32, i32)> = pids().filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let mut family = vec![getpid().as_raw_nonzero().get()];
    let mut at = 0;
    while at < family.len() {
        let of = family[at];
        family.extend(
            parents
                .iter()
                .filter(|(_, parent)| *parent == of)
                .map(|(pid, _)| pid),
        );
        at += 1;
    }
    family.split_off(1)
}

/// The parent of a process that is no zombie: `pid (comm) S ppid …`, and `comm` may hold anything.
fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut words = stat.rsplit_once(')')?.1.split_whitespace();
    let state = words.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    words.next()?.parse().ok()
}

fn handle(pid: i32) -> Option<OwnedFd> {
    pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()
}

/// Waits until one of the processes has ended (`pidfd_open(2)`: its handle becomes readable).
fn wait_for_one(handles: &[OwnedFd], longest: Duration) {
    let mut fds: Vec<PollFd> = handles
        .iter()
        .map(|handle| PollFd::new(handle, PollFlags::IN))
        .collect();
    let longest = Timespec {
        tv_sec: i64::try_from(longest.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: longest.subsec_nanos().into(),
    };
    let _ = poll(&mut fds, Some(&longest));
}
