//! What is being tested for a base, for those who look on. Whoever deletes it loses sight of that
//! until the next test begins, and nothing else.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use rustix::fs::{Mode, OFlags, open};
use serde::{Deserialize, Serialize};

use crate::clone::lock::Held;
use crate::clone::state::StateDir;

/// More is nothing that we have written.
const LONGEST: u64 = 1 << 20;

/// The tests on one base.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Testing {
    /// Those that run, if their locks are held.
    pub groups: Vec<UnderTest>,
    /// How long the last one took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took: Option<SignedDuration>,
}

/// What is tested together.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct UnderTest {
    /// Beads, in the order in which they would land; none: the base alone.
    pub ids: Vec<String>,
    /// When that began.
    pub since: Timestamp,
    /// The name of the lock that is held as long as it runs.
    pub lock: String,
}

impl Testing {
    /// Reads what was written last, by a program that may be dead. What cannot be understood is as
    /// good as absent.
    #[must_use]
    pub fn read(state: &StateDir, base: &str) -> Self {
        let bytes = bytes(&state.testing(base)).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// The same, with nothing in it that does not run any more.
    #[must_use]
    pub fn live(mut self, state: &StateDir, held: &Held) -> Self {
        let is_held = |lock: &str| held.contains(&state.scratch_lock(lock));
        self.groups
            .retain(|group| is_name(&group.lock) && is_held(&group.lock));
        self
    }

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// When that fails, or somebody else is just writing it.
    pub fn write(&self, state: &StateDir, base: &str) -> io::Result<()> {
        let path = state.testing(base);
        let new = beside(&path);
        // Left by a program that was killed.
        let _ = fs::remove_file(&new);
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        fs::rename(&new, &path)
    }
}

/// Whether it names a file, and is no path that leads elsewhere.
fn is_name(lock: &str) -> bool {
    Path::new(lock).file_name() == Some(lock.as_ref())
}

/// No bead's name begins with a dot.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}"))
}

/// Links are not followed, and nothing is waited for.
fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    // What is cut is malformed.
    file.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clone::lock;

    fn under_test(lock: &str) -> UnderTest {
        UnderTest {
            ids: vec!["t-1".to_owned()],
            since: Timestamp::UNIX_EPOCH,
            lock: lock.to_owned(),
        }
    }

    #[test]
    fn what_is_written_is_read_and_runs_while_its_lock_is_held() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateDir::of(folder.path());
        assert_eq!(Testing::read(&state, "main"), Testing::default());
        let lock = lock::try_take(&state.scratch_lock("check-main.lock"));
        let lock = lock.expect("locked").expect("free");
        let written = Testing {
            groups: [
                "check-main.lock",
                "free.lock",
                "../beadline/check-main.lock",
            ]
            .map(under_test)
            .to_vec(),
            took: Some(SignedDuration::from_millis(1500)),
        };
        let left = beside(&state.testing("main"));
        fs::write(left, "by one that was killed").expect("written");
        written.write(&state, "main").expect("written");
        assert_eq!(Testing::read(&state, "main"), written);
        assert_eq!(Testing::read(&state, "other"), Testing::default());
        let live = Testing::read(&state, "main").live(&state, &Held::now());
        assert_eq!(live.groups, [under_test("check-main.lock")]);
        assert_eq!(live.took, written.took);
        drop(lock);
        let live = Testing::read(&state, "main").live(&state, &Held::now());
        assert_eq!(live.groups, []);
    }

    #[test]
    fn what_cannot_be_understood_is_absent() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateDir::of(folder.path());
        let path = state.testing("main");
        fs::create_dir_all(&path).expect("a folder in its place");
        assert_eq!(Testing::read(&state, "main"), Testing::default());
        fs::remove_dir(&path).expect("removed");
        for text in ["", "{", "[]", r#"{"groups":[{}]}"#, r#"{"groups":0}"#] {
            fs::write(&path, text).expect("written");
            assert_eq!(Testing::read(&state, "main"), Testing::default(), "{text}");
        }
    }
}
