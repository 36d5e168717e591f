//! `--land push`: what was tested is pushed, and the pull requests say where it is.

use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::json;

use super::repository::{Repository, assert_landed, landed, one, pulled};
use super::test;
use crate::stage::proxy::Fault;
use crate::stage::{Stage, until};

const PUSH: &str = "pr-merge --land push --no-checks --once";

fn two() -> (Repository, Stage) {
    pulled(&[("t-1", "echo 1 > 1.txt"), ("t-2", "echo 2 > 2.txt")])
}

/// Where the base is.
fn tip(stage: &Stage) -> String {
    let script = "git -C ../remote.git rev-parse main";
    stage.sh(script).ok().stdout.trim().to_owned()
}

/// The pull request names that commit, once, and is closed; no merge was asked for.
#[track_caller]
fn assert_told(repository: &Repository, number: u64, commit: &str) {
    let comments = repository.fake.comments(number);
    assert_eq!(comments.len(), 1, "{comments:?}");
    assert!(
        comments[0].starts_with(&format!("Landed as {commit}.")),
        "{comments:?}"
    );
    assert!(repository.fake.pulls().contains(&(number, "CLOSED")));
    assert_eq!(repository.fake.count("PUT", "/merge"), 0);
}

/// Has the repository refuse pushes to `main`.
fn refuse(stage: &Stage) {
    let hook =
        "#!/bin/sh\ngrep -q refs/heads/main || exit 0\necho 'main is protected' >&2\nexit 1\n";
    stage.write("remote.git/hooks/pre-receive", hook);
    stage.sh("chmod +x ../remote.git/hooks/pre-receive").ok();
}

fn ways() -> Vec<Trial> {
    vec![
        test(
            "a squash that is pushed closes its pull request, with a word",
            || {
                let (repository, stage) = one();
                stage.sh(&format!("{PUSH} t-1")).ok().says("landed as");
                assert_landed(&stage, &["t-1"]);
                let commit = tip(&stage);
                assert_eq!(stage.bead("t-1")["metadata"]["merged_sha"], *commit);
                assert_told(&repository, 1, &commit);
            },
        ),
        test("a merge that is pushed is seen by GitHub itself", || {
            let (repository, stage) = two();
            repository.fake.set(|world| world.slow = 3);
            let ran = stage.sh(&format!("{PUSH} --method merge t-1 t-2")).ok();
            assert_landed(&stage, &["t-1", "t-2"]);
            assert_eq!(
                repository.fake.pulls(),
                [(1, "MERGED"), (2, "MERGED")],
                "{}",
                ran.all()
            );
            assert_eq!(repository.fake.count("PATCH", ""), 0);
            assert_eq!(repository.fake.count("POST", "/comments"), 0);
        }),
        test("what was tested together is pushed together", || {
            let (repository, stage) = pulled(&[
                ("t-1", "echo 1 > 1.txt"),
                ("t-2", "echo 2 > 2.txt"),
                ("t-3", "echo 3 > 3.txt"),
            ]);
            // The first may be there before the others are.
            let check = "until [ -e ~/go ]; do sleep 0.02; done";
            let line = stage.start(&format!(
                "pr-merge --land push --batch 2 --check '{check}' t-1 t-2 t-3"
            ));
            let looks = || repository.fake.count("POST", "/graphql look");
            let before = looks();
            until("all are looked at", || looks() >= before + 3);
            stage.write("home/go", "");
            let ran = line.wait(Duration::from_mins(2)).ok();
            ran.says("together: green");
            assert_landed(&stage, &["t-1", "t-2", "t-3"]);
            for number in 1..=3 {
                assert_eq!(repository.fake.comments(number).len(), 1);
            }
            // Each landing is a push and a look; what landed together is one.
            assert_told(&repository, 3, &tip(&stage));
        }),
        test(
            "a base that refuses the push is landed on by merges",
            || {
                let (repository, stage) = two();
                refuse(&stage);
                let line = "pr-merge --land push --once --check true t-1 t-2";
                let ran = stage.sh(line).ok().says("pre-receive hook declined");
                let said = ran.stderr.matches("main is not pushed to").count();
                assert_eq!(said, 1, "{}", ran.all());
                assert_landed(&stage, &["t-1", "t-2"]);
                assert_eq!(repository.fake.pulls(), [(1, "MERGED"), (2, "MERGED")]);
                assert_eq!(repository.fake.count("PUT", "/merge"), 2);
            },
        ),
        test("`--queue` and `--land push` exclude each other", || {
            let (_repository, stage) = one();
            let ran = stage.sh("pr-merge --queue --land push --no-checks t-1");
            ran.code(2).says("exclude each other");
        }),
    ]
}

fn crashes() -> Vec<Trial> {
    vec![
        test(
            "one that is killed after its push tells GitHub once",
            || {
                for path in ["/comments", "/pulls/1"] {
                    let (repository, stage) = one();
                    let verb = if path == "/comments" { "POST" } else { "PATCH" };
                    repository.proxy.lose(verb, path, Fault::SilentBefore);
                    let line = stage.start(&format!("{PUSH} t-1"));
                    until("GitHub is told", || repository.proxy.is_done());
                    stage.kill_all();
                    drop(line);
                    assert_eq!(landed(&stage), ["Task t-1 (t-1)"]);
                    assert_eq!(stage.bead("t-1")["metadata"]["phase"], "pr_created");
                    stage.sh(&format!("{PUSH} t-1")).ok();
                    assert_landed(&stage, &["t-1"]);
                    assert_told(&repository, 1, &tip(&stage));
                }
            },
        ),
        test("a push whose answer is lost is found, once", || {
            for fault in [Fault::Reset, Fault::Truncated, Fault::BadGateway] {
                let (repository, stage) = one();
                repository.proxy.lose("POST", "git-receive-pack", fault);
                let line = stage.start("pr-merge --land push --no-checks t-1");
                let ran = line.wait(Duration::from_mins(3)).ok();
                assert!(repository.proxy.is_done(), "{}", ran.all());
                assert_landed(&stage, &["t-1"]);
                assert_told(&repository, 1, &tip(&stage));
            }
        }),
        test(
            "a base that moves as it is pushed to is tested again",
            || {
                let (repository, stage) = one();
                // Runs when git has learned where the base is.
                let hook = "#!/bin/sh\nmkdir $HOME/once 2> /dev/null || exit 0\ncat > /dev/null
                unset $(git rev-parse --local-env-vars)
                cd $HOME/../other && git push --quiet origin HEAD:main\n";
                stage
                    .sh("git clone --quiet ../remote.git ../other; cd ../other
                    echo else > else.txt; git add .; git commit --quiet -m else")
                    .ok();
                stage.write("work/.git/hooks/pre-push", hook);
                stage.sh("chmod +x .git/hooks/pre-push").ok();
                let line = "pr-merge --land push --check 'ls >> ~/log' t-1";
                let ran = stage.sh(line).ok();
                assert_eq!(landed(&stage), ["else", "Task t-1 (t-1)"]);
                let log = stage.read("home/log");
                assert!(log.ends_with("else.txt\nw.txt\n"), "{log}\n{}", ran.all());
                assert_told(&repository, 1, &tip(&stage));
            },
        ),
        test("two land in one push, or neither", || {
            let (_repository, stage) = two();
            let git = |args: &str| {
                let said = stage.sh(&format!("git {args}")).ok().stdout;
                said.trim().to_owned()
            };
            let base = git("rev-parse origin/main");
            let heads = [1, 2].map(|n| git(&format!("rev-parse agent/t-{n}")));
            let squash = |on: &str, head: &str, message: &str| {
                let tree = git(&format!("merge-tree --write-tree {on} {head}"));
                git(&format!("commit-tree {tree} -p {on} -m {message}"))
            };
            let one = squash(&base, &heads[0], "one");
            let both = squash(&one, &heads[1], "two");
            // Of the first, and of the second: the base, the head and the commit.
            let land = |parts: [[&str; 3]; 2]| {
                let of = |(n, [on, head, commit]): (usize, [&str; 3])| {
                    json!({"number": n, "branch": format!("agent/t-{n}"), "base": "main",
                        "head": head, "base_head": on, "commit": commit, "tree": commit,
                        "land": "push"})
                };
                let all: Vec<_> = (1..).zip(parts).map(of).collect();
                let question = json!({"land": all});
                let ran = stage.feed("ask-forge", &format!("{question}\n")).ok();
                ran.stdout
            };
            let first = [base.as_str(), heads[0].as_str(), one.as_str()];
            // The second head is not the one that was tested.
            let moved = land([first, [&one, &heads[0], &both]]);
            assert_eq!(moved, "\"Moved\"\n");
            // The second is not on top of the first.
            let apart = squash(&base, &heads[1], "apart");
            let said = land([first, [&one, &heads[1], &apart]]);
            assert!(said.contains("not on top of its base"), "{said}");
            assert_eq!(tip(&stage), base);
            let done = land([first, [&one, &heads[1], &both]]);
            assert_eq!(done, "\"Pushed\"\n");
            assert_eq!(tip(&stage), both);
            // Somebody was faster.
            let again = squash(&base, &heads[0], "again");
            let third = squash(&again, &heads[1], "third");
            let late = land([[&base, &heads[0], &again], [&again, &heads[1], &third]]);
            assert_eq!(late, "\"Moved\"\n");
            assert_eq!(tip(&stage), both);
        }),
        test(
            "what GitHub does not let us say has landed all the same",
            || {
                let (repository, stage) = one();
                let refused = json!({"message": "Must have admin rights to Repository.",
                "documentation_url": ""});
                let fake = &repository.fake;
                fake.say(("POST", "/comments", 9), 403, &[], refused);
                let ran = stage.sh(&format!("{PUSH} t-1")).ok();
                ran.says("t-1: pull request 1 is not settled: cannot comment on it: Must");
                assert_landed(&stage, &["t-1"]);
            },
        ),
    ]
}

pub(super) fn trials() -> Vec<Trial> {
    [ways(), crashes()].into_iter().flatten().collect()
}
