//! What stands in the way of every bead alike.
//!
//! A hundred beads must not spend their attempts on one bad key.

/// Why nothing came of a run, through no fault of its bead.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Obstacle {
    /// The model does not take the agent's key.
    Unauthorized,
    /// The model cannot be reached.
    Unreachable,
    /// The agent's program is not there.
    Missing,
}

impl Obstacle {
    /// The reason, for people.
    pub(crate) fn why(self) -> &'static str {
        match self {
            Self::Unauthorized => "the agent's model does not take its key",
            Self::Unreachable => "the agent's model cannot be reached",
            Self::Missing => "the agent's program is missing",
        }
    }
}
