//! A long queue: nothing grows faster than it does.

use std::fs;
use std::thread;
use std::time::Duration;

use libtest_mimic::Trial;

use super::{COUNTS, assert_all_landed, many};
use crate::merge::check;
use crate::stage::test;

/// Each git of the program is a line of `../calls`.
const SHIM: &str =
    "#!/bin/sh\necho \"$1\" >> \"$HOME/../calls\"\nPATH=${PATH#*:} exec git \"$@\"\n";

/// Lands so many at once. Returns how many git that took, and the largest resident set in MiB.
fn lands(count: usize) -> (usize, usize) {
    let stage = many(count, &[count / 2]);
    stage.write("shim/git", SHIM);
    stage.sh("chmod +x ../shim/git").ok();
    let flag = check(&stage, COUNTS);
    let line = format!("PATH=$(cd ../shim && pwd):$PATH; exec pr-merge {flag} t-{{1..{count}}}");
    let mut running = stage.start(&line);
    let status = format!("/proc/{}/status", running.pid());
    let mut most = 0;
    while !running.is_over() {
        let now = fs::read_to_string(&status).unwrap_or_default();
        let line = now.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        most = most.max(kib.unwrap_or(0));
        thread::sleep(Duration::from_millis(20));
    }
    let ran = running.wait(Duration::from_mins(1)).ok();
    assert_all_landed(&stage, count, &[count / 2], &ran);
    (stage.read("calls").lines().count(), most / 1024)
}

pub(super) fn trials() -> Vec<Trial> {
    vec![test(
        "queue: 200 at once take less than 60 MiB, and no more git for each than 50 do",
        || {
            let (few, _) = lands(50);
            let (many, memory) = lands(200);
            assert!(memory < 60, "{memory} MiB");
            // A part of it is for the whole.
            assert!(many <= few * 4 * 11 / 10, "{few} for 50, {many} for 200");
        },
    )]
}
