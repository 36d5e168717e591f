//! The whole line on GitHub.

use libtest_mimic::Trial;

use super::repository::{Repository, assert_landed};
use super::test_with_just;
use crate::stage::task;

pub(super) fn trials() -> Vec<Trial> {
    vec![test_with_just(
        "the line: beads from ready to merged, each in one pull request",
        || {
            let (repository, mut stage) = Repository::stage(&[task("t-1"), task("t-2")]);
            stage.simple();
            stage.set("BEADLINE_MAX_AGENTS", "1");
            stage.just("orchestrate").ok();
            assert_landed(&stage, &["t-1", "t-2"]);
            assert_eq!(repository.fake.pulls(), [(1, "MERGED"), (2, "MERGED")]);
            let left = stage.sh("git ls-remote --heads origin | cut -f2").ok();
            assert_eq!(left.stdout, "refs/heads/main\n");
        },
    )]
}
