//! Requests to a `bd serve`: one after the other, bounded in time, the token in no message.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use serde::Deserialize;
use serde_json::Value;
use ureq::Agent;
use ureq::http::{Method, Request, Response};

use crate::debug;
use crate::retry::retry;

/// No request takes longer.
const LONGEST: Duration = Duration::from_secs(30);

/// Pauses between the tries of a request that did not reach a database.
pub(super) const PAUSES: [Duration; 6] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(15),
];

/// Largest answer, in bytes.
const LARGEST: u64 = 1 << 30;

/// Speaks to one server.
pub(super) struct Client {
    agent: Agent,
    url: String,
    /// Read anew for every request: it may be rotated.
    token: Option<PathBuf>,
}

/// What came of a request.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
    /// When it was given, by the server's clock.
    pub(super) date: Option<Timestamp>,
    /// An earlier try may have had its effect although it failed.
    pub(super) again: bool,
}

/// RFC 9457, as the server uses it.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Problem {
    pub(super) code: String,
    detail: String,
    title: String,
}

impl Client {
    /// # Errors
    /// When the URL is none, or holds a secret.
    pub(super) fn open(url: &str) -> anyhow::Result<Self> {
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

    pub(super) fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(&Method::GET, path, None)
    }

    /// Sends a request; what did not reach a database is tried again.
    pub(super) fn send(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Answer> {
        let ask = || self.once(method, path, body);
        // 503: busy, or the database is away.
        let is_lost = |sent: &anyhow::Result<Answer>| !matches!(sent, Ok(it) if it.status != 503);
        let (sent, again) = retry(PAUSES, ask, is_lost);
        Ok(Answer { again, ..sent? })
    }

    pub(super) fn once(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Answer> {
        let url = format!("{}/v0/beads/{path}", self.url);
        let mut request = Request::builder()
            .method(method)
            .uri(&url)
            .header("Content-Type", "application/json");
        if let Some(token) = self.token()? {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut running = debug::request(method.as_str(), path);
        let sent: Result<Response<ureq::Body>, _> = self.agent.run(request.body(body)?);
        let mut response = sent.with_context(|| format!("cannot reach Beads at '{}'", self.url))?;
        running.answered(response.status().as_u16());
        Ok(Answer {
            status: response.status().as_u16(),
            date: date(&response),
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
}

impl Answer {
    pub(super) fn problem(&self) -> Problem {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    pub(super) fn good(self) -> anyhow::Result<Self> {
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

/// When the server answered (RFC 9110, section 6.6.1).
fn date(response: &Response<ureq::Body>) -> Option<Timestamp> {
    let date = response.headers().get("date")?.to_str().ok()?;
    Some(rfc2822::parse(date).ok()?.timestamp())
}

/// One segment of a path, or one value of a query (RFC 3986, section 2.3).
pub(super) fn encoded(text: &str) -> String {
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
        assert!(Client::open("http://127.0.0.1:1/").is_ok());
        for url in ["", "127.0.0.1:1", "ftp://x", "http://", "http://u:p@h/"] {
            assert!(Client::open(url).is_err(), "{url}");
        }
    }
}
