//! Repositories that go with a worktree: submodules, whose repositories lie in the worktree's folder
//! of the git directory, and any other in the worktree itself, also where git ignores it.
//!
//! An agent has written them. Their refs and configurations are read as data, and git walks their
//! objects from a repository of our own, so that nothing of theirs is run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use gix::config::File;
use gix::config::file::Metadata;
use tempfile::TempDir;

use crate::Sha;
use crate::refs::{Refs, common, git_dir};
use crate::remotes::{Answer, Remotes};
use crate::run::Git;
use crate::scratch::scratch;
use crate::tied::at_most;

/// No configuration and no list of the commits that a shallow clone begins with is longer.
const LARGEST: u64 = 16 << 20;

/// More commits are not asked for one by one.
const ASKED: usize = 50;

/// What a worktree would take with it.
#[derive(Debug)]
pub struct Nested<'a> {
    path: &'a Path,
    git_dir: &'a Path,
}

impl<'a> Nested<'a> {
    /// In the worktree at `path`, which may be gone, whose folder in the git directory is `git_dir`.
    #[must_use]
    pub fn new(path: &'a Path, git_dir: &'a Path) -> Self {
        Self { path, git_dir }
    }

    /// Makes sure that the commits of all of them are elsewhere, too: on a remote, as far as they
    /// have seen it there or it says so itself.
    ///
    /// # Errors
    /// Names what is nowhere else, or what cannot be told.
    pub fn require_shared(&self, remotes: &Remotes) -> anyhow::Result<()> {
        for (common, heads) in self.repositories()? {
            let shown = common.display();
            let lost = lost(&common, &heads, remotes).with_context(|| {
                format!("cannot tell whether the commits of the repository '{shown}' are elsewhere, too: push them and delete it")
            })?;
            if let Some(lost) = lost {
                bail!(
                    "the repository '{shown}' has commits that are nowhere else: {lost}: push them, or delete it"
                );
            }
        }
        Ok(())
    }

    /// Their git directories, each with the folders whose HEADs count beside its own.
    fn repositories(&self) -> anyhow::Result<BTreeMap<PathBuf, BTreeSet<PathBuf>>> {
        let mut found: BTreeMap<PathBuf, BTreeSet<PathBuf>> = BTreeMap::new();
        let mut open = links(self.path)?;
        open.extend(git_dirs(&self.git_dir.join("modules"))?);
        while let Some(link) = open.pop() {
            let Some(git_dir) = git_dir(&link)?.filter(|dir| self.goes(dir)) else {
                continue;
            };
            let common = common(&git_dir)?;
            if !self.goes(&common) {
                continue;
            }
            let heads = found.entry(common.clone()).or_default();
            if heads.insert(git_dir) && heads.len() == 1 {
                open.extend(git_dirs(&common.join("modules"))?);
            }
        }
        Ok(found)
    }

    /// Whether a folder goes with the worktree.
    fn goes(&self, real: &Path) -> bool {
        [self.path, self.git_dir]
            .iter()
            .any(|dir| fs::canonicalize(dir).is_ok_and(|dir| real.starts_with(dir)))
    }
}

/// What is called `.git` below a worktree, its own aside.
fn links(top: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let (mut found, mut open) = (Vec::new(), Vec::new());
    if fs::symlink_metadata(top).is_ok() {
        open.push(top.to_owned());
    }
    while let Some(dir) = open.pop() {
        for entry in read(&dir)? {
            if entry.file_name() == ".git" {
                if dir != top {
                    found.push(entry.path());
                }
            } else if entry.file_type()?.is_dir() {
                open.push(entry.path());
            }
        }
    }
    Ok(found)
}

/// The git directories below a folder of them; a submodule's name may have several parts.
fn git_dirs(modules: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let (mut found, mut open) = (Vec::new(), Vec::new());
    if fs::symlink_metadata(modules).is_ok() {
        open.push(modules.to_owned());
    }
    while let Some(dir) = open.pop() {
        let entries = read(&dir)?;
        let is_one = entries.iter().any(|entry| entry.file_name() == "objects");
        if is_one {
            found.push(dir);
        }
        for entry in entries {
            let is_inner = is_one && entry.file_name() == "objects";
            if !is_inner && entry.file_type()?.is_dir() {
                open.push(entry.path());
            }
        }
    }
    Ok(found)
}

fn read(dir: &Path) -> anyhow::Result<Vec<fs::DirEntry>> {
    let said = || format!("cannot look into '{}'", dir.display());
    let entries = fs::read_dir(dir).with_context(said)?;
    entries.collect::<io::Result<_>>().with_context(said)
}

/// A commit of a repository that is nowhere else, with a name of it, in words.
fn lost(
    common: &Path,
    heads: &BTreeSet<PathBuf>,
    remotes: &Remotes,
) -> anyhow::Result<Option<String>> {
    let objects = common.join("objects");
    if !objects.is_dir() {
        return Ok(None);
    }
    let mut refs = Refs::read(common)?;
    for git_dir in heads {
        refs.add_head(&git_dir.join("HEAD"), "HEAD")?;
    }
    let walk = Walk::new(common)?;
    let all = |own: &BTreeMap<Sha, String>| own.keys().copied().collect::<Vec<_>>();
    if walk.reaches_no_more(&all(&refs.own), &refs.seen)? {
        return Ok(None);
    }
    // It may have seen too little: tags are fetched, too, and not every push is noted.
    let urls = urls(common);
    let mut silent = None;
    for url in &urls {
        match &*remotes.shown(url)? {
            Ok(shown) => refs.own.retain(|sha, _| !shown.contains(sha)),
            Err(Answer::Never(why) | Answer::Unknown(why)) => silent = Some(why.clone()),
            Err(Answer::Has | Answer::Lacks) => {}
        }
    }
    if walk.reaches_no_more(&all(&refs.own), &refs.seen)? {
        return Ok(None);
    }
    ensure!(refs.own.len() <= ASKED, "it has too many");
    for (sha, name) in &refs.own {
        if walk.reaches_no_more(&[*sha], &refs.seen)? {
            continue;
        }
        let mut is_elsewhere = false;
        for url in &urls {
            is_elsewhere = is_elsewhere || remotes.has(url, *sha)? == Answer::Has;
        }
        if !is_elsewhere {
            let why = silent.map(|why| format!(", as far as can be told ({why})"));
            return Ok(Some(format!("{name} at {sha}{}", why.unwrap_or_default())));
        }
    }
    Ok(None)
}

/// Where a repository fetches from.
fn urls(common: &Path) -> Vec<String> {
    let bytes = at_most(&common.join("config"), LARGEST).unwrap_or_default();
    let read = File::from_bytes_no_includes(
        &bytes,
        Metadata::api(),
        gix::config::file::init::Options::default(),
    );
    let Ok(file) = read else {
        return Vec::new();
    };
    let sections = file.sections_by_name("remote").into_iter().flatten();
    let urls = sections.flat_map(|section| section.values("url"));
    // Relative ones are meant from where the repository is: nobody else has what is there.
    let urls = urls.filter_map(|url| String::from_utf8(url.into()).ok());
    urls.filter(|url| !url.starts_with('.')).collect()
}

/// An empty repository of ours, in which git sees the objects of another one.
struct Walk {
    dir: TempDir,
    objects: PathBuf,
}

impl Walk {
    fn new(common: &Path) -> anyhow::Result<Self> {
        let dir = scratch()?;
        let shallow = common.join("shallow");
        if fs::symlink_metadata(&shallow).is_ok() {
            let bytes = at_most(&shallow, LARGEST).context("'shallow' is no file")?;
            fs::write(dir.path().join("shallow"), bytes)?;
        }
        let objects = common.join("objects");
        Ok(Self { dir, objects })
    }

    /// Whether these reach no commit that the others do not reach.
    fn reaches_no_more(&self, these: &[Sha], others: &BTreeSet<Sha>) -> anyhow::Result<bool> {
        if these.is_empty() {
            return Ok(true);
        }
        let mut file = tempfile::tempfile().context("no temporary file")?;
        for sha in these {
            writeln!(file, "{sha}")?;
        }
        for sha in others {
            writeln!(file, "^{sha}")?;
        }
        file.rewind()?;
        let listed = Git::at(self.dir.path())
            .with_objects(&self.objects)
            .reading(file)
            .run(&[
                "-c",
                "core.commitGraph=false",
                "rev-list",
                "--max-count=1",
                "--stdin",
            ])?;
        Ok(listed.is_empty())
    }
}
