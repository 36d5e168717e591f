//! Keeping the leases of the beads in hand alive.
//!
//! Beads lets a lease run out after five minutes; what has none any more may be taken by others.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use crate::record::bead::Bead;
use crate::store::{Reach, Store};

/// How often a lease is renewed.
const RENEWAL: Duration = Duration::from_secs(100);

/// A lease that ends sooner than this is renewed at once.
const SHORT: SignedDuration = SignedDuration::from_secs(200);

/// The leases that this program keeps alive, in one thread however many there are.
pub(crate) struct Leases {
    store: Arc<dyn Store>,
    held: Arc<Held>,
    started: Once,
}

#[derive(Default)]
struct Held {
    /// By bead: the claim, and when it is to be renewed next.
    due: Mutex<HashMap<String, Due>>,
    changed: Condvar,
}

struct Due {
    token: String,
    at: Instant,
}

/// A lease that is kept alive until this value is dropped.
pub(crate) struct Lease {
    id: String,
    token: String,
    held: Arc<Held>,
}

impl Drop for Lease {
    /// A later claim of the same bead is kept alive.
    fn drop(&mut self) {
        let mut due = self.held.due();
        if due.get(&self.id).is_some_and(|due| due.token == self.token) {
            due.remove(&self.id);
        }
    }
}

impl Leases {
    pub(crate) fn new(store: &Arc<dyn Store>) -> Self {
        Self {
            store: Arc::clone(store),
            held: Arc::default(),
            started: Once::new(),
        }
    }

    /// Keeps the lease of a bead of ours alive. `None`: its store has no leases.
    pub(crate) fn hold(&self, bead: &Bead) -> Option<Lease> {
        if self.store.reach() == Reach::File {
            return None;
        }
        let now = Timestamp::now();
        let wait = match (bead.lease_expires_at(), bead.updated_at()) {
            (Some(end), _) if end.duration_since(now) >= SHORT => RENEWAL,
            // A claim without a lease counts from its last write.
            (None, Some(at)) => RENEWAL
                .saturating_sub(Duration::try_from(now.duration_since(at)).unwrap_or_default()),
            _ => Duration::ZERO,
        };
        let token = bead.assignee().to_owned();
        let due = Due {
            token: token.clone(),
            at: Instant::now() + wait,
        };
        self.held.due().insert(bead.id().to_owned(), due);
        self.held.changed.notify_one();
        self.started.call_once(|| self.start());
        Some(Lease {
            id: bead.id().to_owned(),
            token,
            held: Arc::clone(&self.held),
        })
    }

    fn start(&self) {
        let (store, held) = (Arc::clone(&self.store), Arc::clone(&self.held));
        thread::spawn(move || {
            loop {
                let (id, token) = held.next();
                // A claim that is lost is noticed by whoever writes to it or looks at it.
                let _ = store.renew(&id, &token);
            }
        });
    }
}

impl Held {
    fn due(&self) -> MutexGuard<'_, HashMap<String, Due>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next claim that is due, and puts it off by one renewal.
    fn next(&self) -> (String, String) {
        let mut due = self.due();
        loop {
            let now = Instant::now();
            let first = due.iter_mut().min_by_key(|(_, due)| due.at);
            let wait = match first {
                Some((id, due)) if due.at <= now => {
                    due.at = now + RENEWAL;
                    return (id.clone(), due.token.clone());
                }
                Some((_, due)) => due.at.saturating_duration_since(now),
                None => RENEWAL,
            };
            due = match self.changed.wait_timeout(due, wait) {
                Ok((due, _)) => due,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }
}
