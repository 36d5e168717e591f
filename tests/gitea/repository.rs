//! A repository on the server, with a stage whose clone it is the remote of.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use super::server::{OWNER, READER, REVIEWER, SERVER, Server};
use crate::forge::committed;
use crate::stage::proxy::Proxy;
use crate::stage::{Stage, task, until};

/// A repository of [`OWNER`] that [`REVIEWER`] may write to and [`READER`] may read.
pub(super) struct Repository {
    pub(super) server: &'static Server,
    pub(super) name: String,
}

static COUNT: AtomicU32 = AtomicU32::new(1);

impl Repository {
    /// A stage on a new repository of the shared server, with one commit on `main`, and these beads.
    /// The token is [`OWNER`]'s, in the environment; git has it from a credential helper.
    pub(super) fn stage(beads: &[Value]) -> (Self, Stage) {
        Self::stage_on(&SERVER, beads)
    }

    /// The same on another server.
    pub(super) fn stage_on(server: &'static Server, beads: &[Value]) -> (Self, Stage) {
        let name = format!("r{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let repository = Self { server, name };
        let stage = repository.on_stage(beads);
        (repository, stage)
    }

    fn on_stage(&self, beads: &[Value]) -> Stage {
        let server = self.server;
        let new = json!({"name": self.name, "private": true, "default_branch": "main"});
        let (status, said) = server.ask(OWNER, "POST", "/user/repos", Some(&new));
        assert_eq!(status, 201, "{said}");
        for (user, permission) in [(REVIEWER, "write"), (READER, "read")] {
            self.ok(
                "PUT",
                &format!("/collaborators/{user}"),
                &json!({"permission": permission}),
            );
        }
        let mut stage = Stage::new(beads);
        self.log_in(&mut stage, OWNER);
        stage
            .sh(&format!(
                "git remote set-url origin http://{}/{OWNER}/{}.git
                 git push --quiet -u origin main && git remote set-head origin main",
                server.host(),
                self.name
            ))
            .ok();
        // Until it has seen its first push, it takes the next one for that.
        until("the first push is seen", || {
            let (status, _) = self.ask(OWNER, "GET", "/pulls?limit=1", None);
            status == 200 && self.get("")["empty"] == false
        });
        stage
    }

    /// Lets all that the stage asks go by way of a proxy.
    pub(super) fn by_way_of(&self, stage: &Stage, proxy: &Proxy) {
        let token = self.server.token(OWNER);
        stage.write(
            "home/.git-credentials",
            &format!("http://{OWNER}:{token}@{}\n", proxy.host()),
        );
        let url = format!("http://{}/{OWNER}/{}.git", proxy.host(), self.name);
        stage.sh(&format!("git remote set-url origin {url}")).ok();
    }

    /// Gives the stage a user's token.
    pub(super) fn log_in(&self, stage: &mut Stage, user: &str) {
        let token = self.server.token(user);
        self.use_token(stage, user, &token);
    }

    pub(super) fn use_token(&self, stage: &mut Stage, user: &str, token: &str) {
        stage.write(
            "home/.git-credentials",
            &format!("http://{user}:{token}@{}\n", self.server.host()),
        );
        stage.sh("git config --global credential.helper store").ok();
        stage.set("GITEA_TOKEN", token);
    }

    /// Asks about the repository as a user.
    pub(super) fn ask(
        &self,
        user: &str,
        verb: &str,
        rest: &str,
        body: Option<&Value>,
    ) -> (u16, Value) {
        let path = format!("/repos/{OWNER}/{}{rest}", self.name);
        self.server.ask(user, verb, &path, body)
    }

    #[track_caller]
    pub(super) fn get(&self, rest: &str) -> Value {
        let (status, said) = self.ask(OWNER, "GET", rest, None);
        assert_eq!(status, 200, "{rest}: {said}");
        said
    }

    /// Changes something as the owner.
    #[track_caller]
    pub(super) fn ok(&self, verb: &str, rest: &str, body: &Value) -> Value {
        let (status, said) = self.ask(OWNER, verb, rest, Some(body));
        assert!(
            (200..300).contains(&status),
            "{verb} {rest}: {status} {said}"
        );
        said
    }

    /// Protects `main`: nobody pushes, these checks have to pass, so many have to approve.
    pub(super) fn protect(&self, checks: &[&str], approvals: u64) {
        self.protect_with(&json!({
            "status_check_contexts": checks, "enable_status_check": !checks.is_empty(),
            "required_approvals": approvals,
        }));
    }

    pub(super) fn protect_with(&self, more: &Value) {
        let mut rule = json!({"rule_name": "main", "enable_push": false});
        rule.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        self.ok("POST", "/branch_protections", &rule);
    }

    /// Says where a check of a commit stands.
    #[track_caller]
    pub(super) fn status(&self, commit: &str, name: &str, state: &str) {
        let body =
            json!({"context": name, "state": state, "description": format!("{name} says {state}")});
        self.ok("POST", &format!("/statuses/{commit}"), &body);
    }

    /// Reviews a pull request; returns the answer's status.
    pub(super) fn review(&self, user: &str, number: u64, event: &str, commit: &str) -> u16 {
        let body = json!({"event": event, "commit_id": commit, "body": "as I see it"});
        let (status, _) = self.ask(
            user,
            "POST",
            &format!("/pulls/{number}/reviews"),
            Some(&body),
        );
        status
    }

    /// All pull requests, whatever their state: number, state, merged.
    pub(super) fn pulls(&self) -> Vec<(u64, String, bool)> {
        let mut pulls = Vec::new();
        for page in 1.. {
            let found = self.get(&format!(
                "/pulls?state=all&sort=oldest&limit=50&page={page}"
            ));
            let found = found.as_array().unwrap();
            pulls.extend(found.iter().map(|pull| {
                (
                    pull["number"].as_u64().unwrap(),
                    pull["state"].as_str().unwrap().to_owned(),
                    pull["merged"].as_bool().unwrap(),
                )
            }));
            if found.len() < 50 {
                break;
            }
        }
        pulls
    }

    /// The head of a pull request.
    pub(super) fn head(&self, number: u64) -> String {
        let pull = self.get(&format!("/pulls/{number}"));
        pull["head"]["sha"].as_str().unwrap().to_owned()
    }
}

/// The subjects on `main`, first parents only, oldest first, without the first.
pub(super) fn landed(stage: &Stage) -> Vec<String> {
    let script = "git fetch --quiet origin main
        git log --first-parent --reverse --format=%s FETCH_HEAD | tail -n +2";
    let said = stage.sh(script).ok().stdout;
    said.lines().map(str::to_owned).collect()
}

/// A stage whose beads have open pull requests, numbered in this order; each made by shell lines on
/// its branch. Nothing protects `main`.
pub(super) fn pulled(work: &[(&str, &str)]) -> (Repository, Stage) {
    let beads: Vec<Value> = work.iter().map(|(id, _)| task(id)).collect();
    let (repository, stage) = Repository::stage(&beads);
    committed(&stage, work);
    let ids: Vec<&str> = work.iter().map(|(id, _)| *id).collect();
    stage.sh(&format!("pr-open {}", ids.join(" "))).ok();
    (repository, stage)
}

/// One bead with an open pull request.
pub(super) fn one() -> (Repository, Stage) {
    pulled(&[("t-1", "echo work > w.txt")])
}
