//! The double's GraphQL: the six questions that our programs ask, answered field by field.

use serde_json::{Map, Value, json};

use super::world::{Broken, Event, Pull, Review, Thread, World};

/// What it says of trouble that passes.
const WRONG: &str = "Something went wrong while executing your query.";

impl World {
    /// Whether the gateway before it does not wait for the answer.
    pub(super) fn gives_up(&mut self, asked: &Value) -> bool {
        let query = asked["query"].as_str().unwrap();
        let parts = query.split("pullRequest(number: ").skip(1);
        let numbers = parts.map(|part| part.split(')').next().unwrap().parse());
        let is_broken = match self.broken {
            Some((number, Broken::Gateway)) => numbers.clone().any(|one| one == Ok(number)),
            _ => false,
        };
        let gives_up =
            query.starts_with("query look") && (is_broken || numbers.count() > self.most);
        self.given_up += usize::from(gives_up);
        gives_up
    }

    pub(super) fn graph(&mut self, asked: &Value) -> Value {
        let query = asked["query"].as_str().unwrap();
        let variables = &asked["variables"];
        let mut faults = Vec::new();
        let data = if query.starts_with("query alive") {
            json!({"rateLimit": {"cost": 1}})
        } else if query.starts_with("query look") {
            self.look(query, variables, &mut faults)
        } else if query.starts_with("mutation enqueue") {
            self.enqueue(variables, &mut faults)
        } else {
            let number = variables["number"].as_u64().unwrap();
            let pull = self.pulls.iter().find(|pull| pull.number == number);
            let found = pull.map(|pull| match query.split('(').next() {
                Some("query left") => self.left(pull),
                Some("query threads") => threads(pull),
                _ => json!({"id": format!("PR_{number}")}),
            });
            if query.starts_with("query threads") && self.lost_threads > 0 {
                self.lost_threads -= 1;
                faults.push(json!({"message": WRONG, "path": ["repository", "pullRequest"]}));
                return json!({"data": {"repository": {"pullRequest": null}}, "errors": faults});
            }
            json!({"repository": {"pullRequest": found}})
        };
        match faults.is_empty() {
            true => json!({"data": data}),
            false => json!({"data": data, "errors": faults}),
        }
    }

    fn look(&mut self, query: &str, variables: &Value, faults: &mut Vec<Value>) -> Value {
        let name = format!(
            "{}/{}",
            variables["owner"].as_str().unwrap(),
            variables["name"].as_str().unwrap()
        );
        if name != self.name {
            faults.push(json!({"type": "NOT_FOUND", "path": ["repository"],
                "message": format!("Could not resolve to a Repository with the name '{name}'.")}));
            return json!({"rateLimit": {"cost": 1}, "repository": null});
        }
        let broken = self.broken.filter(|(number, _)| {
            let part = format!("pullRequest(number: {number})");
            query.contains(&part)
        });
        if let Some((_, Broken::Look)) = broken {
            faults.push(json!({"message": WRONG}));
            return Value::Null;
        }
        let mut answer = Map::new();
        for (key, value) in variables.as_object().unwrap() {
            if let Some(name) = value
                .as_str()
                .and_then(|text| text.strip_prefix("refs/heads/"))
            {
                let target = self.bare.branch(name);
                let mut found = target.map(|oid| json!({"target": {"oid": oid}}));
                if self.lost_branches > 0 {
                    faults.push(json!({"message": WRONG, "path": ["repository", key]}));
                    found = None;
                }
                answer.insert(key.clone(), json!(found));
            }
        }
        self.lost_branches = self.lost_branches.saturating_sub(1);
        for part in query.split("pullRequest(number: ").skip(1) {
            let number: u64 = part.split(')').next().unwrap().parse().unwrap();
            let alias = format!("pull{number}");
            if broken == Some((number, Broken::Part)) {
                faults.push(json!({"message": WRONG, "path": ["repository", alias]}));
                answer.insert(alias, Value::Null);
                continue;
            }
            let found = self.pulls.iter().find(|pull| pull.number == number);
            let facts = found.map(|pull| self.facts(pull, &alias, faults));
            if facts.is_none() {
                faults.push(json!({"type": "NOT_FOUND", "path": ["repository", alias],
                    "message": "Could not resolve to a PullRequest."}));
            }
            answer.insert(alias, json!(facts));
        }
        self.computing = self.computing.saturating_sub(1);
        json!({"rateLimit": {"cost": 1}, "repository": answer})
    }

    fn facts(&self, pull: &Pull, alias: &str, faults: &mut Vec<Value>) -> Value {
        let head = pull.merged.as_ref().map_or(&pull.head, |(head, _)| head);
        let mergeable = match self.mergeable(pull) {
            None => "UNKNOWN",
            Some(true) => "MERGEABLE",
            Some(false) => "CONFLICTING",
        };
        let entry = pull
            .entry
            .map(|state| json!({"state": state, "position": 1}));
        let commit = pull
            .merged
            .as_ref()
            .map(|(_, commit)| json!({"oid": commit}));
        let suites = self.suites.iter().filter(|(sha, ..)| sha == head);
        let suites: Value = suites
            .map(|(_, status, conclusion)| {
                json!({"status": status.to_uppercase(), "workflowRun": {"url": "https://ci.invalid/"},
                    "conclusion": conclusion.as_ref().map(|word| word.to_uppercase())})
            })
            .collect();
        let contexts = if self.no_checks {
            faults.push(json!({"type": "FORBIDDEN", "message": "Resource not accessible by personal access token",
                "path": ["repository", alias, "commits", "nodes", 0, "commit", "statusCheckRollup", "contexts", "nodes", 0]}));
            json!({"pageInfo": {"hasNextPage": false}, "nodes": [null]})
        } else {
            self.contexts(head)
        };
        let is_empty = contexts["nodes"].as_array().unwrap().is_empty();
        let rollup = (!is_empty).then(|| json!({"contexts": contexts}));
        json!({
            "number": pull.number,
            "url": format!("https://github.com/{}/pull/{}", self.name, pull.number),
            "state": pull.state(), "isDraft": pull.draft, "headRefOid": head, "baseRefName": pull.base,
            "mergeable": mergeable,
            "mergeStateStatus": self.merge_state(pull).to_uppercase(),
            "author": {"login": "owner"}, "mergeCommit": commit,
            "isInMergeQueue": pull.entry.is_some(), "isMergeQueueEnabled": self.has_queue,
            "mergeQueueEntry": entry,
            "reviews": {"pageInfo": {"hasPreviousPage": false},
                "nodes": pull.reviews.iter().map(review).collect::<Value>()},
            "commits": {"nodes": [{"commit": {"oid": head, "checkSuites": {"nodes": suites},
                "statusCheckRollup": rollup}}]},
        })
    }

    fn contexts(&self, sha: &str) -> Value {
        let mut nodes: Vec<Value> = self
            .latest(sha)
            .map(|run| {
                json!({"__typename": "CheckRun", "databaseId": run.id, "name": run.name,
                    "status": run.status.to_uppercase(), "summary": null,
                    "conclusion": run.conclusion.as_ref().map(|word| word.to_uppercase()),
                    "title": format!("{} ran", run.name), "detailsUrl": "https://ci.invalid/",
                    "checkSuite": {"databaseId": run.suite, "app": {"databaseId": 15368}}})
            })
            .collect();
        let mut seen: Vec<&str> = Vec::new();
        for (commit, context, state) in self.statuses.iter().rev() {
            if commit == sha && !seen.contains(&context.as_str()) {
                seen.push(context);
                nodes.push(json!({"__typename": "StatusContext", "context": context,
                    "state": state.to_uppercase(), "targetUrl": null,
                    "description": format!("{context} says {state}")}));
            }
        }
        json!({"pageInfo": {"hasNextPage": nodes.len() > self.page}, "nodes": nodes.get(..self.page).unwrap_or(&nodes)})
    }

    fn enqueue(&mut self, variables: &Value, faults: &mut Vec<Value>) -> Value {
        let number: u64 = variables["pull"].as_str().unwrap()[3..].parse().unwrap();
        let has_queue = self.has_queue;
        let pull = self.pull(number).unwrap();
        let message = if !has_queue {
            "The merge queue is not enabled for this branch."
        } else if variables["head"] != *pull.head {
            "The head branch was modified. Review and try again."
        } else if pull.entry.is_some() {
            "Pull request is already in the merge queue"
        } else {
            pull.entry = Some("QUEUED");
            pull.event = Some(Event::Added);
            let entry = json!({"state": "QUEUED", "position": 1});
            return json!({"enqueuePullRequest": {"mergeQueueEntry": entry}});
        };
        faults.push(
            json!({"type": "UNPROCESSABLE", "path": ["enqueuePullRequest"], "message": message}),
        );
        json!({"enqueuePullRequest": null})
    }

    fn left(&self, pull: &Pull) -> Value {
        let event = pull.event.as_ref().map(|event| match event {
            Event::Added => json!({"__typename": "AddedToMergeQueueEvent"}),
            Event::Removed { reason, commit } => {
                let contexts = self.contexts(commit);
                json!({"__typename": "RemovedFromMergeQueueEvent", "reason": reason,
                    "beforeCommit": {"statusCheckRollup": {"contexts": contexts}}})
            }
        });
        json!({"state": pull.state(), "isInMergeQueue": pull.entry.is_some(),
            "timelineItems": {"nodes": event.into_iter().collect::<Value>()}})
    }
}

fn threads(pull: &Pull) -> Value {
    let comment = |(by, words): &(String, String)| json!({"body": words, "author": {"login": by}});
    let thread = |thread: &Thread| {
        json!({"isResolved": thread.is_resolved, "path": thread.path, "line": thread.line,
            "comments": {"nodes": thread.comments.iter().map(comment).collect::<Value>()}})
    };
    json!({"reviewThreads": {"nodes": pull.threads.iter().map(thread).collect::<Value>()}})
}

fn review(review: &Review) -> Value {
    json!({"state": review.state, "body": review.body, "author": {"login": review.by},
        "authorCanPushToRepository": review.writes, "commit": {"oid": review.commit}})
}
