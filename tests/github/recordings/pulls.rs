//! Pull requests, their checks and reviews, and what is done to them.

use std::collections::BTreeSet;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::replay::BASE;
use super::{Client, HEAD, Recording, of_call, test};

fn wanted(number: &Value, branch: &str, base: &str, head: &str) -> Value {
    json!({"number": number, "branch": branch, "base": base, "head": head})
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn pulls() {
    let mut client = Client::new();
    let is_one = |recording: &&&Recording| recording.status == 200 && recording.number().is_some();
    for recording in of_call("GET", &["pulls", "*"]).iter().filter(is_one) {
        let said = recording.json();
        let (head, base) = (&said["head"], &said["base"]);
        let sha = text(&head["sha"]);
        let pull = wanted(&said["number"], text(&head["ref"]), text(&base["ref"]), sha);
        let told = client.ask(recording, sha, &json!({"pull": pull}));
        let state = match (said["merged"].as_bool(), text(&said["state"])) {
            (Some(true), _) => json!({"head": sha, "commit": said["merge_commit_sha"]}),
            (_, state) => json!(state),
        };
        let read = &told.answer;
        // In 2012 it did not say yet as what a pull request was merged.
        let is_nothing = said["merged"] == true && said["merge_commit_sha"].is_null();
        let is_right = is_nothing
            || read["number"] == said["number"]
                && read["state"] == state
                && read["head"] == head["sha"]
                && read["url"] == said["html_url"]
                && read["draft"] == said["draft"].as_bool().unwrap_or_default();
        client.check(recording, &told, "the pull request", is_right);
    }
    client.assert(24);
}

/// What GitHub says is unchanged is what it said before.
fn unchanged() {
    let mut client = Client::new();
    let said = of_call("GET", &["pulls", "*"]);
    for recording in said.iter().filter(|recording| recording.status == 304) {
        let is_first = |first: &&&Recording| {
            first.from == recording.from && first.target == recording.target && first.status == 200
        };
        let first = said.iter().find(is_first).unwrap();
        let pull = wanted(&json!(recording.number()), "master", "main", HEAD);
        let told = client.ask(first, HEAD, &json!([{"pull": pull}, {"pull": pull}]));
        let said = told.replay.said();
        let said = said.iter().filter(|one| one.target == recording.target);
        let statuses: Vec<u16> = said.map(|one| one.status).collect();
        let lines: Vec<&str> = told.ran.stdout.lines().collect();
        let is_right = statuses == [200, 304]
            && lines.len() == 2
            && lines[0] == lines[1]
            && lines[0].contains("\"state\":{\"head\"");
        client.check(recording, &told, "what was known", is_right);
    }
    client.assert(1);
}

/// A branch's pull request is found in a list if it is there.
fn lists() {
    let mut client = Client::new();
    for recording in of_call("GET", &["pulls"]) {
        let said = recording.json();
        let of_it = |pull: &&Value| {
            pull["state"] == "open" && pull["head"]["repo"]["id"] == pull["base"]["repo"]["id"]
        };
        let one = said.as_array().unwrap().iter().find(of_it);
        let (branch, head) = one.map_or(("feat", HEAD), |one| {
            (text(&one["head"]["ref"]), text(&one["head"]["sha"]))
        });
        let question = json!({"find": {"branch": branch, "head": head}});
        let told = client.ask(recording, HEAD, &question);
        let number = one.map_or(&Value::Null, |one| &one["number"]);
        let found = told.ran.stdout == "null\n" || told.answer["number"].is_number();
        let is_right = found && told.answer["number"] == *number;
        client.check(recording, &told, "the pull request of a branch", is_right);
    }
    client.assert(5);
}

fn checks() {
    let mut client = Client::new();
    for (list, name) in [("check-runs", "name"), ("status", "context")] {
        for recording in of_call("GET", &["commits", "*", list]) {
            let (_, _, steps) = recording.steps().unwrap();
            let pull = wanted(&json!(7), "feat", "main", steps[1]);
            let told = client.ask(recording, steps[1], &json!({"pull": pull}));
            // The latest of each name, and how it ended.
            let ended = |one: &Value| {
                let word = one.get("conclusion").unwrap_or(&one["state"]);
                let stand = match text(word) {
                    "success" | "neutral" => "Passed",
                    "skipped" => "Skipped",
                    "" | "pending" => "Pending",
                    _ => "Failed",
                };
                (text(&one[name]).to_owned(), stand.to_owned())
            };
            let pages: Vec<Value> = told.replay.said().iter().map(Recording::json).collect();
            let listed = |page| {
                let listed = Value::get(page, "check_runs").or(page.get("statuses"));
                listed.and_then(Value::as_array).into_iter().flatten()
            };
            let wanted: BTreeSet<_> = pages.iter().flat_map(listed).map(ended).collect();
            let read = |check: &Value| (text(&check[0]).to_owned(), text(&check[1]).to_owned());
            let found = told.answer["report"]["checks"].as_array();
            let found: Option<BTreeSet<_>> = found.map(|all| all.iter().map(read).collect());
            client.check(recording, &told, "its checks", found == Some(wanted));
        }
    }
    client.assert(7);
}

/// What is done: opened, labelled, given to reviewers, merged.
fn deeds() {
    let mut client = Client::new();
    let open = |labels: &Value, reviewers: &Value| {
        json!({"open": {"branch": "feat", "base": "main", "head": HEAD, "title": "t", "body": "b",
            "labels": labels, "reviewers": reviewers}})
    };
    for recording in of_call("POST", &["pulls"]) {
        let told = client.ask(recording, HEAD, &open(&json!([]), &json!([])));
        let number = &recording.json()["number"];
        let is_right = told.answer["created"]["number"] == *number;
        client.check(recording, &told, "that it was opened", is_right);
    }
    for recording in of_call("POST", &["issues", "*", "labels"]) {
        let told = client.ask(recording, HEAD, &open(&json!(["a"]), &json!([])));
        let is_right = told.answer["created"].is_object();
        client.check(recording, &told, "that it has labels", is_right);
    }
    for recording in of_call("POST", &["pulls", "*", "requested_reviewers"]) {
        let told = client.ask(recording, HEAD, &open(&json!([]), &json!(["ann"])));
        let is_right = told.answer["created"].is_object();
        client.check(recording, &told, "that it has reviewers", is_right);
    }
    for recording in of_call("PUT", &["pulls", "*", "merge"]) {
        let mut landing = wanted(&json!(recording.number()), "feat", "main", HEAD);
        for (name, value) in [("base_head", BASE), ("commit", BASE), ("tree", BASE)] {
            landing[name] = json!(value);
        }
        let told = client.ask(recording, HEAD, &json!({"land": landing}));
        let is_right = told.answer == "Merged";
        client.check(recording, &told, "that it was merged", is_right);
    }
    client.assert(10);
}

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "what it said is unchanged is what it said before",
            unchanged,
        ),
        test("all that it said of pull requests is understood", pulls),
        test(
            "all lists of pull requests that it gave are understood",
            lists,
        ),
        test("all that it said of checks is understood", checks),
        test("all that it said of what was done is understood", deeds),
    ]
}
