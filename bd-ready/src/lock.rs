//! File locks (`flock`): who acts on a bead, which agent lives, who merges.
//!
//! A lock dies with its holder, so none is ever stale. A lock file may be removed by whoever holds
//! it; whoever takes a lock makes sure that the path still names the file that was locked.

use std::collections::HashSet;
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::io::Errno;

/// A lock that is held until this value is dropped. Of a program that is killed, until the last child
/// that got it as stdin has ended.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Drop for Lock {
    /// Unlocks, as closing is not enough: a child that another thread is just starting has a copy
    /// of every open file until it runs its own program, and would hold the lock for that moment.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

/// Nobody holds back for longer.
const LONGEST_HOLD: Duration = Duration::from_hours(24);

/// Takes the lock if nobody holds it.
///
/// # Errors
/// When the file cannot be made or locked.
pub fn try_take(path: &Path) -> io::Result<Option<Lock>> {
    loop {
        let Some(file) = open(path)? else { continue };
        match file.try_lock() {
            Ok(()) if names(path, &file) => {
                return Ok(Some(Lock {
                    file,
                    path: path.to_owned(),
                }));
            }
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(err)) => return Err(err),
        }
    }
}

/// Waits for the lock.
///
/// # Errors
/// When the file cannot be made or locked.
pub fn take(path: &Path) -> io::Result<Lock> {
    loop {
        let Some(file) = open(path)? else { continue };
        file.lock()?;
        if names(path, &file) {
            return Ok(Lock {
                file,
                path: path.to_owned(),
            });
        }
    }
}

/// Waits for the lock of a directory that is there already. Where a directory cannot be locked by
/// anybody, as on NFS, which asks for a file that can be written, it is that of a file in it.
///
/// # Errors
/// When the directory cannot be opened or locked.
pub fn take_dir(path: &Path) -> io::Result<Lock> {
    let file = File::open(path)?;
    match file.lock() {
        Ok(()) => Ok(Lock {
            file,
            path: path.to_owned(),
        }),
        Err(err) if err.raw_os_error() == Some(Errno::BADF.raw_os_error()) => {
            take(&path.join(IN_ITS_STEAD))
        }
        Err(err) => Err(err),
    }
}

/// What is locked where a directory cannot be.
const IN_ITS_STEAD: &str = ".lock";

/// Waits until nobody holds the lock of an existing file. A file that is gone is not held.
///
/// # Errors
/// When the file cannot be opened or locked.
pub fn wait_free(path: &Path) -> io::Result<()> {
    match File::options().read(true).write(true).open(path) {
        Ok(file) => file.lock().and_then(|()| file.unlock()),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(err) => Err(err),
    }
}

impl Lock {
    /// A handle for a child's stdin. It reads as empty, and the lock stays held as long as the
    /// child lives: a git command that outlives a killed program keeps the next one out.
    ///
    /// # Errors
    /// When the process has no file descriptor left.
    pub fn as_stdin(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Says how long whoever has the lock is to hold back, even after a kill: the file's time is
    /// when that is over. Zero: no longer.
    ///
    /// # Errors
    /// When the file's time cannot be set.
    pub fn hold_back(&self, time: Duration) -> io::Result<()> {
        self.file.set_modified(SystemTime::now() + time)
    }

    /// How long a holder, this or an earlier one, said to hold back from now on. Nobody says longer
    /// than a day: that was a clock that was wrong.
    #[must_use]
    pub fn held_back(&self) -> Duration {
        let over = self.file.metadata().and_then(|meta| meta.modified());
        over.ok()
            .and_then(|over| over.duration_since(SystemTime::now()).ok())
            .filter(|time| *time <= LONGEST_HOLD)
            .unwrap_or_default()
    }

    /// Removes the file, then lets go.
    pub fn remove(self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// The lock files that some process holds, as the kernel lists them (`/proc/locks`, proc(5)).
/// Looking takes no lock, so it never makes a program believe that a bead is busy.
#[derive(Debug, Default)]
pub struct Held(HashSet<u64>);

impl Held {
    /// Looks now.
    #[must_use]
    pub fn now() -> Self {
        let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
        Self(locks.lines().filter_map(inode).collect())
    }

    /// Whether somebody holds the lock at `path`.
    #[must_use]
    pub fn contains(&self, path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|meta| self.0.contains(&meta.ino()))
    }
}

/// `12: FLOCK  ADVISORY  WRITE 708 08:01:1234 0 EOF`; a waiter's line has `->` after the number.
fn inode(line: &str) -> Option<u64> {
    let mut words = line.split_whitespace().skip(1);
    let granted = words.next()? == "FLOCK";
    granted
        .then(|| words.nth(3))??
        .rsplit(':')
        .next()?
        .parse()
        .ok()
}

/// Opens the file, making it and its folder; `None` when the folder was removed meanwhile.
fn open(path: &Path) -> io::Result<Option<File>> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    match File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
    {
        Ok(file) => Ok(Some(file)),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(err) => Err(err),
    }
}

fn names(path: &Path, file: &File) -> bool {
    let same = |a: &fs::Metadata, b: &fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
    matches!((fs::metadata(path), file.metadata()), (Ok(a), Ok(b)) if same(&a, &b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_list_is_read() {
        assert_eq!(
            inode("1: FLOCK  ADVISORY  WRITE 708 08:01:1234 0 EOF"),
            Some(1234)
        );
        assert_eq!(
            inode("1: -> FLOCK  ADVISORY  WRITE 708 08:01:1234 0 EOF"),
            None
        );
        assert_eq!(
            inode("2: POSIX  ADVISORY  WRITE 708 08:01:1234 0 EOF"),
            None
        );
        assert_eq!(inode(""), None);
    }
}
