//! HTTP to one server: what was asked, what was answered, and never a doubt about whether a request
//! was carried out. The traps of the HTTP library are dealt with here.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::Agent;
use ureq::http::{Method, Request, Response};
use ureq::tls::{RootCerts, TlsConfig};

/// No single request takes longer.
const LONGEST: Duration = Duration::from_secs(30);
const CONNECT: Duration = Duration::from_secs(10);

/// Pauses before a request that did not get through is sent again; a server that is started anew is
/// back by then.
const PAUSES: [u64; 8] = [250, 500, 1000, 2000, 4000, 8000, 8000, 8000];

/// So long in all: a server that takes requests and never answers is not waited for eight times.
const PATIENCE: Duration = Duration::from_mins(1);

/// The longest answer that is read, in bytes.
const LARGEST: u64 = 64 << 20;

/// Renamed repositories answer with one redirect; more than a few are a loop.
const REDIRECTS: u32 = 5;

/// What stays as it is in a segment of a path or a value of a query (RFC 3986, unreserved).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// One server. It has no `Debug`: it holds a secret.
pub(crate) struct Http {
    agent: Agent,
    /// Scheme, host and port: nothing is ever sent elsewhere, redirects included.
    origin: String,
    /// The path that all requests begin with.
    prefix: String,
    authorization: String,
}

/// An answer that arrived whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    /// Whether the list that it is a page of goes on (RFC 8288).
    pub(crate) has_next: bool,
    location: Option<String>,
    retry_after: Option<Duration>,
    spent: bool,
}

/// What became of a request that changes something.
#[derive(Debug)]
pub(crate) enum Sent {
    /// The server said.
    Answered(Answer),
    /// It may have been carried out or not: whoever sent it has to look.
    Unknown(String),
}

/// Why a single request brought no answer.
enum Lost {
    /// It never reached the server.
    Unsent(String),
    /// It may have.
    Unsure(String),
}

/// What servers say when they refuse.
#[derive(Deserialize)]
struct Words {
    message: Option<String>,
}

/// A text as one segment of a path or one value of a query.
pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

impl Http {
    /// `origin` such as `https://host:3000`, `prefix` such as `/api/v1`, and the header's value.
    pub(crate) fn new(origin: String, prefix: String, authorization: String) -> Self {
        let tls = TlsConfig::builder()
            // The system's certificates: a company's own are among them.
            .root_certs(RootCerts::PlatformVerifier)
            .build();
        let config = Agent::config_builder()
            // Errors of the library would come without the server's reason.
            .http_status_as_error(false)
            // Followed by the library, a redirect loses its authorization and a POST becomes a GET.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(LONGEST))
            .timeout_connect(Some(CONNECT))
            .user_agent(concat!("beadline/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        Self {
            agent: config.into(),
            origin,
            prefix,
            authorization,
        }
    }

    /// Reads. What is plainly transient is tried again; redirects are followed on this server.
    ///
    /// # Errors
    /// When the server cannot be reached, or sends the request to another one.
    pub(crate) fn get(&self, path: &str) -> anyhow::Result<Answer> {
        let mut url = format!("{}{path}", self.prefix);
        for _ in 0..REDIRECTS {
            let answer = patiently(|| match self.once(&Method::GET, &url, None) {
                Ok(answer) if answer.is_gateway() => Err(Lost::Unsent(answer.words())),
                // A read may be done twice.
                Err(Lost::Unsure(why)) => Err(Lost::Unsent(why)),
                done => done,
            });
            let answer = match answer {
                Ok(answer) => answer,
                Err(Lost::Unsent(why) | Lost::Unsure(why)) => bail!("{why}"),
            };
            match (answer.status, &answer.location) {
                (301 | 302 | 307 | 308, Some(location)) => url = self.on_this_server(location)?,
                _ => return Ok(answer),
            }
        }
        bail!("{} redirects without an end", self.origin)
    }

    /// Sends what changes something, at most once, but for requests that cannot have arrived and
    /// those that the server says it did not take. A redirect is answered as one.
    ///
    /// # Errors
    /// When the server cannot be reached: then nothing has changed.
    pub(crate) fn send(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Sent> {
        let url = format!("{}{path}", self.prefix);
        let body = body.map(Value::to_string);
        match patiently(|| self.once(method, &url, body.as_deref())) {
            // A gateway's word on a server behind it: the server may have done it.
            Ok(answer) if answer.is_gateway() => Ok(Sent::Unknown(answer.words())),
            Ok(answer) => Ok(Sent::Answered(answer)),
            Err(Lost::Unsure(why)) => Ok(Sent::Unknown(why)),
            Err(Lost::Unsent(why)) => Err(anyhow!(why)),
        }
    }

    fn once(&self, method: &Method, path: &str, body: Option<&str>) -> Result<Answer, Lost> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.origin))
            .header("Accept", "application/json")
            .header("Authorization", &self.authorization);
        let sent = match body {
            None => request.body(()).map(|request| self.agent.run(request)),
            Some(body) => request
                .header("Content-Type", "application/json")
                .body(body)
                .map(|request| self.agent.run(request)),
        };
        let sent = sent.map_err(|_| Lost::Unsent(format!("{method} {path}: no such URL")))?;
        let named = |err: &ureq::Error| format!("{}: {err}", self.origin);
        let mut response = sent.map_err(|err| match is_unsent(&err) {
            true => Lost::Unsent(named(&err)),
            false => Lost::Unsure(named(&err)),
        })?;
        let text = |response: &Response<ureq::Body>, name: &str| {
            let value = response.headers().get(name)?;
            Some(value.to_str().ok()?.to_owned())
        };
        let seconds = text(&response, "retry-after").and_then(|text| text.parse().ok());
        let answer = Answer {
            status: response.status().as_u16(),
            has_next: text(&response, "link").is_some_and(|link| link.contains("rel=\"next\"")),
            location: text(&response, "location"),
            retry_after: seconds.map(Duration::from_secs),
            spent: text(&response, "x-ratelimit-remaining").as_deref() == Some("0"),
            body: String::new(),
        };
        let body = response.body_mut().with_config().limit(LARGEST);
        match body.lossy_utf8(true).read_to_string() {
            Ok(body) => Ok(Answer { body, ..answer }),
            Err(err) => Err(Lost::Unsure(named(&err))),
        }
    }

    /// The path of a redirect, which has to stay on this server.
    fn on_this_server(&self, location: &str) -> anyhow::Result<String> {
        let path = location.strip_prefix(&self.origin).unwrap_or(location);
        if !path.starts_with('/') || path.starts_with("//") {
            bail!("{} redirects to another server", self.origin);
        }
        Ok(path.to_owned())
    }
}

impl Answer {
    /// The body of a success, as JSON.
    ///
    /// # Errors
    /// When it is no success, or another thing than was expected.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        if !self.is_success() {
            bail!("{}", self.words());
        }
        serde_json::from_str(&self.body)
            .map_err(|err| anyhow!("the server's answer is not understood: {err}"))
    }

    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether a repository or its name has moved.
    pub(crate) fn is_redirect(&self) -> bool {
        (300..400).contains(&self.status)
    }

    /// The server's reason, in its own words if it has any.
    pub(crate) fn message(&self) -> Option<String> {
        let words: Words = serde_json::from_str(&self.body).ok()?;
        words.message.filter(|message| !message.is_empty())
    }

    /// Status and reason, for people.
    pub(crate) fn words(&self) -> String {
        match self.message() {
            Some(message) => format!("{message} (HTTP {})", self.status),
            None => format!("HTTP {}", self.status),
        }
    }

    fn is_gateway(&self) -> bool {
        (502..=504).contains(&self.status)
    }

    fn is_over_the_limit(&self) -> bool {
        self.status == 429 || (self.status == 403 && (self.spent || self.retry_after.is_some()))
    }
}

/// Tries again what cannot have arrived, and what was refused for its rate.
fn patiently(once: impl Fn() -> Result<Answer, Lost>) -> Result<Answer, Lost> {
    let started = Instant::now();
    for pause in PAUSES.map(Duration::from_millis) {
        let tried = once();
        let pause = match &tried {
            Ok(answer) if answer.is_over_the_limit() => answer.retry_after.unwrap_or(pause),
            Err(Lost::Unsent(_)) => pause,
            _ => return tried,
        };
        if started.elapsed() + pause > PATIENCE {
            return tried;
        }
        thread::sleep(pause);
    }
    once()
}

/// Whether a request that failed in this way cannot have reached the server.
fn is_unsent(err: &ureq::Error) -> bool {
    use std::io::ErrorKind::{AddrNotAvailable, ConnectionRefused, HostUnreachable};
    use std::io::ErrorKind::{NetworkUnreachable, NotConnected};
    use ureq::Timeout::{Connect, Resolve};
    match err {
        ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed
        | ureq::Error::Timeout(Connect | Resolve)
        | ureq::Error::BadUri(_)
        | ureq::Error::Tls(_)
        | ureq::Error::Rustls(_) => true,
        ureq::Error::Io(err) => matches!(
            err.kind(),
            ConnectionRefused
                | HostUnreachable
                | NetworkUnreachable
                | AddrNotAvailable
                | NotConnected
        ),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_encoded() {
        assert_eq!(encoded("agent/t-1#+ é?"), "agent%2Ft-1%23%2B%20%C3%A9%3F");
    }

    #[test]
    fn redirects_stay_on_the_server() {
        let http = Http::new("http://h:1".to_owned(), "/api".to_owned(), String::new());
        let to = |location| http.on_this_server(location).ok();
        assert_eq!(to("/api/x").as_deref(), Some("/api/x"));
        assert_eq!(to("http://h:1/api/x").as_deref(), Some("/api/x"));
        assert_eq!(to("http://h:12/api/x"), None);
        assert_eq!(to("http://evil/api/x"), None);
        assert_eq!(to("//evil/api/x"), None);
    }

    #[test]
    fn the_words_are_the_servers() {
        let answer = |status, body: &str| Answer {
            status,
            body: body.to_owned(),
            has_next: false,
            location: None,
            retry_after: None,
            spent: false,
        };
        let said = answer(405, r#"{"message":"Please try again later"}"#).words();
        assert_eq!(said, "Please try again later (HTTP 405)");
        assert_eq!(answer(502, "<html>").words(), "HTTP 502");
        assert_eq!(answer(409, r#"{"Style":"rebase"}"#).message(), None);
    }
}
