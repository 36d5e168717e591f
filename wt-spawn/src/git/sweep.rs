//! What is left in `<git common dir>/beadline` of programs and gits that are gone.

use std::fs;
use std::path::{Path, PathBuf};

use beads::lock;

/// Removes lock files that nobody holds: those in the folder of all, and in the folders below it
/// that are over. Any of these that is empty then goes, too.
pub fn drop_free_locks(folders: &Path, is_over: impl Fn(&Path) -> bool) {
    for entry in entries(folders) {
        let inside = match is_over(&entry) {
            true => entries(&entry),
            false => Vec::new(),
        };
        for path in inside.into_iter().chain([entry.clone()]) {
            if path.extension().is_some_and(|kind| kind == "lock")
                && let Ok(Some(lock)) = lock::try_take(&path)
                // Its time says that a merge is in flight, whose sender died.
                && lock.held_back().is_zero()
            {
                lock.remove();
            }
        }
        // Goes only if nothing is left in it.
        let _ = fs::remove_dir(&entry);
    }
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}
