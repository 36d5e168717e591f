//! Turns: so many at a time, whoever asks.

use std::sync::{Condvar, Mutex, PoisonError};

/// At most so many worktrees are made at a time.
pub(crate) struct Jobs {
    free: Mutex<usize>,
    freed: Condvar,
}

impl Jobs {
    pub(crate) fn new(count: usize) -> Self {
        Self {
            free: Mutex::new(count),
            freed: Condvar::new(),
        }
    }

    /// Does the work when its turn comes.
    pub(crate) fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let none = |free: &mut usize| *free == 0;
        let mut free = self
            .freed
            .wait_while(free, none)
            .unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        drop(free);
        let done = work();
        *self.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.freed.notify_one();
        done
    }
}
