//! The folder that all worktrees of a clone lie in, and the only one that is ever deleted from.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, ensure};
use beads::{Name, Repository, token};

/// The folder beside the worktrees in which they are deleted.
const TRASH: &str = ".trash";

/// What the names of scratch worktrees and of their locks begin with: the name of their base follows.
/// Landings have a lock of their own, `merge-<base>.lock`: they go on beside checks.
const SCRATCH: [(&str, &str); 2] = [(".merge-", "check-"), (".review-", "review-")];

/// The folder of this clone's worktrees.
#[derive(Clone, Debug)]
pub struct Root(PathBuf);

impl Root {
    /// `under` if given (relative to `dir`), else `../<repository>.worktrees`.
    ///
    /// # Errors
    /// When the path cannot be resolved, or lies inside the repository's git directory.
    pub fn new(repository: &Repository, dir: &Path, under: Option<&Path>) -> anyhow::Result<Self> {
        let path = if let Some(under) = under {
            dir.join(under)
        } else {
            let main = repository.main();
            let name = main.file_name().context("the repository has no name")?;
            let mut name = name.to_owned();
            name.push(".worktrees");
            main.with_file_name(name)
        };
        let path = resolve(&path).with_context(|| format!("cannot use '{}'", path.display()))?;
        ensure!(
            !path.starts_with(repository.common()),
            "'{}' lies in the git directory",
            path.display()
        );
        Ok(Self(path))
    }

    /// Its path, absolute, without symbolic links.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where the worktree of this name is.
    #[must_use]
    pub fn at(&self, name: &Name) -> PathBuf {
        self.0.join(name.as_str())
    }

    /// Where landings on `base` are checked: one place for each slot, which count from 1.
    #[must_use]
    pub fn merge(&self, base: &str, slot: usize) -> PathBuf {
        let name = Name::of(base);
        self.0.join(match slot {
            // A name has no `+`.
            2.. => format!(".merge-{name}+{slot}"),
            _ => format!(".merge-{name}"),
        })
    }

    /// Where heads that are to land on `base` are reviewed.
    #[must_use]
    pub fn review(&self, base: &str) -> PathBuf {
        self.0.join(format!(".review-{}", Name::of(base)))
    }

    /// The name of the lock of a scratch worktree, held by whoever works there; `None`: `path` is
    /// none.
    #[must_use]
    pub fn scratch_lock(&self, path: &Path) -> Option<String> {
        let name = path.file_name()?.to_str()?;
        let lock = SCRATCH
            .iter()
            .find_map(|(prefix, lock)| Some(format!("{lock}{}.lock", name.strip_prefix(prefix)?)));
        lock.filter(|_| path.parent() == Some(&self.0))
    }

    /// Whether `path` is directly below the root, and no symbolic link.
    #[must_use]
    pub fn holds(&self, path: &Path) -> bool {
        path.parent() == Some(&self.0)
            && path.file_name().is_some_and(|name| name != TRASH)
            && fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir())
    }

    /// Moves a folder of the root into the trash, in one step, and deletes it there. A crash
    /// leaves it in the trash, for [`Root::empty_trash`].
    ///
    /// # Errors
    /// When it is not in the root, or cannot be moved or deleted.
    pub fn discard(&self, path: &Path) -> anyhow::Result<()> {
        ensure!(
            self.holds(path),
            "'{}' is no folder of '{}'",
            path.display(),
            self.0.display()
        );
        let trash = self.0.join(TRASH);
        fs::create_dir_all(&trash)?;
        ensure!(
            !trash.is_symlink(),
            "'{}' is a symbolic link",
            trash.display()
        );
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let goner = trash.join(format!("{name}-{}", token::random()?));
        let mut moved = fs::rename(path, &goner);
        if moved
            .as_ref()
            .is_err_and(|err| err.kind() == io::ErrorKind::PermissionDenied)
        {
            // A folder that forbids to write in it cannot be moved elsewhere either (rename(2)).
            open_folder(path);
            moved = fs::rename(path, &goner);
        }
        // Another program may have removed the trash, as it was empty.
        while moved
            .as_ref()
            .is_err_and(|err| err.kind() == io::ErrorKind::NotFound)
            && self.holds(path)
        {
            fs::create_dir_all(&trash)?;
            moved = fs::rename(path, &goner);
        }
        moved.with_context(|| format!("cannot move '{}'", path.display()))?;
        delete(&goner)?;
        let _ = fs::remove_dir(&trash);
        Ok(())
    }

    /// Deletes what a crash left in the trash, and the root when nothing is left in it.
    ///
    /// # Errors
    /// When something cannot be deleted.
    pub fn empty_trash(&self) -> anyhow::Result<()> {
        let trash = self.0.join(TRASH);
        if fs::symlink_metadata(&trash).is_ok_and(|meta| meta.is_dir()) {
            for goner in fs::read_dir(&trash)? {
                delete(&goner?.path())?;
            }
            let _ = fs::remove_dir(&trash);
        }
        let _ = fs::remove_dir(&self.0);
        Ok(())
    }
}

/// Deletes a tree. A tool may have left folders that forbid it: they are opened first.
fn delete(path: &Path) -> anyhow::Result<()> {
    let deleted = fs::remove_dir_all(path).or_else(|err| match err.kind() {
        io::ErrorKind::NotFound => Ok(()),
        io::ErrorKind::PermissionDenied => {
            open_folders(path);
            fs::remove_dir_all(path)
        }
        _ => Err(err),
    });
    deleted.with_context(|| format!("cannot delete '{}'", path.display()))
}

fn open_folder(path: &Path) {
    let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o700));
}

fn open_folders(path: &Path) {
    if !fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir()) {
        return;
    }
    open_folder(path);
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        open_folders(&entry.path());
    }
}

/// A path without symbolic links and dots, whose end need not exist yet.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    let mut resolved = PathBuf::new();
    for part in std::path::absolute(path)?.components() {
        match part {
            Component::ParentDir => drop(resolved.pop()),
            part => resolved.push(part),
        }
        if let Ok(real) = fs::canonicalize(&resolved) {
            resolved = real;
        }
    }
    Ok(resolved)
}
