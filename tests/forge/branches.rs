//! The branch of a pull request: commits of others, rewritten, gone.

use libtest_mimic::Trial;
use serde_json::json;

use super::{again, assert_one_open, done, fact, host, on_remote, one, pulls, second_clone};
use crate::stage::test;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "pr-open: somebody's commits on the branch are never overwritten: the agent gets them to merge",
            || {
                let stage = one();
                second_clone(&stage, &[("t-1", "echo theirs > theirs.txt")]);
                stage
                    .sh("git -C ../other push --quiet origin agent/t-1")
                    .ok();
                let theirs = on_remote(&stage, "refs/heads/agent/t-1");
                let ran = stage
                    .sh("pr-open t-1")
                    .ok()
                    .says("t-1: sent back:")
                    .says(&theirs);
                assert_eq!(ran.stdout, "");
                let bead = stage.bead("t-1");
                assert_eq!(
                    (&bead["status"], &bead["metadata"]["phase"]),
                    (&json!("in_progress"), &json!("spawned"))
                );
                assert_eq!(
                    (&bead["metadata"]["round"], &bead["metadata"]["attempt"]),
                    (&json!(1), &json!(0))
                );
                assert!(fact(&stage, "t-1", "feedback").contains(&theirs), "{bead}");
                assert_eq!(on_remote(&stage, "refs/heads/agent/t-1"), theirs);
                // Not merged by the agent: the same again, and then it is a person's.
                again(&stage, "t-1", "git commit --quiet --allow-empty -m more");
                stage
                    .sh("pr-open --max-rounds 1 t-1")
                    .ok()
                    .says("a person has to look at it");
                let bead = stage.bead("t-1");
                assert_eq!(
                    (&bead["status"], &bead["assignee"]),
                    (&json!("blocked"), &json!(""))
                );
                assert!(bead["notes"].as_str().unwrap().contains(&theirs), "{bead}");
                assert_eq!(on_remote(&stage, "refs/heads/agent/t-1"), theirs);
                assert_eq!(pulls(&stage).0, Vec::<u64>::new());
                // The commit is in the clone: merged, it goes along.
                stage.edit("t-1", &done(&host(&stage, "work"), "t-1", ""));
                again(
                    &stage,
                    "t-1",
                    &format!("git merge --quiet -m merge {theirs}"),
                );
                stage.sh("pr-open t-1").ok();
                assert_one_open(&stage);
            },
        ),
        test(
            "pr-open: commits on top of what we pushed are somebody's, too",
            || {
                let stage = one();
                stage.sh("pr-open t-1").ok();
                stage
                    .sh_in("", "git clone --quiet -b agent/t-1 remote.git other")
                    .ok();
                stage
                    .sh("cd ../other; git commit --quiet --allow-empty -m theirs; git push --quiet")
                    .ok();
                let theirs = on_remote(&stage, "refs/heads/agent/t-1");
                again(&stage, "t-1", "git commit --quiet --amend -m rewritten");
                stage.sh("pr-open t-1").ok().says(&theirs);
                assert_eq!(fact(&stage, "t-1", "phase"), "spawned");
                assert_eq!(on_remote(&stage, "refs/heads/agent/t-1"), theirs);
            },
        ),
        test(
            "pr-open: a branch that its agent rewrote replaces what we pushed ourselves",
            || {
                let stage = one();
                stage.sh("pr-open t-1").ok();
                let before = on_remote(&stage, "refs/heads/agent/t-1");
                again(&stage, "t-1", "git commit --quiet --amend -m rewritten");
                stage
                    .sh("pr-open t-1")
                    .ok()
                    .says("pull request 1 brought up to date");
                assert_ne!(on_remote(&stage, "refs/heads/agent/t-1"), before);
                assert_one_open(&stage);
            },
        ),
        test(
            "pr-open: what came to the branch after its verdict is judged before it is pushed",
            || {
                let stage = one();
                let more = "git checkout --quiet agent/t-1; git commit --quiet --allow-empty -m more; git rev-parse HEAD; git checkout --quiet main";
                let more = stage.sh(more).ok().stdout;
                let ran = stage
                    .sh("pr-open t-1")
                    .ok()
                    .says("t-1: to be judged again: ")
                    .says(more.trim());
                assert_eq!(ran.stdout, "");
                assert_eq!(on_remote(&stage, "refs/heads/agent/t-1"), "");
                let facts = &stage.bead("t-1")["metadata"];
                assert_eq!(
                    (
                        &facts["phase"],
                        &facts["outcome"],
                        &facts["round"],
                        &facts["run"]
                    ),
                    (&json!("working"), &json!(""), &json!(1), &json!(1))
                );
                // Not without end.
                stage.edit("t-1", &json!({"metadata": {"phase": "committed"}}));
                stage
                    .sh("pr-open --max-rounds 1 t-1")
                    .ok()
                    .says("a person has to look at it");
                assert_eq!(stage.bead("t-1")["status"], "blocked");
                assert_eq!(on_remote(&stage, "refs/heads/agent/t-1"), "");
            },
        ),
        test(
            "pr-open: a bead whose branch is gone goes to a person, with the commit named",
            || {
                let stage = one();
                let head = fact(&stage, "t-1", "head");
                let ran = stage
                    .sh("git branch --quiet -D agent/t-1; pr-open t-1")
                    .ok()
                    .says("blocked");
                assert_eq!(ran.stdout, "");
                let bead = stage.bead("t-1");
                assert_eq!(
                    (&bead["status"], &bead["assignee"]),
                    (&json!("blocked"), &json!(""))
                );
                assert!(bead["notes"].as_str().unwrap().contains(&head), "{bead}");
                assert_eq!(on_remote(&stage, "refs/heads/agent/t-1"), "");
            },
        ),
    ]
}
