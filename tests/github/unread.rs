//! Answers that are none, and refusals that last: nobody else is the worse for it, and GitHub is left
//! alone.

use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::json;

use super::fake::Broken;
use super::faults::thirty;
use super::repository::{Repository, assert_landed, landed, one, pulled};
use super::test;
use crate::forge::fact;
use crate::stage::{Stage, until};

const LAND: &str = "pr-merge --no-checks t-1";

fn three() -> (Repository, Stage) {
    pulled(&[
        ("t-1", "echo 1 > 1.txt"),
        ("t-2", "echo 2 > 2.txt"),
        ("t-3", "echo 3 > 3.txt"),
    ])
}

/// The second of three cannot be read for good: the others land, and it alone fails.
fn alone(how: Broken) {
    let (repository, stage) = three();
    repository.fake.set(|world| world.broken = Some((2, how)));
    let ran = stage.sh("pr-merge --no-checks t-1 t-2 t-3").code(1);
    ran.says("t-2: cannot be read: Something went wrong");
    assert_landed(&stage, &["t-1", "t-3"]);
    assert!(fact(&stage, "t-2", "error").contains("Something went wrong"));
    assert_eq!(fact(&stage, "t-2", "phase"), "pr_created");
}

fn answers() -> Vec<Trial> {
    vec![
        test("an error inside a success keeps everybody", || {
            let (repository, stage) = three();
            let wrong = json!({"data": null, "errors": [{"message": "Something went wrong"}]});
            repository
                .fake
                .say(("POST", "/graphql", 9), 200, &[], wrong);
            let ran = stage.sh("pr-merge --no-checks t-1 t-2 t-3").ok();
            ran.says("Something went wrong");
            let mut landed = landed(&stage);
            landed.sort();
            assert_eq!(
                landed,
                ["Task t-1 (t-1)", "Task t-2 (t-2)", "Task t-3 (t-3)"]
            );
            assert!(repository.fake.has_said_all());
        }),
        test("one that cannot be read is alone with that", || {
            alone(Broken::Look);
            alone(Broken::Part);
        }),
        test("one that a gateway gives up is alone with that", || {
            let (repository, stage) = three();
            let broken = Some((2, Broken::Gateway));
            repository.fake.set(|world| world.broken = broken);
            let ran = stage.sh("pr-merge --no-checks t-1 t-2 t-3").code(1);
            ran.says("t-2: cannot be read: HTTP 502");
            assert_landed(&stage, &["t-1", "t-3"]);
            assert_eq!(fact(&stage, "t-2", "phase"), "pr_created");
        }),
        test("a look that is too much for it is halved", || {
            let (repository, stage) = three();
            repository.fake.set(|world| world.most = 1);
            let ran = stage.sh("pr-merge --no-checks --once t-1 t-2 t-3").ok();
            assert!(!ran.stderr.contains("cannot"), "{}", ran.all());
            let mut landed = landed(&stage);
            landed.sort();
            assert_eq!(landed.len(), 3, "{}", ran.all());
        }),
        test(
            "a look that it never answers is given up, whatever its size",
            || {
                let (repository, stage, _) = thirty();
                let wrong = json!("<html>oops</html>");
                repository
                    .fake
                    .say(("POST", "/graphql", 99), 502, &[], wrong);
                let before = repository.fake.log().len();
                let line = stage.start("orch-status --checks");
                line.wait(Duration::from_mins(5)).code(1).says("HTTP 502");
                let log = repository.fake.log();
                let asked = log[before..]
                    .iter()
                    .filter(|line| line.contains("/graphql"));
                // As often as for one.
                let asked = asked.count();
                assert!((2..=10).contains(&asked), "{}", log[before..].join("\n"));
            },
        ),
        test(
            "what was too much once is not asked for with every look",
            || {
                let (repository, stage, ids) = thirty();
                repository.fake.set(|world| world.most = 20);
                let looks = || repository.fake.count("POST", "/graphql look");
                let before = looks();
                let mut line = stage.start(&format!("pr-merge --require never {ids}"));
                until("it has looked often", || looks() >= before + 12);
                line.kill();
                let mut given_up = 0;
                repository.fake.set(|world| given_up = world.given_up);
                assert!((1..=2).contains(&given_up), "{given_up}");
            },
        ),
        test("an error about a base is not a base that is gone", || {
            let (repository, stage) = one();
            repository.fake.set(|world| world.lost_branches = 2);
            stage.sh(LAND).ok().says("t-1: cannot be read");
            assert_landed(&stage, &["t-1"]);
        }),
        test(
            "what is not answered after a good look is asked again",
            || {
                let (repository, stage) = one();
                let wrong = json!({"message": "Server Error", "documentation_url": ""});
                repository.fake.say(("GET", "/pulls/1", 2), 500, &[], wrong);
                stage
                    .sh(LAND)
                    .ok()
                    .says("t-1: cannot be read: Server Error");
                assert_landed(&stage, &["t-1"]);
                assert!(repository.fake.has_said_all());
            },
        ),
    ]
}

/// The most looks that went by between two merges that were asked for.
fn looks_between_merges(log: &[String]) -> usize {
    let mut parts = log.split(|line| line.starts_with("PUT"));
    let looks = |part: &[String]| part.iter().filter(|line| line.ends_with(" look")).count();
    parts.next();
    parts.map(looks).max().unwrap_or_default()
}

fn refusals() -> Vec<Trial> {
    vec![
        test(
            "a merge of what is not found, and still shows, is a person's",
            || {
                let (repository, stage) = one();
                let gone = json!({"message": "Not Found", "documentation_url": ""});
                repository.fake.say(("PUT", "/merge", 99), 404, &[], gone);
                let ran = stage.sh(LAND).ok();
                ran.says(
                    "waits for a person: the forge shows it, but says of its merge: Not Found",
                );
                assert_eq!(repository.fake.count("PUT", "/merge"), 1);
                assert_eq!(landed(&stage), Vec::<String>::new());
            },
        ),
        test(
            "a refusal that lasts is asked about ever less often",
            || {
                for (status, words) in [
                    (405, "Required status check \"ci\" is expected."),
                    (
                        409,
                        "Head branch was modified. Review and try the merge again.",
                    ),
                ] {
                    let (repository, stage) = one();
                    let said = json!({"message": words, "documentation_url": ""});
                    repository
                        .fake
                        .say(("PUT", "/merge", 99), status, &[], said);
                    let mut line = stage.start(LAND);
                    until("looks go by without a merge", || {
                        looks_between_merges(&repository.fake.log()) >= 4
                    });
                    let asked = repository.fake.count("PUT", "/merge");
                    assert!(asked <= 10, "{asked} merges\n{}", line.said());
                    line.kill();
                }
            },
        ),
    ]
}

fn watching() -> Vec<Trial> {
    vec![
        test(
            "a board that is drawn often asks at the forge's own pace",
            || {
                let (repository, stage) = one();
                repository
                    .fake
                    .run(&repository.fake.head(1), 1, "ci", "success");
                // What is left of it is the people's: no second look for an hour.
                repository
                    .fake
                    .set(|world| world.quota = (5000, 2000, 3600));
                let before = repository.fake.log().len();
                let mut line = stage.start("orch-status --watch --checks");
                for n in 0..20 {
                    let title = format!("drawn {n}.");
                    stage.edit("t-1", &json!({"title": title}));
                    until("it is drawn again", || line.said().contains(&title));
                }
                assert!(line.said().contains("1 green"), "{}", line.said());
                line.kill();
                let log = repository.fake.log();
                let looks = log.iter().filter(|line| line.ends_with(" look"));
                assert_eq!(looks.count(), 1, "{}", log[before..].join("\n"));
            },
        ),
        test(
            "a board shows that the forge says nothing, and goes on",
            || {
                let (repository, stage) = one();
                let wrong = json!({"data": null, "errors": [{"message": "Something went wrong"}]});
                repository
                    .fake
                    .say(("POST", "/graphql", 99), 200, &[], wrong);
                let mut line = stage.start("orch-status --watch --checks");
                until("it is shown", || {
                    line.said().contains("Something went wrong")
                });
                stage.edit("t-1", &json!({"title": "drawn again"}));
                until("it is drawn again", || line.said().contains("drawn again"));
                line.kill();
                let ran = stage.sh("orch-status --checks").code(1);
                assert!(ran.stdout.contains("1 unknown"), "{}", ran.all());
                assert!(ran.stderr.contains("Something went wrong"), "{}", ran.all());
            },
        ),
        test("a board names a forge that cannot be reached", || {
            let (_repository, mut stage) = one();
            stage.set("GH_TOKEN", "none");
            let ran = stage
                .start("orch-status --checks")
                .wait(Duration::from_mins(3))
                .code(1);
            assert!(ran.stdout.contains("--checks: "), "{}", ran.all());
            assert!(ran.stdout.contains("t-1"), "{}", ran.all());
        }),
    ]
}

pub(super) fn trials() -> Vec<Trial> {
    [answers(), refusals(), watching()]
        .into_iter()
        .flatten()
        .collect()
}
