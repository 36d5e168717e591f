//! HTTP to one server: what was asked, what was answered, and never a doubt about whether a request
//! was carried out. The traps of the HTTP library are dealt with here.

mod answer;
mod quota;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};
use beads::debug;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use ureq::Agent;
use ureq::http::{Method, Request};
use ureq::tls::{RootCerts, TlsConfig};

use crate::unread::Unread;

pub(crate) use answer::{Answer, Sent};
pub(crate) use quota::Quota;
pub use quota::Spent;

/// No single request takes longer.
const LONGEST: Duration = Duration::from_secs(30);
const CONNECT: Duration = Duration::from_secs(10);

/// Pauses before a request that did not get through is sent again; a server that is started anew is
/// back by then.
const PAUSES: [u64; 8] = [250, 500, 1000, 2000, 4000, 8000, 8000, 8000];

/// So long in all: a server that takes requests and never answers is not waited for eight times.
const PATIENCE: Duration = Duration::from_mins(1);

/// Clocks differ by this much.
const SHORTEST_LIMIT: Duration = Duration::from_millis(500);

/// The longest answer that is read, in bytes.
const LARGEST: u64 = 64 << 20;

/// So many answers are kept to be asked for only if they have changed.
const KEPT: usize = 64;

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
    /// What every request has, the authorization included.
    headers: Vec<(&'static str, String)>,
    pub(crate) quota: Quota,
    /// The last answers that have an `ETag`, by path.
    known: Mutex<HashMap<String, Answer>>,
}

/// One request.
#[derive(Clone, Copy)]
struct Asked<'a> {
    method: &'a Method,
    path: &'a str,
    body: Option<&'a str>,
    /// The `ETag` of the answer that is known.
    known: Option<&'a str>,
}

/// How often is asked what a server does not answer.
#[derive(Clone, Copy)]
pub(crate) enum Ask {
    /// Until it has been silent for long.
    Patiently,
    /// Once: the caller asks for less, or later. What cannot have arrived is sent again all the same.
    Once,
}

/// Why a single request brought no answer.
enum Lost {
    /// It never reached the server.
    Unsent(String),
    /// It may have.
    Unsure(String),
}

/// A text as one segment of a path or one value of a query.
pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

impl Http {
    /// `origin` such as `https://host:3000`, `prefix` such as `/api/v1`, and the headers of every
    /// request.
    pub(crate) fn new(
        origin: String,
        prefix: String,
        headers: Vec<(&'static str, String)>,
    ) -> Self {
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
            headers,
            quota: Quota::default(),
            known: Mutex::default(),
        }
    }

    /// Reads. What is plainly transient is tried again; redirects are followed on this server. What
    /// the server says is unchanged since it was read is not sent again.
    ///
    /// # Errors
    /// When the server cannot be reached, takes no more requests ([`Spent`]), or sends the request
    /// to another one.
    pub(crate) fn get(&self, path: &str, ask: Ask) -> anyhow::Result<Answer> {
        self.get_url(format!("{}{path}", self.prefix), ask)
    }

    /// The next page of a list; `None`: that was the last one.
    ///
    /// # Errors
    /// As for [`Http::get`].
    pub(crate) fn next(&self, page: &Answer) -> anyhow::Result<Option<Answer>> {
        let next = page.next().map(|url| self.on_this_server(url));
        next.map(|url| self.get_url(url?, Ask::Patiently))
            .transpose()
    }

    fn get_url(&self, mut url: String, ask: Ask) -> anyhow::Result<Answer> {
        for _ in 0..REDIRECTS {
            let known = self.known().get(&url).cloned();
            let asked = Asked {
                method: &Method::GET,
                path: &url,
                body: None,
                known: known.as_ref().and_then(|known| known.header("etag")),
            };
            let answer = self.read(asked, ask)?;
            match (answer.status, answer.header("location"), known) {
                (304, _, Some(known)) => return Ok(known),
                (301 | 302 | 307 | 308, Some(location), _) => {
                    url = self.on_this_server(location)?;
                }
                _ => {
                    self.keep(url, &answer);
                    return Ok(answer);
                }
            }
        }
        bail!("{} redirects without an end", self.origin)
    }

    /// Asks by POST what changes nothing.
    ///
    /// # Errors
    /// As for [`Http::get`].
    pub(crate) fn ask(&self, body: &Value, ask: Ask) -> anyhow::Result<Answer> {
        let (path, body) = (&self.prefix, body.to_string());
        let asked = Asked {
            method: &Method::POST,
            path,
            body: Some(&body),
            known: None,
        };
        self.read(asked, ask)
    }

    /// A read may be done twice.
    fn read(&self, asked: Asked, ask: Ask) -> anyhow::Result<Answer> {
        let lost = |why| match ask {
            Ask::Patiently => Err(Lost::Unsent(why)),
            Ask::Once => Err(Lost::Unsure(why)),
        };
        let answer = self.patiently(|| match self.once(asked) {
            Ok(answer) if answer.is_gateway() => lost(answer.words()),
            Err(Lost::Unsure(why)) => lost(why),
            done => done,
        });
        answer?.map_err(|lost| match lost {
            Lost::Unsent(why) | Lost::Unsure(why) => Unread::of(anyhow!(why)),
        })
    }

    /// Sends what changes something, at most once, but for requests that cannot have arrived and
    /// those that the server says it did not take. A redirect is answered as one.
    ///
    /// # Errors
    /// When the server cannot be reached, or takes no more requests ([`Spent`]): then nothing has
    /// changed.
    pub(crate) fn send(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Sent> {
        let path = &format!("{}{path}", self.prefix);
        let body = body.map(Value::to_string);
        let asked = Asked {
            method,
            path,
            body: body.as_deref(),
            known: None,
        };
        match self.patiently(|| self.once(asked))? {
            // A gateway's word on a server behind it: the server may have done it.
            Ok(answer) if answer.is_gateway() => Ok(Sent::Unknown(answer.words())),
            Ok(answer) => Ok(Sent::Answered(answer)),
            Err(Lost::Unsure(why)) => Ok(Sent::Unknown(why)),
            Err(Lost::Unsent(why)) => Err(Unread::of(anyhow!(why))),
        }
    }

    fn once(&self, asked: Asked) -> Result<Answer, Lost> {
        let Asked { method, path, .. } = asked;
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.origin));
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        if let Some(etag) = asked.known {
            request = request.header("If-None-Match", etag);
        }
        let mut running = debug::request(method.as_str(), path);
        let sent = match asked.body {
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
        running.answered(response.status().as_u16());
        let body = response.body_mut().with_config().limit(LARGEST);
        match body.lossy_utf8(true).read_to_string() {
            Ok(body) => Ok(Answer {
                status: response.status().as_u16(),
                body,
                headers: response.headers().clone(),
            }),
            Err(err) => Err(Lost::Unsure(named(&err))),
        }
    }

    /// Tries again what cannot have arrived, and what was refused for its rate.
    ///
    /// # Errors
    /// [`Spent`], when that takes longer than anybody waits here.
    fn patiently(
        &self,
        once: impl Fn() -> Result<Answer, Lost>,
    ) -> Result<Result<Answer, Lost>, Spent> {
        let started = Instant::now();
        let mut pauses = PAUSES.map(Duration::from_millis).into_iter();
        match self.quota.barred() {
            Some(spent) if spent.wait > PATIENCE => return Err(spent),
            Some(spent) => thread::sleep(spent.wait),
            None => {}
        }
        loop {
            let tried = once();
            let refused = match &tried {
                Ok(answer) => self.quota.note(answer),
                Err(_) => None,
            };
            let pause = match (&tried, refused) {
                (Ok(_), Some(wait)) => Some(wait.max(SHORTEST_LIMIT)),
                (Err(Lost::Unsent(_)), _) => pauses.next(),
                _ => return Ok(tried),
            };
            let in_time = |pause: &Duration| started.elapsed() + *pause <= PATIENCE;
            match (pause.filter(in_time), tried, refused) {
                (Some(pause), ..) => thread::sleep(pause),
                (None, Ok(answer), Some(wait)) => return Err(Spent::new(wait, answer.words())),
                (None, tried, _) => return Ok(tried),
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Answer>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, url: String, answer: &Answer) {
        let mut known = self.known();
        if known.len() >= KEPT {
            known.clear();
        }
        match answer.is_success() && answer.header("etag").is_some() {
            true => known.insert(url, answer.clone()),
            false => known.remove(&url),
        };
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
        let http = Http::new("http://h:1".to_owned(), "/api".to_owned(), Vec::new());
        let to = |location| http.on_this_server(location).ok();
        assert_eq!(to("/api/x").as_deref(), Some("/api/x"));
        assert_eq!(to("http://h:1/api/x").as_deref(), Some("/api/x"));
        assert_eq!(to("http://h:12/api/x"), None);
        assert_eq!(to("http://evil/api/x"), None);
        assert_eq!(to("//evil/api/x"), None);
    }
}
