//! Where pull requests live, behind one small interface.
//!
//! A forge answers and acts; it decides nothing. Unlike answers are never folded into one: what a
//! caller has to tell apart is a variant of its own.

mod address;
mod comment;
mod defuse;
mod gitea;
mod github;
mod http;
mod paper;
mod plain;
mod pull;
mod push;
mod report;
mod token;
mod turn;
mod unread;

use std::time::Duration;

use anyhow::{Context, ensure};
use beads::Repository;
use clap::{Args, ValueEnum};
use git::{Git, Look, Sha};

use crate::address::{Address, is_cloud};
use crate::gitea::Gitea;
use crate::github::GitHub;
use crate::plain::Plain;
use crate::push::Remote;

pub use crate::defuse::defuse;
pub use crate::http::Spent;
pub use crate::pull::{
    Busy, Land, Landed, Landing, LetGo, Method, NewPull, Opened, Pull, State, Wanted,
};
pub use crate::report::{Check, Name, Policy, Remark, Report, Review, Reviewed, Stand};
pub use crate::turn::Turn;
pub use crate::unread::Unread;

/// What a look tells of one pull request; `None`: it is unknown.
pub type Seen = anyhow::Result<Option<Pull>>;

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

    /// The facts of several pull requests, in the order they are asked for and in as few requests as
    /// it can be: reports may be those of a moment ago. One that cannot be read is an error by
    /// itself: [`Unread`], if asking again may help.
    ///
    /// # Errors
    /// When the forge cannot be reached or read at all.
    fn pulls(&self, wanted: &[Wanted]) -> anyhow::Result<Vec<Seen>>;

    /// The facts of one pull request, all of them read now.
    ///
    /// # Errors
    /// When the forge cannot be reached or read.
    fn pull(&self, wanted: &Wanted) -> anyhow::Result<Option<Pull>>;

    /// Lands pull requests, each on top of the one before it, in one step: all of them or none. Only
    /// if heads and base are what the landings were prepared from, and nothing about them has changed
    /// since [`Forge::pulls`] told of them.
    ///
    /// # Errors
    /// When the forge cannot be reached or read, or lands no more than one in a step.
    fn land(&self, landings: &[Landing]) -> anyhow::Result<Landed>;

    /// Whether it lands several pull requests in a step, and as the very commits that were tested,
    /// if this is how they land.
    fn lands_together(&self, land: Land) -> bool {
        land == Land::Push
    }

    /// Whose turn it is on a base, as the last look told; `None`: anybody's. A turn may be over.
    fn turn(&self, _base: &str) -> Option<Turn> {
        None
    }

    /// Takes the turn on a base, or gives it back. `false`: it is not as the last look told, or there
    /// are no turns.
    ///
    /// # Errors
    /// When the forge cannot be reached.
    fn set_turn(&self, _base: &str, _turn: Option<&Turn>) -> anyhow::Result<bool> {
        Ok(false)
    }

    /// Tells the forge of what has landed by other means than its own, such as a push: `commit` of the
    /// base has it. It is marked as merged, where that is possible, else a comment names the commit,
    /// once, and it is closed. Nothing is done where nothing is left to do.
    ///
    /// # Errors
    /// When the forge cannot be reached ([`Unread`]), or refuses.
    fn settle(&self, wanted: &Wanted, head: Sha, commit: Sha) -> anyhow::Result<()>;

    /// Whether checks and reviews report to the forge. Where they do not, only a check of ours can
    /// vouch for a head.
    fn has_checks(&self) -> bool;

    /// What a reviewer says of single places, as far as nobody has called it resolved.
    ///
    /// # Errors
    /// When the forge cannot be reached or read.
    fn remarks(&self, _wanted: &Wanted, _by: &str) -> anyhow::Result<Vec<Remark>> {
        Ok(Vec::new())
    }

    /// Why the merge queue let go of a pull request that is still open; `None`: it has not.
    ///
    /// # Errors
    /// When the forge cannot be reached or read.
    fn let_go(&self, _wanted: &Wanted) -> anyhow::Result<Option<LetGo>> {
        Ok(None)
    }

    /// Whether there are merge queues.
    fn has_queues(&self) -> bool {
        false
    }

    /// How long to wait before the next look, so that the people who share its quota keep theirs.
    fn pause(&self) -> Duration {
        Duration::ZERO
    }
}

/// The forges by name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Kind {
    /// What the remote's URL says.
    Auto,
    /// GitHub, or a GitHub Enterprise Server.
    Github,
    /// Gitea or Forgejo.
    Gitea,
    /// Plain git: pull requests are refs of the remote.
    Git,
}

/// The flags of every program that speaks to a forge.
#[derive(Args, Clone, Debug)]
pub struct Flags {
    /// Where pull requests live
    #[arg(long, env, value_name = "KIND", default_value = "auto")]
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
        let address = address(repository, remote)?;
        let kind = match (self.forge, &address) {
            (Kind::Auto, None) => Kind::Git,
            (Kind::Auto, Some(address)) => address.forge()?,
            (kind, _) => kind,
        };
        let pushes = || -> anyhow::Result<Remote> {
            Ok(Remote {
                common: repository.common().to_owned(),
                look: Look::open(repository).context("cannot open the repository")?,
                name: remote.clone(),
            })
        };
        match kind {
            Kind::Github => {
                let address = address.with_context(|| {
                    format!("the remote '{remote}' is a path, where no GitHub can be")
                })?;
                let github = GitHub::connect(repository, &address, pushes()?)
                    .with_context(|| format!("the GitHub of the remote '{remote}'"))?;
                Ok(Box::new(github))
            }
            Kind::Gitea => {
                let address = address.with_context(|| {
                    format!("the remote '{remote}' is a path, where no Gitea can be")
                })?;
                let gitea = Gitea::connect(&address, pushes()?)
                    .with_context(|| format!("the Gitea of the remote '{remote}'"))?;
                Ok(Box::new(gitea))
            }
            Kind::Git | Kind::Auto => Ok(Box::new(Plain::new(pushes()?))),
        }
    }
}

/// Where the remote is: as it is written, if that is GitHub's own name and git goes elsewhere for it
/// (`insteadOf`), as to a mirror; else where git goes.
fn address(repository: &Repository, remote: &str) -> anyhow::Result<Option<Address>> {
    let git = Git::at(repository.common());
    let key = format!("remote.{remote}.url");
    if let Ok(written) = git.run(&["config", "--get", &key])
        && let Ok(Some(address)) = Address::of(&written)
        && is_cloud(&address.host)
    {
        return Ok(Some(address));
    }
    Address::of(&git.run(&["remote", "get-url", "--", remote])?)
}
