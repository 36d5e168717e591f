//! The stage of a test: a scratch folder with a remote, a clone of it, a home, and beads; and
//! shell lines that are run on it. Nothing of the machine's own settings gets in.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Seek};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The folder with the programs, built once, in the profile of this test.
pub(crate) static BIN: LazyLock<PathBuf> = LazyLock::new(|| {
    let exe = std::env::current_exe().unwrap();
    // target/<profile>/deps/main-…
    let bin = exe.ancestors().nth(2).unwrap().to_owned();
    let mut build = command("cargo");
    build
        .args(["build", "--quiet", "--locked", "--workspace", "--bins"])
        .current_dir(root());
    if bin.ends_with("release") {
        build.arg("--release");
    }
    assert!(
        build.status().unwrap().success(),
        "the programs cannot be built"
    );
    bin
});

/// No shell line takes longer, unless a test says so.
const LONGEST: Duration = Duration::from_mins(2);

/// The top of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "starts every child of the tests")]
pub(crate) fn command(program: &str) -> Command {
    Command::new(program)
}

/// A test by name.
pub(crate) fn test(name: &str, run: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        run();
        Ok::<(), Failed>(())
    })
}

/// A test that needs a program; ignored, and saying how to get it, where that is missing. Where
/// `BEADLINE_ALL` is set nothing is ignored: what is missing makes the test fail.
pub(crate) fn test_with(
    part: &str,
    recipe: &str,
    name: &str,
    run: impl FnOnce() + Send + 'static,
) -> Trial {
    let there = std::env::split_paths(&path()).any(|dir| dir.join(part).is_file());
    match there || std::env::var_os("BEADLINE_ALL").is_some() {
        true => test(name, run),
        false => test(&format!("{name} [needs {part}: {recipe}]"), || {}).with_ignored_flag(true),
    }
}

/// Our PATH, with what `tests/parts.sh` has installed.
fn path() -> String {
    let of = |name| std::env::var(name).ok();
    let home = || Some(of("XDG_CACHE_HOME").unwrap_or(of("HOME")? + "/.cache") + "/beadline");
    let parts = of("BEADLINE_PARTS").or_else(home).unwrap_or_default();
    format!("{parts}/bin:{}", of("PATH").unwrap_or_default())
}

/// What big counts are multiplied with: 1 in an ordinary run, 10 in `just stress`.
pub(crate) fn scale() -> usize {
    std::env::var("BEADLINE_STRESS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(1)
}

/// The seed of everything random: `SEED`, else a fixed one. Printed with each failure.
pub(crate) fn seed() -> u64 {
    std::env::var("SEED")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(20_261_123)
}

/// A scratch folder with `remote.git`, its clone `work`, and a home.
pub(crate) struct Stage {
    dir: TempDir,
    variables: Vec<(String, String)>,
}

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
    child: Child,
    stdout: fs::File,
    stderr: fs::File,
    script: String,
    stdin: String,
    started: Instant,
}

impl Stage {
    /// An empty repository: remote and clone without commits, no beads.
    pub(crate) fn empty() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("beadline-test-")
            .tempdir()
            .unwrap();
        let stage = Self {
            dir,
            variables: Vec::new(),
        };
        fs::create_dir(stage.path("home")).unwrap();
        fs::create_dir(stage.path("tmp")).unwrap();
        stage.write(
            "home/.gitconfig",
            "[user]\n name = Tester\n email = t@example.invalid\n[init]\n defaultBranch = main\n",
        );
        stage
            .sh_in(
                "",
                "git init --quiet --bare remote.git && git clone --quiet remote.git work",
            )
            .ok();
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

    /// Writes `.beads/issues.jsonl`.
    pub(crate) fn beads(&self, beads: &[Value]) {
        let lines: String = beads.iter().fold(String::new(), |mut lines, bead| {
            writeln!(lines, "{bead}").unwrap();
            lines
        });
        self.write("work/.beads/issues.jsonl", &lines);
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
        self.start_in(dir, script, "").wait(LONGEST)
    }

    /// The same, with text on stdin.
    #[must_use]
    pub(crate) fn feed(&self, script: &str, stdin: &str) -> Ran {
        self.start_in("work", script, stdin).wait(LONGEST)
    }

    /// Runs a recipe of the justfile on the clone.
    #[must_use]
    pub(crate) fn just(&self, recipe: &str) -> Ran {
        self.start_just(recipe).wait(LONGEST)
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

    /// All beads as they are stored.
    pub(crate) fn stored(&self) -> Vec<Value> {
        let text = self.read("work/.beads/issues.jsonl");
        text.lines()
            .map(|line| serde_json::from_str(line).expect(line))
            .collect()
    }

    /// One bead as it is stored.
    #[track_caller]
    pub(crate) fn bead(&self, id: &str) -> Value {
        let found = self.stored().into_iter().find(|bead| bead["id"] == id);
        found.unwrap_or_else(|| panic!("no bead {id}"))
    }

    /// Changes a bead as a person would: `change` is merged into it, metadata key by key.
    pub(crate) fn edit(&self, id: &str, change: &Value) {
        let text = self.read("work/.beads/issues.jsonl");
        let mut lines = String::new();
        for line in text.lines() {
            let mut bead: Value = serde_json::from_str(line).unwrap();
            if bead["id"] == id {
                merge(&mut bead, change);
            }
            writeln!(lines, "{bead}").unwrap();
        }
        // In one step, as an editor that is worth its name does.
        let new = self.path("work/.beads/edited");
        fs::write(&new, lines).unwrap();
        fs::rename(new, self.path("work/.beads/issues.jsonl")).unwrap();
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

    /// The processes that an agent of this stage has left: those that carry its clone's marker.
    pub(crate) fn processes(&self) -> Vec<String> {
        let host = self
            .sh("git config beadline.host || true")
            .stdout
            .trim()
            .to_owned();
        if host.is_empty() {
            return Vec::new();
        }
        let wanted = format!("BEADLINE_HOLD={host}:");
        let mut found = Vec::new();
        for process in fs::read_dir("/proc").unwrap().flatten() {
            let environ = fs::read(process.path().join("environ")).unwrap_or_default();
            if String::from_utf8_lossy(&environ)
                .split('\0')
                .any(|entry| entry.starts_with(&wanted))
            {
                let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
                found.push(String::from_utf8_lossy(&line).replace('\0', " "));
            }
        }
        found
    }
}

impl Drop for Stage {
    /// What this stage's agents left is ended, so that a test that failed disturbs no other.
    fn drop(&mut self) {
        let own = self.dir.path().to_string_lossy().into_owned();
        for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let environ = fs::read(process.path().join("environ")).unwrap_or_default();
            let home = format!("HOME={own}/home");
            let ours = String::from_utf8_lossy(&environ)
                .split('\0')
                .any(|entry| entry == home);
            if let (true, Ok(pid)) = (ours, process.file_name().to_string_lossy().parse::<i32>())
                && let Some(pid) = rustix::process::Pid::from_raw(pid)
            {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }
}

impl Running {
    /// Waits for the end; kills the group and fails after `longest`.
    #[track_caller]
    pub(crate) fn wait(mut self, longest: Duration) -> Ran {
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                let code = status
                    .code()
                    .or_else(|| status.signal().map(|signal| 128 + signal));
                return self.ran(code);
            }
            if self.started.elapsed() > longest {
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

/// Waits until something holds: for states that no event tells of.
#[track_caller]
pub(crate) fn until(what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_mins(1), "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A plain open task.
pub(crate) fn task(id: &str) -> Value {
    json!({
        "id": id, "title": format!("Task {id}"), "status": "open", "priority": 2,
        "issue_type": "task", "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
    })
}

/// The task with edges: `(depends_on_id, type)`.
pub(crate) fn task_on(id: &str, edges: &[(&str, &str)]) -> Value {
    let mut bead = task(id);
    let edge =
        |(on, kind): &(&str, &str)| json!({"issue_id": id, "depends_on_id": on, "type": kind});
    bead["dependencies"] = edges.iter().map(edge).collect();
    bead
}

fn merge(bead: &mut Value, change: &Value) {
    for (key, value) in change.as_object().unwrap() {
        match (key.as_str(), value) {
            ("metadata", Value::Object(_)) if bead["metadata"].is_object() => {
                merge(&mut bead["metadata"], value);
            }
            _ => bead[key] = value.clone(),
        }
    }
}

pub(crate) fn trials() -> Vec<Trial> {
    vec![test_with(
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
    )]
}
