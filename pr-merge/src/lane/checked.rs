//! Green verdicts that outlive a program: by commit, and by all that decides what the check says of
//! one. Whoever deletes them loses time and nothing else.
//!
//! By commit and not by tree: a check may ask git which commit it is on, or what the base had.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use beads::{StateDir, token};
use git::Sha;

/// A toolchain or a network that the check needs may be another one after so long.
const AGE: Duration = Duration::from_hours(24);

/// The commits that passed one check.
pub(super) struct Checked(PathBuf);

impl Checked {
    /// Those under this fingerprint of the check.
    pub(super) fn new(state: &StateDir, fingerprint: &str) -> Self {
        Self(state.checked().join(fingerprint))
    }

    /// Whether a commit has passed a short while ago. What cannot be read has not.
    pub(super) fn has(&self, commit: Sha) -> bool {
        is_young(&self.0.join(commit.to_string()))
    }

    /// Notes that a commit has passed. Written whole or not at all.
    pub(super) fn add(&self, commit: Sha) -> anyhow::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0)?;
        let new = self.0.join(format!(".{}", token::random()?));
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(b"passed\n")?;
        fs::rename(&new, self.0.join(commit.to_string()))?;
        Ok(())
    }
}

fn is_young(path: &Path) -> bool {
    let Ok(meta) = fs::symlink_metadata(path) else {
        return false;
    };
    // A time that is yet to come is a clock's that was wrong.
    let age = meta
        .modified()
        .and_then(|at| at.elapsed().map_err(io::Error::other));
    meta.is_file() && age.is_ok_and(|age| age < AGE)
}

/// Removes the verdicts that are too old.
pub(crate) fn drop_old(state: &StateDir) {
    let all = state.checked();
    for folder in fs::read_dir(&all).into_iter().flatten().flatten() {
        for verdict in fs::read_dir(folder.path()).into_iter().flatten().flatten() {
            if !is_young(&verdict.path()) {
                let _ = fs::remove_file(verdict.path());
            }
        }
        // Goes only if nothing is left in it.
        let _ = fs::remove_dir(folder.path());
    }
    let _ = fs::remove_dir(all);
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn a_verdict_holds_for_its_commit_and_check_for_a_day() {
        let folder = tempfile::tempdir().expect("a folder");
        let sha =
            |digit: char| Sha::from_hex(digit.to_string().repeat(40).as_bytes()).expect("hex");
        let state = StateDir::of(folder.path());
        let checked = Checked::new(&state, "one");
        assert!(!checked.has(sha('a')));
        checked.add(sha('a')).expect("written");
        assert!(checked.has(sha('a')) && !checked.has(sha('b')));
        assert!(!Checked::new(&state, "two").has(sha('a')));
        drop_old(&state);
        assert!(checked.has(sha('a')));
        let file = fs::File::open(checked.0.join(sha('a').to_string())).expect("a file");
        for at in [SystemTime::now() - AGE, SystemTime::now() + AGE] {
            file.set_modified(at).expect("touched");
            assert!(!checked.has(sha('a')));
        }
        drop_old(&state);
        assert!(!state.checked().exists());
    }
}
