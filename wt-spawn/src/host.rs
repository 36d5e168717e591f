//! The clone's name, by which beads say where their worktree is.

use beads::{Repository, token};
use git::Git;

/// Gives the clone its name, once: two clones on one machine differ, a renamed machine does not.
pub(crate) fn name(repository: &Repository) -> anyhow::Result<()> {
    let _one_at_a_time = repository.state_dir().lock()?;
    if repository.host().is_some() {
        return Ok(());
    }
    let machine = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    let machine: String = machine
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "-.".contains(*c))
        .collect();
    let host = format!("{machine}-{}", &token::random()?[..8]);
    Git::at(repository.common())
        .run(&["config", "--local", "beadline.host", &host])
        .map(drop)
}
