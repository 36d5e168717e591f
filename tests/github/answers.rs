//! What GitHub may say to a merge, row by row, and what comes of it.

use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::fake::Slip;
use super::repository::{Repository, assert_landed, landed, one, pulled};
use super::test;
use crate::forge::{again, fact};
use crate::stage::Stage;

const LAND: &str = "pr-merge --no-checks --once t-1";
const MERGE: (&str, &str, usize) = ("PUT", "/merge", 1);

/// One pull request whose next merge is answered with that.
fn told(status: u16, head: &[&str], body: Value) -> (Repository, Stage) {
    let (repository, stage) = one();
    repository.fake.say(MERGE, status, head, body);
    (repository, stage)
}

fn message(words: &str) -> Value {
    json!({"message": words, "documentation_url": "https://docs.github.com/rest"})
}

/// After this answer everything is read anew, and the merge sent once more lands it, once.
fn lands_after(status: u16, body: &Value) {
    let (repository, stage) = told(status, &[], body.clone());
    stage.sh(LAND).ok().says("landed as");
    assert_landed(&stage, &["t-1"]);
    assert!(repository.fake.has_said_all(), "{body}");
    let log = repository.fake.log();
    let merges: Vec<usize> = (0..log.len())
        .filter(|at| log[*at].starts_with("PUT"))
        .collect();
    let read = log[merges[0]..merges[1]].contains(&"GET /repos/acme/demo/pulls/1".to_owned());
    assert!(merges.len() == 2 && read, "{}", log.join("\n"));
}

/// This answer is told to a person, nothing lands, and another run tries again.
fn waits_after(status: u16, words: &str) {
    let (repository, stage) = told(status, &[], message(words));
    stage
        .sh(LAND)
        .ok()
        .says(&format!("waits for a person: {words}"));
    assert!(fact(&stage, "t-1", "waits").contains(words), "{words}");
    assert_eq!(landed(&stage), Vec::<String>::new());
    assert_eq!(repository.fake.count("PUT", "/merge"), 1, "{words}");
    stage.sh(LAND).ok().says("landed as");
    assert_landed(&stage, &["t-1"]);
}

fn rows() -> Vec<Trial> {
    vec![
        test("a base that was modified meanwhile is tried again", || {
            let words = "Base branch was modified. Review and try the merge again.";
            lands_after(405, &message(words));
        }),
        test("a head that was modified is looked at again", || {
            let words = "Head branch was modified. Review and try the merge again.";
            lands_after(409, &message(words));
        }),
        test("a check that it does not know yet is waited for", || {
            lands_after(405, &message("Required status check \"ci\" is expected."));
            lands_after(405, &message("2 of 2 required status checks are expected."));
        }),
        test("an answer that says nothing is an unknown outcome", || {
            lands_after(500, &message("Server Error"));
            lands_after(
                200,
                &json!({"sha": "0".repeat(40), "merged": false, "message": ""}),
            );
        }),
        test("what it refuses is told in its words", || {
            waits_after(405, "Pull Request is not mergeable");
            let review = "At least 1 approving review is required by reviewers with write access.";
            waits_after(405, review);
            waits_after(422, "Merge commits are not allowed on this repository.");
        }),
        test(
            "a queue that is required is named, with the flag for it",
            || {
                let (repository, stage) = told(
                    405,
                    &[],
                    message("Changes must be made through the merge queue"),
                );
                stage
                    .sh(LAND)
                    .ok()
                    .says("`--queue` lands by its merge queue");
                assert_eq!(repository.fake.count("POST", "enqueue"), 0);
            },
        ),
        test(
            "a right that is missing is named, and nobody waits for it",
            || {
                let (repository, stage) = told(
                    403,
                    &["X-Accepted-GitHub-Permissions: contents=write"],
                    message("Resource not accessible by personal access token"),
                );
                let ran = stage.sh(LAND).code(1);
                ran.says("not accessible by personal access token")
                    .says("it would take the permission contents=write");
                assert_eq!(fact(&stage, "t-1", "phase"), "pr_created");
                assert_eq!(repository.fake.count("PUT", "/merge"), 1);
            },
        ),
        test("a branch that lacks its base is brought up to date", || {
            let (_repository, stage) = told(405, &[], message("Head branch is out of date"));
            stage.sh("git push --quiet origin origin/main~0:refs/heads/x; git push --quiet origin :x").ok();
            stage.sh(LAND).ok();
            stage.sh(LAND).ok();
            assert_landed(&stage, &["t-1"]);
        }),
    ]
}

fn stories() -> Vec<Trial> {
    vec![
        test(
            "a head that moved while its check ran does not land",
            || {
                let (repository, stage) = one();
                let head = repository.fake.head(1);
                stage.write(
                "check.sh",
                &format!(
                    "set -eu\ncd {}\ngit checkout --quiet agent/t-1\necho sneaked > s.txt\ngit add .\n\
                     git commit --quiet -m sneaked\ngit push --quiet origin agent/t-1\ngit checkout --quiet main\n",
                    stage.path("work").display()
                ),
            );
                let check = stage.path("check.sh");
                let line = format!("pr-merge --once --check 'sh {}' t-1", check.display());
                stage
                    .sh(&line)
                    .ok()
                    .says("sent back: somebody pushed commit");
                assert_eq!(landed(&stage), Vec::<String>::new());
                assert_ne!(repository.fake.head(1), head);
            },
        ),
        test("every method lands what was tested", || {
            for method in ["squash", "merge", "rebase"] {
                let (repository, stage) =
                    pulled(&[("t-1", "echo 1 > 1.txt"), ("t-2", "echo 2 > 2.txt")]);
                let line = "pr-merge --check 'test -s a.txt' --once t-1 t-2 --method";
                stage.sh(&format!("{line} {method}")).ok();
                assert_eq!(
                    repository.fake.pulls(),
                    [(1, "MERGED"), (2, "MERGED")],
                    "{method}"
                );
                stage.sh("git fetch --quiet; git cat-file -e origin/main:1.txt; git cat-file -e origin/main:2.txt").ok();
            }
        }),
        test("a server that undoes what came before is caught", || {
            let (repository, stage) =
                pulled(&[("t-1", "echo 1 > 1.txt"), ("t-2", "echo 2 > 2.txt")]);
            stage.sh(LAND).ok();
            repository
                .fake
                .set(|world| world.slip = Some(Slip::WrongBase));
            stage
                .sh("pr-merge --no-checks --once t-2")
                .ok()
                .says("t-2: blocked, a person has to look at it: it landed as");
            assert_eq!(stage.bead("t-2")["status"], "blocked");
        }),
        test("a server that drops a commit is caught", || {
            let work = "echo 1 > 1.txt; git add .; git commit --quiet -m 1; echo 2 > 2.txt";
            for method in ["rebase", "squash"] {
                let (repository, stage) = pulled(&[("t-1", work)]);
                repository
                    .fake
                    .set(|world| world.slip = Some(Slip::DropsLast));
                stage
                    .sh(&format!("{LAND} --method {method}"))
                    .ok()
                    .says("which is not its work as that was tested");
                assert_eq!(stage.bead("t-1")["status"], "blocked", "{method}");
                // Nor is it taken for landed by a later look.
                stage.edit("t-1", &json!({"status": "open", "assignee": ""}));
            }
        }),
        test("conflicts are waited for while it looks for them", || {
            let (repository, stage) = one();
            repository.fake.set(|world| world.computing = 4);
            stage
                .sh("pr-merge --no-checks t-1")
                .ok()
                .says("waits: the forge takes in a push");
            assert_landed(&stage, &["t-1"]);
            assert_eq!(repository.fake.count("PUT", "/merge"), 1);
        }),
        test(
            "a repository that was renamed is followed, the merge included",
            || {
                let (repository, stage) = one();
                repository.fake.set(|world| {
                    world.before = Some("acme/demo".to_owned());
                    "acme/new".clone_into(&mut world.name);
                });
                let location = format!(
                    "Location: http://{}/repositories/1/pulls/1/merge",
                    repository.proxy.host()
                );
                repository
                    .fake
                    .say(MERGE, 307, &[&location], message("Temporary Redirect"));
                stage.sh(LAND).ok();
                assert_landed(&stage, &["t-1"]);
                assert_eq!(
                    repository
                        .fake
                        .count("PUT", "/repos/acme/new/pulls/1/merge"),
                    2
                );
            },
        ),
        test(
            "what was merged by hand is closed, what was closed is a person's",
            || {
                let (repository, stage) =
                    pulled(&[("t-1", "echo 1 > 1.txt"), ("t-2", "echo 2 > 2.txt")]);
                repository.fake.land(1, "squash");
                repository.fake.close(2);
                let ran = stage.sh("pr-merge --by-hand --once t-1 t-2").ok();
                ran.says_of("t-1", "landed as");
                assert_eq!(stage.bead("t-1")["status"], "closed");
                assert_eq!(stage.bead("t-2")["status"], "blocked");
            },
        ),
        test("a conflict goes back to its agent, who resolves it", || {
            let (repository, stage) =
                pulled(&[("t-1", "echo 1 > w.txt"), ("t-2", "echo 2 > w.txt")]);
            stage
                .sh("pr-merge --no-checks --once t-1 t-2")
                .ok()
                .says("t-2: sent back: conflicts with the base in w.txt");
            again(
                &stage,
                "t-2",
                "git fetch --quiet; git merge --quiet origin/main || true; echo 12 > w.txt
                git add .; git commit --quiet -m both",
            );
            stage.sh("pr-open t-2 | pr-merge --no-checks --once").ok();
            assert_landed(&stage, &["t-1", "t-2"]);
            assert_eq!(repository.fake.pulls().len(), 2);
        }),
    ]
}

pub(super) fn trials() -> Vec<Trial> {
    [rows(), stories()].into_iter().flatten().collect()
}
