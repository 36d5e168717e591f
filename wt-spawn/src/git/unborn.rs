//! Worktrees that a killed `git worktree add` has left before their HEAD named a commit: no git can
//! fetch beside one (`bad object worktrees/<name>/HEAD`).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use beads::lock;

/// Between the two HEADs that it writes git does nothing else.
const AGE: Duration = Duration::from_secs(1);

/// Their folders in the git directory, each with the place of its files.
pub(crate) fn all(common: &Path) -> Vec<(PathBuf, PathBuf)> {
    let entries = fs::read_dir(common.join("worktrees"));
    let found = entries.into_iter().flatten().flatten().filter_map(|entry| {
        let git_dir = entry.path();
        let read = |name: &str| fs::read_to_string(git_dir.join(name)).unwrap_or_default();
        let head = read("HEAD");
        let is_unborn = head.starts_with('0') && head.trim_end().bytes().all(|byte| byte == b'0');
        let place = PathBuf::from(read("gitdir").trim_end())
            .parent()?
            .to_owned();
        // git's own lock, while it adds.
        let counts = is_unborn && read("locked").trim_end() == "initializing";
        counts.then_some((git_dir, place))
    });
    found.collect()
}

/// Has git forget them, if one is in the way of a git that said so. They hold nothing: files, if
/// there are any, stay where they are.
pub(crate) fn clear(stderr: &str, common: &Path) {
    if !stderr.contains("bad object worktrees/") {
        return;
    }
    // Whoever adds one holds this.
    let Ok(Some(_lock)) = lock::try_take_dir(&common.join("beadline")) else {
        return;
    };
    for (git_dir, _) in all(common) {
        let at = fs::metadata(git_dir.join("HEAD")).and_then(|meta| meta.modified());
        if at.is_ok_and(|at| at.elapsed().is_ok_and(|age| age >= AGE)) {
            let _ = fs::remove_dir_all(git_dir);
        }
    }
}
