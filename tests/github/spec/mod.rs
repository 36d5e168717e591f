//! GitHub's own descriptions of its two APIs as judges of what our programs ask, and of what a
//! double answers.
//!
//! Stricter than the descriptions: nothing may be sent or answered that they do not name. Laxer: an
//! answer may leave fields out, and may be a refusal that every request can get.

mod catches;
mod graphql;
mod rest;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::stage::{self, parts};

/// The folder with both, as `tests/parts.sh` installs it.
const FOLDER: &str = "github-23.0.2-15.26.1";

/// One request and its answer, as a server saw them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exchange {
    pub(crate) verb: String,
    /// Path and query, as they were sent; an enterprise server's `/api/v3` and `/api/graphql`, too.
    pub(crate) target: String,
    /// The lines of the request's head, after the first.
    pub(crate) head: Vec<String>,
    pub(crate) body: String,
    /// Status and body of the answer; `None`: there was none.
    pub(crate) answer: Option<(u16, String)>,
}

/// Whether the descriptions are there. Where nothing may be missing, they have to be.
fn are_there() -> bool {
    parts().join(FOLDER).join("trim.py").is_file() || std::env::var_os("BEADLINE_ALL").is_some()
}

/// A test that needs the descriptions.
pub(super) fn test(name: &str, run: impl FnOnce() + Send + 'static) -> Trial {
    let part = format!("../{FOLDER}/rest.json");
    stage::test_with(&part, "tests/parts.sh", &format!("github: {name}"), run)
}

/// What the descriptions do not allow about an exchange. Where they are missing, nobody judges: the
/// tests of [`catches`] are those that are then reported as ignored.
pub(crate) fn violations(exchange: &Exchange) -> Vec<String> {
    if !are_there() {
        return Vec::new();
    }
    let target = exchange.target.as_str();
    let target = target.strip_prefix("/api/v3").unwrap_or(target);
    let found = match target {
        "/graphql" | "/api/graphql" => graphql::violations(exchange),
        target => rest::violations(exchange, target),
    };
    let named = |what| format!("{} {}: {what}", exchange.verb, exchange.target);
    found.into_iter().map(named).collect()
}

/// What GitHub asks of a client and no description says: who it is, which version it speaks, and
/// who sent it.
pub(crate) fn manners(exchange: &Exchange) -> Vec<String> {
    let mut found = Vec::new();
    let mut must = |name: &str, is_right: &dyn Fn(&str) -> bool| {
        let value = |line: &String| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        };
        match exchange.head.iter().find_map(value) {
            None => found.push(format!("the header {name} is missing")),
            Some(value) if !is_right(&value) => {
                found.push(format!("the header {name} is '{value}'"));
            }
            Some(_) => {}
        }
    };
    must("user-agent", &|value| !value.is_empty());
    must("authorization", &|value| value.starts_with("Bearer "));
    must("x-github-api-version", &|value| value == "2022-11-28");
    must("accept", &|value| value == "application/vnd.github+json");
    if !exchange.body.is_empty() {
        must("content-type", &|value| {
            value.starts_with("application/json")
        });
    }
    found
}

/// A text with its `%XX` replaced; `None`: what follows a `%` is no number, or the whole no text.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (code, after) = rest.split_at_checked(2)?;
        let is_code = code.iter().all(u8::is_ascii_hexdigit);
        let code = std::str::from_utf8(code).ok().filter(|_| is_code)?;
        bytes.push(u8::from_str_radix(code, 16).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

/// A body as JSON; an empty one is null.
fn json(text: &str, what: &str) -> Result<Value, String> {
    match text {
        "" => Ok(Value::Null),
        text => serde_json::from_str(text).map_err(|err| format!("{what} is no JSON: {err}")),
    }
}

pub(super) fn trials() -> Vec<Trial> {
    catches::trials()
}
