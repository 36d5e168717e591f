//! The stage of a test: a scratch folder with a remote, a clone of it, a home, and beads; and
//! shell lines that are run on it. Nothing of the machine's own settings gets in.

mod bd;
mod beads;
mod landings;
mod processes;
mod programs;
pub(crate) mod proxy;
mod ran;

use std::fs;
use std::io::Seek;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

pub(crate) use bd::{Dolt, free_port, test_with_bd};
pub(crate) use beads::{task, task_on};
pub(crate) use processes::carried;
pub(crate) use programs::{BIN, command, heed_signals, parts, root, scale, seed, test, test_with};
pub(crate) use ran::{Ran, Running};

pub(crate) use programs::path;

/// No shell line takes longer, unless a test says so.
const LONGEST: Duration = Duration::from_mins(2);

/// A scratch folder with `remote.git`, its clone `work`, and a home.
pub(crate) struct Stage {
    dir: TempDir,
    variables: Vec<(String, String)>,
    /// Its beads are in a database.
    bd: bool,
}

impl Stage {
    /// An empty repository: remote and clone without commits, no beads.
    pub(crate) fn empty() -> Self {
        let stage = Self::bare();
        stage
            .sh_in(
                "",
                "git init --quiet --bare remote.git && git clone --quiet remote.git work",
            )
            .ok();
        stage
    }

    /// A scratch folder with a home.
    fn bare() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("beadline-test-")
            .tempdir()
            .unwrap();
        let stage = Self {
            dir,
            variables: Vec::new(),
            bd: false,
        };
        fs::create_dir(stage.path("home")).unwrap();
        fs::create_dir(stage.path("tmp")).unwrap();
        stage.write(
            "home/.gitconfig",
            "[user]\n name = Tester\n email = t@example.invalid\n[init]\n defaultBranch = main\n",
        );
        stage
    }

    /// A repository with one commit on `main`, pushed, and these beads.
    pub(crate) fn new(beads: &[Value]) -> Self {
        let stage = Self::empty();
        stage
            .sh(
                "printf '/.beads/\\n/ignored/\\n' > .gitignore; echo one > a.txt
             git add . && git commit --quiet -m first && git push --quiet -u origin main
             git remote set-head origin main",
            )
            .ok();
        stage.beads(beads);
        stage
    }

    /// The usual one: beads `t-1` to `t-<count>`, independent of each other.
    pub(crate) fn with_tasks(count: usize) -> Self {
        let beads: Vec<Value> = (1..=count).map(|n| task(&format!("t-{n}"))).collect();
        Self::new(&beads)
    }

    /// Sets a variable for all that follows.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// The agent from here on: a shell script, run in the worktree.
    pub(crate) fn agent(&mut self, script: &str) {
        self.write("agent.sh", script);
        let line = format!("sh {}", self.path("agent.sh").display());
        self.set("BEADLINE_AGENT", &line);
    }

    /// An agent that commits one file named after the bead, and no checks.
    pub(crate) fn simple(&mut self) {
        self.agent("set -eu\necho \"$BEAD_ID\" > \"$BEAD_ID.txt\"\ngit add . && git commit --quiet -m \"$BEAD_ID\"\n");
        self.set("BEADLINE_NO_CHECKS", "1");
    }

    /// A path in the scratch folder.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// Writes a file, given by its path in the scratch folder.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Reads a file, given by its path in the scratch folder.
    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    /// Runs a bash line in the clone, with the programs first on the PATH.
    #[must_use]
    pub(crate) fn sh(&self, script: &str) -> Ran {
        self.sh_in("work", script)
    }

    /// The same in another folder of the scratch folder.
    #[must_use]
    pub(crate) fn sh_in(&self, dir: &str, script: &str) -> Ran {
        self.start_in(dir, script, "").wait(self.longest())
    }

    /// A database takes its time, above all beside other tests.
    fn longest(&self) -> Duration {
        LONGEST * if self.bd { 5 } else { 1 }
    }

    /// The same, with text on stdin.
    #[must_use]
    pub(crate) fn feed(&self, script: &str, stdin: &str) -> Ran {
        self.start_in("work", script, stdin).wait(self.longest())
    }

    /// The same as whoever owns the files, with no more rights over them than that: root may write
    /// and remove what forbids it.
    #[must_use]
    pub(crate) fn without_privileges(&self, script: &str) -> Ran {
        self.write("script.sh", script);
        self.sh(&format!(
            "as=; [ $(id -u) != 0 ] || as='setpriv --bounding-set=-dac_override,-dac_read_search'
             exec $as bash -euo pipefail {}",
            self.path("script.sh").display()
        ))
    }

    /// Runs a recipe of the justfile on the clone.
    #[must_use]
    pub(crate) fn just(&self, recipe: &str) -> Ran {
        self.start_just(recipe).wait(self.longest())
    }

    /// Starts a recipe of the justfile.
    pub(crate) fn start_just(&self, recipe: &str) -> Running {
        self.start(&format!(
            "just --justfile '{}/justfile' {recipe}",
            root().display()
        ))
    }

    /// Starts a bash line in the clone.
    pub(crate) fn start(&self, script: &str) -> Running {
        self.start_in("work", script, "")
    }

    fn start_in(&self, dir: &str, script: &str, stdin: &str) -> Running {
        let (stdout, stderr) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        let mut input = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut input, stdin.as_bytes()).unwrap();
        input.rewind().unwrap();
        let path = path();
        let child = command("bash")
            .args(["-euo", "pipefail", "-c", script])
            .current_dir(self.path(dir))
            .env_clear()
            .env("PATH", format!("{}:{path}", BIN.display()))
            .env("BEADLINE_BIN", &*BIN)
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.path("tmp"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CEILING_DIRECTORIES", self.dir.path())
            .env("LANG", "C.UTF-8")
            .env("TZ", "UTC")
            .env("TERM", "dumb")
            .env("DO_NOT_TRACK", "1")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::from(input))
            .stdout(stdout.try_clone().unwrap())
            .stderr(stderr.try_clone().unwrap())
            .process_group(0)
            .spawn()
            .unwrap();
        Running {
            child,
            stdout,
            stderr,
            script: script.to_owned(),
            stdin: stdin.to_owned(),
            started: Instant::now(),
        }
    }

    /// Whether somebody holds a lock file. Looks only: to try it would keep a program out.
    pub(crate) fn holds(&self, path: &str) -> bool {
        use std::os::unix::fs::MetadataExt;
        let Ok(meta) = fs::metadata(self.path(path)) else {
            return false;
        };
        let wanted = format!(":{} ", meta.ino());
        let locks = fs::read_to_string("/proc/locks").unwrap();
        locks
            .lines()
            .any(|line| !line.contains("->") && line.contains(&wanted))
    }

    /// Asserts that the line has left nothing: no worktree, no branch, no lock, no process, and a
    /// sound repository.
    #[track_caller]
    pub(crate) fn assert_clean(&self) {
        let left = self.sh(
            "git worktree list --porcelain | grep '^worktree' | tail -n +2
             git for-each-ref --format='%(refname)' refs/heads/agent
             git ls-remote --heads origin 'refs/heads/agent/*'
             find .git/beadline -name '*.lock'
             ls -A ../work.worktrees 2>/dev/null || true
             git fsck --no-progress --no-dangling 2>&1 | grep -v '^notice' || true
             git -C ../remote.git fsck --no-progress --no-dangling 2>&1 | grep -v '^notice' || true",
        );
        let left = left.ok();
        assert!(left.stdout.is_empty(), "left behind:\n{}", left.stdout);
        assert_eq!(
            self.processes(),
            Vec::<String>::new(),
            "processes left behind"
        );
    }
}

impl Drop for Stage {
    /// What this stage's agents left is ended, so that a test that failed disturbs no other.
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// Waits until something holds: for states that no event tells of.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_mins(4), "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = bd::trials();
    trials.push(test_with(
        "just",
        "tests/parts.sh",
        "the line: one bead from ready to merged",
        || {
            let mut stage = Stage::with_tasks(1);
            stage.simple();
            stage.just("orchestrate").ok();
            let bead = stage.bead("t-1");
            assert_eq!(bead["status"], "closed");
            assert_eq!(bead["metadata"]["phase"], "merged");
            assert_eq!(
                stage.sh("git show origin/main:t-1.txt").ok().stdout,
                "t-1\n"
            );
            stage.assert_clean();
        },
    ));
    trials
}
