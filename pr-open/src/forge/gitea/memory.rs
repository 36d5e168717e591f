//! What was read of pull requests a moment ago, so that a look at many of them is a few requests.
//!
//! Gitea has no conditional requests, no batches, and no word of a new status but the status. Its
//! list says when a pull request was changed, and reviews change it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use git::Sha;

use super::wire;
use crate::pull::Wanted;
use crate::report::{Check, Review};

/// Of how many pull requests the statuses are read in one look; the rest has its turn later.
const CHECKS_A_LOOK: usize = 10;

/// The list tells times in seconds: what was read within this time of a change may lack another.
const COARSE: Duration = Duration::from_secs(2);

#[derive(Default)]
pub(super) struct Memory(Mutex<HashMap<u64, Known>>);

/// What is known of one pull request.
#[derive(Clone)]
struct Known {
    head: Sha,
    updated_at: String,
    /// When that change was first seen, and when reviews were last read.
    changed: Instant,
    reviews_read: Instant,
    checks_read: Instant,
    checks: Result<Vec<Check>, String>,
    reviews: Result<Vec<Review>, String>,
    /// Whether its statuses have their turn in this look.
    turn: bool,
}

/// What need not be read again.
#[derive(Default)]
pub(super) struct Recalled {
    pub(super) checks: Option<Result<Vec<Check>, String>>,
    pub(super) reviews: Option<Result<Vec<Review>, String>>,
}

impl Memory {
    fn known(&self) -> MutexGuard<'_, HashMap<u64, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the turn to those whose statuses were not read for longest, and forgets the rest.
    pub(super) fn next_look(&self, wanted: &[Wanted]) {
        let mut known = self.known();
        known.retain(|number, _| wanted.iter().any(|one| one.number == *number));
        let mut ages: Vec<(Instant, u64)> = known
            .iter()
            .map(|(number, known)| (known.checks_read, *number))
            .collect();
        ages.sort_unstable();
        for (at, (_, number)) in ages.into_iter().enumerate() {
            if let Some(known) = known.get_mut(&number) {
                known.turn = at < CHECKS_A_LOOK;
            }
        }
    }

    /// `anew`: nothing that was read before counts.
    pub(super) fn recall(&self, pull: &wire::Pull, head: Sha, anew: bool) -> Recalled {
        let known = self.known().get(&pull.number).cloned();
        let Some(known) = known.filter(|known| known.head == head && !anew) else {
            return Recalled::default();
        };
        let same = known.updated_at == pull.updated_at
            && known.reviews_read.duration_since(known.changed) > COARSE;
        Recalled {
            checks: (!known.turn && known.checks.is_ok()).then_some(known.checks),
            reviews: (same && known.reviews.is_ok()).then_some(known.reviews),
        }
    }

    /// Remembers what was just read, or recalled.
    pub(super) fn keep(
        &self,
        pull: &wire::Pull,
        head: Sha,
        checks: &Result<Vec<Check>, String>,
        reviews: &Result<Vec<Review>, String>,
        recalled: &Recalled,
    ) {
        let now = Instant::now();
        let mut known = self.known();
        let before = known.get(&pull.number);
        let same = before.filter(|before| before.updated_at == pull.updated_at);
        let new = Known {
            head,
            updated_at: pull.updated_at.clone(),
            changed: same.map_or(now, |before| before.changed),
            reviews_read: match (&recalled.reviews, before) {
                (Some(_), Some(before)) => before.reviews_read,
                _ => now,
            },
            checks_read: match (&recalled.checks, before) {
                (Some(_), Some(before)) => before.checks_read,
                _ => now,
            },
            checks: checks.clone(),
            reviews: reviews.clone(),
            turn: false,
        };
        known.insert(pull.number, new);
    }
}
