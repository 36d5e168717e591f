//! A server on the loopback interface that says one thing that GitHub has said, byte for byte, and the
//! least that a client understands about everything else.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value, json};

use super::Recording;
use crate::github::http::{Answer, Request, serve};

/// The base that everything lands on.
pub(super) const BASE: &str = "ba5e000000000000000000000000000000000000";

pub(super) struct Replay {
    port: u16,
    state: Arc<State>,
}

struct State {
    recording: Recording,
    /// What was said in the same test: pages, what a redirect leads to, and that nothing is new.
    others: Vec<Recording>,
    /// The head of every pull request.
    head: String,
    /// What was said, oldest first.
    said: Mutex<Vec<Recording>>,
    log: Mutex<Vec<String>>,
}

impl Replay {
    pub(super) fn of(recording: &Recording, others: Vec<Recording>, head: &str) -> Self {
        let state = Arc::new(State {
            recording: recording.clone(),
            others,
            head: head.to_owned(),
            said: Mutex::default(),
            log: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        let port = serve(move |request, port| shared.answer(request, port));
        Self { port, state }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The recordings that were said, oldest first.
    pub(super) fn said(&self) -> Vec<Recording> {
        lock(&self.state.said).clone()
    }

    /// What was asked, as `VERB PATH`.
    pub(super) fn log(&self) -> Vec<String> {
        lock(&self.state.log).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn answer(&self, request: &Request, port: u16) -> Answer {
        let (verb, path) = (request.verb.as_str(), request.path());
        lock(&self.log).push(format!("{verb} {path}"));
        if let Some(recording) = self.choose(request) {
            lock(&self.said).push(recording.clone());
            return recording.answer(port);
        }
        let (status, body) = match path {
            "/graphql" => (200, self.graphql(&request.body)),
            path => self.plain(verb, path),
        };
        Answer {
            status,
            head: Vec::new(),
            body: body.to_string(),
        }
    }

    /// What GitHub said to this; `None`: nobody knows.
    fn choose(&self, request: &Request) -> Option<&Recording> {
        let asked_anew = request.head.iter().any(|line| {
            let lower = line.to_ascii_lowercase();
            lower.starts_with("if-none-match:")
        });
        let is_other = |other: &&Recording| {
            let is_it = other.verb == request.verb && other.target == request.target;
            is_it && asked_anew == (other.status == 304)
        };
        let other = || self.others.iter().find(is_other);
        let one = &self.recording;
        let is_it = one.verb == request.verb && one.path() == request.path();
        let is_page = request.target.contains("&page=");
        // A gateway's word is not its last.
        let is_gone = (502..=504).contains(&one.status) && !lock(&self.said).is_empty();
        match is_it && !is_page && !is_gone && !asked_anew {
            true => Some(one),
            false => other(),
        }
    }

    /// Everything that a query asks for by number or by name, where nothing is known.
    fn graphql(&self, body: &str) -> Value {
        let body: Value = serde_json::from_str(body).unwrap();
        let query = body["query"].as_str().unwrap_or_default();
        let mut found = Map::new();
        for word in query.split([' ', '{', '}']) {
            let number = word
                .strip_prefix("pull")
                .and_then(|rest| rest.strip_suffix(':'));
            if let Some(number) = number.and_then(|number| number.parse::<u64>().ok()) {
                found.insert(format!("pull{number}"), self.node(number));
            }
        }
        found.insert("base0".to_owned(), json!({"target": {"oid": BASE}}));
        json!({"data": {"rateLimit": {"cost": 1}, "repository": found}})
    }

    fn node(&self, number: u64) -> Value {
        json!({
            "number": number, "url": "", "state": "OPEN", "isDraft": false,
            "headRefOid": self.head, "baseRefName": "main", "mergeable": "MERGEABLE", "mergeStateStatus": "CLEAN",
            "author": {"login": "ann"}, "mergeCommit": null,
            "isInMergeQueue": false, "isMergeQueueEnabled": false, "mergeQueueEntry": null,
            "reviews": {"pageInfo": {"hasPreviousPage": false}, "nodes": []},
            "commits": {"nodes": [{"commit": {"oid": self.head,
                "checkSuites": {"nodes": []}, "statusCheckRollup": null}}]},
        })
    }

    /// The least that is said of a repository where nothing is known.
    fn plain(&self, verb: &str, path: &str) -> (u16, Value) {
        let mut steps = path.trim_start_matches('/').splitn(4, '/');
        let (_, owner, name, rest) = (
            steps.next(),
            steps.next().unwrap_or_default(),
            steps.next().unwrap_or_default(),
            steps.next().unwrap_or_default(),
        );
        let rest: Vec<&str> = rest.split('/').filter(|step| !step.is_empty()).collect();
        let full = format!("{owner}/{name}");
        match (verb, &rest[..]) {
            ("GET", []) => (
                200,
                json!({"id": 1, "full_name": full, "default_branch": "main"}),
            ),
            ("GET", ["pulls", number]) => (200, self.pull(&full, number.parse().unwrap())),
            ("GET", [.., "check-runs"]) => (200, json!({"total_count": 0, "check_runs": []})),
            ("GET", [.., "check-suites"]) => (200, json!({"total_count": 0, "check_suites": []})),
            ("GET", [.., "runs"]) => (200, json!({"total_count": 0, "workflow_runs": []})),
            ("GET", [.., "status"]) => (
                200,
                json!({"state": "pending", "total_count": 0, "statuses": []}),
            ),
            ("GET", ["branches", name]) => (
                200,
                json!({"name": name, "commit": {"sha": BASE}, "protected": true}),
            ),
            ("GET", ["branches", _, "protection"]) => {
                (404, json!({"message": "Branch not protected"}))
            }
            ("GET", ["git", "ref", ..]) => {
                (200, json!({"object": {"sha": BASE, "type": "commit"}}))
            }
            ("GET", ["pulls"] | [.., "reviews"] | ["rules", ..]) | ("POST", [.., "labels"]) => {
                (200, json!([]))
            }
            ("POST", ["pulls"]) => (201, self.pull(&full, self.recording.number().unwrap_or(7))),
            ("PUT", [.., "merge"]) => (200, json!({"merged": true, "sha": BASE, "message": ""})),
            _ => (404, json!({"message": "Not Found"})),
        }
    }

    fn pull(&self, full: &str, number: u64) -> Value {
        let end = |name: &str, sha: &str| json!({"ref": name, "sha": sha, "repo": {"id": 1, "full_name": full}});
        json!({
            "number": number, "html_url": "", "state": "open", "draft": false,
            "user": {"login": "ann"}, "merged": false, "merged_at": null,
            "merge_commit_sha": null, "mergeable": true, "mergeable_state": "clean",
            "head": end("feat", &self.head), "base": end("main", BASE),
        })
    }
}
