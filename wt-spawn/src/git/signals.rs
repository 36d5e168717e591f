//! Signals that ask a program to end.

use std::{fs, io};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Listens to those that ask for an end. One that whoever started this program has it ignore, as
/// nohup(1) does, stays ignored.
///
/// # Errors
/// When they cannot be listened to.
pub(crate) fn to_end() -> io::Result<Signals> {
    let status = fs::read_to_string("/proc/self/status")?;
    Signals::new(
        [SIGTERM, SIGINT, SIGHUP]
            .iter()
            .filter(|signal| !ignores(&status, **signal)),
    )
}

/// What `SigIgn` tells: a set of bits in hexadecimal digits, the first one that of signal 1 (proc(5)).
fn ignores(status: &str, signal: i32) -> bool {
    let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let set = set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    set.is_some_and(|set| set & (1 << (signal - 1)) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read() {
        let status = "Name:\tsh\nSigBlk:\t0000000000000002\nSigIgn:\t0000000000001001\n";
        assert!(ignores(status, SIGHUP));
        assert!(!ignores(status, SIGINT) && !ignores(status, SIGTERM));
        assert!(!ignores("", SIGHUP));
    }
}
