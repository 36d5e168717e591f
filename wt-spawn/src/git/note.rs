//! Notes of our own gits, which tell the lock files of one that was killed from everybody else's.
//!
//! A note is the file that such a git gets as stderr: below a first line, which says where that git
//! works, stands what the git says. The file is locked (`flock`) through that very descriptor, so
//! it is free when the git and its children are gone, whatever became of us. It is removed when the
//! git has ended by itself. No lock file is looked at here.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use beads::{StateDir, token};
use gix::bstr::ByteSlice;
use gix::remote::Direction;

/// No git command takes longer, unless the network has died under it.
pub(crate) const LONGEST: Duration = Duration::from_mins(10);

/// The other end of a push may be at work for so long after the push was killed.
const OTHER_END: Duration = Duration::from_secs(10);

/// A note that nobody needed by then is of no use any more.
const KEPT: Duration = Duration::from_hours(24);

/// What a note begins with.
const MAGIC: &str = "beadline's git";

/// Digits of a time in nanoseconds.
const DIGITS: usize = 20;

/// No first line is longer.
const LINE: u64 = 16 << 10;

/// What changes no file that git locks: objects need no lock, and no note.
const READS: [&str; 15] = [
    "cat-file",
    "commit-tree",
    "credential",
    "diff-tree",
    "hash-object",
    "index-pack",
    "log",
    "ls-files",
    "ls-remote",
    "merge-tree",
    "pack-objects",
    "rev-list",
    "rev-parse",
    "show-index",
    "status",
];

/// What git says when not itself, but a git that it had started, was killed.
const CHILD_DIED: [&str; 3] = [
    "died of signal",
    "hung up unexpectedly",
    "unexpected disconnect",
];

/// The note of a git that is about to run.
#[derive(Debug)]
pub(crate) struct Note {
    path: PathBuf,
    file: File,
    line: u64,
}

/// What asks, of the verbs that may change something as well.
const ASKS: [[&str; 2]; 2] = [["config", "--get"], ["remote", "get-url"]];

/// The verb of a git command.
pub(crate) fn verb<'a>(args: &[&'a str]) -> &'a str {
    command(args).first().copied().unwrap_or_default()
}

/// A git command from its verb on.
fn command<'c, 'a>(args: &'c [&'a str]) -> &'c [&'a str] {
    match args {
        ["-c", _, rest @ ..] => command(rest),
        [flag, rest @ ..] if flag.starts_with('-') => command(rest),
        _ => args,
    }
}

fn changes_nothing(args: &[&str]) -> bool {
    let command = command(args);
    READS.contains(&verb(command)) || ASKS.iter().any(|asks| command.starts_with(asks))
}

impl Note {
    /// Notes what a git is about to do with these arguments. `None`: it changes nothing, or there is
    /// no place for a note; then no lock file counts as left by it.
    pub(crate) fn begin(common: &Path, git_dir: &Path, args: &[&str]) -> Option<Self> {
        if changes_nothing(args) || boot().is_empty() {
            return None;
        }
        let dir = StateDir::of(common).gits();
        let path = dir.join(token::random().ok()?);
        let open = || {
            let mut how = File::options();
            how.read(true).write(true).create_new(true).open(&path)
        };
        let file = match open() {
            // The folder goes when it is empty.
            Err(err) if err.kind() == io::ErrorKind::NotFound && is_git_dir(common) => {
                fs::create_dir_all(&dir).ok()?;
                open().ok()?
            }
            file => file.ok()?,
        };
        let mut remote = args.iter().skip_while(|arg| **arg != "--").skip(1);
        let remote = (verb(args) == "push").then(|| remote.next()).flatten();
        let mut note = Self {
            path,
            file,
            line: 0,
        };
        let written = note.write(common, git_dir, remote.copied().unwrap_or_default());
        if written.is_err() {
            note.remove();
            return None;
        }
        Some(note)
    }

    /// Locked before anybody can read it.
    fn write(&mut self, common: &Path, git_dir: &Path, remote: &str) -> io::Result<()> {
        self.file.try_lock()?;
        // The file system's own clock, by which lock files have their times, too.
        let began = time(&self.file.metadata()?).to_string();
        let never = "0".repeat(DIGITS);
        let parts = [
            MAGIC.as_bytes(),
            never.as_bytes(),
            boot().as_bytes(),
            began.as_bytes(),
            common.as_os_str().as_bytes(),
            git_dir.as_os_str().as_bytes(),
            remote.as_bytes(),
            b"\n",
        ];
        let line = parts.join(&0);
        self.line = line.len() as u64;
        self.file.write_all(&line)
    }

    /// The git's stderr.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Where in it the git's own words begin.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// The git has ended: by itself, so that it left no lock file, or not.
    pub(crate) fn end(self, code: Option<i32>, stderr: &str) {
        // A shell tells of a signal by 128 and its number.
        let by_itself = code.is_some_and(|code| code <= 128);
        if by_itself && !CHILD_DIED.iter().any(|sign| stderr.contains(sign)) {
            self.remove();
        } else {
            self.keep();
        }
    }

    /// Leaves the note to whoever meets a lock file, with the time by which the git was gone.
    pub(crate) fn keep(self) {
        // Written for the file's time to be now.
        let _ = self
            .file
            .write_all_at(b"0", MAGIC.len() as u64 + 1)
            .and_then(|()| self.file.metadata())
            .and_then(|meta| {
                let ended = format!("{:0DIGITS$}", time(&meta));
                let at = MAGIC.len() as u64 + 1;
                self.file.write_all_at(ended.as_bytes(), at)
            });
    }

    /// Takes the note back.
    pub(crate) fn remove(self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// A note as somebody finds it.
#[derive(Debug)]
pub(crate) struct Left {
    path: PathBuf,
    /// Whether its git, or a child of that, lives.
    pub(crate) lives: bool,
    /// When it began, in nanoseconds.
    pub(crate) began: u64,
    until: u64,
    /// The common git directory, and where its index is.
    pub(crate) common: PathBuf,
    pub(crate) git_dir: PathBuf,
    /// The repository on this machine that it pushed to.
    pub(crate) remote: Option<PathBuf>,
}

impl Left {
    /// Whether its git could change files of this git directory.
    pub(crate) fn names(&self, dir: &Path) -> bool {
        self.dirs().any(|own| own == dir)
    }

    /// The git directories that its git could change.
    pub(crate) fn dirs(&self) -> impl Iterator<Item = &Path> {
        let own = (self.git_dir != self.common).then_some(&self.git_dir);
        let all = [Some(&self.common), own, self.remote.as_ref()];
        all.into_iter().flatten().map(PathBuf::as_path)
    }

    /// Whether its git was there at a time.
    pub(crate) fn covers(&self, time: u64) -> bool {
        (self.began..=self.until).contains(&time)
    }

    /// Forgets it.
    pub(crate) fn remove(&self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// The notes of this clone that were made on this machine since it was started.
pub(crate) fn all(common: &Path) -> Vec<Left> {
    let entries = fs::read_dir(StateDir::of(common).gits())
        .into_iter()
        .flatten()
        .flatten();
    entries.filter_map(|entry| read(entry.path())).collect()
}

/// Removes the notes of gits that were killed long ago.
pub fn drop_old_notes(common: &Path) {
    for entry in fs::read_dir(StateDir::of(common).gits())
        .into_iter()
        .flatten()
        .flatten()
    {
        let written = entry.metadata().and_then(|meta| meta.modified());
        if written.is_ok_and(|at| at.elapsed().is_ok_and(|age| age >= KEPT)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The time of a file's last change, in nanoseconds.
pub(crate) fn time(meta: &fs::Metadata) -> u64 {
    let (seconds, nanos) = (meta.mtime(), meta.mtime_nsec());
    let nanos = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    u64::try_from(nanos).unwrap_or_default()
}

/// Whether a folder is a git directory: one worktree's own, or one common to all.
pub(crate) fn is_git_dir(dir: &Path) -> bool {
    let shared = dir.join("objects").is_dir() || dir.join("commondir").is_file();
    shared && dir.join("HEAD").is_file()
}

fn read(path: PathBuf) -> Option<Left> {
    let file = File::open(&path).ok()?;
    let mut line = Vec::new();
    (&file).take(LINE).read_to_end(&mut line).ok()?;
    let mut parts = line.split(|byte| *byte == 0);
    let mut text = || std::str::from_utf8(parts.next()?).ok();
    let (magic, ended, of) = (text()?, text()?.parse().ok()?, text()?);
    if magic != MAGIC || of != boot() {
        return None;
    }
    let began: u64 = text()?.parse().ok()?;
    let (common, git_dir) = (text()?, text()?);
    let remote = text()?;
    let (common, git_dir) = (fs::canonicalize(common).ok()?, fs::canonicalize(git_dir));
    // Shared: several may look. One that was removed meanwhile is none.
    let lives = file.try_lock_shared().is_err();
    if file.metadata().ok()?.nlink() == 0 {
        return None;
    }
    let (last, more) = match ended {
        0 => (began, LONGEST),
        ended => (ended, Duration::ZERO),
    };
    let more = u64::try_from((more + OTHER_END).as_nanos()).ok()?;
    Some(Left {
        path,
        lives,
        began,
        until: last.checked_add(more)?,
        git_dir: git_dir.unwrap_or_else(|_| common.clone()),
        remote: Some(remote)
            .filter(|remote| !remote.is_empty())
            .and_then(|remote| local(&common, remote)),
        common,
    })
}

/// The git directory of a remote that is a path on this machine.
fn local(common: &Path, remote: &str) -> Option<PathBuf> {
    let opened = gix::open(common).ok()?;
    let url = match opened.find_remote(remote) {
        Ok(found) => found.url(Direction::Push)?.to_owned(),
        Err(_) => gix::url::parse(remote).ok()?,
    };
    let path = gix::path::from_bstr(url.path.as_slice().as_bstr()).ok()?;
    let is_local = url.scheme == gix::url::Scheme::File;
    let path = is_local.then(|| common.join(path))?;
    let mut named = path.clone().into_os_string();
    named.push(".git");
    let all = [path.join(".git"), path, named.into()];
    let found = all.into_iter().find(|dir| is_git_dir(dir))?;
    fs::canonicalize(found).ok()
}

/// This start of this machine, as the kernel names it (random(4)): no lock outlives it.
fn boot() -> &'static str {
    static BOOT: OnceLock<String> = OnceLock::new();
    BOOT.get_or_init(|| {
        let id = fs::read_to_string("/proc/sys/kernel/random/boot_id");
        id.unwrap_or_default().trim_end().to_owned()
    })
}

#[cfg(test)]
impl Note {
    /// Writes other bytes into a field of the first line, counted from 0.
    pub(crate) fn alter(&self, field: usize, bytes: &[u8]) {
        let mut line = vec![0; usize::try_from(self.line).expect("short")];
        self.file.read_exact_at(&mut line, 0).expect("read");
        let before: usize = line
            .split(|byte| *byte == 0)
            .take(field)
            .map(|part| part.len() + 1)
            .sum();
        self.file
            .write_all_at(bytes, before as u64)
            .expect("written");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verb_stands_behind_the_settings() {
        assert_eq!(
            verb(&["-c", "a=b", "--no-optional-locks", "status", "-z"]),
            "status"
        );
        assert_eq!(verb(&["-c", "a=b"]), "");
    }

    #[test]
    fn what_reads_has_no_note_and_what_ends_by_itself_leaves_none() {
        let dir = tempfile::tempdir().expect("a folder");
        fs::create_dir(dir.path().join("objects")).expect("made");
        fs::write(dir.path().join("HEAD"), "").expect("written");
        let begin = |args: &[&str]| Note::begin(dir.path(), dir.path(), args);
        assert!(begin(&["ls-remote", "origin"]).is_none());
        assert!(begin(&["-c", "a=b", "config", "--get", "a.b"]).is_none());
        for (code, stderr, stays) in [
            (Some(0), "", false),
            (Some(128), "fatal: no", false),
            (None, "", true),
            (Some(137), "", true),
            (
                Some(128),
                "fatal: the remote end hung up unexpectedly",
                true,
            ),
        ] {
            let note = begin(&["push", "--", "origin"]).expect("noted");
            assert!(all(dir.path())[0].lives);
            note.end(code, stderr);
            let left = all(dir.path());
            assert_eq!(
                left.iter().any(|left| !left.lives),
                stays,
                "{code:?} {stderr}"
            );
            left.iter().for_each(Left::remove);
        }
    }
}
