//! An answer that arrived whole: what it says of itself, of its list, and of limits.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::anyhow;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::http::HeaderMap;

use crate::unread::Unread;

/// No limit is waited for any longer without asking again.
const LONGEST_LIMIT: Duration = Duration::from_hours(1);

/// An answer that arrived whole.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) headers: HeaderMap,
}

/// What became of a request that changes something.
#[derive(Debug)]
pub(crate) enum Sent {
    /// The server said.
    Answered(Answer),
    /// It may have been carried out or not: whoever sent it has to look.
    Unknown(String),
}

/// What servers say when they refuse.
#[derive(Deserialize)]
struct Words {
    #[serde(default)]
    message: Option<String>,
    /// Objects, or mere strings.
    #[serde(default)]
    errors: Value,
}

impl Sent {
    /// What was sent is done.
    ///
    /// # Errors
    /// When it is refused; or when it may not be done, and asking again tells ([`Unread`]).
    pub(crate) fn done(self, what: &str) -> anyhow::Result<()> {
        match self {
            Self::Answered(answer) if answer.is_success() => Ok(()),
            Self::Answered(answer) if answer.status < 500 => {
                Err(anyhow!("cannot {what}: {}", answer.words()))
            }
            Self::Answered(answer) => Err(Unread::of(anyhow!("cannot {what}: {}", answer.words()))),
            Self::Unknown(why) => Err(Unread::of(anyhow!("cannot {what}: {why}"))),
        }
    }
}

impl Answer {
    /// The body of a success, as JSON.
    ///
    /// # Errors
    /// When it is no success, or another thing than was expected: that, and a server's own trouble,
    /// may be over soon ([`Unread`]).
    pub(crate) fn json<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        if !self.is_success() {
            let refused = anyhow!("{}", self.words());
            return Err(match self.status {
                500.. => Unread::of(refused),
                _ => refused,
            });
        }
        let odd = |err| Unread::of(anyhow!("the server's answer is not understood: {err}"));
        serde_json::from_str(&self.body).map_err(odd)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.header(name)?.trim().parse().ok()
    }

    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether a repository or its name has moved.
    pub(crate) fn is_redirect(&self) -> bool {
        matches!(self.status, 301 | 302 | 307 | 308)
    }

    /// Whether a server between here and there speaks.
    pub(super) fn is_gateway(&self) -> bool {
        (502..=504).contains(&self.status)
    }

    /// Where the list that it is a page of goes on (RFC 8288).
    pub(crate) fn next(&self) -> Option<&str> {
        let links = self.header("link")?;
        let next = links
            .split(',')
            .find(|link| link.contains("rel=\"next\""))?;
        next.trim().strip_prefix('<')?.split('>').next()
    }

    fn said(&self) -> Option<Words> {
        serde_json::from_str(&self.body).ok()
    }

    /// The server's reason, in its own words if it has any.
    pub(crate) fn message(&self) -> Option<String> {
        self.said()?.message.filter(|message| !message.is_empty())
    }

    /// The single faults that a refusal lists: message, or field and code.
    pub(crate) fn faults(&self) -> Vec<String> {
        let text = |fault: &Value, key: &str| fault[key].as_str().unwrap_or_default().to_owned();
        let listed = self.said().map(|words| words.errors);
        let listed = listed.as_ref().and_then(Value::as_array);
        let fault = |fault: &Value| match (fault.as_str(), text(fault, "message")) {
            (Some(words), _) => words.to_owned(),
            (None, message) if !message.is_empty() => message,
            (None, _) => format!("{} {}", text(fault, "field"), text(fault, "code")),
        };
        listed.into_iter().flatten().map(fault).collect()
    }

    /// Reason and status, for people.
    pub(crate) fn words(&self) -> String {
        let mut parts: Vec<String> = self.message().into_iter().collect();
        parts.extend(self.faults());
        // GitHub names the right that is missing nowhere else.
        let right = self.header("x-accepted-github-permissions");
        if let (403 | 404, Some(right)) = (self.status, right) {
            parts.push(format!("it would take the permission {right}"));
        }
        match parts.is_empty() {
            true => format!("HTTP {}", self.status),
            false => format!("{} (HTTP {})", parts.join(": "), self.status),
        }
    }

    /// Whether it was refused for nothing but the number of requests.
    pub(super) fn is_over_the_limit(&self) -> bool {
        let says = |words: &str| {
            self.message()
                .is_some_and(|message| message.to_ascii_lowercase().contains(words))
        };
        match self.status {
            429 => true,
            403 => {
                self.number("retry-after").is_some()
                    || self.number("x-ratelimit-remaining") == Some(0)
                    || says("rate limit")
                    || says("abuse detection")
            }
            _ => false,
        }
    }

    /// How long the server asks to wait before anything else is asked; `None`: it does not say.
    pub(super) fn asks_to_wait(&self) -> Option<Duration> {
        let seconds = self.number("retry-after").map(Duration::from_secs);
        let spent = self.number("x-ratelimit-remaining") == Some(0);
        seconds
            .or_else(|| self.reset().filter(|_| spent))
            .map(|wait| wait.min(LONGEST_LIMIT))
    }

    /// How long until the quota is whole again.
    fn reset(&self) -> Option<Duration> {
        let at = UNIX_EPOCH + Duration::from_secs(self.number("x-ratelimit-reset")?);
        let left = at.duration_since(SystemTime::now()).unwrap_or_default();
        Some(left.min(LONGEST_LIMIT))
    }

    /// The whole quota, what is left of it, and for how long that has to do.
    pub(super) fn quota(&self) -> Option<(u64, u64, Duration)> {
        Some((
            self.number("x-ratelimit-limit")?,
            self.number("x-ratelimit-remaining")?,
            self.reset()?,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ureq::http::HeaderValue;

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
        let value = |text: &str| HeaderValue::from_str(text).expect("a value");
        Answer {
            status,
            body: body.to_owned(),
            headers: headers
                .iter()
                .map(|(name, text)| (name.parse().expect("a name"), value(text)))
                .collect(),
        }
    }

    #[test]
    fn the_words_are_the_servers() {
        let said = answer(405, &[], r#"{"message":"Please try again later"}"#).words();
        assert_eq!(said, "Please try again later (HTTP 405)");
        assert_eq!(answer(502, &[], "<html>").words(), "HTTP 502");
        assert_eq!(answer(409, &[], r#"{"Style":"rebase"}"#).message(), None);
        let body = r#"{"message":"Validation Failed","errors":["mere words",
            {"message":"No commits between a and b"},{"field":"head","code":"invalid"}]}"#;
        let faults = answer(422, &[], body).faults();
        assert_eq!(
            faults,
            ["mere words", "No commits between a and b", "head invalid"]
        );
        let right = ("x-accepted-github-permissions", "checks=read");
        assert!(answer(403, &[right], "").words().contains("checks=read"));
    }

    #[test]
    fn a_list_goes_on_where_it_says() {
        let link = "<https://h/r?page=1>; rel=\"prev\", <https://h/r?page=3>; rel=\"next\"";
        assert_eq!(
            answer(200, &[("link", link)], "[]").next(),
            Some("https://h/r?page=3")
        );
        assert_eq!(answer(200, &[], "[]").next(), None);
    }

    #[test]
    fn a_limit_is_told_from_a_refusal() {
        let no = r#"{"message":"Resource not accessible by personal access token"}"#;
        assert!(!answer(403, &[("x-ratelimit-remaining", "12")], no).is_over_the_limit());
        let slow = r#"{"message":"You have exceeded a secondary rate limit"}"#;
        let slow = answer(403, &[("x-ratelimit-remaining", "12")], slow);
        assert!(slow.is_over_the_limit());
        assert_eq!(slow.asks_to_wait(), None);
        let later = answer(429, &[("retry-after", "7")], "");
        assert_eq!(later.asks_to_wait(), Some(Duration::from_secs(7)));
        let headers = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1")];
        let spent = answer(403, &headers, "");
        assert!(spent.is_over_the_limit());
        assert_eq!(spent.asks_to_wait(), Some(Duration::ZERO));
    }
}
