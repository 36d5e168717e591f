//! How much may still be asked of a server, so that the people who share the quota keep theirs.

use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::answer::Answer;

/// So much of a quota is left to the people, in percent.
const PEOPLE: u64 = 40;

/// The wait after a refusal that names none, doubled with each that follows at once.
const UNNAMED: Duration = Duration::from_mins(1);
const DOUBLINGS: u32 = 4;

/// The server takes no more requests for this time: nothing is wrong but the number of them.
#[derive(Debug)]
pub struct Spent {
    /// How long to wait before the next one.
    pub wait: Duration,
    why: String,
}

impl Spent {
    pub(super) fn new(wait: Duration, why: String) -> Self {
        Self { wait, why }
    }
}

impl Display for Spent {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let seconds = self.wait.as_secs();
        write!(f, "{}: asked again in {seconds} s", self.why)
    }
}

impl Error for Spent {}

/// The quota of one server as its answers tell of it.
#[derive(Default)]
pub(crate) struct Quota(Mutex<State>);

#[derive(Default)]
struct State {
    /// The whole, what is left, and until when that has to do.
    told: Option<(u64, u64, Instant)>,
    /// Refusals for the rate, one after the other, and until when the last one holds.
    refusals: u32,
    barred: Option<Instant>,
}

impl Quota {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Learns from an answer. Refused for the rate: how long to wait.
    pub(super) fn note(&self, answer: &Answer) -> Option<Duration> {
        let mut state = self.state();
        if let Some((limit, remaining, reset)) = answer.quota() {
            state.told = Some((limit, remaining, Instant::now() + reset));
        }
        if !answer.is_over_the_limit() {
            state.refusals = 0;
            return None;
        }
        let doubled = UNNAMED * 2_u32.pow(state.refusals.min(DOUBLINGS));
        state.refusals += 1;
        let wait = answer.asks_to_wait().unwrap_or(doubled);
        state.barred = Some(Instant::now() + wait);
        Some(wait)
    }

    /// Whether the server has said that it takes no request yet: asking all the same makes it worse.
    pub(super) fn barred(&self) -> Option<Spent> {
        let left = self
            .state()
            .barred?
            .checked_duration_since(Instant::now())?;
        Some(Spent::new(left, "the rate limit of the forge".to_owned()))
    }

    /// The refusal of an answer that is none by its status.
    pub(crate) fn refused(&self, why: String) -> Spent {
        let until = self.state().told.map(|(_, _, until)| until);
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let wait = left.unwrap_or(UNNAMED);
        self.state().barred = Some(Instant::now() + wait);
        Spent::new(wait, why)
    }

    /// Whether all that is left of it is the people's.
    pub(crate) fn is_the_peoples(&self) -> bool {
        let told = self.state().told;
        told.is_some_and(|(limit, remaining, _)| remaining <= limit * PEOPLE / 100)
    }

    /// How long to pause between two looks of this cost, so that what is not the people's lasts.
    pub(crate) fn pause(&self, cost: u64) -> Duration {
        let Some((limit, remaining, until)) = self.state().told else {
            return Duration::ZERO;
        };
        let left = until.saturating_duration_since(Instant::now());
        let ours = remaining.saturating_sub(limit * PEOPLE / 100);
        let looks = u32::try_from(ours / cost.max(1)).unwrap_or(u32::MAX);
        left.checked_div(looks).unwrap_or(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(limit: u64, remaining: u64, seconds: u64) -> Quota {
        let until = Instant::now() + Duration::from_secs(seconds);
        let told = Some((limit, remaining, until));
        Quota(Mutex::new(State {
            told,
            ..State::default()
        }))
    }

    #[test]
    fn two_fifths_are_the_peoples() {
        assert_eq!(Quota::default().pause(1), Duration::ZERO);
        let pause = |quota: Quota, cost| quota.pause(cost).as_millis();
        assert!((1190..=1200).contains(&pause(told(5000, 5000, 3600), 1)));
        assert!((2390..=2400).contains(&pause(told(5000, 5000, 3600), 2)));
        // Ten looks are left for half an hour, then none at all.
        assert!((179_000..=180_000).contains(&pause(told(5000, 2010, 1800), 1)));
        for remaining in [2000, 1999, 0] {
            assert!(pause(told(5000, remaining, 1800), 1) > 1_799_000);
        }
        assert_eq!(pause(told(5000, 0, 0), 1), 0);
    }
}
