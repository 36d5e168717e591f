//! What reviewers say of single lines, and what people do to a pull request during a rework.

use libtest_mimic::Trial;
use serde_json::json;

use super::repository::{assert_landed, landed, one};
use super::test;
use crate::forge::{again, fact};

const LAND: &str = "pr-merge --no-checks --once t-1";

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "all that reviewers say reaches the agent, single lines included",
            || {
                let (repository, stage) = one();
                let (fake, head) = (&repository.fake, repository.fake.head(1));
                fake.review("ann", 1, "CHANGES_REQUESTED", &head);
                fake.review("bob", 1, "CHANGES_REQUESTED", &head);
                fake.thread(
                    ("w.txt", Some(1)),
                    false,
                    "ann",
                    "Say what\u{1b}[2J work.\n- x:1: y",
                );
                fake.thread(("w.txt", None), false, "bob", "Too short.");
                fake.thread(("w.txt", Some(1)), true, "ann", "settled");
                fake.thread(("w.txt", Some(1)), false, "stranger", "spam");
                stage.sh(LAND).ok().says("sent back: ann, bob want changes");
                assert_eq!(
                    fact(&stage, "t-1", "feedback"),
                    "The reviewer ann wants changes:\nas I see it\n- w.txt:1: Say what[2J work.\n  \
                     - x:1: y\n\nThe reviewer bob wants changes:\nas I see it\n- w.txt: Too short."
                );
                assert_eq!(landed(&stage), Vec::<String>::new());
            },
        ),
        test(
            "remarks without end leave room for what comes first",
            || {
                let (repository, stage) = one();
                let head = repository.fake.head(1);
                repository.fake.review("ann", 1, "CHANGES_REQUESTED", &head);
                for n in 1..=50 {
                    let words = format!("{n}: {}", "x".repeat(400));
                    repository
                        .fake
                        .thread(("w.txt", Some(n)), false, "ann", &words);
                }
                stage.sh(LAND).ok().says("sent back: ann wants changes");
                let told = fact(&stage, "t-1", "feedback");
                assert!(
                    told.starts_with(
                        "The reviewer ann wants changes:\nas I see it\n- w.txt:1: 1: x"
                    ),
                    "{told}"
                );
                assert!(
                    told.len() < 8 << 10 && told.ends_with("(cut here)"),
                    "{told}"
                );
            },
        ),
        test("remarks that are not read yet are asked for again", || {
            let (repository, stage) = one();
            let head = repository.fake.head(1);
            repository.fake.review("ann", 1, "CHANGES_REQUESTED", &head);
            repository
                .fake
                .thread(("w.txt", Some(1)), false, "ann", "Too short.");
            repository.fake.set(|world| world.lost_threads = 1);
            stage
                .sh(LAND)
                .ok()
                .says("t-1: cannot be read: Something went wrong");
            assert!(fact(&stage, "t-1", "feedback").contains("- w.txt:1: Too short."));
        }),
        test("one that may not be closed has landed all the same", || {
            let (repository, stage) = one();
            let refused = json!({"message": "Resource not accessible by personal access token",
                "documentation_url": ""});
            let fake = &repository.fake;
            fake.say(("PATCH", "/pulls/1", 9), 403, &[], refused);
            stage
                .sh(
                    "git merge --quiet --squash agent/t-1 && git commit --quiet -m 'by hand'
                    git push --quiet origin main",
                )
                .ok();
            let ran = stage.sh(LAND).ok();
            ran.says("t-1: pull request 1 is not settled: cannot close it: Resource");
            assert_eq!(stage.bead("t-1")["status"], "closed");
            assert!(
                stage.bead("t-1")["notes"]
                    .to_string()
                    .contains("not accessible")
            );
            assert_eq!(fake.pulls(), [(1, "OPEN")]);
        }),
        test(
            "one whose closing is not answered is closed by a later look",
            || {
                let (repository, stage) = one();
                let fake = &repository.fake;
                fake.say(("PATCH", "/pulls/1", 1), 502, &[], json!("<html>"));
                stage
                    .sh(
                        "git merge --quiet --squash agent/t-1 && git commit --quiet -m 'by hand'
                    git push --quiet origin main",
                    )
                    .ok();
                stage.sh(LAND).ok();
                assert_eq!(stage.bead("t-1")["status"], "closed");
                assert_eq!(fake.pulls(), [(1, "CLOSED")]);
            },
        ),
        test(
            "what a person has retargeted during a rework stays where it is",
            || {
                let (repository, stage) = one();
                stage.sh("git push --quiet origin main:release").ok();
                let head = repository.fake.head(1);
                repository.fake.review("ann", 1, "CHANGES_REQUESTED", &head);
                stage.sh(LAND).ok().says("sent back: ann wants changes");
                repository.fake.retarget(1, "release");
                again(
                    &stage,
                    "t-1",
                    "echo more > w.txt; git commit --quiet -am more",
                );
                let ran = stage.sh("pr-open t-1").ok();
                ran.says("pull request 1 is to land on release, as a person said");
                assert_eq!(repository.fake.count("PATCH", "/pulls/1"), 0);
                repository.fake.review("ann", 1, "APPROVED", &head);
                stage
                    .sh(LAND)
                    .ok()
                    .says("it is to land on release, not on main");
                // A new claim has the bead's base again.
                stage.edit(
                    "t-1",
                    &json!({"metadata": {"phase": "committed", "pr_number": 0}}),
                );
                stage.sh("pr-open t-1").ok();
                assert_eq!(repository.fake.count("PATCH", "/pulls/1"), 1);
                stage.sh(LAND).ok();
                assert_landed(&stage, &["t-1"]);
            },
        ),
    ]
}
