//! Pull requests that are opened, and those that are there already.

use libtest_mimic::Trial;
use serde_json::json;

use super::repository::{Repository, one};
use super::server::REVIEWER;
use super::test;
use crate::forge::{committed, fact};
use crate::stage::task;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "a pull request that is there is taken up, never doubled",
            || {
                let (repository, stage) = Repository::stage(&[task("t-1")]);
                committed(&stage, &[("t-1", "echo work > w.txt")]);
                stage.sh("git push --quiet origin agent/t-1").ok();
                let by_hand = json!({"head": "agent/t-1", "base": "main", "title": "by hand"});
                repository.ok("POST", "/pulls", &by_hand);
                stage
                    .sh("pr-open t-1")
                    .ok()
                    .says("pull request 1 brought up to date");
                stage.edit("t-1", &json!({"metadata": {"phase": "committed"}}));
                stage.sh("pr-open t-1").ok();
                assert_eq!(repository.pulls().len(), 1);
                assert!(fact(&stage, "t-1", "pr_url").ends_with("/pulls/1"));
            },
        ),
        test(
            "a closed pull request of the branch does not hide the open one",
            || {
                let (repository, stage) = one();
                repository.ok("PATCH", "/pulls/1", &json!({"state": "closed"}));
                for _ in 0..2 {
                    stage.edit("t-1", &json!({"metadata": {"phase": "committed"}}));
                    stage.sh("pr-open t-1").ok();
                    assert_eq!(fact(&stage, "t-1", "pr_number"), "2");
                }
                assert_eq!(repository.pulls().len(), 2);
            },
        ),
        test(
            "title, text, label and reviewer are there, and nobody is called by a bead",
            || {
                let bead = json!({
                    "id": "t-1", "title": "Fix @reviewer #1", "status": "open",
                    "description": "closes #1 \u{1b}[31m\r\n--force $(touch x)",
                });
                let (repository, stage) = Repository::stage(&[bead]);
                committed(&stage, &[("t-1", "echo work > w.txt")]);
                repository.ok(
                    "POST",
                    "/labels",
                    &json!({"name": "agent", "color": "#00aabb"}),
                );
                stage
                    .sh("pr-open --label agent --reviewer reviewer t-1")
                    .ok();
                let pull = repository.get("/pulls/1");
                assert_eq!(pull["labels"][0]["name"], "agent", "{pull}");
                assert_eq!(pull["requested_reviewers"][0]["login"], REVIEWER, "{pull}");
                assert_eq!(pull["title"], "Fix @\u{200b}reviewer #\u{200b}1 (t-1)");
                assert!(
                    pull["body"].as_str().unwrap().ends_with("\n\nBead: t-1"),
                    "{pull}"
                );
            },
        ),
    ]
}
