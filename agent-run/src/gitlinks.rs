//! Submodules in an agent's work: each of their commits that it brings has to be where others find
//! it, or the base would name what nobody has.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::bail;
use beads::Repository;
use git::{Answer, Look, Modules, Remotes, Sha};

/// What they are looked at with.
pub(crate) struct Gitlinks<'a> {
    pub(crate) look: &'a Look,
    pub(crate) repository: &'a Repository,
    pub(crate) remote: &'a str,
    pub(crate) worktree: &'a Path,
}

impl Gitlinks<'_> {
    /// Why the submodules of `head` cannot be taken; `fork`: the commit of the base that it began
    /// from. What both have costs nothing.
    ///
    /// # Errors
    /// When a remote that has to be asked does not answer: that is no word on the work.
    pub(crate) fn refused(&self, fork: Option<Sha>, head: Sha) -> anyhow::Result<Option<String>> {
        let before = match fork {
            Some(fork) => Modules::of(self.look, fork)?,
            None => Modules::default(),
        };
        let after = Modules::of(self.look, head)?;
        let gained = self.gained(fork, head, &before, &after)?;
        if gained.is_empty() {
            return Ok(None);
        }
        let own = self.look.remote_url(self.remote);
        let own = own.unwrap_or_else(|| self.repository.main().display().to_string());
        let root = self.worktree.parent().unwrap_or(self.worktree);
        let mut remotes = Remotes::new(
            self.repository.main(),
            &own,
            &[root, self.repository.common()],
        );
        remotes.know(&before);
        for (path, commit) in gained {
            let shown = shown(&path);
            let Some(url) = after.url(&path) else {
                return Ok(Some(format!(
                    "'{shown}' is a repository inside of the worktree, and no submodule that \
                     .gitmodules names with one path and one URL: nobody else would get its files. \
                     Take it out of the commit (git rm --cached), then remove its .git to add its \
                     files, ignore it, or make it a submodule"
                )));
            };
            let shown_url = url.escape_debug();
            match remotes.has(url, commit)? {
                Answer::Has => {}
                Answer::Lacks => {
                    return Ok(Some(format!(
                        "the submodule '{shown}' is at {commit}, which its remote '{shown_url}' does \
                         not have: push it there, or take a commit that is there"
                    )));
                }
                Answer::Never(why) if !remotes.knows(url) => {
                    return Ok(Some(format!(
                        "the submodule '{shown}' has the URL '{shown_url}', from which nobody gets \
                         its commits: {why}"
                    )));
                }
                Answer::Never(why) | Answer::Unknown(why) => bail!(
                    "cannot look for {commit} of the submodule '{shown}' at '{shown_url}': {why}"
                ),
            }
        }
        Ok(None)
    }

    /// The commits of submodules that the head has and the fork has not, or not from there.
    fn gained(
        &self,
        fork: Option<Sha>,
        head: Sha,
        before: &Modules,
        after: &Modules,
    ) -> anyhow::Result<BTreeMap<Vec<u8>, Sha>> {
        let differing = self.look.differing_from(fork, head)?.into_iter();
        let links = differing.filter_map(|file| Some((file.path, file.link?)));
        let mut gained: BTreeMap<Vec<u8>, Sha> = links.collect();
        for path in before.paths().chain(after.paths()) {
            if before.url(path) != after.url(path)
                && let Some(entry) = self.look.entry(head, path)?
                && entry.is_link()
            {
                gained.insert(path.to_vec(), entry.id);
            }
        }
        Ok(gained)
    }
}

/// A path, harmless wherever it is printed.
fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).escape_debug().to_string()
}
