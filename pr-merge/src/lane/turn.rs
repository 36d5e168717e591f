//! Turns of clones on a base: one that has lost the base to others again and again, as its check takes
//! longer than theirs, takes the turn for so long as its check needs.

use std::time::Duration;

use beads::time::now;
use forge::Turn;
use jiff::Timestamp;

use crate::lane::Lanes;

/// Nobody has a turn for longer: a clone that dies with it holds up the others for no longer.
const LONGEST: Duration = Duration::from_mins(30);

impl Lanes {
    /// How long it is another clone's turn on a base yet, and whose, as the last look told.
    pub(crate) fn others_turn(&self, base: &str) -> Option<(Duration, String)> {
        let turn = self.forge.turn(base)?;
        let ours = self.tool.repository.owns(&turn.host);
        left(turn.until, now())
            .filter(|_| !ours)
            .map(|left| (left, turn.host))
    }

    /// Takes the turn on a base, unless this clone has it, for as long as a check and a landing take.
    /// `false`: this clone has it, or another one was faster.
    ///
    /// # Errors
    /// When the remote cannot be reached.
    pub(crate) fn take_turn(&self, base: &str, check: Duration) -> anyhow::Result<bool> {
        let Some(host) = self.tool.repository.host() else {
            return Ok(false);
        };
        let ours = self.forge.turn(base).filter(|turn| turn.host == host);
        if ours.is_some_and(|turn| left(turn.until, now()).is_some()) {
            return Ok(false);
        }
        let time = (check * 3 + Duration::from_mins(1)).min(LONGEST);
        let turn = Turn {
            host: host.to_owned(),
            until: Timestamp::try_from(std::time::SystemTime::now() + time)?,
        };
        self.forge.set_turn(base, Some(&turn))
    }

    /// Gives back the turn on a base, if this clone has it. One that cannot be given back is over by
    /// itself.
    pub(crate) fn end_turn(&self, base: &str) {
        let ours = |turn: &Turn| self.tool.repository.owns(&turn.host);
        if self.forge.turn(base).is_some_and(|turn| ours(&turn)) {
            let _ = self.forge.set_turn(base, None);
        }
    }
}

/// How long a turn goes on. `None`: it is over, or further ahead than clocks that differ a little can
/// make it: that one was set by a clock that was wrong, and would hold up everybody.
fn left(until: Timestamp, now: Timestamp) -> Option<Duration> {
    let left = Duration::try_from(until.duration_since(now)).ok()?;
    (!left.is_zero() && left <= LONGEST * 2).then_some(left)
}

/// A wait for another clone's turn.
pub(crate) fn waits_for(host: &str) -> String {
    format!("it is the turn of the clone '{host}', which was too slow for others")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_that_is_over_or_far_ahead_holds_up_nobody() {
        let now: Timestamp = "2026-01-01T12:00:00Z".parse().expect("a time");
        let left = |until: &str| left(until.parse().expect("a time"), now);
        assert_eq!(left("2026-01-01T12:10:00Z"), Some(Duration::from_mins(10)));
        for until in [
            "2026-01-01T12:00:00Z",
            "2026-01-01T11:00:00Z",
            "2026-01-02T12:00:00Z",
        ] {
            assert_eq!(left(until), None, "{until}");
        }
    }
}
