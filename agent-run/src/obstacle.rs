//! What stands in the way of every bead alike, and when to stop trying.
//!
//! A hundred beads must not spend their attempts on one bad key.

/// So many runs in a row that meet the same obstacle are enough.
const ENOUGH: u32 = 3;

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

/// Counts runs that meet an obstacle.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    last: Option<Obstacle>,
    met: u32,
}

impl Breaker {
    /// Notes a run that has ended.
    pub(crate) fn note(&mut self, obstacle: Option<Obstacle>) {
        if self.is_open().is_some() {
            return;
        }
        self.met = match obstacle {
            None => 0,
            Some(_) if obstacle == self.last => self.met + 1,
            Some(_) => 1,
        };
        self.last = obstacle;
    }

    /// The obstacle, if no further agent is to be started because of it.
    pub(crate) fn is_open(&self) -> Option<Obstacle> {
        self.last.filter(|_| self.met >= ENOUGH)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_in_a_row_with_the_same_obstacle_are_enough() {
        use Obstacle::{Missing, Unauthorized};
        let mut breaker = Breaker::default();
        for met in [
            Some(Unauthorized),
            Some(Unauthorized),
            None,
            Some(Missing),
            Some(Unauthorized),
            Some(Unauthorized),
        ] {
            breaker.note(met);
            assert_eq!(breaker.is_open(), None);
        }
        breaker.note(Some(Unauthorized));
        breaker.note(None);
        assert_eq!(breaker.is_open(), Some(Unauthorized));
    }
}
