//! The gate's facts: checks of both kinds, what the base asks for, reviews.

use std::collections::HashSet;
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::repository::{assert_landed, landed, one, pulled};
use super::test;
use crate::forge::{again, fact};
use crate::stage::{Stage, until};

const LINE: &str = "pr-merge --once t-1";

/// A rule that asks for these checks.
fn checks(names: &[&str]) -> Value {
    let names: Value = names.iter().map(|name| json!({"context": name})).collect();
    json!({"required_status_checks": names, "strict_required_status_checks_policy": false})
}

/// A classic protection that asks for this check and so many approvals.
fn classic(name: &str, approvals: u64) -> Value {
    json!({
        "required_status_checks": {"strict": false, "contexts": [name],
            "checks": [{"context": name, "app_id": null}]},
        "required_pull_request_reviews": {"required_approving_review_count": approvals,
            "dismiss_stale_reviews": false, "require_code_owner_reviews": false},
    })
}

#[track_caller]
fn says(stage: &Stage, words: &str) {
    stage.sh(LINE).ok().says(words);
    assert_eq!(landed(stage), Vec::<String>::new());
}

fn colours() -> Vec<Trial> {
    vec![
        test(
            "no check at all is not green, nor are only skipped ones",
            || {
                let (repository, stage) = one();
                let head = repository.fake.head(1);
                says(&stage, "no check has reported to the forge");
                repository.fake.run(&head, 1, "lint", "skipped");
                says(&stage, "all its checks were skipped");
                repository.fake.run(&head, 1, "ci", "in_progress");
                says(&stage, "checks run: ci");
                repository.fake.run(&head, 1, "ci", "success");
                stage.sh(LINE).ok();
                assert_landed(&stage, &["t-1"]);
            },
        ),
        test(
            "check runs and statuses both count, the latest of each",
            || {
                let (repository, stage) = one();
                let head = repository.fake.head(1);
                repository.fake.run(&head, 1, "ci", "failure");
                repository.fake.run(&head, 1, "ci", "in_progress");
                repository.fake.status(&head, "old", "failure");
                repository.fake.status(&head, "old", "pending");
                says(&stage, "waits: checks run: ci, old");
                repository.fake.run(&head, 1, "ci", "success");
                says(&stage, "waits: checks run: old");
                repository.fake.status(&head, "old", "error");
                stage.sh(LINE).ok().says("sent back: checks failed: old");
                assert!(fact(&stage, "t-1", "feedback").contains("old says error"));
            },
        ),
        test(
            "a workflow that has not begun, or cannot, is not green",
            || {
                let (repository, stage) = one();
                let head = repository.fake.head(1);
                repository.fake.run(&head, 1, "quick", "success");
                repository.fake.workflow(&head, "queued", None);
                says(&stage, "waits: checks run: GitHub Actions");
                repository
                    .fake
                    .workflow(&head, "completed", Some("startup_failure"));
                stage
                    .sh(LINE)
                    .ok()
                    .says("sent back: checks failed: GitHub Actions");
            },
        ),
        test("what checks of an earlier head said is void", || {
            let (repository, stage) = one();
            repository
                .fake
                .run(&repository.fake.head(1), 1, "ci", "success");
            let more = "echo more > more.txt; git add .; git commit --quiet -m more";
            again(&stage, "t-1", more);
            stage.sh("pr-open t-1").ok();
            says(&stage, "no check has reported");
        }),
        test("more checks than a page are all read", || {
            let (repository, stage) = one();
            let head = repository.fake.head(1);
            repository.fake.set(|world| world.page = 3);
            for n in 1..=7 {
                repository
                    .fake
                    .run(&head, n, &format!("run {n}"), "success");
                repository
                    .fake
                    .status(&head, &format!("status {n}"), "success");
            }
            repository.fake.run(&head, 8, "last", "failure");
            repository.fake.run(&head, 9, "after", "success");
            stage.sh(LINE).ok().says("sent back: checks failed: last");
        }),
        test(
            "checks that the token may not read are not taken for none",
            || {
                let (repository, stage) = one();
                repository
                    .fake
                    .run(&repository.fake.head(1), 1, "ci", "success");
                repository.fake.set(|world| world.no_checks = true);
                says(
                    &stage,
                    "checks cannot be read: Resource not accessible by personal access token",
                );
                // A check of ours may do without, where nobody asks for theirs.
                stage
                    .sh("pr-merge --once --check true --no-checks t-1")
                    .code(2);
                stage.sh("pr-merge --once --no-checks t-1").ok();
                assert_landed(&stage, &["t-1"]);
            },
        ),
    ]
}

fn policies() -> Vec<Trial> {
    vec![
        test(
            "rules, classic protection and --require are added up",
            || {
                let (repository, stage) = one();
                let head = repository.fake.head(1);
                repository
                    .fake
                    .rule("required_status_checks", &checks(&["rule"]));
                repository.fake.protect(200, classic("classic", 1));
                let line = "pr-merge --once --require ours t-1";
                repository.fake.run(&head, 1, "other", "failure");
                let asked = "it needs 1 approval(s) of its head, and has 0";
                stage.sh(line).ok().says(asked);
                repository.fake.review("ann", 1, "APPROVED", &head);
                for (name, words) in [
                    ("classic", "checks have not reported: rule, classic, ours"),
                    ("ours", "checks have not reported: rule, ours"),
                    ("rule", "checks have not reported: rule"),
                ] {
                    stage.sh(line).ok().says(words);
                    repository.fake.status(&head, name, "success");
                }
                stage.sh(line).ok();
                assert_landed(&stage, &["t-1"]);
            },
        ),
        test("rules come in pages, too", || {
            let (repository, stage) = one();
            repository.fake.set(|world| world.page = 1);
            for name in ["one", "two", "three"] {
                repository
                    .fake
                    .rule("required_status_checks", &checks(&[name]));
            }
            says(&stage, "checks have not reported: one, two, three");
        }),
        test(
            "protection that may not be read holds back until all is met",
            || {
                for status in [403, 404] {
                    let (repository, stage) = one();
                    let head = repository.fake.head(1);
                    let words = if status == 403 {
                        "Resource not accessible"
                    } else {
                        "Not Found"
                    };
                    repository
                        .fake
                        .protect(status, json!({"message": words, "documentation_url": ""}));
                    repository.fake.set(|world| {
                        world.shown = json!({"enabled": true, "required_status_checks": {
                        "enforcement_level": "everyone", "contexts": ["ci"],
                        "checks": [{"context": "ci", "app_id": null}]}});
                    });
                    // As if the base asked for an approval, too.
                    repository.fake.rule(
                        "pull_request",
                        &json!({"required_approving_review_count": 0}),
                    );
                    repository.fake.run(&head, 1, "other", "success");
                    says(&stage, "checks have not reported: ci");
                    repository.fake.run(&head, 1, "ci", "success");
                    stage.sh(LINE).ok();
                    assert_landed(&stage, &["t-1"]);
                }
            },
        ),
        test(
            "a base that its plan cannot protect asks for nothing",
            || {
                let (repository, stage) = one();
                let free =
                    "Upgrade to GitHub Pro or make this repository public to enable this feature.";
                let said = json!({"message": free, "documentation_url": ""});
                repository.fake.say(("GET", "/rules/", 99), 403, &[], said);
                stage.sh("pr-merge --once --no-checks t-1").ok();
                assert_landed(&stage, &["t-1"]);
            },
        ),
        test("rules that cannot be read hold back", || {
            let (repository, stage) = one();
            let said = json!({"message": "Resource not accessible", "documentation_url": ""});
            repository.fake.say(("GET", "/rules/", 99), 403, &[], said);
            stage
                .sh("pr-merge --once --no-checks t-1")
                .ok()
                .says("what its base asks for cannot be read");
            assert_eq!(landed(&stage), Vec::<String>::new());
        }),
        test(
            "a strict base gets branches that hold it, one at a time",
            || {
                let (repository, stage) =
                    pulled(&[("t-1", "echo 1 > 1.txt"), ("t-2", "echo 2 > 2.txt")]);
                let mut strict = checks(&["ci"]);
                strict["strict_required_status_checks_policy"] = json!(true);
                repository.fake.rule("required_status_checks", &strict);
                for number in [1, 2] {
                    repository
                        .fake
                        .run(&repository.fake.head(number), number, "ci", "success");
                }
                let old = repository.fake.head(2);
                let line = "pr-merge --once --check true t-1 t-2";
                stage
                    .sh(line)
                    .ok()
                    .says("t-2: brought up to date with main");
                assert_landed(&stage, &["t-1"]);
                let new = repository.fake.head(2);
                assert_ne!(old, new);
                stage
                    .sh("pr-merge --once --check true t-2")
                    .ok()
                    .says("checks have not reported: ci");
                repository.fake.run(&new, 3, "ci", "success");
                stage.sh("pr-merge --once --check true t-2").ok();
                assert_landed(&stage, &["t-1", "t-2"]);
            },
        ),
    ]
}

/// A reviewer that approves, and says whom it was asked about.
fn reviewer(stage: &Stage) -> String {
    let script = "echo $BEAD_ID >> ~/reviews; echo '{\"verdict\":\"approve\"}' > $BEADLINE_VERDICT";
    stage.write("review.sh", script);
    format!("--review 'sh {}'", stage.path("review.sh").display())
}

fn turns() -> Vec<Trial> {
    vec![
        test(
            "one is brought up to date at a time, however often it is looked",
            || {
                let work = [
                    ("t-1", "echo 1 > 1.txt"),
                    ("t-2", "echo 2 > 2.txt"),
                    ("t-3", "echo 3 > 3.txt"),
                ];
                let (repository, stage) = pulled(&work);
                let heads = || [1, 2, 3].map(|number| repository.fake.head(number));
                let before = heads();
                let elsewhere = "echo else > else.txt; git add .; git commit --quiet -m else
                    git push --quiet \"$HOME/../remote.git\" main";
                stage.sh(elsewhere).ok();
                for (number, head) in (1..).zip(&before) {
                    repository.fake.run(head, number, "ci", "success");
                }
                for _ in 0..3 {
                    stage.sh("pr-merge --once t-1 t-2 t-3").ok();
                }
                let after = heads();
                assert_ne!(after[0], before[0]);
                assert_eq!(after[1..], before[1..]);
                repository.fake.run(&after[0], 4, "ci", "success");
                stage
                    .sh("pr-merge --once t-1 t-2 t-3")
                    .ok()
                    .says_of("t-1", "landed as");
                stage.sh("pr-merge --once t-2 t-3").ok();
                let last = heads();
                assert_ne!(last[1], before[1]);
                assert_eq!(last[2], before[2]);
            },
        ),
        test(
            "a review counts for clean merges, and is not asked for where checks are red",
            || {
                let (repository, stage) = pulled(&[
                    ("t-1", "echo 1 > 1.txt"),
                    ("t-2", "echo 2 > 2.txt"),
                    ("t-3", "echo 3 > 3.txt"),
                ]);
                for (number, state) in [(1, "success"), (2, "success"), (3, "failure")] {
                    let head = repository.fake.head(number);
                    repository.fake.run(&head, number, "ci", state);
                }
                let old = repository.fake.head(2);
                let line = format!("pr-merge {} t-1 t-2 t-3", reviewer(&stage));
                let running = stage.start(&line);
                until("it is brought up to date", || {
                    repository.fake.head(2) != old
                });
                repository
                    .fake
                    .run(&repository.fake.head(2), 4, "ci", "success");
                running
                    .wait(Duration::from_mins(1))
                    .ok()
                    .says("t-3: sent back: checks failed: ci");
                assert_landed(&stage, &["t-1", "t-2"]);
                assert_eq!(stage.read("home/reviews"), "t-1\nt-2\n");
            },
        ),
    ]
}

/// Each landing puts the others behind their base, and they are brought up to date one by one.
fn one_review_each() -> Trial {
    test(
        "six that are brought up to date are reviewed once each",
        || {
            let work: Vec<(String, String)> = (1..=6)
                .map(|n| (format!("t-{n}"), format!("echo {n} > {n}.txt")))
                .collect();
            let work: Vec<(&str, &str)> = work
                .iter()
                .map(|(id, change)| (id.as_str(), change.as_str()))
                .collect();
            let (repository, stage) = pulled(&work);
            let flag = reviewer(&stage);
            let mut running = stage.start(&format!("pr-merge {flag} t-1 t-2 t-3 t-4 t-5 t-6"));
            // Every head passes its checks as soon as it is there.
            let mut heads = HashSet::new();
            until("all have landed", || {
                for number in 1..=6 {
                    let head = repository.fake.head(number);
                    if heads.insert(head.clone()) {
                        repository.fake.run(&head, number, "ci", "success");
                    }
                }
                running.is_over()
            });
            running.wait(Duration::from_mins(1)).ok();
            let ids: Vec<&str> = work.iter().map(|(id, _)| *id).collect();
            assert_landed(&stage, &ids);
            assert_eq!(heads.len(), 6 + 5);
            let mut reviews: Vec<String> = stage
                .read("home/reviews")
                .lines()
                .map(str::to_owned)
                .collect();
            reviews.sort();
            assert_eq!(reviews, ids);
        },
    )
}

fn reviews() -> Vec<Trial> {
    let line = "pr-merge --once --no-checks --approvals 1 t-1";
    vec![
        test(
            "only who may write approves, and nobody their own work",
            move || {
                let (repository, stage) = one();
                let head = repository.fake.head(1);
                repository.fake.review("stranger", 1, "APPROVED", &head);
                repository.fake.review("owner", 1, "APPROVED", &head);
                stage.sh(line).ok().says("and has 0");
                repository
                    .fake
                    .review("stranger", 1, "CHANGES_REQUESTED", &head);
                repository.fake.review("ann", 1, "APPROVED", &head);
                stage.sh(line).ok();
                assert_landed(&stage, &["t-1"]);
            },
        ),
        test(
            "the latest word of each person counts, for the head it was said of",
            move || {
                let (repository, stage) = one();
                let head = repository.fake.head(1);
                repository.fake.review("ann", 1, "APPROVED", &head);
                repository.fake.review("ann", 1, "DISMISSED", &head);
                repository
                    .fake
                    .review("bob", 1, "APPROVED", &"0".repeat(40));
                stage.sh(line).ok().says("and has 0");
                repository.fake.review("bob", 1, "CHANGES_REQUESTED", &head);
                stage.sh(line).ok().says("sent back: bob wants changes");
                assert!(fact(&stage, "t-1", "feedback").contains("as I see it"));
                assert_eq!(landed(&stage), Vec::<String>::new());
            },
        ),
    ]
}

pub(super) fn trials() -> Vec<Trial> {
    let mut trials: Vec<Trial> = [colours(), policies(), turns(), reviews()]
        .into_iter()
        .flatten()
        .collect();
    trials.push(one_review_each());
    trials
}
