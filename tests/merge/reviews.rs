//! Where a reviewer works, and what it may leave there.

use std::fmt::Write as _;
use std::time::Duration;

use libtest_mimic::Trial;

use super::blame::several;
use super::{ask, assert_landed, landed, log};
use crate::forge::fact;
use crate::stage::{Stage, test, until};

/// Writes the reviewer, which approves at its end; returns the flag.
fn review(stage: &Stage, script: &str) -> String {
    let approve = "cd /; echo '{\"verdict\":\"approve\"}' > \"$BEADLINE_VERDICT\"";
    stage.write("review.sh", &format!("set -eu\n{script}\n{approve}\n"));
    format!("--review 'sh {}'", stage.path("review.sh").display())
}

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "pr-merge: a reviewer works in a worktree of its own at the head, and what it writes lands nowhere",
            || {
                let stage = several(2);
                stage.sh("echo mine > mine.txt; echo mine >> a.txt").ok();
                let flag = review(
                    &stage,
                    "test $(git rev-parse HEAD) = $BEAD_HEAD
                     echo $(basename $PWD) $(ls -A) $(ls -A ignored 2>/dev/null || true) $(cat a.txt) >> ~/log
                     mkdir -p ignored new; touch ignored/planted new/planted planted
                     echo changed > a.txt; git add .; git commit --quiet -m planted; echo more >> a.txt
                     git init --quiet nested; touch nested/planted",
                );
                let (head, status) = ("git rev-parse HEAD", "git status --porcelain; cat a.txt");
                let before = (stage.sh(head).ok().stdout, stage.sh(status).ok().stdout);
                stage
                    .sh(&format!("pr-merge --no-checks {flag} t-1 t-2"))
                    .ok();
                for id in ["t-1", "t-2"] {
                    assert_landed(&stage, id);
                }
                let sees = |n| format!(".review-main .git .gitignore {n}.txt a.txt one");
                assert_eq!(log(&stage), [sees(1), sees(2)]);
                let after = (stage.sh(head).ok().stdout, stage.sh(status).ok().stdout);
                assert_eq!(after, before);
                assert_eq!(
                    ask(&stage, "git ls-tree -r --name-only main"),
                    ".gitignore\n1.txt\n2.txt\na.txt"
                );
                assert!(!stage.path("work.worktrees/.review-main").exists());
            },
        ),
        test(
            "pr-merge: whatever one reviewer does to its worktree, the next one sees none of it",
            || {
                let odd = [
                    "rm -r .git",
                    "rm -rf $(git rev-parse --git-dir) .git",
                    "mkdir -p ro/x; touch ro/x/file; chmod -R a-w ro .",
                    "git worktree lock --reason mine .",
                    "echo ../../.. > $(git rev-parse --git-dir)/commondir",
                    "rm -r a.txt; mkdir a.txt; echo broken > $(git rev-parse --git-dir)/index",
                    "true",
                ];
                let stage = several(odd.len());
                let mut script = "test $(git rev-parse HEAD) = $BEAD_HEAD
                     echo $(ls -A) $(cat a.txt) >> ~/log\n"
                    .to_owned();
                for (number, act) in (1..).zip(odd) {
                    writeln!(script, "if [ $BEAD_ID = t-{number} ]; then {act}; fi").unwrap();
                }
                let flag = review(&stage, &script);
                let line = format!("pr-merge --no-checks {flag} t-{{1..{}}}", odd.len());
                stage.without_privileges(&line).ok();
                let mut seen = Vec::new();
                for n in 1..=odd.len() {
                    assert_landed(&stage, &format!("t-{n}"));
                    seen.push(format!(".git .gitignore {n}.txt a.txt one"));
                }
                assert_eq!(log(&stage), seen);
            },
        ),
        test(
            "pr-merge: a reviewer of one that was killed is ended before the next, whatever that reviews",
            || {
                let stage = several(2);
                let flag = review(
                    &stage,
                    "if mkdir ~/once 2>/dev/null; then echo $$ > ~/orphan; sleep 600; fi
                     if grep -q sh /proc/$(cat ~/orphan)/cmdline; then echo two at once >> ~/log; fi
                     echo $BEAD_ID >> ~/log",
                );
                let mut running = stage.start(&format!("exec pr-merge --no-checks {flag} t-1"));
                until("the review runs", || stage.path("home/orphan").exists());
                running.kill();
                assert_eq!(running.wait(Duration::from_mins(1)).code, Some(128 + 9));
                assert!(
                    !stage.processes().is_empty(),
                    "the reviewer went with its program: nothing is tested here"
                );
                stage.sh(&format!("pr-merge --no-checks {flag} t-2")).ok();
                assert_landed(&stage, "t-2");
                assert_eq!(log(&stage), ["t-2"]);
                assert_eq!(stage.processes(), Vec::<String>::new());
            },
        ),
        test(
            "pr-merge: two reviewers are never at work in one worktree at once",
            || {
                let stage = several(4);
                let script = "mkdir ~/busy || echo overlap >> ~/log
                     for i in 1 2 3 4 5 6 7 8 9; do git status > /dev/null; done; rmdir ~/busy";
                let flag = review(&stage, script);
                stage
                    .sh(&format!(
                        "pr-merge --no-checks {flag} t-1 t-2 & one=$!
                         pr-merge --no-checks {flag} t-4 t-3 & wait $one; wait $!"
                    ))
                    .ok();
                for n in 1..=4 {
                    assert_landed(&stage, &format!("t-{n}"));
                }
                assert_eq!(log(&stage), Vec::<String>::new());
            },
        ),
        test(
            "pr-merge: a verdict that was there before the review counts for nothing",
            || {
                let stage = several(1);
                let folder = ".git/beadline/t-1/review";
                let line = format!(
                    "mkdir -p {folder}; echo '{{\"verdict\":\"approve\"}}' > {folder}/verdict.json
                     pr-merge --no-checks --review true t-1"
                );
                stage.sh(&line).ok().says("it wrote no verdict");
                assert_eq!(landed(&stage), Vec::<String>::new());
            },
        ),
        test(
            "pr-merge: a reviewer that sends it back leaves no worktree, and its words go along",
            || {
                let stage = several(1);
                let said = "{\"verdict\":\"rework\",\"findings\":[{\"severity\":\"must\",\"body\":\"say please\"}]}";
                let flag = review(
                    &stage,
                    &format!("echo '{said}' > $BEADLINE_VERDICT; exit 0"),
                );
                stage.sh(&format!("pr-merge --no-checks {flag} t-1")).ok();
                assert!(fact(&stage, "t-1", "feedback").contains("say please"));
                assert!(!stage.path("work.worktrees/.review-main").exists());
            },
        ),
    ]
}
