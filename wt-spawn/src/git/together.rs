//! One call for all that wait for one.

use std::sync::{Condvar, Mutex, PoisonError};

use anyhow::anyhow;

/// A call that tells something, made on demand and never for one alone if several wait.
#[derive(Debug)]
pub struct Together<T> {
    state: Mutex<State<T>>,
    done: Condvar,
}

#[derive(Debug)]
struct State<T> {
    running: bool,
    started: u64,
    finished: u64,
    /// Calls that have failed, over and over.
    failed: u64,
    result: Option<Result<T, String>>,
}

impl<T> Default for Together<T> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                running: false,
                started: 0,
                finished: 0,
                failed: 0,
                result: None,
            }),
            done: Condvar::new(),
        }
    }
}

impl<T: Clone> Together<T> {
    /// What a call says that began after this one.
    ///
    /// # Errors
    /// When that call failed, or one that began before: the next one would fail as well.
    pub fn ask(&self, call: impl Fn() -> anyhow::Result<T>) -> anyhow::Result<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (wanted, failed) = (state.started + 1, state.failed);
        loop {
            if state.finished >= wanted || state.failed != failed {
                match &state.result {
                    Some(Ok(said)) => return Ok(said.clone()),
                    Some(Err(why)) => return Err(anyhow!("{why}")),
                    None => {}
                }
            }
            if state.running {
                state = self
                    .done
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.running = true;
            state.started += 1;
            drop(state);
            let result = call().map_err(|err| format!("{err:#}"));
            state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.running = false;
            state.finished = state.started;
            state.failed += u64::from(result.is_err());
            state.result = Some(result);
            self.done.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn those_that_wait_share_the_next_call_and_none_gets_an_earlier_one() {
        let (together, calls) = (Together::default(), AtomicUsize::new(0));
        let (go, gone) = mpsc::channel::<()>();
        let gone = Mutex::new(gone);
        let call = || {
            let n = calls.fetch_add(1, Ordering::SeqCst) + 1;
            // The first call waits until the others have come.
            if n == 1 {
                let _ = gone.lock().map(|gone| gone.recv());
            }
            Ok(n)
        };
        thread::scope(|scope| {
            let first = scope.spawn(|| together.ask(call));
            while calls.load(Ordering::SeqCst) == 0 {
                thread::yield_now();
            }
            let waiting: Vec<_> = (0..8).map(|_| scope.spawn(|| together.ask(call))).collect();
            go.send(()).expect("it is waited for");
            assert_eq!(first.join().expect("no panic").expect("an answer"), 1);
            for one in waiting {
                assert!(one.join().expect("no panic").expect("an answer") > 1);
            }
        });
        assert!(calls.load(Ordering::SeqCst) <= 9);
    }

    #[test]
    fn a_call_that_fails_fails_all_that_wait() {
        let together = Together::<()>::default();
        let said = together.ask(|| Err(anyhow!("no remote")));
        assert_eq!(said.expect_err("it failed").to_string(), "no remote");
        assert!(together.ask(|| Ok(())).is_ok());
    }
}
