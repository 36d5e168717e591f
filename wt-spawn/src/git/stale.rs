//! Lock files that a killed git left: git itself never removes them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// No git holds a lock file this long without writing: younger ones may be somebody's.
const AGE: Duration = Duration::from_secs(1);

/// Removes the lock file that git, run in `dir`, says is in its way, if it is old and no living git
/// works in its repository.
pub(crate) fn clear(stderr: &str, dir: &Path) {
    let Some(path) = named(stderr).map(|path| dir.join(path)) else {
        return;
    };
    let age = fs::metadata(&path)
        .and_then(|meta| meta.modified())
        .map(|at| at.elapsed());
    let old = matches!(age, Ok(Ok(age)) if age >= AGE);
    if let Some(git_dir) = git_dir(&path)
        && old
        && !is_at_work(&git_dir)
    {
        let _ = fs::remove_file(path);
    }
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
    let lock = path.extension().is_some_and(|kind| kind == "lock");
    (lock && rest.starts_with(": File exists")).then_some(path)
}

/// The git directory that a file lies in: one worktree's own, or the one common to all.
fn git_dir(path: &Path) -> Option<PathBuf> {
    let is_git_dir = |dir: &&Path| {
        let shared = dir.join("objects").is_dir() || dir.join("commondir").is_file();
        shared && dir.join("HEAD").is_file()
    };
    fs::canonicalize(path.ancestors().find(is_git_dir)?).ok()
}

/// Whether a process called git works in the git directory or in a worktree that uses it.
fn is_at_work(git_dir: &Path) -> bool {
    let works = |pid: &Path| {
        let name = fs::read_to_string(pid.join("comm")).unwrap_or_default();
        name.starts_with("git")
            && fs::read_link(pid.join("cwd")).is_ok_and(|cwd| belongs(&cwd, git_dir))
    };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.into_iter().any(|process| works(&process.path()))
}

fn belongs(cwd: &Path, git_dir: &Path) -> bool {
    cwd.starts_with(git_dir)
        || cwd
            .ancestors()
            .find(|dir| dir.join(".git").exists())
            .is_some_and(|top| {
                let link = fs::read_to_string(top.join(".git")).unwrap_or_default();
                let linked = link
                    .strip_prefix("gitdir: ")
                    .map(|dir| Path::new(dir.trim()).to_owned());
                linked.is_some_and(|dir| dir.starts_with(git_dir))
                    || top
                        .join(".git")
                        .canonicalize()
                        .is_ok_and(|dir| dir == git_dir)
            })
}

#[cfg(test)]
mod tests {
    use super::*;

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
