//! What is to be done about a pull request.

use forge::Review;
use git::Sha;

/// What is to be done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// Land this tree.
    Land(Sha),
    /// Bring the branch up to date with the base: what was checked is not what would land.
    Update,
    /// Something has to happen first.
    Wait(On, String),
    /// The agent has to look at it again: why, and what it is told.
    Rework { why: String, feedback: String },
    /// The same, for a conflict: its agent's doing is not to blame.
    Conflict { why: String, feedback: String },
    /// These people want changes: its agent has to be told all that they say.
    ChangesWanted(Vec<Review>),
    /// A person has to decide.
    Blocked(String),
    /// It has landed already: the commit on the base.
    Landed(Sha),
}

/// Whom a wait is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum On {
    /// This program: review or check, when its turn comes.
    Us,
    /// A machine elsewhere.
    Machine,
    /// A person, or another pull request: the base has to be mended.
    Base,
    /// A person.
    Person,
}

impl On {
    /// Whether no machine will end the wait by itself.
    pub(crate) fn is_for_people(self) -> bool {
        match self {
            Self::Us | Self::Machine => false,
            Self::Base | Self::Person => true,
        }
    }
}
