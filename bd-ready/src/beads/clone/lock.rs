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

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
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
        Err(err) if is_of_files_only(&err) => take(&path.join(IN_ITS_STEAD)),
        Err(err) => Err(err),
    }
}

/// The same, if nobody holds it.
///
/// # Errors
/// When the directory cannot be opened or locked.
pub fn try_take_dir(path: &Path) -> io::Result<Option<Lock>> {
    let file = File::open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Lock {
            file,
            path: path.to_owned(),
        })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(err)) if is_of_files_only(&err) => {
            try_take(&path.join(IN_ITS_STEAD))
        }
        Err(TryLockError::Error(err)) => Err(err),
    }
}

fn is_of_files_only(err: &io::Error) -> bool {
    err.raw_os_error() == Some(Errno::BADF.raw_os_error())
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
pub struct Held(HashSet<Locked>);

/// A locked file: its device, as the kernel writes it, and its inode.
type Locked = (String, u64);

impl Held {
    /// Looks now.
    #[must_use]
    pub fn now() -> Self {
        let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
        Self(locks.lines().filter_map(locked).collect())
    }

    /// Whether somebody holds the lock at `path`.
    #[must_use]
    pub fn contains(&self, path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|meta| self.has(meta.ino(), || device(path)))
    }

    /// Inodes have their numbers on one device. Where that is not known the file may be locked.
    fn has(&self, inode: u64, device: impl FnOnce() -> Option<String>) -> bool {
        let mut same = self
            .0
            .iter()
            .filter(|(_, locked)| *locked == inode)
            .peekable();
        if same.peek().is_none() {
            return false;
        }
        let device = device();
        same.any(|(locked, _)| device.as_ref().is_none_or(|device| device == locked))
    }
}

/// `12: FLOCK  ADVISORY  WRITE 708 08:01:1234 0 EOF`; a waiter's line has `->` after the number.
fn locked(line: &str) -> Option<Locked> {
    let mut words = line.split_whitespace().skip(1);
    let granted = words.next()? == "FLOCK";
    let (device, inode) = granted.then(|| words.nth(3))??.rsplit_once(':')?;
    Some((device.to_owned(), inode.parse().ok()?))
}

/// The device of a file in the form of `/proc/locks`. It is that of the mount, which is not what
/// stat(2) says where one device has several roots, as on Btrfs.
fn device(path: &Path) -> Option<String> {
    let stat = statx(CWD, path, AtFlags::empty(), StatxFlags::MNT_ID).ok()?;
    let known = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::MNT_ID);
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    known.then(|| mounted(&mounts, stat.stx_mnt_id)).flatten()
}

/// The device of a mount: `36 35 98:0 / /mnt …`, of which 36 is the mount, and 98:0 the device, in
/// decimal digits (proc(5)).
fn mounted(mounts: &str, id: u64) -> Option<String> {
    let of = |line: &str| {
        let mut words = line.split(' ');
        let ours = words.next()?.parse() == Ok(id);
        let (major, minor) = words.nth(1)?.split_once(':')?;
        let (major, minor): (u32, u32) = (major.parse().ok()?, minor.parse().ok()?);
        ours.then(|| format!("{major:02x}:{minor:02x}"))
    };
    mounts.lines().find_map(of)
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
        let read = |kind: &str| locked(&format!("1: {kind} ADVISORY WRITE 708 08:01:1234 0 EOF"));
        assert_eq!(read("FLOCK"), Some(("08:01".to_owned(), 1234)));
        assert_eq!(read("-> FLOCK"), None);
        assert_eq!(read("POSIX"), None);
        assert_eq!(locked(""), None);
    }

    #[test]
    fn an_inode_of_another_device_is_another_file() {
        let held = Held(HashSet::from([("fe:00".to_owned(), 7)]));
        let has = |inode, device: Option<&str>| held.has(inode, || device.map(str::to_owned));
        assert!(has(7, Some("fe:00")) && !has(7, Some("00:1b")) && !has(8, Some("fe:00")));
        assert!(has(7, None));
        let mounts = "22 27 0:21 / /proc rw - proc proc rw\n27 1 254:0 / / rw - ext4 /dev/vda rw\n";
        assert_eq!(mounted(mounts, 27).as_deref(), Some("fe:00"));
        assert_eq!(mounted(mounts, 28), None);
    }

    #[test]
    fn what_is_locked_is_seen_on_every_file_system() {
        let on_disk = tempfile::tempdir().expect("a folder");
        let in_memory = tempfile::tempdir_in("/dev/shm").ok();
        for dir in [Some(on_disk), in_memory].into_iter().flatten() {
            let path = dir.path().join("a.lock");
            let lock = try_take(&path).expect("locked").expect("free");
            assert!(Held::now().contains(&path), "{}", path.display());
            drop(lock);
            assert!(!Held::now().contains(&path), "{}", path.display());
        }
    }
}
