//! Beads over HTTP: a running `bd serve`, where forking `bd` for every call is too slow.
//!
//! Follows the `OpenAPI` document of Beads 1.3 (`internal/httpapi/spec/openapi.v0.yaml`).

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::{Method, Request, Response};

use crate::answer::compact;
use crate::bead::{Bead, CLAIM};
use crate::change::{Change, Guard};
use crate::facts::Status;
use crate::lock::Lock;
use crate::store::{Reach, Store, now};

/// No request takes longer.
const LONGEST: Duration = Duration::from_secs(30);

/// Rows a page: beyond loopback the server refuses to answer everything at once.
const PAGE: usize = 1000;

/// Pauses between the tries of a request that did not reach a database.
const PAUSES: [u64; 6] = [250, 500, 1000, 4000, 8000, 15_000];

/// Largest answer, in bytes.
const LARGEST: u64 = 1 << 30;

/// The store behind a `bd serve`.
pub(crate) struct Serve {
    agent: Agent,
    url: String,
    /// Read anew for every request: it may be rotated.
    token: Option<PathBuf>,
}

/// What came of a request.
struct Answer {
    status: u16,
    body: String,
    /// An earlier try may have had its effect although it failed.
    again: bool,
}

/// A page of rows.
#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    items: Vec<&'a RawValue>,
    #[serde(default)]
    next_cursor: Option<String>,
}

/// The answer to a write.
#[derive(Deserialize)]
struct Written<'a> {
    #[serde(borrow)]
    issue: &'a RawValue,
}

/// RFC 9457, as the server uses it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    code: String,
    detail: String,
    title: String,
}

impl Serve {
    /// # Errors
    /// When the URL is none, or holds a secret.
    pub(crate) fn open(url: &str) -> anyhow::Result<Self> {
        let rest = url
            .strip_prefix("http://")
            .or_else(|| url.strip_prefix("https://"));
        let host = rest
            .and_then(|rest| rest.split('/').next())
            .unwrap_or_default();
        ensure!(!host.is_empty(), "BEADLINE_BEADS_URL is no http URL");
        ensure!(
            !host.contains('@'),
            "BEADLINE_BEADS_URL holds a name or password: name a file in BEADLINE_BEADS_TOKEN_FILE"
        );
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(LONGEST))
            .build();
        let token = env::var_os("BEADLINE_BEADS_TOKEN_FILE").filter(|file| !file.is_empty());
        Ok(Self {
            agent: agent.into(),
            url: url.trim_end_matches('/').to_owned(),
            token: token.map(PathBuf::from),
        })
    }

    fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(&Method::GET, path, None)
    }

    /// Sends a request; what did not reach a database is tried again.
    fn send(&self, method: &Method, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        let mut again = false;
        for pause in PAUSES {
            match self.once(method, path, body) {
                // 503: busy, or the database is away.
                Ok(answer) if answer.status != 503 => return Ok(Answer { again, ..answer }),
                Ok(_) | Err(_) => {}
            }
            again = true;
            thread::sleep(Duration::from_millis(pause));
        }
        let answer = self.once(method, path, body)?;
        Ok(Answer { again, ..answer })
    }

    fn once(&self, method: &Method, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        let url = format!("{}/v0/beads/{path}", self.url);
        let mut request = Request::builder()
            .method(method)
            .uri(&url)
            .header("Content-Type", "application/json");
        if let Some(token) = self.token()? {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let sent: Result<Response<ureq::Body>, _> = self.agent.run(request.body(body)?);
        let mut response = sent.with_context(|| format!("cannot reach Beads at '{}'", self.url))?;
        Ok(Answer {
            status: response.status().as_u16(),
            body: response
                .body_mut()
                .with_config()
                .limit(LARGEST)
                .read_to_string()
                .with_context(|| format!("cannot read what '{}' answers", self.url))?,
            again: false,
        })
    }

    /// The first line of the token's file.
    fn token(&self) -> anyhow::Result<Option<String>> {
        let Some(file) = &self.token else {
            return Ok(None);
        };
        let text = fs::read_to_string(file)
            .with_context(|| format!("cannot read the token in '{}'", file.display()))?;
        let token = text.lines().map(str::trim).find(|line| !line.is_empty());
        Ok(token.map(str::to_owned))
    }

    /// All rows of a listing.
    fn pages(&self, path: &str) -> anyhow::Result<Vec<Bead>> {
        let mut beads = Vec::new();
        let mut cursor = String::new();
        loop {
            let answer = self.get(&format!("{path}&limit={PAGE}{cursor}"))?.good()?;
            let page: Page = serde_json::from_str(&answer.body).context("no page of beads")?;
            for row in page.items {
                beads.push(Bead::parse(&compact(row.get()))?);
            }
            let Some(next) = page.next_cursor.filter(|next| !next.is_empty()) else {
                return Ok(beads);
            };
            cursor = format!("&cursor={}", encoded(&next));
        }
    }

    fn patch(&self, id: &str, guard: &Guard, change: &Change) -> anyhow::Result<Answer> {
        let mut patch = serde_json::Map::new();
        if let Some(status) = change.status {
            patch.insert("status".to_owned(), json!(status));
        }
        if let Some(assignee) = &change.assignee {
            patch.insert("assignee".to_owned(), json!(assignee));
        }
        if let Some(note) = &change.note {
            patch.insert("append_notes".to_owned(), json!(note));
        }
        if !change.facts.is_empty() {
            patch.insert("metadata".to_owned(), json!({"merge": change.facts}));
        }
        let actor = [
            change.assignee.as_deref().unwrap_or_default(),
            &guard.assignee,
        ]
        .into_iter()
        .find(|name| name.starts_with(CLAIM))
        .unwrap_or("beadline");
        let body = json!({
            "actor": actor,
            "expected_assignee": guard.assignee,
            "expected_status": guard.status,
            "patch": patch,
        });
        self.send(
            &Method::PATCH,
            &format!("issues/{}", encoded(id)),
            Some(&body),
        )
    }
}

impl Store for Serve {
    fn ready(&self) -> anyhow::Result<Vec<String>> {
        // This listing has no pages; beyond loopback it has to be bounded.
        let mut answer = self.get("ready?limit=0&brief=true")?;
        if answer.status == 400 {
            answer = self.get("ready?limit=100000&brief=true")?;
        }
        let answer = answer.good()?;
        let page: Page = serde_json::from_str(&answer.body).context("no page of beads")?;
        let bead = |row: &&RawValue| Ok(Bead::parse(&compact(row.get()))?.id().to_owned());
        page.items.iter().map(bead).collect()
    }

    fn list(&self) -> anyhow::Result<Arc<Vec<Bead>>> {
        let all = "issues?all=true&include_gates=true&include_infra=true&include_templates=true";
        self.pages(all).map(Arc::new)
    }

    fn show(&self, id: &str) -> anyhow::Result<Option<Bead>> {
        let answer = self.get(&format!("issues/{}?brief_deps=true", encoded(id)))?;
        if answer.status == 404 {
            return Ok(None);
        }
        let line = compact(&answer.good()?.body);
        // Its edges are whole issues here; those that were read before stay.
        Bead::parse(&line)?.without("dependencies").map(Some)
    }

    fn record(
        &self,
        id: &str,
        guard: &Guard,
        change: &Change,
        _: Option<&Lock>,
    ) -> anyhow::Result<Option<Bead>> {
        let answer = self.patch(id, guard, change)?;
        let missed = answer.status == 409 && answer.problem().code == "precondition_failed";
        if answer.status == 404 || (missed && !answer.again) {
            return Ok(None);
        }
        if missed {
            // The try before this one may have written, and its answer was lost.
            let bead = self.show(id)?;
            return Ok(bead.filter(|bead| change.is_done_to(bead, guard)));
        }
        let answer = answer.good()?;
        let written: Written = serde_json::from_str(&answer.body).context("no written bead")?;
        Bead::parse(&compact(written.issue.get()))?
            .with_assignee()
            .map(Some)
    }

    /// There is no heartbeat over HTTP, so a claim has no lease and counts from its last write:
    /// this makes one.
    fn renew(&self, id: &str, token: &str) -> anyhow::Result<bool> {
        let guard = Guard {
            assignee: token.to_owned(),
            status: Status::InProgress,
        };
        let change = Change::default().facts(&json!({"renewed_at": now()}));
        Ok(self.record(id, &guard, &change, None)?.is_some())
    }

    fn watched(&self) -> Option<PathBuf> {
        None
    }

    fn reach(&self) -> Reach {
        Reach::Server
    }
}

impl Answer {
    fn problem(&self) -> Problem {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    fn good(self) -> anyhow::Result<Self> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        let Problem {
            code,
            detail,
            title,
        } = self.problem();
        let words = [detail, title, code];
        let why = words.iter().find(|words| !words.is_empty());
        bail!(
            "Beads answers {}{}",
            self.status,
            why.map(|why| format!(": {why}")).unwrap_or_default()
        )
    }
}

/// One segment of a path, or one value of a query (RFC 3986, section 2.3).
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(byte.into());
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_segment() {
        assert_eq!(encoded("t-1.2"), "t-1.2");
        assert_eq!(encoded("../a b#?é"), "..%2Fa%20b%23%3F%C3%A9");
    }

    #[test]
    fn a_url_is_checked_before_it_is_used() {
        assert!(Serve::open("http://127.0.0.1:1/").is_ok());
        for url in ["", "127.0.0.1:1", "ftp://x", "http://", "http://u:p@h/"] {
            assert!(Serve::open(url).is_err(), "{url}");
        }
    }
}
