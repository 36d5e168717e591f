//! Whether objects are what their names say. Neither git nor gix looks when it reads them, and
//! where an agent writes the clone's objects one may lie under another's name: then what is
//! checked here is not what the name brings elsewhere.

use std::collections::{BTreeMap, HashSet};

use anyhow::{Context, bail, ensure};
use gix::objs::{Kind, compute_hash};

use crate::Sha;
use crate::look::{Entry, Look};

/// An object has to fit into memory: git's own bound for what is large (`core.bigFileThreshold`).
const LARGEST: u64 = 512 << 20;

/// A tree to be looked at, beside those of the same place that are known.
struct Open {
    tree: Sha,
    known: Vec<Sha>,
}

impl Look {
    /// Makes sure that an object is what its name says.
    ///
    /// # Errors
    /// When it is not, or not here.
    pub fn require_genuine(&self, id: Sha) -> anyhow::Result<()> {
        self.genuine(id, None)
    }

    /// Makes sure of all that `head` has and `base` lacks. What a base has is not looked at.
    ///
    /// # Errors
    /// Names an object that is not what it has to be.
    pub fn require_genuine_work(&self, head: Sha, base: Option<Sha>) -> anyhow::Result<()> {
        let local = self.local();
        let walk = local.rev_walk([head]).with_hidden(base).all();
        let (mut seen, mut open) = (HashSet::new(), Vec::new());
        for commit in walk.context("cannot read its commits")? {
            let commit = commit.context("cannot read its commits")?.id;
            self.genuine(commit, Some(Kind::Commit))?;
            // Of a shallow clone's last commit the parents are not here.
            let parents = self.parents(commit)?;
            let known = parents.into_iter().filter(|parent| self.has(*parent));
            let known = known.map(|parent| self.tree(parent));
            open.push(Open {
                tree: self.tree(commit)?,
                known: known.collect::<anyhow::Result<_>>()?,
            });
        }
        // No recursion: how deep a tree is says whoever made it.
        while let Some(Open { tree, known }) = open.pop() {
            if known.contains(&tree) || !seen.insert(tree) || self.is_elsewhere(tree) {
                continue;
            }
            self.genuine(tree, Some(Kind::Tree))?;
            let known: Vec<BTreeMap<Vec<u8>, Entry>> = known
                .into_iter()
                .filter(|tree| self.has(*tree))
                .map(|tree| self.entries(tree))
                .collect::<anyhow::Result<_>>()?;
            for (name, entry) in self.entries(tree)? {
                let before = || known.iter().filter_map(|tree| tree.get(&name));
                if entry.is_link() || before().any(|known| known.id == entry.id) {
                    continue;
                }
                if entry.is_tree() {
                    let trees = before().filter(|known| known.is_tree());
                    open.push(Open {
                        tree: entry.id,
                        known: trees.map(|known| known.id).collect(),
                    });
                } else if seen.insert(entry.id) && !self.is_elsewhere(entry.id) {
                    self.genuine(entry.id, Some(Kind::Blob))?;
                }
            }
        }
        Ok(())
    }

    /// Whether an object is the remote's only: no agent has made it here.
    fn is_elsewhere(&self, id: Sha) -> bool {
        !self.has(id) && self.is_partial()
    }

    fn genuine(&self, id: Sha, kind: Option<Kind>) -> anyhow::Result<()> {
        let local = self.local();
        let unreadable = || format!("object {id} cannot be read");
        let size = local.find_header(id).with_context(unreadable)?.size();
        ensure!(size <= LARGEST, "object {id} is too large: {size} bytes");
        let object = local.find_object(id).with_context(unreadable)?;
        let holds = compute_hash(id.kind(), object.kind, &object.data)?;
        if holds != id || kind.is_some_and(|kind| kind != object.kind) {
            bail!(
                "object {id} is not what its name says: it holds {} {holds}",
                object.kind
            );
        }
        Ok(())
    }
}
