//! Worktrees: made whole or made anew, and taken away only when nothing can be lost.
//!
//! A worktree is complete when its folder in the git directory holds `beadline-ready`, put there
//! last. No agent starts without it; until then the file is called `beadline-making`, and what has
//! that, or nothing in it yet, holds nobody's work.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use beads::Repository;
use beads::lock::Lock;

use crate::Sha;
use crate::changes;
use crate::inside::{self, Found, READY, Tree};
use crate::look::Look;
use crate::process::Marker;
use crate::root::Root;
use crate::run::Git;
use crate::tied::{is_linked, small};
use crate::unborn;

/// What the mark is called while the worktree is being made.
const MAKING: &str = "beadline-making";

/// The scratch worktrees of checks and reviews below a root, and their folders in the git directory.
#[must_use]
pub fn scratch(look: &Look, root: &Root) -> Vec<(PathBuf, PathBuf)> {
    let mut found = look.worktrees();
    found.retain(|(path, _)| root.scratch_lock(path).is_some());
    found
}

/// Marks what runs in a scratch worktree.
#[must_use]
pub fn marker(repository: &Repository, path: &Path) -> Marker {
    let name = path.file_name().unwrap_or_default();
    Marker::of(repository, &name.to_string_lossy())
}

/// One worktree to be made or made whole.
#[derive(Debug)]
pub struct NewWorktree<'a> {
    /// The root it lies in.
    pub root: &'a Root,
    /// Where it is.
    pub path: &'a Path,
    /// The branch that it is on; `None`: a detached HEAD.
    pub branch: Option<&'a str>,
    /// The commit of a new branch, or of the detached HEAD.
    pub start: Sha,
    /// The lock that is held for it.
    pub lock: &'a Lock,
}

impl NewWorktree<'_> {
    /// Makes the worktree and fills it, without marking it complete. What an earlier try left is
    /// put away first. A branch that is there is taken up.
    ///
    /// # Errors
    /// When something foreign is in the way, or git fails.
    pub fn make(&self, repository: &Repository, look: &Look) -> anyhow::Result<Tree> {
        let common = repository.common();
        fs::create_dir_all(self.root.path())?;
        let path = self.path.to_str().context("a worktree's path is UTF-8")?;
        {
            // Several `worktree add` at once fail in git itself (measured: 7 to 14 of 16).
            let _one_at_a_time = repository.state_dir().lock()?;
            self.put_away(common, look)?;
            let start = self.start.to_string();
            let git = Git::at(common).holding(self.lock);
            match self.branch {
                None => git.run(&["worktree", "add", "--no-checkout", "--detach", path, &start])?,
                Some(branch) if look.commit(&format!("refs/heads/{branch}"))?.is_some() => {
                    git.run(&["worktree", "add", "--no-checkout", "--", path, branch])?
                }
                Some(branch) => git
                    .run(&[
                        "worktree",
                        "add",
                        "--no-checkout",
                        "-b",
                        branch,
                        "--",
                        path,
                        &start,
                    ])
                    .inspect_err(|_| {
                        // No stray branch: this one was made by the command that failed.
                        let full = format!("refs/heads/{branch}");
                        let _ = git.run(&["update-ref", "-d", &full, &start]);
                    })?,
            };
        }
        let git_dir = look
            .git_dir_of(self.path)?
            .with_context(|| format!("git made no worktree at '{path}'"))?;
        File::create(git_dir.join(MAKING))?;
        let tree = Tree::made(Found::new(common, self.path, git_dir))?;
        Git::within(&tree)
            .with_tokens()
            .holding(self.lock)
            .run(&["read-tree", "-m", "-u", "HEAD"])
            .with_context(|| format!("cannot fill the worktree '{path}'"))?;
        Ok(tree)
    }

    /// Takes the worktree away again, which is not complete.
    ///
    /// # Errors
    /// When something foreign is in its place, or it cannot be removed.
    pub fn undo(&self, repository: &Repository, look: &Look) -> anyhow::Result<()> {
        let _one_at_a_time = repository.state_dir().lock()?;
        self.put_away(repository.common(), look)
    }

    /// Marks the worktree complete.
    ///
    /// # Errors
    /// When the mark cannot be written.
    pub fn finish(tree: &Tree) -> anyhow::Result<()> {
        let git_dir = tree.git_dir();
        tree.finish()?;
        mark(git_dir, MAKING, READY)
            .with_context(|| format!("cannot mark '{}' as complete", git_dir.display()))
    }

    /// Takes the mark away: whoever finds the worktree so makes it anew.
    ///
    /// # Errors
    /// When it is not complete.
    pub fn unfinish(tree: &Tree) -> anyhow::Result<()> {
        let git_dir = tree.git_dir();
        tree.unfinish()?;
        mark(git_dir, READY, MAKING)
            .with_context(|| format!("'{}' is not complete", git_dir.display()))
    }

    /// Puts away what is in the worktree's place and not complete.
    fn put_away(&self, common: &Path, look: &Look) -> anyhow::Result<()> {
        let (root, path) = (self.root, self.path);
        require_replaceable(look, path)?;
        match look.git_dir_of(path)? {
            Some(git_dir) => {
                let found = Found::new(common, path, git_dir);
                // Of a worktree that its agent has deleted: what it has committed there stays.
                if found.is_remembered() {
                    found.keep_modules()?;
                }
                remove(root, path, found.git_dir())?;
            }
            None if fs::symlink_metadata(path).is_ok() => root.discard(path)?,
            None => {}
        }
        // An `add` that was killed before it knew its own path.
        let name = path.file_name().unwrap_or_default();
        let stray = common.join("worktrees").join(name);
        if stray.exists() && !stray.join("gitdir").exists() {
            fs::remove_dir_all(&stray)?;
        }
        Ok(())
    }
}

/// Changes the mark; it may be so already: a kill may come between it and what is remembered.
fn mark(git_dir: &Path, from: &str, to: &str) -> io::Result<()> {
    match fs::rename(git_dir.join(from), git_dir.join(to)) {
        Err(err) if err.kind() == io::ErrorKind::NotFound && git_dir.join(to).exists() => Ok(()),
        renamed => renamed,
    }
}

/// Makes sure that nothing stands in the place of a worktree but what beadline itself left there,
/// and that nobody can have worked in.
///
/// # Errors
/// Says what is in the way.
pub fn require_replaceable(look: &Look, path: &Path) -> anyhow::Result<()> {
    let (shown, there) = (path.display(), fs::symlink_metadata(path).is_ok());
    ensure!(
        !path.is_symlink(),
        "'{shown}' is in the way: a symbolic link"
    );
    let Some(git_dir) = look.git_dir_of(path)? else {
        ensure!(
            !there || is_hull(path),
            "'{shown}' is in the way: no worktree of this repository"
        );
        return Ok(());
    };
    require_unlocked(path, &git_dir)?;
    let half_made = git_dir.join(MAKING).exists()
        && is_linked(path, &git_dir)
        // An agent may have called the mark so: its work is nobody's to put away.
        && !Found::new(look.common(), path, git_dir).is_remembered();
    ensure!(
        !there || half_made || is_hull(path),
        "'{shown}' is in the way: beadline did not make it"
    );
    Ok(())
}

/// Removes what a `worktree add` in this root left that was killed before its HEAD named a commit:
/// no git can fetch beside it. The caller keeps other programs from adding.
///
/// # Errors
/// When it cannot be removed.
pub fn drop_unborn(repository: &Repository, root: &Root) -> anyhow::Result<()> {
    for (git_dir, path) in unborn::all(repository.common()) {
        if path.parent() == Some(root.path()) && (is_hull(&path) || !path.exists()) {
            remove(root, &path, &git_dir)?;
        }
    }
    Ok(())
}

/// What a killed `worktree add` leaves: a folder with nothing in it but git's link.
fn is_hull(path: &Path) -> bool {
    let Ok(mut entries) = fs::read_dir(path) else {
        return false;
    };
    !path.is_symlink()
        && entries.all(|entry| {
            entry.is_ok_and(|entry| entry.file_name() == ".git" && !entry.path().is_dir())
        })
}

/// The worktree at `path`, if that is complete. What an agent made of it is not looked at yet.
///
/// # Errors
/// When git's files cannot be read.
pub fn complete(look: &Look, path: &Path) -> anyhow::Result<Option<Found>> {
    let Some(git_dir) = look.git_dir_of(path)? else {
        return Ok(None);
    };
    let is_there = fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir());
    let is_marked = is_linked(path, &git_dir) && git_dir.join(READY).exists();
    let found = Found::new(look.common(), path, git_dir);
    let has_work = found.is_remembered() && (!is_hull(path) || path.join(".git").exists());
    Ok((is_there && (is_marked || has_work)).then_some(found))
}

/// The worktree that git knows at `path`, complete or not; not one whose files are gone.
///
/// # Errors
/// When git's files cannot be read.
pub fn known(look: &Look, path: &Path) -> anyhow::Result<Option<Found>> {
    let git_dir = look
        .git_dir_of(path)?
        .filter(|_| path.join(".git").exists());
    Ok(git_dir.map(|git_dir| Found::new(look.common(), path, git_dir)))
}

/// The ref that a worktree's HEAD names, if any, and the commit it is at.
///
/// # Errors
/// When the clone's refs cannot be read.
pub fn head(look: &Look, tree: &Tree) -> anyhow::Result<(Option<String>, Option<Sha>)> {
    let head = small(&tree.git_dir().join("HEAD")).unwrap_or_default();
    let head = String::from_utf8_lossy(&head).into_owned();
    Ok(match head.trim_end().strip_prefix("ref: ") {
        Some(name) => (Some(name.to_owned()), look.commit(name)?),
        None => (None, Sha::from_hex(head.trim_end().as_bytes()).ok()),
    })
}

/// Makes the branch of a worktree anew that was deleted under it, at the last commit that its HEAD
/// was at: what git finds changed there is then what was not committed.
///
/// # Errors
/// When git's log of HEAD does not tell, or the branch cannot be made.
pub fn restore_branch(look: &Look, tree: &Tree, full: &str, held: &Lock) -> anyhow::Result<()> {
    let log = fs::read(tree.git_dir().join("logs").join("HEAD")).unwrap_or_default();
    let log = String::from_utf8_lossy(&log).into_owned();
    let known = |line: &str| {
        let sha = Sha::from_hex(line.split(' ').nth(1)?.as_bytes()).ok()?;
        (!sha.is_null() && look.has(sha)).then_some(sha)
    };
    let last = log.lines().rev().find_map(known);
    let last = last.with_context(|| format!("'{full}' is gone, and nothing tells where it was"))?;
    // "Must not exist": somebody else may be faster.
    Git::within(tree)
        .holding(held)
        .run(&["update-ref", full, &last.to_string(), ""])
        .map(drop)
}

/// The folder in the git directory of a worktree that may be removed: one of ours, in its root,
/// not behind a symbolic link, not locked, without changes. `None`: there is no such worktree.
///
/// # Errors
/// Says why it may not be removed.
pub fn removable(
    repository: &Repository,
    look: &Look,
    root: &Root,
    path: &Path,
) -> anyhow::Result<Option<PathBuf>> {
    let shown = path.display();
    ensure!(path != repository.main(), "'{shown}' is the main worktree");
    let Some(git_dir) = look.git_dir_of(path)? else {
        let there = fs::symlink_metadata(path).is_ok();
        ensure!(!there, "'{shown}' is no worktree of this repository");
        return Ok(None);
    };
    require_unlocked(path, &git_dir)?;
    if fs::symlink_metadata(path).is_ok() {
        ensure!(
            root.holds(path),
            "the worktree '{shown}' lies outside '{}' or behind a symbolic link",
            root.path().display()
        );
        let is_empty = !is_linked(path, &git_dir) && is_hull(path);
        let found = Found::new(look.common(), path, git_dir.clone());
        let changes = if is_empty {
            Vec::new()
        } else {
            changes::list(&found.sound()?)?
        };
        if let Some(first) = changes.first() {
            bail!("the worktree '{shown}' has changes that are nowhere else: {first}");
        }
    }
    Ok(Some(git_dir))
}

/// Makes sure that nobody has locked a worktree. `initializing` is git's own lock, of an `add`
/// that was killed.
///
/// # Errors
/// Says that it is locked, and why.
pub fn require_unlocked(path: &Path, git_dir: &Path) -> anyhow::Result<()> {
    match fs::read_to_string(git_dir.join("locked")) {
        Ok(why) if why.trim() != "initializing" => {
            bail!(
                "the worktree '{}' is locked: {}",
                path.display(),
                why.trim()
            )
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Removes a worktree that was judged removable, or is a scratch one of ours.
///
/// # Errors
/// When it cannot be moved or deleted.
pub fn remove(root: &Root, path: &Path, git_dir: &Path) -> anyhow::Result<()> {
    if fs::symlink_metadata(path).is_ok() {
        root.discard(path)?;
    }
    // What `git worktree prune` would do, but only for this one.
    fs::remove_dir_all(git_dir)
        .with_context(|| format!("cannot remove '{}'", git_dir.display()))?;
    if let Some(common) = git_dir.parent().and_then(Path::parent) {
        inside::forget(common, path);
    }
    Ok(())
}
