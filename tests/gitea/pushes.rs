//! `--land push` on a real Gitea: what was tested is pushed, and the pull requests say where it is.

use libtest_mimic::Trial;
use serde_json::json;

use super::answers::assert_landed;
use super::repository::{Repository, landed, one, pulled};
use super::server::SERVER;
use super::test;
use crate::stage::proxy::{Fault, Proxy};
use crate::stage::{Stage, until};

const PUSH: &str = "pr-merge --land push --no-checks --once";

/// What was said on a pull request.
fn comments(repository: &Repository, number: u64) -> Vec<String> {
    let said = repository.get(&format!("/issues/{number}/comments"));
    let said = said.as_array().unwrap().iter();
    said.filter_map(|one| one["body"].as_str().map(str::to_owned))
        .filter(|body| !body.is_empty())
        .collect()
}

/// Where the base is.
fn tip(stage: &Stage) -> String {
    let script = "git ls-remote origin refs/heads/main | cut -f1";
    stage.sh(script).ok().stdout.trim().to_owned()
}

/// Lands two with this method; `settings` of the repository.
fn two(method: &str, settings: &serde_json::Value) -> (Repository, Stage) {
    let (repository, stage) = pulled(&[("t-1", "echo 1 > 1.txt"), ("t-2", "echo 2 > 2.txt")]);
    repository.ok("PATCH", "", settings);
    stage
        .sh(&format!("{PUSH} --method {method} t-1 t-2"))
        .ok()
        .says("landed as");
    assert_landed(&stage, &["t-1", "t-2"]);
    (repository, stage)
}

fn ways() -> Vec<Trial> {
    let mut trials = Vec::new();
    for method in ["squash", "merge"] {
        let name = format!("a {method} that is pushed is called merged, where that is allowed");
        trials.push(test(&name, move || {
            let (repository, stage) = two(method, &json!({"allow_manual_merge": true}));
            for (number, state, merged) in repository.pulls() {
                assert_eq!((state.as_str(), merged), ("closed", true), "{number}");
                assert_eq!(comments(&repository, number), Vec::<String>::new());
            }
            let last = &repository.get("/pulls/2")["merge_commit_sha"];
            assert_eq!(*last, *tip(&stage));
        }));
        let name = format!("a {method} that is pushed is named and closed, where that is not");
        trials.push(test(&name, move || {
            let (repository, stage) = two(method, &json!({"allow_manual_merge": false}));
            for (number, state, merged) in repository.pulls() {
                assert_eq!((state.as_str(), merged), ("closed", false), "{number}");
            }
            let said = comments(&repository, 2);
            assert_eq!(said.len(), 1, "{said:?}");
            let words = format!("Landed as {}.", tip(&stage));
            assert!(said[0].starts_with(&words), "{said:?}");
        }));
    }
    trials.push(test(
        "a merge that is pushed is seen, where Gitea looks",
        || {
            let settings = json!({"allow_manual_merge": false, "autodetect_manual_merge": true});
            let (repository, _stage) = two("merge", &settings);
            for (number, state, merged) in repository.pulls() {
                assert_eq!((state.as_str(), merged), ("closed", true), "{number}");
            }
        },
    ));
    trials
}

fn refusals() -> Vec<Trial> {
    vec![
        test(
            "a base that refuses the push is landed on by merges",
            || {
                let (repository, stage) =
                    pulled(&[("t-1", "echo 1 > 1.txt"), ("t-2", "echo 2 > 2.txt")]);
                repository.protect(&[], 0);
                let line = "pr-merge --land push --check true t-1 t-2";
                let ran = stage.sh(line).ok();
                let said = ran.stderr.matches("main is not pushed to").count();
                assert_eq!(said, 1, "{}", ran.all());
                assert_eq!(landed(&stage).len(), 2, "{}", ran.all());
                assert!(repository.pulls().iter().all(|(_, _, merged)| *merged));
            },
        ),
        test("one that is killed after its push tells Gitea once", || {
            for (verb, path) in [
                ("POST", "/pulls/1/merge"),
                ("POST", "/comments"),
                ("PATCH", "/pulls/1"),
            ] {
                let (repository, stage) = one();
                let proxy = Proxy::to(&SERVER.host());
                repository.by_way_of(&stage, &proxy);
                proxy.lose(verb, path, Fault::SilentBefore);
                let line = stage.start(&format!("{PUSH} t-1"));
                until("Gitea is told", || proxy.is_done());
                stage.kill_all();
                drop(line);
                assert_eq!(landed(&stage), ["Task t-1 (t-1)"]);
                assert_eq!(stage.bead("t-1")["metadata"]["phase"], "pr_created");
                stage.sh(&format!("{PUSH} t-1")).ok();
                assert_landed(&stage, &["t-1"]);
                assert_eq!(comments(&repository, 1).len(), 1, "{path}");
                assert_eq!(repository.pulls(), [(1, "closed".to_owned(), false)]);
            }
        }),
    ]
}

pub(super) fn trials() -> Vec<Trial> {
    [ways(), refusals()].into_iter().flatten().collect()
}
