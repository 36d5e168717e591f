//! Where pull requests live, behind one small interface.
//!
//! A forge answers and acts; it decides nothing. Unlike answers are never folded into one: what a
//! caller has to tell apart is a variant of its own.

mod paper;
mod plain;

use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use beads::Repository;
use clap::{Args, ValueEnum};
use git::{Git, Look, Sha};

use crate::plain::Plain;

/// What the tools ask of a forge.
pub trait Forge {
    /// The pull request of a branch: the open one, else one that was merged with this very head.
    ///
    /// # Errors
    /// When the forge cannot be reached or read.
    fn find(&self, branch: &str, head: Sha) -> anyhow::Result<Option<Pull>>;

    /// Opens a pull request for a branch that is on the remote, or brings the open one to its
    /// head. Never a second one.
    ///
    /// # Errors
    /// When the forge cannot be reached or read.
    fn open(&self, new: &NewPull) -> anyhow::Result<Opened>;

    /// The facts of several pull requests, in one go. One that is unknown is left out.
    ///
    /// # Errors
    /// When the forge cannot be reached or read.
    fn pulls(&self, wanted: &[Wanted]) -> anyhow::Result<Vec<Pull>>;

    /// Lands a pull request, if head and base are what the landing was prepared from, and nothing
    /// about it has changed since [`Forge::pulls`] told of it.
    ///
    /// # Errors
    /// When the forge cannot be reached or read.
    fn land(&self, landing: &Landing) -> anyhow::Result<Landed>;

    /// Marks as merged what has landed by other means, such as by hand: `commit` of the base has
    /// it. Nothing is done where nothing is left to do.
    ///
    /// # Errors
    /// When the forge cannot be reached or written.
    fn settle(&self, wanted: &Wanted, head: Sha, commit: Sha) -> anyhow::Result<()>;

    /// Whether checks report to the forge. Where they do not, only a check of ours can vouch for a
    /// head.
    fn has_checks(&self) -> bool;
}

/// A pull request to be opened.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the words of every forge")]
pub struct NewPull {
    pub branch: String,
    pub base: String,
    pub head: Sha,
    pub title: String,
    pub body: String,
    pub draft: bool,
    pub labels: Vec<String>,
    pub reviewers: Vec<String>,
}

/// What came of opening one.
#[derive(Clone, Debug)]
pub enum Opened {
    /// It was made now.
    Created(Pull),
    /// It was there; its head is ours now.
    Existed(Pull),
    /// The remote branch is not at this head, so it would show something else.
    HeadNotOnRemote,
    /// The forge will not have it, for this reason.
    Denied(String),
}

/// Names a pull request.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Its number.
    pub number: u64,
    /// Its head branch.
    pub branch: String,
    /// The branch it lands on.
    pub base: String,
}

/// A pull request as the forge has it now.
#[derive(Clone, Debug)]
pub struct Pull {
    /// Its number.
    pub number: u64,
    /// Where a person looks at it; empty where there is no such place.
    pub url: String,
    /// Open, merged or closed.
    pub state: State,
    /// Whether its author says that it is not finished.
    pub draft: bool,
    /// Where its branch is; `None`: the branch is gone.
    pub head: Option<Sha>,
    /// Where the base is; `None`: there is no such branch.
    pub base_head: Option<Sha>,
}

/// Whether a pull request is still to be landed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// It is.
    Open,
    /// It has landed.
    Merged {
        /// The head that landed.
        head: Sha,
        /// The commit on the base that carries it.
        commit: Sha,
    },
    /// Somebody closed it.
    Closed,
}

/// A landing that was prepared and tested.
#[derive(Clone, Debug)]
pub struct Landing {
    /// Which pull request.
    pub wanted: Wanted,
    /// The head that was tested.
    pub head: Sha,
    /// The base that it was tested on.
    pub base_head: Sha,
    /// The commit that carries the tested tree, on top of `base_head`.
    pub commit: Sha,
    /// The tested tree.
    pub tree: Sha,
}

/// What came of landing one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Landed {
    /// The base carries it, in this commit.
    Merged(Sha),
    /// Base or pull request moved meanwhile: prepare and test again.
    Moved,
    /// The forge will not have it, for this reason.
    Blocked(String),
}

/// The forges by name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Kind {
    /// What the remote's URL says.
    Auto,
    /// Plain git: pull requests are refs of the remote.
    Git,
}

/// The flags of every program that speaks to a forge.
#[derive(Args, Clone, Debug)]
pub struct Flags {
    /// Where pull requests live
    #[arg(
        long,
        value_name = "KIND",
        env = "BEADLINE_FORGE",
        hide_env_values = true,
        default_value = "auto"
    )]
    pub forge: Kind,

    /// Remote that the pull requests are on.
    #[command(flatten)]
    pub remote: git::Remote,
}

impl Flags {
    /// The forge of the remote.
    ///
    /// # Errors
    /// When there is no such remote, or its forge is one that this version does not speak to.
    pub fn open(&self, repository: &Repository, look: &Look) -> anyhow::Result<Box<dyn Forge>> {
        let remote = &self.remote.name;
        ensure!(
            look.has_remote(remote),
            "no remote '{remote}': pull requests need one"
        );
        if self.forge == Kind::Auto {
            let url = Git::at(repository.common()).run(&["remote", "get-url", "--", remote])?;
            let host = host_of(&url).unwrap_or_default();
            if host == "github.com" {
                bail!("the remote '{remote}' is on GitHub, which this version does not speak to");
            }
        }
        let common: PathBuf = repository.common().to_owned();
        let look = Look::open(repository).context("cannot open the repository")?;
        Ok(Box::new(Plain::new(common, look, remote.clone())))
    }
}

/// The host of `https://host/…`, `ssh://user@host/…` or `user@host:…`; none of a path.
fn host_of(url: &str) -> Option<&str> {
    let authority = match url.split_once("://") {
        Some((_, rest)) => rest.split('/').next()?,
        None => url
            .split_once(':')
            .map(|(host, _)| host)
            .filter(|host| !host.contains('/'))?,
    };
    let host = authority.rsplit('@').next()?;
    Some(host.split(':').next().unwrap_or(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_a_remote() {
        let host = |url| host_of(url).unwrap_or_default();
        assert_eq!(host("https://u:t@github.com/o/r.git"), "github.com");
        assert_eq!(host("git@github.com:o/r.git"), "github.com");
        assert_eq!(host("ssh://git@h.test:2222/o/r"), "h.test");
        assert_eq!(host("/srv/git/r.git"), "");
        assert_eq!(host("../r.git"), "");
    }
}
