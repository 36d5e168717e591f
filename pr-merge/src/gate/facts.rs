//! The facts that decide about a pull request.

use forge::Pull;
use git::Sha;

/// All that decides about a pull request.
#[derive(Clone, Debug)]
pub(crate) struct Facts<'a> {
    /// What the forge says; `None`: it knows no such pull request.
    pub(crate) pull: Option<&'a Pull>,
    /// The head that we pushed. Nothing is ever said of another.
    pub(crate) pushed: Sha,
    /// That head, and the heads that it differs from by nothing but clean merges of the base.
    pub(crate) heads: &'a [Sha],
    /// Whether that head lacks commits of the base.
    pub(crate) is_behind: bool,
    /// What we ask of the forge's checks and reviews.
    pub(crate) demands: Demands<'a>,
    /// Whether its head is somebody's work on top of ours, which that keeps.
    pub(crate) is_ours_and_more: bool,
    /// What its merge with the base comes to.
    pub(crate) merge: Merge,
    /// The reviewer's word on this very head.
    pub(crate) review: Review,
    /// What the check said of this very merge.
    pub(crate) check: Check,
    /// Whether only a person may land.
    pub(crate) by_hand: bool,
    /// The branch that its bead is to land on.
    pub(crate) onto: &'a str,
    /// The base as agents know it, such as `origin/main`.
    pub(crate) base: &'a str,
}

/// What merging head and base comes to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Merge {
    /// Not looked at: nothing lands on it.
    Unknown,
    /// Clean, with this tree.
    Clean(Sha),
    /// It conflicts, in these files.
    Conflict(String),
    /// The base, at this commit, holds all of it.
    InBase(Sha),
    /// The base had it, and has it no more; or there is nothing to merge. Why, in words.
    Undone(String),
}

/// A reviewer's word.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Review {
    /// Nobody was named as reviewer.
    NotAsked,
    /// It has not been asked about this head yet.
    NotRun,
    /// It approves.
    Approved,
    /// It wants something changed.
    SentBack(String),
    /// It wants a person to decide, for this reason.
    ForPerson(String),
    /// It has said nothing of that, in the form that counts.
    Undecided(String),
}

/// What a check of ours said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Check {
    /// A person has decided to land without.
    NotAsked,
    /// It has not run on this merge yet.
    NotRun,
    /// It passed.
    Green,
    /// It failed; the end of its output.
    Red(String),
    /// It failed, and fails on the base itself, too; how.
    RedBase(String),
    /// It cannot run; how it ended.
    CannotRun(String),
    /// It asks to be run at another time; how it ended.
    Later(String),
}

/// What is asked of the forge's checks and reviews.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Demands<'a> {
    /// Checks that must have passed, beside those that the base asks for.
    pub(crate) require: &'a [String],
    /// How many must approve, if the base asks for fewer.
    pub(crate) approvals: u64,
    /// Who else vouches for the work.
    pub(crate) beside: Beside,
    /// Whether it may go through the forge's merge queue.
    pub(crate) queue: bool,
}

/// Who vouches for the work beside the forge's checks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Beside {
    /// Nobody: what they passed is what has to land.
    #[default]
    Nobody,
    /// A check of ours, on the merge itself.
    OurCheck,
    /// A person has decided that nobody need to: what is not asked for does not count.
    Everybody,
}
