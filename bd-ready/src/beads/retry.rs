//! Trying again.

use std::thread;
use std::time::Duration;

/// Does something, and again after each pause while what came of it is to be tried again. Tells, too,
/// whether it was done more than once: an earlier try may have had its effect.
pub fn retry<T>(
    pauses: impl IntoIterator<Item = Duration>,
    mut act: impl FnMut() -> T,
    is_worth_it: impl Fn(&T) -> bool,
) -> (T, bool) {
    let (mut done, mut again) = (act(), false);
    for pause in pauses {
        if !is_worth_it(&done) {
            break;
        }
        thread::sleep(pause);
        (done, again) = (act(), true);
    }
    (done, again)
}
