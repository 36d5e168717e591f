//! Clones whose checks take longer than those of others.

use libtest_mimic::Trial;

use crate::forge::second_clone;
use crate::merge::{check, landed, pulled};
use crate::stage::test;

pub(super) fn trials() -> Vec<Trial> {
    vec![test(
        "queue: a clone whose check is slower than another's gets its turn to land",
        || {
            const COUNT: usize = 24;
            let work: Vec<(String, String)> = (1..=COUNT)
                .map(|n| (format!("t-{n}"), format!("echo {n} > {n}.txt")))
                .collect();
            let work: Vec<(&str, &str)> = work
                .iter()
                .map(|(id, change)| (id.as_str(), change.as_str()))
                .collect();
            let stage = pulled(&work[..1]);
            second_clone(&stage, &work[1..]);
            stage
                .sh(&format!("pr-open -C ../other t-{{2..{COUNT}}}"))
                .ok();
            // How long each takes is what this is about.
            let flag = check(
                &stage,
                "case $PWD in */work.worktrees/*) sleep 1 ;; *) sleep 0.1 ;; esac",
            );
            let both = format!(
                "pr-merge {flag} t-1 & one=$!
                 pr-merge {flag} --batch 1 -C ../other t-{{2..{COUNT}}} & wait $one; wait $!"
            );
            let ran = stage.sh(&both).ok();
            let on_main = landed(&stage);
            assert_eq!(on_main.len(), COUNT, "{}", ran.all());
            assert_ne!(
                on_main.last().map(String::as_str),
                Some("Task t-1 (t-1)"),
                "{}",
                ran.all()
            );
            let left = stage.sh("git ls-remote origin 'refs/beadline/turn/*'").ok();
            assert_eq!(left.stdout, "", "{}", ran.all());
        },
    )]
}
