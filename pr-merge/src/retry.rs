//! How long to wait before what failed is tried again: longer each time.

use std::time::{Duration, Instant};

/// No pause is longer.
const LONGEST: Duration = Duration::from_mins(1);

/// Something that fails, and is tried again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retry {
    first: Duration,
    /// When it failed first.
    pub(crate) since: Instant,
    /// How often in a row.
    pub(crate) times: u32,
    due: Instant,
}

impl Retry {
    /// Nothing has failed yet; `first`: the pause after it has.
    pub(crate) fn new(first: Duration) -> Self {
        let now = Instant::now();
        Self {
            first,
            since: now,
            times: 0,
            due: now,
        }
    }

    /// It has failed.
    pub(crate) fn fail(&mut self) {
        self.times += 1;
        self.due = Instant::now() + pause(self.first, self.times);
    }

    /// How long until it is to be tried again.
    pub(crate) fn left(&self) -> Duration {
        self.due.saturating_duration_since(Instant::now())
    }
}

/// The pause after so many failures.
fn pause(first: Duration, times: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(times.saturating_sub(1));
    first.saturating_mul(doubled).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pause_is_twice_the_last_up_to_a_minute() {
        let seconds = |times| pause(Duration::from_secs(1), times).as_secs();
        let all: Vec<u64> = [1, 2, 3, 6, 7, 40].into_iter().map(seconds).collect();
        assert_eq!(all, [1, 2, 4, 32, 60, 60]);
    }
}
