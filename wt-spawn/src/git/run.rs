//! Running `git`, kept off the pipe and off the environment it was called in.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use beads::lock::Lock;
use beads::{debug, secret};

use crate::guard::{NO_PROGRAMS, NO_SECRETS, Namer, SCRUBBED};
use crate::inside::Tree;
use crate::note::{LONGEST, Note, verb};
use crate::signed::Signed;
use crate::{Sha, stale, unborn};

/// `git` in one folder.
#[derive(Debug)]
pub struct Git {
    dir: PathBuf,
    stdin: Option<File>,
    hooks: bool,
    /// The git directory, its common one, and the worktree, where git is not to find them itself.
    told: Option<[PathBuf; 3]>,
    /// Whether agents write where it works.
    among_agents: bool,
    /// Where it finds objects, and makes new ones, instead of in the clone.
    objects: Option<PathBuf>,
    /// Whether it gets what opens forges and Beads.
    trusted: bool,
    /// Whose word it is where it goes, unless it is our own.
    named_by: Option<Namer>,
    /// Who has written what it commits, and when it is committed.
    signed: Option<Signed>,
}

/// What a git command printed and how it ended.
#[derive(Clone, Debug)]
pub struct Ran {
    /// The exit status; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Its stdout, without the last line end.
    pub stdout: String,
    /// Its stderr, without the last line end.
    pub stderr: String,
}

/// How often a command is tried whose failure is plainly transient, and the first pause.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(250);

/// What git says when trying again helps: two gits at one lock, or a network that hiccups.
const TRANSIENT: [&str; 16] = [
    "cannot lock ref",
    "Unable to create",
    "could not lock config file",
    "failed to read .git/worktrees",
    "unable to read file",
    "Could not resolve host",
    "Connection refused",
    "Connection reset",
    "Connection timed out",
    "Operation timed out",
    "early EOF",
    "the remote end hung up unexpectedly",
    "The requested URL returned error: 5",
    // A fetch that looks at a worktree while it is being made or taken away.
    "failed to read worktrees/",
    "bad object worktrees/",
    "did not send all necessary objects",
];

/// What stays as it is, however often it is tried.
const LASTING: [&str; 4] = [
    "Read-only file system",
    "Permission denied",
    "No space left on device",
    "Disk quota exceeded",
];

impl Git {
    /// `git` in `dir`, without hooks.
    #[must_use]
    pub fn at(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            stdin: None,
            hooks: false,
            told: None,
            among_agents: false,
            objects: None,
            trusted: true,
            named_by: None,
            signed: None,
        }
    }

    /// `git` in a worktree that agents write, of the clone that it is told: nothing that lies there
    /// leads it to another one, or to a program. A filter may be the agent's: it gets no token.
    #[must_use]
    pub fn within(tree: &Tree) -> Self {
        let told = [tree.git_dir(), tree.common(), tree.path()].map(Path::to_owned);
        Self {
            told: Some(told),
            among_agents: true,
            trusted: false,
            ..Self::at(tree.path())
        }
    }

    /// `git` for a clone, with a git directory of its own for what belongs to no worktree.
    #[must_use]
    pub(crate) fn beside(common: &Path, apart: &Path) -> Self {
        Self {
            told: Some([apart, common, apart].map(Path::to_owned)),
            ..Self::at(common)
        }
    }

    /// Keeps `lock` held as long as git lives, even if this program is killed meanwhile.
    #[must_use]
    pub fn holding(mut self, lock: &Lock) -> Self {
        self.stdin = lock.as_stdin().ok();
        self
    }

    /// Lets git ask a remote for what a checkout needs: objects of a partial clone, large files.
    #[must_use]
    pub fn with_tokens(mut self) -> Self {
        self.trusted = true;
        self
    }

    /// Lets git work on other objects than the clone's.
    #[must_use]
    pub(crate) fn with_objects(mut self, dir: &Path) -> Self {
        self.objects = Some(dir.to_owned());
        self
    }

    /// Has git speak to the remote of a submodule as git itself does: by the protocols that
    /// `protocol.allow` of git-config(1) lets it use for those.
    #[must_use]
    pub(crate) fn of_submodule(mut self, named_by: Namer) -> Self {
        self.named_by = Some(named_by);
        self.trusted = self.trusted && named_by == Namer::Base;
        self
    }

    /// Commits as somebody's work, and at that time: the same commit, whenever it is made.
    #[must_use]
    pub fn signed(mut self, signed: Signed) -> Self {
        self.signed = Some(signed);
        self
    }

    /// Gives git a file to read from stdin.
    #[must_use]
    pub fn reading(mut self, input: File) -> Self {
        self.stdin = Some(input);
        self
    }

    /// Lets the repository's hooks run: pushes need them (git-lfs uploads in one).
    #[must_use]
    pub fn with_hooks(mut self) -> Self {
        self.hooks = true;
        self
    }

    /// Runs to success and returns stdout.
    ///
    /// # Errors
    /// When git cannot be started, or fails and it is not transient.
    pub fn run(&self, args: &[&str]) -> anyhow::Result<String> {
        let ran = self.output(args)?;
        if ran.code != Some(0) {
            bail!(failed(args, &ran));
        }
        Ok(ran.stdout)
    }

    /// Fetches refspecs, and nothing else: no tags, no `FETCH_HEAD`.
    ///
    /// # Errors
    /// When the remote cannot be reached, or lacks a ref that is named.
    pub fn fetch(&self, remote: &str, refspecs: &[&str]) -> anyhow::Result<()> {
        let fetch = [
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            "--",
            remote,
        ];
        self.run(&[&fetch, refspecs].concat()).map(drop)
    }

    /// The commit that a ref of the remote names, by its full name.
    ///
    /// # Errors
    /// When the remote cannot be reached.
    pub fn remote_commit(&self, remote: &str, full: &str) -> anyhow::Result<Option<Sha>> {
        let listed = self.run(&["ls-remote", "--refs", "--", remote, full])?;
        // The name is a pattern, which fits `refs/x/<name>`, too.
        let named = listed.lines().filter_map(|line| line.split_once('\t'));
        let sha = named
            .filter(|(_, name)| *name == full)
            .map(|(sha, _)| sha)
            .next();
        sha.map(|sha| Ok(Sha::from_hex(sha.as_bytes())?))
            .transpose()
    }

    /// Runs to an end, whatever it is; transient failures are tried again.
    ///
    /// # Errors
    /// When git cannot be started, or does not end in time.
    pub fn output(&self, args: &[&str]) -> anyhow::Result<Ran> {
        let mut pause = PAUSE;
        for _ in 1..TRIES {
            let ran = self.once(args)?;
            if ran.code == Some(0) || !is_transient(&ran.stderr) {
                return Ok(ran);
            }
            thread::sleep(pause);
            pause *= 2;
            stale::clear(&ran.stderr, &self.dir, self.dirs().0);
            unborn::clear(&ran.stderr, self.dirs().0);
        }
        self.once(args)
    }

    /// The common git directory, and the one of the index.
    fn dirs(&self) -> (&Path, &Path) {
        match &self.told {
            Some([git_dir, common, _]) => (common, git_dir),
            None => (&self.dir, &self.dir),
        }
    }

    fn once(&self, args: &[&str]) -> anyhow::Result<Ran> {
        // Housekeeping is the user's to start; hooks of the user's tools slow a fleet down.
        let mut line = vec!["-c", "gc.auto=0", "-c", "maintenance.auto=false"];
        // Submodules are the set-up's: git fails on those that are not there yet.
        line.extend(["-c", "submodule.recurse=false"]);
        // A server that says nothing for a minute is gone; git itself would wait for ever.
        line.extend(["-c", "http.lowSpeedLimit=1", "-c", "http.lowSpeedTime=60"]);
        // It lies beside the objects, and says what commits hold: where agents write those, too.
        line.extend(["-c", "core.commitGraph=false"]);
        // Where a git directory is, git is told; it finds none on the way up.
        line.extend(["-c", "safe.bareRepository=all"]);
        if !self.hooks {
            line.extend(["-c", "core.hooksPath=/dev/null"]);
        }
        if self.among_agents {
            line.extend(NO_PROGRAMS.iter().flat_map(|key| ["-c", key]));
        }
        if self.named_by.is_some() {
            line.extend(["-c", "protocol.ext.allow=never"]);
        }
        if self.named_by == Some(Namer::Agent) {
            line.extend(NO_SECRETS.iter().flat_map(|key| ["-c", key]));
        }
        line.extend(args);
        // Files, as a pipe would not end while something that git left behind holds it.
        let output = || tempfile::tempfile().context("no temporary file");
        let (common, git_dir) = self.dirs();
        let note = Note::begin(common, git_dir, args);
        let (stdout, stderr, from) = match &note {
            Some(note) => (output()?, note.file().try_clone()?, note.line()),
            None => (output()?, output()?, 0),
        };
        #[expect(clippy::disallowed_methods, reason = "starts every git")]
        let mut git = duct::cmd("git", line)
            .dir(&self.dir)
            .env("LC_ALL", "C")
            .env("GIT_TERMINAL_PROMPT", "0")
            // Replacements are refs, which an agent may write.
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .stdout_file(stdout.try_clone()?)
            .stderr_file(stderr.try_clone()?)
            .unchecked();
        // Before the rest is taken away: in duct the inner word counts.
        if let Some(objects) = &self.objects {
            git = git.env("GIT_OBJECT_DIRECTORY", objects);
        }
        if let Some([git_dir, common, worktree]) = &self.told {
            git = git.env("GIT_DIR", git_dir).env("GIT_COMMON_DIR", common);
            git = git.env("GIT_WORK_TREE", worktree);
        }
        if self.named_by.is_some() {
            git = git
                .env("GIT_PROTOCOL_FROM_USER", "0")
                .env("GIT_NO_LAZY_FETCH", "1");
        }
        if self.named_by == Some(Namer::Agent) {
            // Nobody is asked for a password, nor whether a host may be spoken to.
            git = git.env("GIT_ASKPASS", "").env("SSH_ASKPASS", "false");
            git = git.env("SSH_ASKPASS_REQUIRE", "force");
        }
        for (name, value) in self.signed.iter().flat_map(Signed::variables) {
            git = git.env(name, value);
        }
        for name in SCRUBBED {
            git = git.env_remove(name);
        }
        let secret = |name: &OsStr| secret::is_for_forges(name) || secret::is_for_beads(name);
        for name in secret::names(|name| !self.trusted && secret(name)) {
            git = git.env_remove(name);
        }
        git = match &self.stdin {
            Some(lock) => git.stdin_file(lock.try_clone()?),
            None => git.stdin_null(),
        };
        let mut running = debug::program("git", verb(args), &self.dir);
        let git = match git.start() {
            Ok(git) => git,
            Err(err) => {
                if let Some(note) = note {
                    note.remove();
                }
                return Err(err).context("cannot run git");
            }
        };
        let Some(out) = git.wait_timeout(LONGEST)? else {
            git.kill()?;
            if let Some(note) = note {
                note.keep();
            }
            bail!(
                "git {}: no end after {} s",
                args.join(" "),
                LONGEST.as_secs()
            );
        };
        running.exited(out.status.code());
        let ran = Ran {
            code: out.status.code(),
            stdout: text(stdout, 0)?,
            stderr: text(stderr, from)?,
        };
        if let Some(note) = note {
            note.end(ran.code, &ran.stderr);
        }
        Ok(ran)
    }
}

fn is_transient(stderr: &str) -> bool {
    let says = |signs: &[&str]| signs.iter().any(|sign| stderr.contains(sign));
    says(&TRANSIENT) && !says(&LASTING)
}

/// All that was written to a file behind its first bytes.
fn text(mut file: File, from: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(from))?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

/// The error of a git command that ended badly: its verb, and the lines that say why.
#[must_use]
pub fn failed(args: &[&str], ran: &Ran) -> anyhow::Error {
    let verb = verb(args);
    let lines = ran.stderr.lines().map(str::trim_end);
    let mut said: Vec<&str> = lines
        .filter(|line| !line.starts_with("hint:") && !line.is_empty())
        .collect();
    // Of any other lock file git says so itself.
    if ran.stderr.contains("could not lock config file") {
        said.push("if no git is at work there, remove its .lock file manually");
    }
    let how = ran
        .code
        .map_or_else(|| "killed".to_owned(), |code| format!("exit {code}"));
    if said.is_empty() {
        anyhow!("git {verb}: {how}")
    } else {
        anyhow!("git {verb}: {}", said.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_trying_again_does_not_change_is_tried_once() {
        let lock = "error: cannot lock ref 'refs/heads/x': Unable to create '/r/refs/heads/x.lock'";
        assert!(is_transient(&format!("{lock}: File exists.")));
        for why in LASTING {
            assert!(!is_transient(&format!("{lock}: {why}")), "{why}");
        }
    }
}
