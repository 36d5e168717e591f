//! Questions about the repository.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use beads::Repository;
use gix::odb::store::init::Slots;
use gix::refs::TargetRef;

use crate::{Sha, inside, tied};

/// Room for the packs that come while a program lives: nothing can be read any more when there is
/// none left, and those of a fetch or a push come by the dozen.
const SLOTS: Slots = Slots::AsNeededByDiskState {
    multiplier: 2.0,
    minimum: 4096,
};

/// The clone, to be asked.
#[derive(Debug)]
pub struct Look(gix::ThreadSafeRepository);

/// What a tree has under a name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Entry {
    /// The object.
    pub id: Sha,
    /// Its mode, such as 0o100644.
    pub mode: u16,
}

impl Entry {
    pub(crate) fn is_tree(&self) -> bool {
        self.mode & 0o170_000 == 0o040_000
    }

    /// Whether it is a commit of another repository: a submodule's.
    #[must_use]
    pub fn is_link(&self) -> bool {
        self.mode & 0o170_000 == 0o160_000
    }

    pub(crate) fn is_file(&self) -> bool {
        self.mode & 0o170_000 == 0o100_000
    }
}

impl Look {
    /// Opens the clone.
    ///
    /// # Errors
    /// When git's files cannot be read.
    pub fn open(repository: &Repository) -> anyhow::Result<Self> {
        let common = repository.common();
        // Replacements are refs, and a commit graph lies beside the objects: whoever writes one
        // decides what every other commit seems to hold.
        let opened = gix::open::Options::default()
            .config_overrides(["core.useReplaceRefs=false", "core.commitGraph=false"])
            .object_store_slots(SLOTS)
            .open(common)
            .with_context(|| format!("cannot open '{}'", common.display()))?;
        Ok(Self(opened))
    }

    pub(crate) fn local(&self) -> gix::Repository {
        self.0.to_thread_local()
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

    /// What a symbolic ref such as `HEAD` names.
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

    /// Whether objects that are named here may be the remote's only (a partial clone).
    pub(crate) fn is_partial(&self) -> bool {
        let local = self.0.to_thread_local();
        let config = local.config_snapshot();
        config.string("extensions.partialClone").is_some()
            || local.remote_names().iter().any(|name| {
                let key = format!("remote.{name}.promisor");
                config.boolean(key.as_str()) == Some(true)
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

    /// What a tree holds, by name.
    ///
    /// # Errors
    /// When it is no tree that is here.
    pub fn entries(&self, tree: Sha) -> anyhow::Result<BTreeMap<Vec<u8>, Entry>> {
        let local = self.0.to_thread_local();
        let tree = local.find_tree(tree)?;
        let mut entries = BTreeMap::new();
        for entry in tree.iter() {
            let entry = entry?;
            let (id, mode) = (entry.object_id(), entry.mode().value());
            entries.insert(entry.filename().to_vec(), Entry { id, mode });
        }
        Ok(entries)
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

    /// Where a remote is, as the clone's configuration has it: there may be a password in it.
    #[must_use]
    pub fn remote_url(&self, name: &str) -> Option<String> {
        let local = self.0.to_thread_local();
        let key = format!("remote.{name}.url");
        let url = local.config_snapshot().string(key.as_str())?;
        Some(url.to_string())
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

    /// The linked worktrees: where they are, and their folders in the git directory. As these say:
    /// an agent may have written what they do.
    #[must_use]
    pub fn worktrees(&self) -> Vec<(PathBuf, PathBuf)> {
        let known = fs::read_dir(self.common().join("worktrees"));
        let known = known.into_iter().flatten().flatten();
        known
            .filter_map(|entry| Some((tied::place(&entry.path())?, entry.path())))
            .collect()
    }

    /// The clone's git directory.
    pub(crate) fn common(&self) -> &Path {
        self.0.refs.common_dir_resolved()
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
            let head = tied::small(&git_dir.join("HEAD")).unwrap_or_default();
            head.strip_prefix(b"ref: ")
                .is_some_and(|on| on.trim_ascii_end() == name.as_bytes())
        };
        let all = main.into_iter().chain(self.worktrees());
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
        if let Some(git_dir) = inside::remembered(self.common(), path) {
            return Ok(Some(git_dir));
        }
        // git calls it like the worktree, with a number behind it if need be; only a name that
        // git has to change is looked for among all.
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        if name.starts_with(b".") {
            let mut all = self.worktrees().into_iter();
            return Ok(all.find(|(base, _)| base == path).map(|(_, dir)| dir));
        }
        let like_it = |dir: &PathBuf| {
            dir.file_name()
                .is_some_and(|own| own.as_encoded_bytes().starts_with(name))
        };
        let mut known = fs::read_dir(self.common().join("worktrees"))
            .into_iter()
            .flatten()
            .flatten()
            .map(|e| e.path());
        Ok(known.find(|dir| like_it(dir) && tied::place(dir).as_deref() == Some(path)))
    }
}
