//! The branch that work starts from and lands on.

use anyhow::{Context, bail};
use beads::Repository;

use crate::Sha;
use crate::heard::Heard;
use crate::look::Look;
use crate::run::Git;

/// A branch of the remote, or of the clone where there is no remote.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Base {
    /// The remote; `None` when the clone has none of that name.
    pub remote: Option<String>,
    /// The branch, without `refs/heads/`.
    pub branch: String,
}

impl Base {
    /// The base: the branch that was asked for, else the remote's HEAD, else the branch that the
    /// main worktree is on.
    ///
    /// # Errors
    /// When none of the three is known.
    pub fn find(
        repository: &Repository,
        look: &Look,
        remote: &str,
        asked: Option<&str>,
    ) -> anyhow::Result<Self> {
        let remote = look.has_remote(remote).then(|| remote.to_owned());
        let branch = match (asked, &remote) {
            (Some(branch), _) => branch.to_owned(),
            (None, Some(remote)) => match remote_head(repository, remote)? {
                Some(branch) => branch,
                None => local_head(look)?,
            },
            (None, None) => local_head(look)?,
        };
        Ok(Self { remote, branch })
    }

    /// Where it is now, and here: the remote's word, and without one the local branch's. `None`:
    /// there is no such branch.
    ///
    /// # Errors
    /// When the remote cannot be reached, or refs cannot be read.
    pub fn now(&self, repository: &Repository, look: &Look) -> anyhow::Result<Option<Sha>> {
        let full = format!("refs/heads/{}", self.branch);
        let Some(remote) = &self.remote else {
            return look.commit(&full);
        };
        // No ref of the clone is written for it.
        match Heard::fetch(repository, &["--refmap=", "--", remote, &full]) {
            Ok(heard) => heard.branch(look, &self.branch),
            Err(err) if is_missing(&err) => Ok(None),
            Err(err) => Err(err.context(format!("cannot fetch '{}'", self.branch))),
        }
    }
}

/// Whether a fetch failed because the remote lacks a branch that was asked for.
#[must_use]
pub fn is_missing(err: &anyhow::Error) -> bool {
    format!("{err:#}").contains("couldn't find remote ref")
}

/// The branch that the remote's HEAD names.
fn remote_head(repository: &Repository, remote: &str) -> anyhow::Result<Option<String>> {
    let said = Git::at(repository.common())
        .run(&["ls-remote", "--symref", "--", remote, "HEAD"])
        .with_context(|| format!("cannot reach the remote '{remote}'"))?;
    // ref: refs/heads/main\tHEAD
    let head = said
        .lines()
        .find_map(|line| line.strip_prefix("ref: refs/heads/"));
    Ok(head
        .and_then(|line| line.split('\t').next())
        .map(str::to_owned))
}

fn local_head(look: &Look) -> anyhow::Result<String> {
    let Some(head) = look.symbolic("HEAD")? else {
        bail!("no base branch: HEAD is detached and no remote names one; give --base");
    };
    let branch = head.strip_prefix("refs/heads/").unwrap_or(&head).to_owned();
    if look.commit(&head)?.is_none() {
        bail!("no base branch: '{branch}' has no commits yet");
    }
    Ok(branch)
}
