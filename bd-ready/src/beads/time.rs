//! Times and durations.

use std::time::Duration;

use anyhow::{Context, ensure};
use jiff::{SignedDuration, Timestamp};

/// Clocks differ, and are set: a time this far ahead of now may have been now for whoever wrote it.
const SLACK: SignedDuration = SignedDuration::from_mins(1);

/// Whether something happened since `start`. A time ahead of now is none that anything happened at.
#[must_use]
pub fn is_since(at: Timestamp, start: Timestamp) -> bool {
    is_between(at, start, now())
}

fn is_between(at: Timestamp, start: Timestamp, now: Timestamp) -> bool {
    at >= start && at.duration_since(now) <= SLACK
}

/// The time now, to the microsecond, as Beads keeps it.
#[must_use]
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

/// Reads a time as [`duration`] does, that is some: after none everything would be over at once,
/// and what is done again after none is done without a pause.
///
/// # Errors
/// When it is no duration, or none.
pub fn some_time(text: &str) -> anyhow::Result<Duration> {
    let duration = duration(text)?;
    ensure!(!duration.is_zero(), "some time is needed, such as 1s");
    Ok(duration)
}

/// Reads a time such as `90s`, `15m` or `1h 30m` from the command line.
///
/// # Errors
/// When it is no duration, or a negative one.
pub fn duration(text: &str) -> anyhow::Result<Duration> {
    let duration: SignedDuration = text.parse()?;
    duration.try_into().context("a duration is not negative")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_ahead_has_not_happened() {
        let at = |seconds| Timestamp::from_second(seconds).expect("a time");
        let (start, now) = (at(1000), at(2000));
        let counts = [999, 1000, 2000, 2060, 2061, 2_000_000_000];
        let counts = counts.map(|seconds| is_between(at(seconds), start, now));
        assert_eq!(counts, [false, true, true, true, false, false]);
    }
}
