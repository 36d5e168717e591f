//! A way to `myworld`, a stateful double of GitHub's that is not ours: notes what our programs ask, and
//! fills in what it leaves out of its answers, or does not know.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::http::{Answer, Request, serve};
use super::spec::{Exchange, manners, violations};

pub(super) struct Gateway {
    port: u16,
    log: Arc<Mutex<Vec<Exchange>>>,
}

impl Gateway {
    /// The way to a server on this port.
    pub(super) fn to(upstream: u16) -> Self {
        let log = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&log);
        let port = serve(move |request, _| {
            let exchange = Exchange {
                verb: request.verb.clone(),
                target: request.target.clone(),
                head: request.head.clone(),
                body: request.body.clone(),
                answer: None,
            };
            shared
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(exchange);
            forward(request, upstream)
        });
        Self { port, log }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What was asked.
    pub(super) fn log(&self) -> Vec<Exchange> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.clone()
    }

    /// Asserts that all that was asked is what GitHub would take.
    #[track_caller]
    pub(super) fn assert_fair(&self) {
        let log = self.log();
        assert!(!log.is_empty(), "nothing was asked");
        let judge = |one: &Exchange| [violations(one), manners(one)].concat();
        let found: Vec<String> = log.iter().flat_map(judge).collect();
        assert_eq!(found, Vec::<String>::new());
    }
}

fn forward(request: &Request, upstream: u16) -> Answer {
    let head = vec![("Content-Type".to_owned(), "application/json".to_owned())];
    let none = |body: &Value| Answer {
        status: 200,
        head: head.clone(),
        body: body.to_string(),
    };
    // It knows neither.
    if request.path().contains("/rules/branches/") {
        return none(&json!([]));
    }
    if request.path().ends_with("/check-suites") {
        return none(&json!({"total_count": 0, "check_suites": []}));
    }
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .timeout_global(Some(Duration::from_mins(1)))
        .build()
        .into();
    let url = format!(
        "http://127.0.0.1:{upstream}/gw/api.github.com{}",
        request.target
    );
    let mut sent = ureq::http::Request::builder()
        .method(request.verb.as_str())
        .uri(url);
    for line in &request.head {
        let (name, value) = line.split_once(": ").unwrap();
        let lower = name.to_ascii_lowercase();
        if !["host", "content-length", "connection"].contains(&lower.as_str()) {
            sent = sent.header(name, value);
        }
    }
    // It has no such field; the answer gets it below.
    let body = request.body.replace("authorCanPushToRepository ", "");
    let mut answer = match body.as_str() {
        "" => agent.run(sent.body(()).unwrap()),
        body => agent.run(sent.body(body).unwrap()),
    }
    .unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    Answer {
        status: answer.status().as_u16(),
        head,
        body: match serde_json::from_str(&text) {
            Ok(mut body) => {
                fill(&mut body);
                body.to_string()
            }
            Err(_) => text,
        },
    }
}

/// It does not say in which repository the ends of a pull request are, nor whether a reviewer may write.
fn fill(body: &mut Value) {
    match body {
        Value::Array(items) => items.iter_mut().for_each(fill),
        Value::Object(fields) => {
            if fields.contains_key("ref") && fields.contains_key("sha") {
                let repo = json!({"id": 1, "full_name": "acme/demo"});
                fields.entry("repo").or_insert(repo);
            }
            let is_review = ["state", "author", "body", "commit"];
            if is_review.iter().all(|name| fields.contains_key(*name)) {
                fields.insert("authorCanPushToRepository".to_owned(), json!(true));
            }
            fields.values_mut().for_each(fill);
        }
        _ => {}
    }
}
