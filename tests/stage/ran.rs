//! Shell lines that run and that have ended.

use std::fs;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::seed;

/// How a shell line ended.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
    script: String,
    stdin: String,
}

/// A shell line that runs in the background, in a process group of its own.
pub(crate) struct Running {
    pub(super) child: Child,
    pub(super) stdout: fs::File,
    pub(super) stderr: fs::File,
    pub(super) script: String,
    pub(super) stdin: String,
    pub(super) started: Instant,
}

impl Running {
    /// Waits for the end; kills the group and fails after `longest`.
    #[track_caller]
    pub(crate) fn wait(mut self, longest: Duration) -> Ran {
        let since = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                let code = status
                    .code()
                    .or_else(|| status.signal().map(|signal| 128 + signal));
                return self.ran(code);
            }
            if since.elapsed() > longest {
                self.kill();
                let _ = self.child.wait();
                panic!("no end after {longest:?}\n{}", self.ran(None).all());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The shell's pid, which is its group's, too.
    pub(crate) fn pid(&self) -> i32 {
        self.child.id().try_into().unwrap()
    }

    /// Whether the shell has ended.
    pub(crate) fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Sends KILL to the whole group.
    pub(crate) fn kill(&mut self) {
        if let Some(pid) = rustix::process::Pid::from_raw(self.pid()) {
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
    }

    /// What it has printed so far, stderr included.
    pub(crate) fn said(&self) -> String {
        let ran = self.ran(None);
        ran.stdout + &ran.stderr
    }

    fn ran(&self, code: Option<i32>) -> Ran {
        let text = |file: &fs::File| {
            let mut file = file.try_clone().unwrap();
            // Reading moves the offset that the child writes at: read by position.
            let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
            std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, 0).unwrap();
            let _ = file.by_ref();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        Ran {
            code,
            stdout: text(&self.stdout),
            stderr: text(&self.stderr),
            took: self.started.elapsed(),
            script: self.script.clone(),
            stdin: self.stdin.clone(),
        }
    }
}

impl Ran {
    /// Asserts exit 0.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        self.code(0)
    }

    /// Asserts an exit status.
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.all());
        self
    }

    /// Asserts that stderr has these words.
    #[track_caller]
    pub(crate) fn says(self, words: &str) -> Self {
        assert!(
            self.stderr.contains(words),
            "stderr lacks: {words}\n{}",
            self.all()
        );
        self
    }

    /// Asserts that stderr lacks these words.
    #[track_caller]
    pub(crate) fn says_not(self, words: &str) -> Self {
        assert!(
            !self.stderr.contains(words),
            "stderr has: {words}\n{}",
            self.all()
        );
        self
    }

    /// Asserts that stderr names this bead in one line, which has these words.
    #[track_caller]
    pub(crate) fn says_of(&self, id: &str, words: &str) {
        let named = |line: &&str| line.contains(&format!(" {id}: "));
        let said: Vec<&str> = self.stderr.lines().filter(named).collect();
        assert!(
            said.len() == 1 && said[0].contains(words),
            "{id}: {words}\n{}",
            self.all()
        );
    }

    /// The lines of stdout as beads.
    #[track_caller]
    pub(crate) fn beads(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{}", self.all()));
        self.stdout.lines().map(parse).collect()
    }

    /// The ids on stdout, sorted.
    #[track_caller]
    pub(crate) fn ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = self
            .beads()
            .iter()
            .map(|bead| bead["id"].as_str().unwrap().to_owned())
            .collect();
        ids.sort();
        ids
    }

    /// Command, input, exit, stdout and stderr, for a failure.
    pub(crate) fn all(&self) -> String {
        let Self {
            script,
            stdin,
            code,
            stdout,
            stderr,
            took,
        } = self;
        let seed = seed();
        let stdin: String = stdin.chars().take(2000).collect();
        format!(
            "--- command\n{script}\n--- input\n{stdin}\n--- exit {code:?} after {took:?}, seed {seed}\n--- stdout\n{stdout}\n--- stderr\n{stderr}\n---"
        )
    }
}
