//! Turns: so many at a time, whoever asks.

use std::sync::{Condvar, Mutex, PoisonError};

/// At most so many worktrees are made at a time.
pub(crate) struct Jobs {
    free: Mutex<usize>,
    freed: Condvar,
}

/// A turn, until it is dropped.
pub(crate) struct Turn<'a>(&'a Jobs);

impl Jobs {
    pub(crate) fn new(count: usize) -> Self {
        Self {
            free: Mutex::new(count),
            freed: Condvar::new(),
        }
    }

    /// Waits for a turn.
    pub(crate) fn turn(&self) -> Turn<'_> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let none = |free: &mut usize| *free == 0;
        let mut free = self
            .freed
            .wait_while(free, none)
            .unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Turn(self)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}
