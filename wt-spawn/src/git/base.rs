//! The branch that work starts from and lands on.

use anyhow::{Context, bail};
use beads::Repository;

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
            (None, Some(remote)) => match remote_head(repository, look, remote)? {
                Some(branch) => branch,
                None => local_head(look)?,
            },
            (None, None) => local_head(look)?,
        };
        Ok(Self { remote, branch })
    }

    /// The ref of this clone that says where the base is, as of the last fetch.
    #[must_use]
    pub fn tracking(&self) -> String {
        match &self.remote {
            Some(remote) => format!("refs/remotes/{remote}/{}", self.branch),
            None => format!("refs/heads/{}", self.branch),
        }
    }
}

/// The branch that the remote's HEAD names: as the clone remembers it, else as the remote says.
fn remote_head(
    repository: &Repository,
    look: &Look,
    remote: &str,
) -> anyhow::Result<Option<String>> {
    let prefix = format!("refs/remotes/{remote}/");
    let known = look.symbolic(&format!("{prefix}HEAD"))?;
    if let Some(branch) = known.as_deref().and_then(|name| name.strip_prefix(&prefix)) {
        return Ok(Some(branch.to_owned()));
    }
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
