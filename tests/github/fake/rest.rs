//! The double's REST API.

use serde_json::{Value, json};

use super::Request;
use super::world::{Pull, Run, World};

/// Status, head and body.
pub(super) type Said = (u16, Vec<String>, Value);

pub(super) fn said(status: u16, body: Value) -> Said {
    (status, Vec::new(), body)
}

pub(super) fn no(status: u16, message: &str) -> Said {
    said(
        status,
        json!({"message": message, "documentation_url": "https://docs.github.com/rest"}),
    )
}

fn invalid(error: &Value) -> Said {
    said(
        422,
        json!({"message": "Validation Failed", "errors": [error],
            "documentation_url": "https://docs.github.com/rest"}),
    )
}

const CLASSIC_OF_A_TOKEN: &str = "Resource not accessible by personal access token";

impl World {
    pub(super) fn rest(&mut self, request: &Request) -> Said {
        let path = decoded(request.path());
        // An Enterprise Server's.
        let path = path.strip_prefix("/api/v3").unwrap_or(&path);
        let steps: Vec<&str> = path.trim_start_matches('/').splitn(4, '/').collect();
        let name = steps
            .get(1..3)
            .map(|name| name.join("/"))
            .unwrap_or_default();
        if steps.first() != Some(&"repos") {
            return no(404, "Not Found");
        }
        let rest = steps.get(3).copied().unwrap_or_default();
        // By its number it is found under every name.
        if self.before.as_deref() == Some(&name) {
            let to = format!("http://{}/repositories/1/{rest}", request.host());
            let status = if request.verb == "GET" { 301 } else { 307 };
            let location = vec![format!("Location: {}", to.trim_end_matches('/'))];
            let body = json!({"message": "Moved Permanently", "url": to,
                "documentation_url": "https://docs.github.com/rest"});
            return (status, location, body);
        }
        if name != self.name {
            return no(404, "Not Found");
        }
        self.of_repository(request, rest)
    }

    pub(super) fn of_repository(&mut self, request: &Request, rest: &str) -> Said {
        let steps: Vec<&str> = rest.split('/').collect();
        match (request.verb.as_str(), &steps[..]) {
            ("GET", [""]) => said(
                200,
                json!({"id": 1, "name": "demo", "full_name": self.name}),
            ),
            ("GET", ["pulls"]) => self.list(request),
            ("POST", ["pulls"]) => self.open(&request.json()),
            ("GET", ["pulls", number]) => self.one(number),
            ("PATCH", ["pulls", number]) => self.change(number, &request.json()),
            ("PUT", ["pulls", number, "merge"]) => self.put_merge(number, &request.json()),
            (verb, ["pulls" | "issues", number, what]) => {
                let number = number.parse().unwrap();
                self.beside(request, verb, number, what)
            }
            ("GET", ["git", "ref", "heads", branch @ ..]) => {
                let branch = branch.join("/");
                match self.bare.branch(&branch) {
                    Some(sha) => said(
                        200,
                        json!({"ref": format!("refs/heads/{branch}"),
                            "object": {"type": "commit", "sha": sha}}),
                    ),
                    None => no(404, "Not Found"),
                }
            }
            ("GET", ["rules", "branches", ..]) => self.page_of(request, &self.rules),
            ("GET", ["branches", branch @ .., "protection"]) if !branch.is_empty() => {
                match &self.protection {
                    Some((status, body)) => said(*status, body.clone()),
                    None => no(404, "Branch not protected"),
                }
            }
            ("GET", ["branches", branch @ ..]) => self.branch(&branch.join("/")),
            ("GET", ["commits", sha, "check-runs" | "check-suites"]) if self.no_checks => {
                let right = vec!["X-Accepted-GitHub-Permissions: checks=read".to_owned()];
                let (status, _, body) = no(403, CLASSIC_OF_A_TOKEN);
                assert!(!sha.is_empty());
                (status, right, body)
            }
            ("GET", ["commits", sha, "check-runs"]) => {
                let runs: Vec<Value> = self.latest(sha).map(run).collect();
                let (status, head, runs) = self.page_of(request, &runs);
                (status, head, json!({"total_count": 0, "check_runs": runs}))
            }
            ("GET", ["commits", sha, "check-suites"]) => {
                let of = |suite: &&(String, String, Option<String>)| suite.0 == *sha;
                let suites: Vec<Value> = self.suites.iter().filter(of).map(suite).collect();
                said(
                    200,
                    json!({"total_count": suites.len(), "check_suites": suites}),
                )
            }
            ("GET", ["commits", sha, "status"]) => {
                let statuses = self.latest_statuses(sha);
                let (status, head, page) = self.page_of(request, &statuses);
                let body = json!({"state": "pending", "sha": sha, "statuses": page,
                    "total_count": statuses.len()});
                (status, head, body)
            }
            _ => no(404, "Not Found"),
        }
    }

    /// A page of a list, with a link to the next.
    pub(super) fn page_of(&self, request: &Request, all: &[Value]) -> Said {
        let asked = |name| {
            request
                .asked(name)
                .and_then(|text| text.parse::<usize>().ok())
        };
        let page = asked("page").unwrap_or(1);
        let size = asked("per_page").unwrap_or(30).min(self.page);
        let these: Value = all
            .iter()
            .skip((page - 1) * size)
            .take(size)
            .cloned()
            .collect();
        let mut head = Vec::new();
        if all.len() > page * size {
            let target = request.target.split("&page=").next().unwrap();
            let host = request.host();
            head.push(format!(
                "Link: <http://{host}{target}&page={}>; rel=\"next\", <http://{host}{target}&page=9>; rel=\"last\"",
                page + 1
            ));
        }
        (200, head, these)
    }

    fn list(&mut self, request: &Request) -> Said {
        let head = request.asked("head");
        // Without an owner the filter is ignored.
        let branch = head.as_deref().and_then(|head| head.split_once(':'));
        let state = request.asked("state").unwrap_or("open".to_owned());
        let fits = |pull: &&Pull| {
            let is_state = state == "all" || (state == "open") == pull.is_open();
            is_state && branch.is_none_or(|(owner, name)| owner == "acme" && name == pull.branch)
        };
        let mut found: Vec<Value> = self
            .pulls
            .iter()
            .filter(fits)
            .map(|pull| self.listed(pull))
            .collect();
        found.reverse();
        self.page_of(request, &found)
    }

    fn open(&mut self, new: &Value) -> Said {
        let text = |key: &str| new[key].as_str().unwrap_or_default().to_owned();
        let (branch, base) = (text("head"), text("base"));
        let field = |name| json!({"resource": "PullRequest", "field": name, "code": "invalid"});
        let Some(head) = self.bare.branch(&branch) else {
            return invalid(&field("head"));
        };
        let Some(at) = self.bare.branch(&base) else {
            return invalid(&field("base"));
        };
        let custom = |message: String| json!({"resource": "PullRequest", "code": "custom", "message": message});
        if self
            .pulls
            .iter()
            .any(|pull| pull.is_open() && pull.branch == branch)
        {
            return invalid(&custom(format!(
                "A pull request already exists for acme:{branch}."
            )));
        }
        if self.bare.is_in(&head, &at) {
            return invalid(&custom(format!("No commits between {base} and {branch}")));
        }
        let number = u64::try_from(self.pulls.len()).unwrap() + 1;
        self.pulls.push(Pull {
            number,
            title: text("title"),
            body: text("body"),
            branch,
            base,
            draft: new["draft"].as_bool().unwrap_or_default(),
            closed: false,
            merged: None,
            head,
            reviews: Vec::new(),
            threads: Vec::new(),
            comments: Vec::new(),
            labels: Vec::new(),
            reviewers: Vec::new(),
            entry: None,
            event: None,
        });
        self.one(&number.to_string()).with_status(201)
    }

    fn one(&mut self, number: &str) -> Said {
        let number: u64 = number.parse().unwrap();
        let found = self.pulls.iter().find(|pull| pull.number == number);
        let one = found.map(|pull| self.described(pull));
        self.computing = self.computing.saturating_sub(1);
        one.map_or_else(|| no(404, "Not Found"), |one| said(200, one))
    }

    fn change(&mut self, number: &str, change: &Value) -> Said {
        let Some(pull) = self.pull(number.parse().unwrap()) else {
            return no(404, "Not Found");
        };
        if change["state"] == "closed" {
            pull.closed = true;
        }
        if let Some(base) = change["base"].as_str() {
            base.clone_into(&mut pull.base);
        }
        self.one(number)
    }

    fn put_merge(&mut self, number: &str, body: &Value) -> Said {
        let number: u64 = number.parse().unwrap();
        let Some(pull) = self.pulls.iter().find(|pull| pull.number == number) else {
            return no(404, "Not Found");
        };
        let state = self.merge_state(pull);
        if !pull.is_open() || matches!(state, "dirty" | "unknown" | "draft") {
            return no(405, "Pull Request is not mergeable");
        }
        if self.has_queue {
            return no(405, "Changes must be made through the merge queue");
        }
        if let Some(lacks) = self.lacks(pull) {
            return no(405, &lacks);
        }
        if body["sha"].as_str() != Some(&pull.head) {
            return no(
                409,
                "Head branch was modified. Review and try the merge again.",
            );
        }
        let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
        let message = format!("{}\n\n{}", text("commit_title"), text("commit_message"));
        match self.merge(number, &text("merge_method"), &message) {
            Some(sha) => said(
                200,
                json!({"sha": sha, "merged": true, "message": "Pull Request successfully merged"}),
            ),
            None => no(405, "Pull Request is not mergeable"),
        }
    }

    fn branch(&self, name: &str) -> Said {
        let Some(sha) = self.bare.branch(name) else {
            return no(404, "Branch not found");
        };
        let protected = self.protection.is_some() || !self.rules.is_empty();
        said(
            200,
            json!({"name": name, "commit": {"sha": sha}, "protected": protected,
                "protection": self.shown}),
        )
    }

    pub(super) fn latest(&self, sha: &str) -> impl Iterator<Item = &Run> {
        let newer = |run: &Run| {
            self.runs.iter().any(|other| {
                (other.suite, &other.name) == (run.suite, &run.name)
                    && other.commit == run.commit
                    && other.id > run.id
            })
        };
        let of = move |run: &&Run| run.commit == sha;
        self.runs.iter().filter(of).filter(move |run| !newer(run))
    }

    fn latest_statuses(&self, sha: &str) -> Vec<Value> {
        let mut latest: Vec<Value> = Vec::new();
        for (commit, context, state) in self.statuses.iter().rev() {
            if commit == sha && !latest.iter().any(|one| one["context"] == **context) {
                latest.push(
                    json!({"context": context, "state": state, "target_url": null,
                    "description": format!("{context} says {state}")}),
                );
            }
        }
        latest
    }

    /// As lists have it.
    pub(super) fn listed(&self, pull: &Pull) -> Value {
        let mut one = self.described(pull);
        for key in ["mergeable", "mergeable_state", "merged"] {
            one.as_object_mut().unwrap().remove(key);
        }
        one
    }

    fn described(&self, pull: &Pull) -> Value {
        let repo = json!({"id": 1, "name": "demo", "full_name": self.name});
        let label = |name: &String| json!({"name": name});
        let user = |name: &String| json!({"login": name, "id": 2});
        json!({
            "number": pull.number, "id": pull.number, "title": pull.title, "body": pull.body,
            "html_url": format!("https://github.com/{}/pull/{}", self.name, pull.number),
            "state": if pull.is_open() { "open" } else { "closed" }, "draft": pull.draft,
            "user": {"login": "owner", "id": 1},
            "merged": pull.merged.is_some(),
            "merged_at": pull.merged.as_ref().map(|_| "2026-01-01T00:00:00Z"),
            // Of an open one the merge that was tried.
            "merge_commit_sha": pull.merged.as_ref().map_or(&pull.head, |(_, commit)| commit),
            "mergeable": self.mergeable(pull), "mergeable_state": self.merge_state(pull),
            "labels": pull.labels.iter().map(label).collect::<Value>(),
            "requested_reviewers": pull.reviewers.iter().map(user).collect::<Value>(),
            "head": {"ref": pull.branch, "label": format!("acme:{}", pull.branch),
                "sha": pull.merged.as_ref().map_or(&pull.head, |(head, _)| head), "repo": repo},
            "base": {"ref": pull.base, "label": format!("acme:{}", pull.base),
                "sha": self.bare.branch(&pull.base), "repo": repo},
        })
    }
}

trait WithStatus {
    fn with_status(self, status: u16) -> Self;
}

impl WithStatus for Said {
    fn with_status(self, status: u16) -> Self {
        match self.0 {
            200 => (status, self.1, self.2),
            _ => self,
        }
    }
}

pub(super) fn texts(list: &Value) -> Vec<String> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(|one| one.as_str().map(str::to_owned))
        .collect()
}

fn run(run: &Run) -> Value {
    json!({"id": run.id, "name": run.name, "head_sha": run.commit, "status": run.status,
        "conclusion": run.conclusion, "details_url": "https://ci.invalid/",
        "app": {"id": 15368, "slug": "github-actions"}, "check_suite": {"id": run.suite},
        "output": {"title": format!("{} ran", run.name), "summary": null}})
}

fn suite((sha, status, conclusion): &(String, String, Option<String>)) -> Value {
    json!({"head_sha": sha, "status": status, "conclusion": conclusion,
        "app": {"id": 15368, "slug": "github-actions"}})
}

/// `%XX` as the character: no test has others.
fn decoded(path: &str) -> String {
    let mut parts = path.split('%');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (code, rest) = part.split_at(2);
        text.push(char::from(u8::from_str_radix(code, 16).unwrap()));
        text += rest;
    }
    text
}
