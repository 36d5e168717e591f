//! Pull requests: what is asked for, what is there, and what came of opening and landing one.

use anyhow::bail;
use clap::ValueEnum;
use git::Sha;

use crate::report::{Check, Report};

/// A pull request to be opened.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the words of every forge")]
pub struct NewPull {
    pub branch: String,
    /// The branch it is to land on. Where [`NewPull::ours`] lands is left to people.
    pub base: String,
    /// The number of the pull request that this very claim has opened; 0: it has opened none.
    pub ours: u64,
    pub head: Sha,
    pub title: String,
    pub body: String,
    pub draft: bool,
    pub labels: Vec<String>,
    pub reviewers: Vec<String>,
}

impl NewPull {
    /// Whether the branch's open pull request is to land elsewhere: a new claim may have another
    /// base, and within a claim only a person has changed it.
    pub(crate) fn moves(&self, number: u64, base: &str) -> bool {
        base != self.base && number != self.ours
    }
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
    /// The head that we pushed last.
    pub head: Sha,
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
    /// The branch that it lands on, which a person may have changed.
    pub base: String,
    /// Where the base that was asked for is; `None`: there is no such branch.
    pub base_head: Option<Sha>,
    /// What the forge says of that head; `None`: it keeps neither checks nor reviews.
    pub report: Option<Report>,
    /// What the forge has to do before anybody else may.
    pub busy: Option<Busy>,
}

/// What a forge does with an open pull request by itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Busy {
    /// It takes in a push, or finds out whether head and base conflict.
    Settling,
    /// Its merge queue has it; where it stands there.
    Queued(String),
}

/// Why a merge queue let go of a pull request that it has not landed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LetGo {
    /// In the forge's words.
    pub why: String,
    /// The checks that failed in the queue.
    pub failed: Vec<Check>,
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
    /// How the work becomes a part of the base.
    pub method: Method,
    /// The first line of what the base's history says of it.
    pub title: String,
    /// The rest of it.
    pub text: String,
    /// Whether it goes through the forge's merge queue, where the base has one.
    pub queue: bool,
    /// Who brings it onto the base. Plain git has one way only.
    pub land: Land,
}

/// Who brings work onto the base of a forge.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Land {
    /// The forge merges the pull request
    Merge,
    /// We push the commit that was tested, where the base allows that
    Push,
}

/// The landing, where a forge lands one in a step.
pub(crate) fn alone(landings: &[Landing]) -> anyhow::Result<&Landing> {
    match landings {
        [landing] => Ok(landing),
        _ => bail!(
            "the forge lands one pull request at a time, not {}",
            landings.len()
        ),
    }
}

/// How the work becomes a part of the base.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Method {
    /// One commit with all of it
    Squash,
    /// A merge commit
    Merge,
    /// Its commits, on top of the base
    Rebase,
}

/// What came of landing one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Landed {
    /// The base carries it.
    Merged,
    /// The base carries it; the forge is to be told ([`crate::Forge::settle`]).
    Pushed,
    /// The forge's merge queue has it: it lands later, or not.
    Queued,
    /// Base or pull request moved meanwhile: prepare and test again.
    Moved,
    /// The forge wants the branch to contain the base first.
    Behind,
    /// Not at this moment, for this reason.
    Later(String),
    /// The forge knows no such pull request, or says so to this token.
    Gone(String),
    /// The forge will not have it, for this reason.
    Blocked(String),
    /// Nobody may push to the base, or not this, for this reason; the forge may still merge it.
    Barred(String),
    /// The answer was lost: it may land, or have landed, or not.
    Unknown(String),
}
