//! Repositories, their branches, and what these ask for.

use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::{Client, HEAD, Recording, of_call, test};

/// Asks for a pull request that is not there: all that is learned is the repository's name.
fn find() -> Value {
    json!({"find": {"branch": "feat", "head": HEAD}})
}

fn pull_on(base: &str) -> Value {
    json!({"pull": {"number": 7, "branch": "feat", "base": base, "head": HEAD}})
}

fn location(recording: &Recording) -> &str {
    let is = |(name, _): &&(String, String)| name.eq_ignore_ascii_case("location");
    recording
        .head
        .iter()
        .find(is)
        .map_or("", |(_, value)| value.as_str())
}

fn repositories() {
    let mut client = Client::new();
    // That nothing is new it never hears: it asks once.
    let is_one = |recording: &&&Recording| recording.status != 304;
    for recording in of_call("GET", &[]).iter().filter(is_one) {
        let told = client.ask(recording, HEAD, &find());
        let log = told.replay.log();
        // It is asked under the name that GitHub says it has now.
        let (owner, name, _) = recording.steps().unwrap();
        let asked = format!("{owner}/{name}");
        let known = |full: &Value| {
            let path = format!("GET /repos/{}/pulls", full.as_str().unwrap_or(&asked));
            told.ran.code == Some(0) && log.iter().any(|line| line.starts_with(&path))
        };
        let refused = |words: &str| told.ran.code == Some(1) && told.ran.stderr.contains(words);
        let (what, is_right) = match recording.status {
            200 => ("its name", known(&recording.json()["full_name"])),
            301 if location(recording).contains("/repositories/") => {
                let moved = log
                    .iter()
                    .any(|line| line.starts_with("GET /repositories/"));
                ("its new name", moved && told.ran.code == Some(0))
            }
            // From itself to itself, or to what is no API.
            301 => ("no end", refused("redirects")),
            // Of a gateway: it is asked again.
            502 => ("the second time", told.ran.code == Some(0)),
            404 => ("not there", refused("there is no repository")),
            _ => ("refused", refused(&recording.message())),
        };
        client.check(recording, &told, what, is_right);
    }
    client.assert(155);
}

fn branches() {
    let mut client = Client::new();
    for recording in of_call("GET", &["branches", "*"]) {
        let (_, _, steps) = recording.steps().unwrap();
        let told = client.ask(recording, HEAD, &pull_on(steps[1]));
        let read = &told.answer["base_head"];
        let is_right = match recording.status {
            200 => *read == recording.json()["commit"]["sha"],
            _ => told.answer["number"] == 7 && read.is_null(),
        };
        client.check(recording, &told, "where the base is", is_right);
    }
    client.assert(17);
}

fn protections() {
    let mut client = Client::new();
    for recording in of_call("GET", &["branches", "*", "protection"]) {
        let (_, _, steps) = recording.steps().unwrap();
        let told = client.ask(recording, HEAD, &pull_on(steps[1]));
        let said = recording.json();
        let names = &said["required_status_checks"]["contexts"];
        let count = &said["required_pull_request_reviews"]["required_approving_review_count"];
        let wanted = json!({
            "required": names.as_array().cloned().unwrap_or_default(),
            "approvals": count.as_u64().unwrap_or_default(),
        });
        let read = &told.answer["report"]["policy"];
        client.check(recording, &told, "what the base asks for", *read == wanted);
    }
    client.assert(4);
}

/// What GitHub says to anybody who asks too much, or is nobody.
fn refusals() {
    let mut client = Client::new();
    let is_one = |recording: &&Recording| {
        let is_user = recording.path() == "/user";
        matches!(recording.status, 401 | 403)
            && recording.verb == "GET"
            && (is_user || recording.from.contains("RateLimit"))
    };
    for recording in super::RECORDINGS.iter().filter(is_one) {
        // Whatever was asked, it is the answer to ours.
        let ours = Recording {
            target: "/repos/acme/demo".to_owned(),
            ..recording.clone()
        };
        let told = client.ask(&ours, HEAD, &find());
        let said = told.ran.stderr.contains(&recording.message());
        let is_right = told.ran.code == Some(1) && said && told.ran.took.as_secs() < 90;
        client.check(recording, &told, "why it is refused", is_right);
    }
    client.assert(8);
}

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "all that it said of repositories is understood",
            repositories,
        ),
        test("all that it said of branches is understood", branches),
        test("all that it said of protections is understood", protections),
        test("all that it said to refuse a request is told", refusals),
    ]
}
