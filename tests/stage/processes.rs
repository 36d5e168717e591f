//! The processes of a stage. Programs of the line let nobody but root read their environment: what
//! else tells of them is their arguments and their group.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};

use super::{Stage, until};

impl Stage {
    /// Its processes, with the names of their programs.
    pub(crate) fn own(&self) -> Vec<(Pid, String)> {
        let home = format!("HOME={}", self.path("home").display());
        let here = self.dir.path().display().to_string();
        let (mut own, mut hidden, mut groups) = (Vec::new(), Vec::new(), Vec::new());
        for process in all() {
            let named = || read(&process, "cmdline").contains(&here);
            match fs::read(process.join("environ")) {
                Ok(environ) if entries(&environ).any(|entry| entry == home) => {
                    groups.push(group(&process));
                    own.push(process);
                }
                Err(err) if err.kind() == ErrorKind::PermissionDenied => match named() {
                    true => own.push(process),
                    false => hidden.push(process),
                },
                _ => {}
            }
        }
        own.extend(
            hidden
                .into_iter()
                .filter(|process| groups.contains(&group(process))),
        );
        let pid = |process: &PathBuf| {
            let name = process.file_name()?.to_str()?.parse().ok()?;
            Some((
                Pid::from_raw(name)?,
                read(process, "comm").trim().to_owned(),
            ))
        };
        own.iter().filter_map(pid).collect()
    }

    /// Sends a signal to every process of this stage, as if its machine failed. Whether there was one.
    pub(crate) fn signal(&self, signal: Signal) -> bool {
        let own = self.own();
        for (pid, _) in &own {
            let _ = kill_process(*pid, signal);
        }
        !own.is_empty()
    }

    /// Ends every process of this stage at once, those that start meanwhile included.
    pub(crate) fn kill_all(&self) {
        until("all processes are gone", || !self.signal(Signal::KILL));
    }

    /// The processes that an agent of this stage has left: those that carry its clone's marker.
    pub(crate) fn processes(&self) -> Vec<String> {
        let host = self.sh("git config beadline.host || true");
        let host = host.stdout.trim();
        match host.is_empty() {
            true => Vec::new(),
            false => carried(|entry| entry.starts_with(&format!("BEADLINE_HOLD={host}:"))),
        }
    }
}

/// The command lines of the processes that carry such a variable, in their environment or as an
/// argument.
pub(crate) fn carried(is_it: impl Fn(&str) -> bool) -> Vec<String> {
    let carries = |process: &PathBuf| {
        let environ = fs::read(process.join("environ"));
        let hidden = || fs::read(process.join("cmdline"));
        entries(&environ.or_else(|_| hidden()).unwrap_or_default()).any(|entry| is_it(&entry))
    };
    all()
        .filter(carries)
        .map(|process| read(&process, "cmdline").replace('\0', " "))
        .collect()
}

fn all() -> impl Iterator<Item = PathBuf> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.map(|process| process.path())
}

fn entries(bytes: &[u8]) -> impl Iterator<Item = String> {
    let entries = bytes.split(|byte| *byte == 0);
    entries.map(|entry| String::from_utf8_lossy(entry).into_owned())
}

fn read(process: &Path, file: &str) -> String {
    let bytes = fs::read(process.join(file)).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `pid (comm) S ppid pgrp …`; empty: it is gone.
fn group(process: &Path) -> String {
    let stat = read(process, "stat");
    let group = stat
        .rsplit_once(')')
        .and_then(|(_, rest)| rest.split_whitespace().nth(2));
    group.unwrap_or_default().to_owned()
}
