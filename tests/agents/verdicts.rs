//! What is made of an agent that has ended: its failures, and work that is good all the same.

use libtest_mimic::Trial;
use serde_json::json;

use super::{LINE, WORK, assert_blocked, facts, with_agent};
use crate::stage::test;

/// Agent, outcome, and words of the note. All are blocked at once, as one attempt is allowed.
const FAILURES: [(&str, &str, &str); 10] = [
    ("exit 3", "failed", "the agent ended with 3"),
    ("kill -9 $$", "failed", "the agent ended with 137"),
    ("exit 0", "no_change", "no change"),
    (
        "git commit --quiet --allow-empty -m nothing",
        "no_change",
        "no change",
    ),
    (
        "echo x >> a.txt; git commit --quiet -am there; git revert --no-edit HEAD",
        "no_change",
        "no change",
    ),
    (
        "mkdir .beads; echo '{}' > .beads/issues.jsonl; git add -f .beads; git reset -q",
        "no_change",
        "no change",
    ),
    ("sleep 600", "timeout", "the agent's time was up"),
    ("yes", "timeout", "the agent's time was up"),
    (
        "git checkout --quiet --orphan other; git commit --quiet -m root",
        "failed",
        "HEAD is not on the branch",
    ),
    (
        "git checkout --quiet --orphan other; git branch -qD agent/t-1; git checkout --quiet --orphan agent/t-1; git commit -qm root",
        "failed",
        "no history in common",
    ),
];

fn failures() -> impl Iterator<Item = Trial> {
    let failure = |(script, outcome, note): &(&'static str, &'static str, &'static str)| {
        let (script, outcome, note) = (*script, *outcome, *note);
        test(
            &format!("agent-run: an agent that runs '{script}' is {outcome}"),
            move || {
                let mut stage = with_agent(script);
                stage.set(
                    "BEADLINE_TIMEOUT",
                    if outcome == "timeout" { "1s" } else { "5m" },
                );
                let ran = stage.sh(LINE).ok();
                assert_eq!(ran.stdout, "");
                assert_blocked(&stage, outcome, note);
                let log = stage
                    .path("work/.git/beadline/t-1/1.log")
                    .display()
                    .to_string();
                assert_blocked(&stage, outcome, &log);
                assert_eq!(
                    stage.sh("git ls-remote origin 'refs/pull/*'").ok().stdout,
                    ""
                );
                assert_eq!(stage.processes(), Vec::<String>::new());
            },
        )
    };
    FAILURES.iter().map(failure)
}

/// Agents whose work is good, whatever they did to the repository on the way: work.txt holds
/// "work" on the branch at the end.
const SUCCESSES: [(&str, &str); 9] = [
    ("commits", WORK),
    ("leaves its work uncommitted", "echo work > work.txt"),
    ("leaves its work staged", "echo work > work.txt; git add work.txt"),
    (
        "commits on a branch of its own",
        "git checkout --quiet -b mine; echo work > work.txt; git add work.txt; git commit --quiet -m work",
    ),
    (
        "commits on a detached HEAD",
        "git checkout --quiet --detach; echo work > work.txt; git add work.txt; git commit --quiet -m work",
    ),
    (
        "leaves a merge half-done",
        "git checkout --quiet -b side; echo work > work.txt; git add work.txt; git commit --quiet -m side
         git checkout --quiet \"agent/$BEAD_ID\"; echo two > b.txt; git add b.txt; git commit --quiet -m b
         git merge --quiet --no-commit side",
    ),
    (
        "leaves a rebase half-done",
        "echo work > work.txt; git add work.txt; git commit --quiet -m work
         GIT_SEQUENCE_EDITOR='sed -i s/^pick/edit/' git rebase --quiet -i HEAD~1",
    ),
    (
        "deletes its branch",
        "echo one > b.txt; git add b.txt; git commit --quiet -m one; echo work > work.txt; git update-ref -d HEAD",
    ),
    (
        "is killed in the middle of a commit",
        "echo work > work.txt; git add work.txt; touch \"$(git rev-parse --git-dir)/index.lock\"",
    ),
];

fn successes() -> impl Iterator<Item = Trial> {
    let success = |(what, script): &(&'static str, &'static str)| {
        let (what, script) = (*what, *script);
        test(
            &format!("agent-run: the work of an agent that {what} is taken"),
            move || {
                let stage = with_agent(script);
                let ran = stage.sh(LINE).ok();
                assert_eq!(ran.ids(), ["t-1"]);
                let facts = facts(&stage);
                assert_eq!(
                    (&facts["phase"], &facts["outcome"]),
                    (&json!("committed"), &json!("done"))
                );
                assert_eq!((&facts["run"], &facts["attempt"]), (&json!(1), &json!(1)));
                let head = stage.sh("git rev-parse agent/t-1").ok().stdout;
                assert_eq!(facts["head"], head.trim());
                assert_eq!(
                    stage.sh("git show agent/t-1:work.txt").ok().stdout,
                    "work\n"
                );
                // The next run of an agent would start on its branch, with nothing left over.
                let tree =
                    "git symbolic-ref HEAD; git status --porcelain; git fsck --no-dangling 2>&1";
                assert_eq!(
                    stage.sh_in("work.worktrees/t-1", tree).ok().stdout,
                    "refs/heads/agent/t-1\n"
                );
            },
        )
    };
    SUCCESSES.iter().map(success)
}

pub(super) fn trials() -> Vec<Trial> {
    failures().chain(successes()).collect()
}
