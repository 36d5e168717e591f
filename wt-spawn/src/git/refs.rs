//! What the refs of a repository name, read as files (gitrepository-layout(5)): no git runs where an
//! agent may have written the configuration. What cannot be read is never no ref.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use crate::Sha;
use crate::tied::{at_most, is_head, small};

/// No list of packed refs, and no log of a stash, is longer.
const LARGEST: u64 = 64 << 20;

/// What a repository names.
#[derive(Debug, Default)]
pub(crate) struct Refs {
    /// What its HEADs, branches, tags, stashes and the like name, and one name of it.
    pub(crate) own: BTreeMap<Sha, String>,
    /// What it has seen on its remotes.
    pub(crate) seen: BTreeSet<Sha>,
}

impl Refs {
    /// Those of a repository, and of the worktrees of it, by its common git directory.
    ///
    /// # Errors
    /// When something there cannot be read, or is of another form.
    pub(crate) fn read(common: &Path) -> anyhow::Result<Self> {
        let mut refs = Self::default();
        // git-refs(1): another way to keep them, in one file.
        ensure!(!is_there(&common.join("reftable")), "its refs are no files");
        refs.add_head(&common.join("HEAD"), "HEAD")?;
        refs.add_below(&common.join("refs"), "refs")?;
        for line in lines(&common.join("packed-refs"))? {
            // A `^` line tells what the tag above it leads to.
            if let Some((name, path)) = line
                .split_once(' ')
                .filter(|_| !line.starts_with(['#', '^']))
            {
                refs.add(name, path)?;
            }
        }
        // gitrevisions(7): older stashes stand in the log of the newest.
        for line in lines(&common.join("logs/refs/stash"))? {
            let new = line.split(' ').nth(1).unwrap_or_default();
            refs.add(new, "refs/stash")?;
        }
        for worktree in entries(&common.join("worktrees"))? {
            let name = worktree
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            refs.add_head(&worktree.join("HEAD"), &format!("HEAD of '{name}'"))?;
            refs.add_below(&worktree.join("refs"), "refs")?;
        }
        Ok(refs)
    }

    /// A HEAD, of a worktree or of the repository itself.
    pub(crate) fn add_head(&mut self, file: &Path, name: &str) -> anyhow::Result<()> {
        if is_there(file) {
            self.add_file(file, name)?;
        }
        Ok(())
    }

    fn add_below(&mut self, dir: &Path, name: &str) -> anyhow::Result<()> {
        let mut open = vec![(dir.to_owned(), name.to_owned())];
        while let Some((dir, name)) = open.pop() {
            for path in entries(&dir)? {
                let own = path
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                let name = format!("{name}/{own}");
                if fs::symlink_metadata(&path)?.is_dir() {
                    open.push((path, name));
                } else if path.extension().is_none_or(|kind| kind != "lock") {
                    self.add_file(&path, &name)?;
                }
            }
        }
        Ok(())
    }

    fn add_file(&mut self, file: &Path, name: &str) -> anyhow::Result<()> {
        let bytes = at_most(file, LARGEST).with_context(|| format!("'{name}' is no ref"))?;
        let text = String::from_utf8_lossy(&bytes);
        match text.strip_prefix("ref:") {
            // What that names is among the others.
            Some(_) => Ok(()),
            None => self.add(text.trim_end(), name),
        }
    }

    fn add(&mut self, sha: &str, name: &str) -> anyhow::Result<()> {
        let sha = Sha::from_hex(sha.as_bytes()).with_context(|| format!("'{name}' is no ref"))?;
        if name.starts_with("refs/remotes/") {
            self.seen.insert(sha);
        } else if !sha.is_null() {
            self.own.entry(sha).or_insert_with(|| name.to_owned());
        }
        Ok(())
    }
}

/// The git directory that a `.git` is or leads to, if there is one.
///
/// # Errors
/// When it cannot be followed.
pub(crate) fn git_dir(link: &Path) -> anyhow::Result<Option<PathBuf>> {
    let follow = |path: &Path| match fs::canonicalize(path) {
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
        real => real
            .map(Some)
            .with_context(|| format!("cannot follow '{}'", path.display())),
    };
    let Some(real) = follow(link)? else {
        return Ok(None);
    };
    if real.is_dir() {
        return Ok(Some(real));
    }
    let Some(text) = small(&real).and_then(|bytes| String::from_utf8(bytes).ok()) else {
        return Ok(None);
    };
    let Some(to) = text.strip_prefix("gitdir: ") else {
        return Ok(None);
    };
    follow(&link.with_file_name(to.trim_end_matches(['\n', '\r'])))
}

/// Where a git directory has its objects and refs.
///
/// # Errors
/// When that cannot be told.
pub(crate) fn common(git_dir: &Path) -> anyhow::Result<PathBuf> {
    let file = git_dir.join("commondir");
    if !is_there(&file) {
        return Ok(git_dir.to_owned());
    }
    let told = || format!("'{}' leads nowhere", file.display());
    let bytes = small(&file).with_context(told)?;
    let to = String::from_utf8(bytes).ok().with_context(told)?;
    fs::canonicalize(git_dir.join(to.trim_end())).with_context(told)
}

/// The commit that the repository is at whose `.git` this is.
///
/// # Errors
/// When that cannot be read, or there is none.
pub(crate) fn head(link: &Path) -> anyhow::Result<Sha> {
    let git_dir = git_dir(link)?.context("there is no repository")?;
    let common = common(&git_dir)?;
    let sha = |text: &str| Sha::from_hex(text.trim_end().as_bytes()).ok();
    let read = |path: &Path| small(path).and_then(|bytes| String::from_utf8(bytes).ok());
    let head = read(&git_dir.join("HEAD")).context("it has no HEAD")?;
    let Some(name) = head.strip_prefix("ref: ").map(str::trim_end) else {
        return sha(&head).context("its HEAD is no commit");
    };
    ensure!(is_head(head.as_bytes()), "its HEAD names no branch");
    let loose = read(&common.join(name)).as_deref().and_then(sha);
    let packed = || -> anyhow::Result<Option<Sha>> {
        let lines = lines(&common.join("packed-refs"))?;
        let named = lines.iter().filter_map(|line| line.split_once(' '));
        Ok(named
            .filter(|(_, path)| *path == name)
            .find_map(|(named, _)| sha(named)))
    };
    let found = match loose {
        Some(loose) => Some(loose),
        None => packed()?,
    };
    found.context("its branch has no commit")
}

fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// What is in a folder; nothing, if there is none.
fn entries(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !is_there(dir) {
        return Ok(Vec::new());
    }
    let is_folder = fs::symlink_metadata(dir)?.is_dir();
    ensure!(is_folder, "'{}' is no folder", dir.display());
    let entries = fs::read_dir(dir)?.map(|entry| Ok(entry?.path()));
    Ok(entries.collect::<io::Result<_>>()?)
}

/// The lines of a file; none, if there is none.
fn lines(file: &Path) -> anyhow::Result<Vec<String>> {
    if !is_there(file) {
        return Ok(Vec::new());
    }
    let bytes =
        at_most(file, LARGEST).with_context(|| format!("'{}' is no file", file.display()))?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().map(str::to_owned).collect())
}
