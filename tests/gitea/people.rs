//! What people do to pull requests, repositories, tokens and the server itself.

use libtest_mimic::Trial;
use serde_json::json;

use super::answers::{assert_landed, assert_not_landed};
use super::repository::{Repository, landed, one};
use super::server::{OWNER, READER, REVIEWER};
use super::test;
use crate::forge::{again, committed, fact};
use crate::stage::{Stage, task};

fn pull_requests() -> Vec<Trial> {
    vec![
        test(
            "one that was closed by hand goes to a person, with its work",
            || {
                let (repository, stage) = one();
                repository.ok("PATCH", "/pulls/1", &json!({"state": "closed"}));
                stage
                    .sh("pr-merge --no-checks --once t-1")
                    .ok()
                    .says("its pull request was closed");
                assert_eq!(stage.bead("t-1")["status"], "blocked");
                assert_not_landed(&stage, "t-1", "notes", "was closed");
                stage
                    .sh("git rev-parse --verify --quiet refs/heads/agent/t-1")
                    .ok();
            },
        ),
        test("one that was retargeted waits for a person", || {
            let (repository, stage) = one();
            stage.sh("git push --quiet origin main:release").ok();
            repository.ok("PATCH", "/pulls/1", &json!({"base": "release"}));
            let line = "pr-merge --no-checks --once t-1";
            let words = "waits for a person: it is to land on release, not on main";
            stage.sh(line).ok().says(words);
            assert_not_landed(&stage, "t-1", "waits", "release");
            repository.ok("PATCH", "/pulls/1", &json!({"base": "main"}));
            stage.sh(line).ok();
            assert_landed(&stage, &["t-1"]);
        }),
        test(
            "one that was retargeted during a rework stays there",
            || {
                let (repository, stage) = one();
                stage.sh("git push --quiet origin main:release").ok();
                repository.ok("PATCH", "/pulls/1", &json!({"base": "release"}));
                let more = "echo more > w.txt; git commit --quiet -am more";
                again(&stage, "t-1", more);
                let words = "is to land on release, as a person said";
                stage.sh("pr-open t-1").ok().says(words);
                assert_eq!(repository.get("/pulls/1")["base"]["ref"], "release");
                // A new claim has the bead's base again.
                stage.edit(
                    "t-1",
                    &json!({"metadata": {"phase": "committed", "pr_number": 0}}),
                );
                stage.sh("pr-open t-1").ok();
                assert_eq!(repository.get("/pulls/1")["base"]["ref"], "main");
            },
        ),
        test("one that was merged by hand is closed, once", || {
            let (repository, stage) = one();
            let merge = json!({"Do": "squash", "MergeTitleField": "by hand"});
            let (status, said) = repository.ask(REVIEWER, "POST", "/pulls/1/merge", Some(&merge));
            assert_eq!(status, 200, "{said}");
            stage.sh("pr-merge --once t-1 | wt-clean").ok();
            assert_eq!(stage.bead("t-1")["status"], "closed");
            assert_eq!(landed(&stage), ["by hand"]);
        }),
        test(
            "one whose work somebody pushed to the base is closed, on the server, too",
            || {
                let (repository, stage) = one();
                stage.sh("git push --quiet origin agent/t-1:main").ok();
                stage.sh("pr-merge --once t-1").ok().says("landed as");
                assert_eq!(stage.bead("t-1")["status"], "closed");
                assert_eq!(landed(&stage), ["work on t-1"]);
                assert_eq!(repository.pulls(), [(1, "closed".to_owned(), false)]);
                // A repository may let it be called merged.
                let (repository, stage) = one();
                repository.ok("PATCH", "", &json!({"allow_manual_merge": true}));
                stage.sh("git push --quiet origin agent/t-1:main").ok();
                stage.sh("pr-merge --once t-1").ok();
                assert_eq!(repository.pulls(), [(1, "closed".to_owned(), true)]);
            },
        ),
        test(
            "one that the token may not close has landed all the same",
            || {
                let (repository, mut stage) = one();
                let token = super::server::SERVER.generate_token(
                    OWNER,
                    &format!("settles-{}", repository.name),
                    "read:repository,read:issue,read:user",
                );
                stage.sh("git push --quiet origin agent/t-1:main").ok();
                stage.set("GITEA_TOKEN", &token);
                let ran = stage.sh("pr-merge --once t-1").ok();
                ran.says("t-1: pull request 1 is not settled: ")
                    .says("landed as");
                assert_eq!(stage.bead("t-1")["status"], "closed");
                assert_eq!(repository.pulls(), [(1, "open".to_owned(), false)]);
            },
        ),
        test("a draft waits until a person ends that", || {
            let (repository, stage) = Repository::stage(&[task("t-1")]);
            committed(&stage, &[("t-1", "echo work > w.txt")]);
            stage.sh("pr-open --draft t-1").ok();
            assert_eq!(repository.get("/pulls/1")["draft"], true);
            stage
                .sh("pr-merge --no-checks --once t-1")
                .ok()
                .says("it is a draft");
            assert_not_landed(&stage, "t-1", "waits", "draft");
            repository.ok("PATCH", "/pulls/1", &json!({"title": "Task t-1"}));
            stage.sh("pr-merge --no-checks --once t-1").ok();
            assert_landed(&stage, &["t-1"]);
        }),
        test(
            "a repository that was renamed is followed, by reads and changes",
            || {
                let (mut repository, stage) = Repository::stage(&[task("t-1"), task("t-2")]);
                committed(
                    &stage,
                    &[("t-1", "echo 1 > 1.txt"), ("t-2", "echo 2 > 2.txt")],
                );
                let renamed = format!("{}-renamed", repository.name);
                repository.ok("PATCH", "", &json!({"name": renamed}));
                repository.name = renamed;
                stage
                    .sh("pr-open t-1 t-2 | pr-merge --no-checks --once | wt-clean")
                    .ok();
                assert_landed(&stage, &["t-1", "t-2"]);
            },
        ),
    ]
}

/// Runs on a stage with a committed bead and these tokens; no token is ever said.
fn refused(user: &str, token: Option<&str>, words: &str) {
    let (repository, mut stage) = Repository::stage(&[task("t-1")]);
    committed(&stage, &[("t-1", "echo work > w.txt")]);
    let token = token.map_or_else(|| repository.server.token(user), str::to_owned);
    // git keeps a token that may push: only the forge's is bad.
    stage.set("GITEA_TOKEN", &token);
    for line in ["pr-open t-1", "pr-merge --once --no-checks < /dev/null"] {
        let ran = stage.sh(&format!("{line} 2>&1 | tee said; exit ${{PIPESTATUS[0]}}"));
        if line.starts_with("pr-open") {
            assert_eq!(ran.code, Some(1), "{}", ran.all());
            assert!(ran.stdout.contains(words), "no '{words}':\n{}", ran.all());
        }
        assert!(!ran.stdout.contains(&token), "{}", ran.all());
    }
    assert!(!stage.read("work/.beads/issues.jsonl").contains(&token));
    assert_eq!(repository.pulls(), []);
}

fn tokens() -> Vec<Trial> {
    vec![
        test(
            "a token that is none is refused before anything is done, and never said",
            || {
                refused(
                    OWNER,
                    Some("0123456789012345678901234567890123456789"),
                    "does not take the token",
                );
            },
        ),
        test(
            "a token that may only read opens nothing, and the server's reason is told",
            || {
                let token = super::server::SERVER.generate_token(
                    OWNER,
                    "reads",
                    "read:repository,read:issue,read:user",
                );
                refused(OWNER, Some(&token), "write:repository");
            },
        ),
        test("a user who may not see the repository is told that", || {
            let (repository, mut stage) = Repository::stage(&[task("t-1")]);
            repository.ask(OWNER, "DELETE", &format!("/collaborators/{READER}"), None);
            stage.set("GITEA_TOKEN", &repository.server.token(READER));
            stage.sh("pr-open t-1").code(1).says("no repository");
        }),
        test(
            "git's credential helper and a file are enough; agents get neither",
            || {
                let (repository, mut stage) = Repository::stage(&[task("t-1"), task("t-2")]);
                stage.set("BEADLINE_FORGE", "gitea");
                stage.set("GITEA_TOKEN", "");
                let token = repository.server.token(OWNER);
                stage.agent("env > ../../env; echo x > $BEAD_ID.txt; git add .; git commit -qm x");
                stage.set("BEADLINE_NO_CHECKS", "1");
                stage
                    .sh("bd-ready t-1 | wt-spawn | agent-run | pr-open | pr-merge --once")
                    .ok();
                stage.write("token", &format!("{token}\n"));
                stage.set(
                    "BEADLINE_TOKEN_FILE",
                    &stage.path("token").display().to_string(),
                );
                stage
                    .sh("bd-ready t-2 | wt-spawn | agent-run | pr-open | pr-merge --once")
                    .ok();
                assert_landed(&stage, &["t-1", "t-2"]);
                assert!(!stage.read("env").contains(&token));
                assert!(!stage.read("env").contains("TOKEN"));
            },
        ),
    ]
}

fn hosts() -> Vec<Trial> {
    let stage = || {
        let stage = Stage::with_tasks(1);
        committed(&stage, &[("t-1", "echo work > w.txt")]);
        stage
    };
    vec![
        crate::stage::test(
            "forge: a host that nothing is known of says what to set",
            move || {
                let mut stage = stage();
                stage
                    .sh("git remote set-url origin https://git.example.invalid/o/r.git")
                    .ok();
                stage
                    .sh("pr-open t-1")
                    .code(1)
                    .says("or to gitea, and GITEA_TOKEN");
                stage.set("GITEA_TOKEN", "abc");
                stage.set("GITEA_SERVER_URL", "https://other.example.invalid");
                stage
                    .sh("pr-open t-1")
                    .code(1)
                    .says("names another host than the remote");
                stage.set("GITEA_SERVER_URL", "");
                stage.set("GITEA_TOKEN", "");
                stage.set("BEADLINE_FORGE", "gitea");
                stage
                    .sh("pr-open t-1")
                    .code(1)
                    .says("no token for https://git.example.invalid");
                assert_eq!(fact(&stage, "t-1", "phase"), "committed");
            },
        ),
        crate::stage::test(
            "forge: plain git has no approvals and no required checks",
            || {
                let stage = Stage::with_tasks(1);
                stage
                    .sh("pr-merge --no-checks --approvals 1 < /dev/null")
                    .code(2)
                    .says("need a forge");
                stage
                    .sh("pr-merge --no-checks --require ci < /dev/null")
                    .code(2)
                    .says("need a forge");
            },
        ),
    ]
}

pub(super) fn trials() -> Vec<Trial> {
    [pull_requests(), tokens(), hosts()]
        .into_iter()
        .flatten()
        .collect()
}
