//! What stands in the way of every bead alike.
//!
//! A hundred beads must not spend their attempts on one bad key.

use agent::{End, Trouble};
use jiff::SignedDuration;

/// Exit statuses of a shell whose command is missing or cannot be run.
const NO_PROGRAM: [i32; 2] = [126, 127];

/// Whatever runs for longer was there.
const AT_ONCE: SignedDuration = SignedDuration::from_secs(30);

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

/// What kept the agent from starting on its work at all.
pub(crate) fn obstacle(end: &End, trouble: Option<Trouble>) -> Option<Obstacle> {
    if end.said.spent.tokens() > 0 {
        return None;
    }
    match trouble {
        Some(Trouble::Unauthorized) => Some(Obstacle::Unauthorized),
        Some(Trouble::Unreachable) => Some(Obstacle::Unreachable),
        Some(Trouble::RateLimited | Trouble::Other) => None,
        None => end
            .status
            .filter(|status| NO_PROGRAM.contains(status))
            .filter(|_| end.ended_at.duration_since(end.started_at) < AT_ONCE)
            .map(|_| Obstacle::Missing),
    }
}

#[cfg(test)]
mod tests {
    use agent::{Cause, Said};
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_program_is_missing_only_where_the_run_ends_at_once() {
        let after = |seconds| End {
            cause: Cause::Exited,
            status: Some(127),
            started_at: Timestamp::UNIX_EPOCH,
            ended_at: Timestamp::from_second(seconds).expect("a time"),
            head_before: String::new(),
            said: Said::default(),
        };
        assert_eq!(obstacle(&after(1), None), Some(Obstacle::Missing));
        assert_eq!(obstacle(&after(600), None), None);
    }
}
