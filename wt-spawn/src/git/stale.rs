//! Lock files that a killed git left: git itself never removes them.
//!
//! Whoever made a lock file may be a program that nobody here can see: in another container, or one
//! that is no git. So a lock file goes only if a note says that a git of ours was at work there at
//! its time and is gone, or if it lies where an agent of ours was at work. Any other stays, and git
//! names it in its error.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::inside::Tree;
use crate::note::{self, Left, is_git_dir, time};
use crate::tied::is_head;

/// No git holds a lock file this long without writing: younger ones may be somebody's.
const AGE: Duration = Duration::from_secs(1);

/// What a git of ours locks in a git directory, beside refs. No index: it has none but a worktree's.
const SHARED: [&str; 5] = [
    // Made under the lock after it, and in the way of the next as well.
    "packed-refs.new",
    "packed-refs.lock",
    "config.lock",
    "HEAD.lock",
    "shallow.lock",
];

/// Where refs are, loose or in tables.
const REFS: [&str; 2] = ["refs", "reftable"];

/// Removes what gits of the clone at `common` left that were killed, if one of it is in the way, as
/// a git that was run in `dir` says.
pub(crate) fn clear(stderr: &str, dir: &Path, common: &Path) {
    let Some(path) = named(stderr).map(|path| dir.join(path)) else {
        return;
    };
    let Some(in_way) = path.ancestors().find(|dir| is_git_dir(dir)) else {
        return;
    };
    let (true, Ok(in_way)) = (is_old(&path), fs::canonicalize(in_way)) else {
        return;
    };
    let (living, gone): (Vec<Left>, Vec<Left>) =
        note::all(common).into_iter().partition(|note| note.lives);
    for note in gone.iter().filter(|note| note.names(&in_way)) {
        if sweep(note, &living) {
            note.remove();
        }
    }
}

/// Removes the lock files that an agent, a set-up or a check has left in its worktree's folder in
/// the git directory, and that of its branch, if they were made since its last run began. Nothing of
/// it may live.
pub fn clear_left(tree: &Tree, branch: &str) {
    let Some(began) = tree.run_began() else {
        return;
    };
    let mut locks = files(tree.git_dir(), is_lock);
    if is_head(format!("ref: refs/heads/{branch}").as_bytes()) {
        let name = format!("refs/heads/{branch}.lock");
        locks.push(tree.common().join(name));
    }
    locks.retain(|lock| made(lock).is_some_and(|at| at >= time(&began)));
    if locks.iter().any(|lock| lock.exists() && !is_old(lock)) {
        // A person's git may be done with it in a moment.
        thread::sleep(AGE);
    }
    let open = open_files(&locks);
    for lock in locks.iter().filter(|lock| is_old(lock)) {
        remove(lock, &open);
    }
}

/// Removes what the git of a note has left. `false`: something may be left.
fn sweep(note: &Left, living: &[Left]) -> bool {
    let mut all_gone = true;
    for dir in note.dirs() {
        let own = dir == note.git_dir && note.git_dir != note.common;
        let mut locks = match own {
            true => files(dir, is_lock),
            false => files(dir, is_shared),
        };
        locks.extend(REFS.iter().flat_map(|refs| below(&dir.join(refs))));
        locks.retain(|lock| made(lock).is_some_and(|at| note.covers(at)));
        let open = open_files(&locks);
        for lock in &locks {
            let mut others = living.iter().filter(|living| living.names(dir));
            let is_anothers = others.any(|living| made(lock).is_some_and(|at| living.began <= at));
            all_gone &= !is_anothers && is_old(lock) && remove(lock, &open);
        }
    }
    all_gone
}

fn remove(lock: &Path, open: &HashSet<(u64, u64)>) -> bool {
    let is_open =
        fs::symlink_metadata(lock).is_ok_and(|meta| open.contains(&(meta.dev(), meta.ino())));
    !is_open && fs::remove_file(lock).is_ok()
}

/// When a lock file was made, or written last.
fn made(lock: &Path) -> Option<u64> {
    let meta = fs::symlink_metadata(lock).ok()?;
    meta.is_file().then(|| time(&meta))
}

fn is_old(lock: &Path) -> bool {
    let at = fs::symlink_metadata(lock).and_then(|meta| meta.modified());
    at.is_ok_and(|at| at.elapsed().is_ok_and(|age| age >= AGE))
}

/// The files of a folder whose names are wanted, in the order of their names: `packed-refs.lock`
/// keeps others out while `packed-refs.new` goes, so that one goes last.
fn files(dir: &Path, is_wanted: fn(&Path) -> bool) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.retain(|path| is_wanted(path));
    files.sort_unstable_by(|one, two| two.cmp(one));
    files
}

fn is_lock(path: &Path) -> bool {
    path.extension().is_some_and(|kind| kind == "lock")
}

fn is_shared(path: &Path) -> bool {
    SHARED.iter().any(|name| path.ends_with(name))
}

/// The lock files below a folder.
fn below(dir: &Path) -> Vec<PathBuf> {
    let mut found = files(dir, is_lock);
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    found.extend(folders.flat_map(|folder| below(&folder.path())));
    found
}

/// Which of these files some process has open, as far as can be seen: their devices and inodes. Not
/// every program closes a lock file before it is done with it, as git does.
fn open_files(locks: &[PathBuf]) -> HashSet<(u64, u64)> {
    let names: HashSet<_> = locks.iter().filter_map(|lock| lock.file_name()).collect();
    if names.is_empty() {
        return HashSet::new();
    }
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let files = processes.flat_map(|process| {
        let files = fs::read_dir(process.path().join("fd"));
        files.into_iter().flatten().flatten()
    });
    let open = files.filter(|file| {
        let path = fs::read_link(file.path()).unwrap_or_default();
        path.file_name().is_some_and(|name| names.contains(name))
    });
    open.filter_map(|file| fs::metadata(file.path()).ok())
        .map(|meta| (meta.dev(), meta.ino()))
        .collect()
}

/// `Unable to create '/r/.git/index.lock': File exists.`, or, without its ending,
/// `could not lock config file .git/config: File exists`.
fn named(stderr: &str) -> Option<PathBuf> {
    if let Some((_, rest)) = stderr.split_once("could not lock config file ") {
        let (path, _) = rest.split_once(": File exists")?;
        return Some(format!("{path}.lock").into());
    }
    let (_, rest) = stderr.split_once("Unable to create '")?;
    let (path, rest) = rest.split_once('\'')?;
    let path = PathBuf::from(path);
    (is_lock(&path) && rest.starts_with(": File exists")).then_some(path)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::SystemTime;

    use super::*;
    use crate::note::Note;

    fn ago(seconds: u64) -> SystemTime {
        SystemTime::now() - Duration::from_secs(seconds)
    }

    fn digits(seconds: u64) -> String {
        let at = ago(seconds).duration_since(SystemTime::UNIX_EPOCH);
        at.expect("after 1970").as_nanos().to_string()
    }

    /// Meets a lock file that was made `age` seconds ago, after `prepare`. Whether that stays.
    fn stays(name: &str, age: u64, prepare: impl Fn(&Path) -> Vec<Note>) -> bool {
        let dir = tempfile::tempdir().expect("a folder");
        for folder in ["objects", "refs/heads"] {
            fs::create_dir_all(dir.path().join(folder)).expect("made");
        }
        fs::write(dir.path().join("HEAD"), "").expect("written");
        let living = prepare(dir.path());
        let lock = dir.path().join(name);
        let file = File::create(&lock).expect("made");
        file.set_modified(ago(age)).expect("dated");
        drop(file);
        let said = format!("Unable to create '{}': File exists.", lock.display());
        clear(&said, dir.path(), dir.path());
        // A note goes with what it explains.
        assert!(lock.exists() || note::all(dir.path()).len() == living.len());
        lock.exists()
    }

    /// The note of a git that changes refs, which began so long ago.
    fn begun(dir: &Path, seconds: u64) -> Note {
        let note = Note::begin(dir, dir, &["fetch"]).expect("noted");
        note.alter(3, digits(seconds).as_bytes());
        note
    }

    #[test]
    fn a_lock_file_goes_only_if_a_git_of_ours_was_there_and_is_gone() {
        let gone = |dir: &Path| drop(begun(dir, 60));
        let after = |age: u64, prepare: &dyn Fn(&Path) -> Vec<Note>| {
            stays("refs/heads/x.lock", age, prepare)
        };
        let alone = |dir: &Path| {
            gone(dir);
            vec![]
        };
        assert!(!after(30, &alone));
        assert!(!stays("packed-refs.lock", 30, alone));
        // Before its time; too young; no file of such a git.
        assert!(after(90, &alone));
        assert!(after(0, &alone));
        assert!(stays("index.lock", 30, alone));
        // Another one of ours that lives may have made it, if it was there by then.
        let beside = |seconds: u64| {
            move |dir: &Path| {
                gone(dir);
                vec![begun(dir, seconds)]
            }
        };
        assert!(after(30, &beside(40)));
        assert!(!after(30, &beside(20)));
        // Its end is known: what its other end did goes, too.
        let ended = |dir: &Path| {
            let note = begun(dir, 60);
            note.alter(1, format!("{:0>20}", digits(40)).as_bytes());
            vec![]
        };
        assert!(!after(35, &ended));
        assert!(after(20, &ended));
        // Of another machine, or of this one before it was started.
        let elsewhere = |dir: &Path| {
            begun(dir, 60).alter(2, b"another");
            vec![]
        };
        assert!(!elsewhere_counts(elsewhere));
    }

    fn elsewhere_counts(prepare: impl Fn(&Path) -> Vec<Note>) -> bool {
        let dir = tempfile::tempdir().expect("a folder");
        fs::create_dir(dir.path().join("objects")).expect("made");
        fs::write(dir.path().join("HEAD"), "").expect("written");
        prepare(dir.path());
        !note::all(dir.path()).is_empty()
    }

    #[test]
    fn only_a_lock_file_that_exists_is_named() {
        let said = "fatal: Unable to create '/r/.git/index.lock': File exists.\n\nAnother git";
        assert_eq!(named(said), Some(PathBuf::from("/r/.git/index.lock")));
        let config = "error: could not lock config file .git/config: File exists";
        assert_eq!(named(config), Some(PathBuf::from(".git/config.lock")));
        assert_eq!(named("fatal: Unable to create '/r/x': File exists."), None);
        assert_eq!(
            named("fatal: Unable to create '/r/x.lock': Permission denied"),
            None
        );
    }
}
