//! Where two commits differ, file by file.

use std::collections::BTreeMap;

use crate::Sha;
use crate::look::{Entry, Look};

/// A file that differs between two commits.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Differs {
    /// Its path from the top, as git keeps it: any bytes but NUL.
    pub path: Vec<u8>,
    /// The commit of another repository that the newer one has there: a submodule's.
    pub link: Option<Sha>,
}

impl Look {
    /// What a commit has at a path from the top.
    ///
    /// # Errors
    /// When an object of its is not here.
    pub fn entry(&self, commit: Sha, path: &[u8]) -> anyhow::Result<Option<Entry>> {
        let mut tree = self.tree(commit)?;
        let mut parts = path.split(|byte| *byte == b'/').peekable();
        while let Some(part) = parts.next() {
            let Some(entry) = self.entries(tree)?.remove(part) else {
                return Ok(None);
            };
            if parts.peek().is_none() {
                return Ok(Some(entry));
            }
            if !entry.is_tree() {
                return Ok(None);
            }
            tree = entry.id;
        }
        Ok(None)
    }

    /// The files that differ between two commits that are here, in no order. A file that was moved
    /// is two.
    ///
    /// # Errors
    /// When an object of theirs is not here.
    pub fn differing(&self, old: Sha, new: Sha) -> anyhow::Result<Vec<Differs>> {
        self.differing_from(Some(old), new)
    }

    /// The same; without an older one all files of the newer one.
    ///
    /// # Errors
    /// When an object of theirs is not here.
    pub fn differing_from(&self, old: Option<Sha>, new: Sha) -> anyhow::Result<Vec<Differs>> {
        let mut found = Vec::new();
        let old = old.map(|old| self.tree(old)).transpose()?;
        // No recursion: how deep a tree is says whoever made it.
        let mut open = vec![(Vec::new(), old, Some(self.tree(new)?))];
        while let Some((dir, old, new)) = open.pop() {
            if old == new {
                continue;
            }
            let entries = |tree: Option<Sha>| -> anyhow::Result<BTreeMap<_, _>> {
                tree.map_or_else(|| Ok(BTreeMap::new()), |tree| self.entries(tree))
            };
            let (mut before, after) = (entries(old)?, entries(new)?);
            let mut both = Vec::new();
            for (name, now) in after {
                both.push((before.remove(&name), Some(now), name));
            }
            let gone = before
                .into_iter()
                .map(|(name, was)| (Some(was), None, name));
            for (was, now, name) in both.into_iter().chain(gone) {
                if was == now {
                    continue;
                }
                let path = [dir.as_slice(), &name].concat();
                let tree = |entry: Option<Entry>| entry.filter(Entry::is_tree).map(|tree| tree.id);
                let file = |entry: Option<Entry>| entry.filter(|entry| !entry.is_tree());
                if file(was) != file(now) {
                    found.push(Differs {
                        path: path.clone(),
                        link: now.filter(Entry::is_link).map(|link| link.id),
                    });
                }
                open.push(([&path[..], b"/"].concat(), tree(was), tree(now)));
            }
        }
        Ok(found)
    }
}
