//! What stands beside a pull request in the double: comments, labels, reviewers.

use serde_json::{Value, json};

use super::Request;
use super::rest::{Said, no, said, texts};
use super::world::World;

impl World {
    pub(super) fn beside(
        &mut self,
        request: &Request,
        verb: &str,
        number: u64,
        what: &str,
    ) -> Said {
        let Some(pull) = self.pull(number) else {
            return no(404, "Not Found");
        };
        match (verb, what) {
            ("POST", "requested_reviewers") => {
                pull.reviewers = texts(&request.json()["reviewers"]);
                let found = self.pulls.iter().find(|pull| pull.number == number);
                said(201, found.map(|pull| self.listed(pull)).into())
            }
            ("POST", "labels") => {
                let wish = texts(&request.json()["labels"]);
                pull.labels.clone_from(&wish);
                said(200, wish.iter().map(|name| json!({"name": name})).collect())
            }
            ("POST", "comments") => {
                let body = request.json()["body"].as_str().unwrap().to_owned();
                let one = comment(&body);
                pull.comments.push(body);
                said(201, one)
            }
            ("GET", "comments") => {
                let all: Vec<Value> = pull.comments.iter().map(|body| comment(body)).collect();
                self.page_of(request, &all)
            }
            _ => no(404, "Not Found"),
        }
    }
}

fn comment(body: &str) -> Value {
    json!({"id": 1, "body": body, "user": {"login": "owner"}})
}
