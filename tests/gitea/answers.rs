//! What a real Gitea asks for and answers, and what comes of it.

use libtest_mimic::Trial;
use serde_json::json;

use super::repository::{landed, one, pulled};
use super::server::{OWNER, READER, REVIEWER};
use super::test;
use crate::forge::{again, fact, on_remote};
use crate::stage::Stage;

/// The bead waits for this, or was sent back or blocked with these words; nothing has landed.
#[track_caller]
pub(super) fn assert_not_landed(stage: &Stage, id: &str, key: &str, words: &str) {
    let bead = stage.bead(id);
    let said = match key {
        "notes" => bead["notes"].as_str().unwrap_or_default().to_owned(),
        key => fact(stage, id, key),
    };
    assert!(said.contains(words), "{key} lacks '{words}': {bead}");
    assert_eq!(landed(stage), Vec::<String>::new());
}

#[track_caller]
pub(super) fn assert_landed(stage: &Stage, ids: &[&str]) {
    for id in ids {
        let bead = stage.bead(id);
        assert_eq!(bead["status"], "closed", "{bead}");
        assert_eq!(bead["metadata"]["phase"], "merged", "{bead}");
    }
    let wanted: Vec<String> = ids.iter().map(|id| format!("Task {id} ({id})")).collect();
    assert_eq!(landed(stage), wanted);
}

fn approvals() -> Vec<Trial> {
    vec![
        test(
            "an approval is waited for, and its author's own or a reader's is none",
            || {
                let (repository, stage) = one();
                repository.protect(&[], 1);
                let head = repository.head(1);
                assert_eq!(repository.review(OWNER, 1, "APPROVED", &head), 422);
                assert_eq!(repository.review(READER, 1, "APPROVED", &head), 200);
                let waits = "pr-merge --no-checks --once t-1";
                stage
                    .sh(waits)
                    .ok()
                    .says("waits for a person: it needs 1 approval(s)");
                assert_not_landed(&stage, "t-1", "waits", "has 0");
                assert_eq!(repository.review(REVIEWER, 1, "APPROVED", &head), 200);
                stage.sh(waits).ok().says("landed as");
                assert_landed(&stage, &["t-1"]);
            },
        ),
        test(
            "an approval of an earlier head is none, though the server would take it",
            || {
                let (repository, stage) = one();
                let old = repository.head(1);
                repository.review(REVIEWER, 1, "APPROVED", &old);
                again(
                    &stage,
                    "t-1",
                    "echo more > more.txt; git add .; git commit --quiet -m more",
                );
                stage.sh("pr-open t-1").ok();
                assert_ne!(repository.head(1), old);
                let line = "pr-merge --no-checks --approvals 1 --once t-1";
                stage.sh(line).ok().says("has 0");
                assert_not_landed(&stage, "t-1", "waits", "approval");
                repository.review(REVIEWER, 1, "APPROVED", &repository.head(1));
                stage.sh(line).ok();
                assert_landed(&stage, &["t-1"]);
            },
        ),
        test(
            "a reviewer who wants changes sends it back once, in their words",
            || {
                let (repository, stage) = one();
                repository.review(REVIEWER, 1, "REQUEST_CHANGES", &repository.head(1));
                stage
                    .sh("pr-merge --no-checks --once t-1")
                    .ok()
                    .says("sent back: reviewer wants changes");
                assert_not_landed(&stage, "t-1", "feedback", "as I see it");
                again(
                    &stage,
                    "t-1",
                    "echo better > w.txt; git add .; git commit --quiet -m better",
                );
                stage.sh("pr-open t-1").ok();
                let line = "pr-merge --no-checks --once t-1";
                stage
                    .sh(line)
                    .ok()
                    .says("reviewer wanted changes, and has not looked again");
                repository.review(REVIEWER, 1, "APPROVED", &repository.head(1));
                stage.sh(line).ok();
                assert_landed(&stage, &["t-1"]);
            },
        ),
        test(
            "what a reviewer says of single lines reaches the agent",
            || {
                let (repository, stage) = one();
                let remarks = json!([
                    {"path": "w.txt", "new_position": 1, "body": "Too short.\n- x:1: forged"},
                    {"path": "w.txt", "new_position": 1, "body": "And vague."},
                ]);
                let review = |user, event: &str| {
                    let body = json!({"event": event, "commit_id": repository.head(1),
                        "body": "as I see it", "comments": remarks});
                    let (status, said) =
                        repository.ask(user, "POST", "/pulls/1/reviews", Some(&body));
                    assert_eq!(status, 200, "{said}");
                };
                review(READER, "COMMENT");
                review(REVIEWER, "REQUEST_CHANGES");
                let line = "pr-merge --no-checks --once t-1";
                stage
                    .sh(line)
                    .ok()
                    .says("sent back: reviewer wants changes");
                assert_eq!(
                    fact(&stage, "t-1", "feedback"),
                    "The reviewer reviewer wants changes:\nas I see it\n- w.txt:1: Too short.\n  \
                     - x:1: forged\n- w.txt:1: And vague."
                );
            },
        ),
        test(
            "an approval counts for the clean merge of that head with the base",
            || {
                let (repository, stage) =
                    pulled(&[("t-1", "echo 1 > 1.txt"), ("t-2", "echo 2 > 2.txt")]);
                repository.protect(&["ci"], 1);
                for number in [1, 2] {
                    let head = repository.head(number);
                    repository.status(&head, "ci", "success");
                    repository.review(REVIEWER, number, "APPROVED", &head);
                }
                let old = repository.head(2);
                stage
                    .sh("pr-merge --once t-1 t-2")
                    .ok()
                    .says("t-2: brought up to date with main");
                assert_landed(&stage, &["t-1"]);
                let new = repository.head(2);
                assert_ne!(old, new);
                assert_eq!(fact(&stage, "t-2", "pushed"), new);
                stage
                    .sh("pr-merge --once t-2")
                    .ok()
                    .says("checks have not reported: ci");
                repository.status(&new, "ci", "success");
                stage.sh("pr-merge --once t-2").ok();
                assert_landed(&stage, &["t-1", "t-2"]);
            },
        ),
    ]
}

fn checks() -> Vec<Trial> {
    vec![
        test(
            "a required check is waited for, and a red one sends it back by name",
            || {
                let (repository, stage) = one();
                repository.protect(&["ci / *"], 0);
                let head = repository.head(1);
                let line = "pr-merge --once t-1";
                repository.status(&head, "other", "success");
                stage
                    .sh(line)
                    .ok()
                    .says("waits: checks have not reported: ci / *");
                repository.status(&head, "ci / build", "pending");
                stage.sh(line).ok().says("waits: checks run: ci / build");
                repository.status(&head, "ci / build", "success");
                repository.status(&head, "ci / test", "failure");
                stage
                    .sh(line)
                    .ok()
                    .says("sent back: checks failed: ci / test");
                assert_not_landed(
                    &stage,
                    "t-1",
                    "feedback",
                    "- ci / test: ci / test says failure",
                );
            },
        ),
        test(
            "no check at all is not green, nor are only skipped ones",
            || {
                let (repository, stage) = one();
                stage
                    .sh("pr-merge --once t-1")
                    .ok()
                    .says("no check has reported to the forge");
                repository.status(&repository.head(1), "ci", "skipped");
                stage
                    .sh("pr-merge --once t-1")
                    .ok()
                    .says("all its checks were skipped");
                assert_not_landed(&stage, "t-1", "phase", "pr_created");
                repository.status(&repository.head(1), "lint", "success");
                stage.sh("pr-merge --once --require lint t-1").ok();
                assert_landed(&stage, &["t-1"]);
            },
        ),
        test("what checks of an earlier head said is void", || {
            let (repository, stage) = one();
            repository.status(&repository.head(1), "ci", "success");
            again(
                &stage,
                "t-1",
                "echo more > more.txt; git add .; git commit --quiet -m more",
            );
            stage.sh("pr-open t-1").ok();
            stage
                .sh("pr-merge --once t-1")
                .ok()
                .says("no check has reported");
            assert_not_landed(&stage, "t-1", "phase", "pr_created");
        }),
        test(
            "a check of ours is enough where the base asks for none, and sees what lands",
            || {
                let (repository, stage) =
                    pulled(&[("t-1", "echo 1 > 1.txt"), ("t-2", "echo 2 > 2.txt")]);
                stage
                    .sh("pr-merge --once --check 'ls >> ~/log; test -s a.txt' t-1 t-2")
                    .ok();
                assert_landed(&stage, &["t-1", "t-2"]);
                assert_eq!(
                    stage.read("home/log"),
                    "1.txt\na.txt\n1.txt\n2.txt\na.txt\n"
                );
                assert!(repository.pulls().iter().all(|(_, _, merged)| *merged));
            },
        ),
    ]
}

fn merges() -> Vec<Trial> {
    vec![
        test(
            "a head that moved while its check ran does not land",
            || {
                let (repository, stage) = one();
                let head = repository.head(1);
                stage.write("check.sh", &format!(
                "set -eu\ncd {}\ngit checkout --quiet agent/t-1\necho sneaked > s.txt\ngit add .\n\
                 git commit --quiet -m sneaked\ngit push --quiet origin agent/t-1\ngit checkout --quiet main\n",
                stage.path("work").display()
            ));
                let line = format!(
                    "pr-merge --once --check 'sh {}' t-1",
                    stage.path("check.sh").display()
                );
                stage
                    .sh(&line)
                    .ok()
                    .says("sent back: somebody pushed commit");
                assert_not_landed(&stage, "t-1", "feedback", "merge that commit");
                assert_ne!(repository.head(1), head);
            },
        ),
        test(
            "a base that moves while the check runs is tested again",
            || {
                let (_repository, stage) = one();
                let script = format!(
                "set -eu\nls >> ~/log\nif mkdir ~/once 2>/dev/null; then cd {}
                 echo else > else.txt; git add .; git commit --quiet -m else; git push --quiet; fi\n",
                stage.path("work").display()
            );
                stage.write("check.sh", &script);
                let check = format!("sh {}", stage.path("check.sh").display());
                stage
                    .sh(&format!("pr-merge --once --check '{check}' t-1"))
                    .ok();
                assert_eq!(landed(&stage), ["else", "Task t-1 (t-1)"]);
                assert_eq!(
                    stage.read("home/log"),
                    "a.txt\nw.txt\na.txt\nelse.txt\nw.txt\n"
                );
            },
        ),
        test("lands at once after a push, and by every method", || {
            for method in ["squash", "merge", "rebase"] {
                let (repository, stage) = one();
                stage
                    .sh(&format!(
                        "pr-merge --no-checks --once --method {method} t-1"
                    ))
                    .ok();
                let bead = stage.bead("t-1");
                assert_eq!(bead["metadata"]["phase"], "merged", "{method}: {bead}");
                assert_eq!(repository.pulls(), [(1, "closed".to_owned(), true)]);
                let main = on_remote(&stage, "refs/heads/main");
                assert_eq!(fact(&stage, "t-1", "merged_sha"), main, "{method}");
            }
        }),
        test("a conflict goes back to its agent, who resolves it", || {
            let (repository, stage) =
                pulled(&[("t-1", "echo 1 > w.txt"), ("t-2", "echo 2 > w.txt")]);
            let line = "pr-merge --no-checks --once t-1 t-2";
            stage
                .sh(line)
                .ok()
                .says("t-2: sent back: conflicts with the base in w.txt");
            again(
                &stage,
                "t-2",
                "git merge --quiet origin/main || true; echo 12 > w.txt
                git add .; git commit --quiet -m both",
            );
            stage.sh("pr-open t-2 | pr-merge --no-checks --once").ok();
            assert_landed(&stage, &["t-1", "t-2"]);
            assert_eq!(repository.pulls().len(), 2);
        }),
        test(
            "what the server refuses is told in its words, and tried again when that changes",
            || {
                let (repository, stage) = one();
                repository.ok(
                    "PATCH",
                    "",
                    &json!({"allow_squash_merge": false, "default_merge_style": "merge"}),
                );
                stage
                    .sh("pr-merge --no-checks --once t-1")
                    .ok()
                    .says("not allowed");
                assert_not_landed(&stage, "t-1", "waits", "squash is not allowed");
                repository.ok("PATCH", "", &json!({"allow_squash_merge": true}));
                stage.sh("pr-merge --no-checks --once t-1").ok();
                assert_landed(&stage, &["t-1"]);
            },
        ),
        test("who may not merge is told so", || {
            let (repository, stage) = one();
            repository.protect_with(&json!({
                "enable_merge_whitelist": true, "merge_whitelist_usernames": [REVIEWER],
            }));
            stage
                .sh("pr-merge --no-checks --once t-1")
                .ok()
                .says("may not merge it");
            assert_not_landed(&stage, "t-1", "waits", "may not merge it");
        }),
        test(
            "a base that asks for branches that hold it gets them",
            || {
                let (repository, stage) =
                    pulled(&[("t-1", "echo 1 > 1.txt"), ("t-2", "echo 2 > 2.txt")]);
                repository.protect_with(&json!({"block_on_outdated_branch": true}));
                let said = stage.sh("pr-merge --check true --once t-1 t-2").ok();
                said.says("t-2: brought up to date with main")
                    .says_of("t-1", "landed as");
                stage.sh("pr-merge --check true --once t-2").ok();
                assert_landed(&stage, &["t-1", "t-2"]);
            },
        ),
        test(
            "a branch that somebody brought up to date is still the agent's work",
            || {
                let (repository, stage) =
                    pulled(&[("t-1", "echo 1 > 1.txt"), ("t-2", "echo 2 > 2.txt")]);
                stage.sh("pr-merge --no-checks --once t-1").ok();
                repository.ok("POST", "/pulls/2/update?style=merge", &json!({}));
                stage
                    .sh("pr-merge --no-checks --once t-2")
                    .ok()
                    .says("its branch was brought up to date");
                assert_landed(&stage, &["t-1", "t-2"]);
            },
        ),
    ]
}

pub(super) fn trials() -> Vec<Trial> {
    [approvals(), checks(), merges()]
        .into_iter()
        .flatten()
        .collect()
}
