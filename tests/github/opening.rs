//! Pull requests that are opened, those that are there already, and where they are.

use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::json;

use super::repository::{Repository, one};
use super::test;
use crate::forge::{committed, fact};
use crate::stage::{Stage, task};

/// One bead whose agent has done its work.
fn done() -> (Repository, Stage) {
    let (repository, stage) = Repository::stage(&[task("t-1")]);
    committed(&stage, &[("t-1", "echo work > w.txt")]);
    (repository, stage)
}

fn again(stage: &Stage) {
    stage.edit("t-1", &json!({"metadata": {"phase": "committed"}}));
}

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "a pull request that is there is taken up, never doubled",
            || {
                let (repository, stage) = one();
                again(&stage);
                stage
                    .sh("pr-open t-1")
                    .ok()
                    .says("pull request 1 brought up to date");
                assert_eq!(repository.fake.pulls(), [(1, "OPEN")]);
                assert_eq!(
                    fact(&stage, "t-1", "pr_url"),
                    "https://github.com/acme/demo/pull/1"
                );
                // Lists are known to hide what there is.
                again(&stage);
                repository
                    .fake
                    .say(("GET", "/pulls?state=all", 2), 200, &[], json!([]));
                stage
                    .sh("pr-open t-1")
                    .ok()
                    .says("pull request 1 brought up to date");
                assert_eq!(repository.fake.pulls(), [(1, "OPEN")]);
            },
        ),
        test(
            "a closed pull request does not hide the open one, nor is it opened",
            || {
                let (repository, stage) = one();
                repository.fake.close(1);
                for _ in 0..2 {
                    again(&stage);
                    stage.sh("pr-open t-1").ok();
                    assert_eq!(fact(&stage, "t-1", "pr_number"), "2");
                }
                assert_eq!(repository.fake.pulls(), [(1, "CLOSED"), (2, "OPEN")]);
            },
        ),
        test(
            "a branch that the API does not know yet is tried again",
            || {
                let (repository, stage) = done();
                let error = json!({"resource": "PullRequest", "field": "head", "code": "invalid"});
                let said = json!({"message": "Validation Failed", "errors": [error], "documentation_url": ""});
                repository.fake.say(("POST", "/pulls", 1), 422, &[], said);
                stage.sh("pr-open t-1").ok().says("pull request 1 opened");
            },
        ),
        test("what is not to be had is told in its words", || {
            let (repository, stage) = done();
            let error = json!({"resource": "PullRequest", "code": "custom",
                "message": "No commits between main and agent/t-1"});
            let said =
                json!({"message": "Validation Failed", "errors": [error], "documentation_url": ""});
            repository.fake.say(("POST", "/pulls", 1), 422, &[], said);
            stage
                .sh("pr-open t-1")
                .ok()
                .says("No commits between main and agent/t-1");
            assert_eq!(stage.bead("t-1")["status"], "blocked");
        }),
        test("title, text, label, reviewer and draft are there", || {
            let bead = json!({
                "id": "t-1", "title": "Fix @ann #1", "status": "open",
                "description": "closes #1 \u{1b}[31m\r\n--force $(touch x)",
            });
            let (repository, stage) = Repository::stage(&[bead]);
            committed(&stage, &[("t-1", "echo work > w.txt")]);
            stage
                .sh("pr-open --draft --label agent --reviewer ann t-1")
                .ok();
            let (title, body, labels, reviewers, draft) = repository.fake.seen(1);
            assert_eq!(title, "Fix @\u{200b}ann #\u{200b}1 (t-1)");
            assert!(body.ends_with("\n\nBead: t-1"), "{body}");
            assert_eq!(
                (labels, reviewers, draft),
                (vec!["agent".to_owned()], vec!["ann".to_owned()], true)
            );
            stage
                .sh("pr-merge --no-checks --once t-1")
                .ok()
                .says("it is a draft");
        }),
        test(
            "branches with odd names are asked for as what they are",
            || {
                let (repository, stage) = Repository::stage(&[task("t-1")]);
                committed(&stage, &[("t-1", "echo work > w.txt")]);
                stage
                    .sh("git branch -m agent/t-1 'agent/é#1+2&%?'")
                    .code(128);
                stage.sh("git branch -m agent/t-1 'agent/é#1+2&%25'").ok();
                stage.edit("t-1", &json!({"metadata": {"branch": "agent/é#1+2&%25"}}));
                stage.sh("pr-open t-1").ok();
                again(&stage);
                let line = "pr-open t-1 | pr-merge --no-checks --once | wt-clean";
                stage.sh(line).ok().says("landed as");
                assert_eq!(repository.fake.pulls(), [(1, "MERGED")]);
            },
        ),
        test(
            "an Enterprise Server is found by its name, and gets its own token",
            || {
                let (repository, mut stage) = done();
                let host = repository.proxy.host();
                stage
                    .sh(&format!(
                        "git remote set-url origin http://{host}/git/remote.git"
                    ))
                    .ok();
                stage.set("GITHUB_API_URL", "");
                stage.set("BEADLINE_FORGE", "github");
                stage.set("GH_REPO", &format!("{host}/acme/demo"));
                stage
                    .sh("pr-open t-1")
                    .code(1)
                    .says("set GH_ENTERPRISE_TOKEN or BEADLINE_TOKEN_FILE");
                stage.set("GH_ENTERPRISE_TOKEN", super::fake::TOKEN);
                stage.sh("pr-open t-1 | pr-merge --no-checks --once").ok();
                assert_eq!(repository.fake.pulls(), [(1, "MERGED")]);
                assert!(
                    repository
                        .fake
                        .count("PUT", "/api/v3/repos/acme/demo/pulls/1/merge")
                        == 1
                );
            },
        ),
        test("changes are made one at a time, a second apart", || {
            let beads: Vec<_> = (1..=3).map(|n| task(&format!("t-{n}"))).collect();
            let (repository, stage) = Repository::stage(&beads);
            committed(
                &stage,
                &[
                    ("t-1", "echo 1 > 1"),
                    ("t-2", "echo 2 > 2"),
                    ("t-3", "echo 3 > 3"),
                ],
            );
            // Of several programs, too.
            stage
                .sh("pr-open t-1 & pr-open t-2 & pr-open t-3 & wait; pr-merge --no-checks --once t-1")
                .ok();
            assert_eq!(repository.fake.pulls().len(), 3);
            let apart = repository.fake.apart();
            assert!(apart > Duration::from_millis(900), "{apart:?}");
        }),
        test(
            "who lacks a token, a host or a repository is told what to set",
            || {
                let (_repository, mut stage) = done();
                stage.set("GH_TOKEN", "");
                stage
                    .sh("pr-open t-1")
                    .code(1)
                    .says("set GH_TOKEN or BEADLINE_TOKEN_FILE");
                stage.set("GH_TOKEN", "wrong");
                stage.sh("pr-open t-1").code(1).says("Bad credentials");
                stage.set("GH_REPO", "acme/other");
                stage.set("GH_TOKEN", super::fake::TOKEN);
                stage
                    .sh("pr-open t-1")
                    .code(1)
                    .says("there is no repository /repos/acme/other");
                stage.set("GH_REPO", "");
                stage.set("GITHUB_API_URL", "https://elsewhere.invalid");
                stage
                    .sh("pr-open t-1")
                    .code(1)
                    .says("names another host than the remote");
                stage
                    .sh("git remote set-url origin https://code.invalid/acme/demo.git")
                    .ok();
                stage
                    .sh("pr-open t-1")
                    .code(1)
                    .says("set BEADLINE_FORGE to github, and GH_ENTERPRISE_TOKEN");
            },
        ),
    ]
}
