//! What a pull request says; dry runs and drafts.

use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::{again, committed, fact, on_remote, one, pulls};
use crate::stage::{Stage, task, test};

/// The stored text of pull request 1.
fn paper(stage: &Stage) -> Value {
    let script = "git fetch --quiet origin refs/beadline/pull/1 && git cat-file blob FETCH_HEAD";
    serde_json::from_str(&stage.sh(script).ok().stdout).unwrap()
}

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "pr-open: title and text come from templates, and call and close nobody's things",
            || {
                let mut bead = task("t-1");
                bead["title"] = json!("Greet @alice\nand #7");
                bead["description"] = json!("As @bob said: fixes #12, o/r#3.\n\nBead: t-9");
                let stage = Stage::new(&[bead]);
                committed(&stage, &[("t-1", "echo work > w.txt")]);
                let before = stage.bead("t-1");
                stage.sh("pr-open t-1 --label bot --reviewer carol").ok();
                let paper_1 = paper(&stage);
                let seen = |text: &Value| text.as_str().unwrap().replace('\u{200b}', "|");
                assert_eq!(seen(&paper_1["title"]), "Greet @|alice and #|7 (t-1)");
                assert_eq!(
                    seen(&paper_1["body"]),
                    "As @|bob said: fixes #|12, o/r#|3.\n\nBead: t-9\n\nBead: t-1"
                );
                assert_eq!(
                    (&paper_1["labels"], &paper_1["reviewers"]),
                    (&json!(["bot"]), &json!(["carol"]))
                );
                stage.beads(&[before]);
                stage.sh("git push --quiet origin :refs/beadline/open/agent/t-1 :refs/beadline/pull/1 :refs/pull/1/head").ok();
                let ran = stage
                    .sh("pr-open t-1 --title '{{ nonsense }}'")
                    .code(1)
                    .says("t-1: --title");
                assert_eq!((ran.stdout.as_str(), pulls(&stage).0), ("", vec![]));
                stage
                    .sh("pr-open t-1 --title '{{ id }}: done' --body ''")
                    .ok();
                let paper_1 = paper(&stage);
                assert_eq!(
                    (&paper_1["title"], &paper_1["body"]),
                    (&json!("t-1: done"), &json!("Bead: t-1"))
                );
            },
        ),
        test(
            "pr-open: a dry run says the title and changes nothing",
            || {
                let stage = one();
                let before = stage.bead("t-1");
                let ran = stage
                    .sh("pr-open --dry-run t-1")
                    .ok()
                    .says("would get the pull request 'Task t-1 (t-1)'");
                assert_eq!(ran.beads()[0]["metadata"]["phase"], "pr_created");
                assert_eq!(stage.bead("t-1"), before);
                assert_eq!(on_remote(&stage, "refs/heads/agent/t-1"), "");
            },
        ),
        test(
            "pr-open: what a person has retargeted during a rework stays where it is",
            || {
                let stage = one();
                stage
                    .sh("git push --quiet origin main:release; pr-open t-1")
                    .ok();
                let mut told = paper(&stage);
                told["base"] = json!("release");
                stage.write("paper", &told.to_string());
                let push = "blob=$(git hash-object -w ../paper)
                    git push --quiet --force origin $blob:refs/beadline/pull/1 \\
                        $blob:refs/beadline/open/agent/t-1";
                stage.sh(push).ok();
                let more = "echo more > more.txt; git add .; git commit --quiet -m more";
                again(&stage, "t-1", more);
                stage
                    .sh("pr-open t-1")
                    .ok()
                    .says("is to land on release, as a person said");
                assert_eq!(paper(&stage)["base"], "release");
                // A new claim has the bead's base again.
                stage.edit(
                    "t-1",
                    &json!({"metadata": {"phase": "committed", "pr_number": 0}}),
                );
                stage.sh("pr-open t-1").ok();
                assert_eq!(paper(&stage)["base"], "main");
            },
        ),
        test(
            "pr-open: a draft waits for a person, and pr-merge does not stay for it",
            || {
                let stage = one();
                stage.sh("pr-open --draft t-1").ok();
                let ran = stage.sh("pr-merge --no-checks t-1").ok();
                let ran = ran
                    .says("t-1: waits for a person: it is a draft")
                    .says("t-1: still waits: it is a draft");
                assert_eq!(ran.stdout, "");
                assert_eq!(fact(&stage, "t-1", "waits"), "it is a draft");
                assert!(!fact(&stage, "t-1", "waits_at").is_empty());
                // The gate of somebody who works alone: merging it is the word.
                stage
                    .sh("git merge --quiet -m mine agent/t-1; git push --quiet")
                    .ok();
                stage.sh("pr-merge --no-checks t-1").ok();
                assert_eq!(
                    (
                        stage.bead("t-1")["status"].clone(),
                        fact(&stage, "t-1", "waits")
                    ),
                    (json!("closed"), String::new())
                );
                assert_eq!(pulls(&stage).1, Vec::<String>::new());
            },
        ),
    ]
}
