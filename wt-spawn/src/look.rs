//! Questions about the repository.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use beads::Repository;
use gix::refs::TargetRef;

use crate::Sha;

/// The clone, to be asked.
pub struct Look(gix::ThreadSafeRepository);

impl Look {
    /// Opens the clone.
    ///
    /// # Errors
    /// When git's files cannot be read.
    pub fn open(repository: &Repository) -> anyhow::Result<Self> {
        let common = repository.common();
        let opened = gix::ThreadSafeRepository::open(common)
            .with_context(|| format!("cannot open '{}'", common.display()))?;
        Ok(Self(opened))
    }

    /// The commit that a ref such as `refs/heads/main` names.
    ///
    /// # Errors
    /// When the ref cannot be read.
    pub fn commit(&self, name: &str) -> anyhow::Result<Option<Sha>> {
        let local = self.0.to_thread_local();
        let Some(mut found) = local.try_find_reference(name)? else {
            return Ok(None);
        };
        Ok(Some(found.peel_to_id()?.detach()))
    }

    /// What a symbolic ref such as `refs/remotes/origin/HEAD` names.
    ///
    /// # Errors
    /// When the ref cannot be read.
    pub fn symbolic(&self, name: &str) -> anyhow::Result<Option<String>> {
        let local = self.0.to_thread_local();
        let Some(found) = local.try_find_reference(name)? else {
            return Ok(None);
        };
        Ok(match found.target() {
            TargetRef::Symbolic(target) => Some(target.as_bstr().to_string()),
            TargetRef::Object(_) => None,
        })
    }

    /// Whether the object is here.
    #[must_use]
    pub fn has(&self, id: Sha) -> bool {
        self.0.to_thread_local().has_object(id)
    }

    /// Whether `old` is `new` or one of its ancestors. What is not here is nobody's ancestor.
    ///
    /// # Errors
    /// When commits cannot be read.
    pub fn contains(&self, new: Sha, old: Sha) -> anyhow::Result<bool> {
        if !self.has(new) || !self.has(old) {
            return Ok(false);
        }
        Ok(self.merge_base(new, old)? == Some(old))
    }

    /// The best common ancestor.
    ///
    /// # Errors
    /// When commits cannot be read.
    pub fn merge_base(&self, one: Sha, two: Sha) -> anyhow::Result<Option<Sha>> {
        Ok(self
            .0
            .to_thread_local()
            .merge_base(one, two)?
            .map(gix::Id::detach))
    }

    /// The parents of a commit, in order.
    ///
    /// # Errors
    /// When it is no commit that is here.
    pub fn parents(&self, commit: Sha) -> anyhow::Result<Vec<Sha>> {
        let local = self.0.to_thread_local();
        let commit = local.find_commit(commit)?;
        Ok(commit.parent_ids().map(gix::Id::detach).collect())
    }

    /// The tree of a commit.
    ///
    /// # Errors
    /// When it is no commit that is here.
    pub fn tree(&self, commit: Sha) -> anyhow::Result<Sha> {
        let local = self.0.to_thread_local();
        let commit = local.find_commit(commit)?;
        Ok(commit.tree_id()?.detach())
    }

    /// The bytes of a blob that is here.
    ///
    /// # Errors
    /// When it is not here, or no blob.
    pub fn blob(&self, id: Sha) -> anyhow::Result<Vec<u8>> {
        let local = self.0.to_thread_local();
        let mut blob = local.find_object(id)?.try_into_blob()?;
        Ok(blob.take_data())
    }

    /// Whether there is a remote of this name.
    #[must_use]
    pub fn has_remote(&self, name: &str) -> bool {
        self.0
            .to_thread_local()
            .remote_names()
            .iter()
            .any(|known| *known == name)
    }

    /// The full names below a prefix such as `refs/heads/agent/`, with what they name.
    ///
    /// # Errors
    /// When refs cannot be read.
    pub fn refs(&self, prefix: &str) -> anyhow::Result<Vec<(String, Sha)>> {
        let local = self.0.to_thread_local();
        let platform = local.references()?;
        let mut found = Vec::new();
        for reference in platform.prefixed(prefix)?.flatten() {
            if let Some(id) = reference.try_id() {
                found.push((reference.name().as_bstr().to_string(), id.detach()));
            }
        }
        Ok(found)
    }

    /// The linked worktrees: where they are, and their folders in the git directory.
    ///
    /// # Errors
    /// When git's files cannot be read.
    pub fn worktrees(&self) -> anyhow::Result<Vec<(PathBuf, PathBuf)>> {
        let local = self.0.to_thread_local();
        let known = local.worktrees()?;
        Ok(known
            .iter()
            .filter_map(|w| Some((w.base().ok()?, w.git_dir().to_owned())))
            .collect())
    }

    /// The worktree that has a branch checked out, the main one included; `name` is its full name.
    ///
    /// # Errors
    /// When git's files cannot be read.
    pub fn checked_out(&self, name: &str) -> anyhow::Result<Option<PathBuf>> {
        let local = self.0.to_thread_local();
        let main = local
            .workdir()
            .map(|dir| (dir.to_owned(), local.common_dir().to_owned()));
        let on = |git_dir: &Path| {
            let head = fs::read_to_string(git_dir.join("HEAD")).unwrap_or_default();
            head.strip_prefix("ref: ")
                .is_some_and(|on| on.trim_end() == name)
        };
        let all = main.into_iter().chain(self.worktrees()?);
        Ok(all
            .into_iter()
            .find(|(_, git_dir)| on(git_dir))
            .map(|(path, _)| path))
    }

    /// The folder in the git directory of the linked worktree at `path`.
    ///
    /// # Errors
    /// When git's files cannot be read.
    pub fn git_dir_of(&self, path: &Path) -> anyhow::Result<Option<PathBuf>> {
        // git calls it like the worktree, with a number behind it if need be; only a name that
        // git has to change is looked for among all.
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        if name.starts_with(b".") {
            let mut all = self.worktrees()?.into_iter();
            return Ok(all.find(|(base, _)| base == path).map(|(_, dir)| dir));
        }
        let dir = self.0.refs.common_dir_resolved().join("worktrees");
        let like_it = |dir: &PathBuf| {
            dir.file_name()
                .is_some_and(|own| own.as_encoded_bytes().starts_with(name))
        };
        let is_its = |dir: &PathBuf| {
            let link = fs::read_to_string(dir.join("gitdir")).unwrap_or_default();
            Path::new(link.trim_end()).parent() == Some(path)
        };
        let mut known = fs::read_dir(dir)
            .into_iter()
            .flatten()
            .flatten()
            .map(|e| e.path());
        Ok(known.find(|dir| like_it(dir) && is_its(dir)))
    }
}
