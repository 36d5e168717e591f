//! A server on the loopback interface that says one thing that GitHub has said, byte for byte, and the
//! least that a client understands about everything else.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use serde_json::{Value, json};

use super::Recording;

/// The base that everything lands on.
pub(super) const BASE: &str = "ba5e000000000000000000000000000000000000";

/// The server; its thread ends with the tests.
pub(super) struct Replay {
    port: u16,
    state: Arc<State>,
}

struct State {
    recording: Recording,
    /// What the recording's redirect leads to.
    others: Vec<Recording>,
    /// The head of every pull request.
    head: String,
    served: Mutex<usize>,
    log: Mutex<Vec<String>>,
}

impl Replay {
    pub(super) fn of(recording: &Recording, others: Vec<Recording>, head: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            recording: recording.clone(),
            others,
            head: head.to_owned(),
            served: Mutex::default(),
            log: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                // What a client breaks off is no news.
                thread::spawn(move || drop(state.serve(&client, port)));
            }
        });
        Self { port, state }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How often the recording was said.
    pub(super) fn served(&self) -> usize {
        *lock(&self.state.served)
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
    fn serve(&self, mut client: &TcpStream, port: u16) -> std::io::Result<()> {
        let mut reader = BufReader::new(client);
        let mut first = String::new();
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            match line.trim_end() {
                "" => break,
                line if first.is_empty() => line.clone_into(&mut first),
                _ => {}
            }
        }
        reader.read_exact(&mut vec![0; length])?;
        let asked = first.trim_end_matches(" HTTP/1.1");
        lock(&self.log).push(asked.to_owned());
        let (verb, target) = asked.split_once(' ').unwrap();
        let path = target.split('?').next().unwrap_or_default();
        let (status, head, body) = self.answer(verb, path);
        let mut text = format!("HTTP/1.1 {status} Recorded\r\nConnection: close\r\n");
        for (name, value) in head {
            // It was elsewhere that they were said.
            let value = value.replace("https://api.github.com:443", "https://api.github.com");
            let here = format!("http://127.0.0.1:{port}");
            let value = value.replace("https://api.github.com", &here);
            text += &format!("{name}: {value}\r\n");
        }
        match status {
            204 | 304 => text += "\r\n",
            _ => text += &format!("Content-Length: {}\r\n\r\n{body}", body.len()),
        }
        client.write_all(text.as_bytes())
    }

    fn answer(&self, verb: &str, path: &str) -> (u16, Vec<(String, String)>, String) {
        if self.recording.verb == verb && self.recording.path() == path {
            *lock(&self.served) += 1;
            return self.recording.said();
        }
        let fits = |other: &&Recording| other.verb == verb && other.path() == path;
        if let Some(other) = self.others.iter().find(fits) {
            return other.said();
        }
        let (status, body) = self.plain(verb, path);
        (status, Vec::new(), body.to_string())
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
            ("GET", ["pulls", number]) => {
                let end = |name: &str, sha: &str| json!({"ref": name, "sha": sha, "repo": {"id": 1, "full_name": full}});
                let number: u64 = number.parse().unwrap();
                let pull = json!({
                    "number": number, "html_url": "", "state": "open", "draft": false,
                    "title": "", "body": "", "user": {"login": "ann"}, "merged": false,
                    "merged_at": null, "merge_commit_sha": null, "mergeable": true,
                    "mergeable_state": "clean", "labels": [], "requested_reviewers": [],
                    "head": end("feat", &self.head), "base": end("main", BASE),
                });
                (200, pull)
            }
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
            ("PUT", [.., "merge"]) => (200, json!({"merged": true, "sha": BASE, "message": ""})),
            _ => (404, json!({"message": "Not Found"})),
        }
    }
}
