//! Telling GitHub of what landed by other means than its own.

use std::thread;
use std::time::Duration;

use git::Sha;
use serde_json::json;
use ureq::http::Method as Verb;

use super::GitHub;
use crate::comment::{self, Comment};

/// How long GitHub may take to see that a base holds the head of a pull request: in milliseconds,
/// from look to look.
const SEES: [u64; 6] = [250, 500, 1000, 2000, 4000, 0];

impl GitHub {
    /// GitHub calls it merged by itself once its base holds its head. Anything else would stay open
    /// for ever.
    pub(super) fn tell_landed(&self, number: u64, head: Sha, commit: Sha) -> anyhow::Result<()> {
        let waits = match self.remote.holds(commit, head)? {
            true => &SEES[..],
            false => &SEES[SEES.len() - 1..],
        };
        for pause in waits {
            if !self.one(number)?.is_some_and(|pull| pull.is_open()) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(*pause));
        }
        let rest = format!("/issues/{number}/comments");
        let said: Vec<Comment> = self.list(&format!("{rest}?per_page=100"))?;
        if !said.iter().any(|one| one.names(commit)) {
            let body = json!({"body": comment::landed(commit)});
            self.send(&Verb::POST, &rest, &body)?
                .done("comment on it")?;
        }
        let closed = json!({"state": "closed"});
        let sent = self.send(&Verb::PATCH, &format!("/pulls/{number}"), &closed)?;
        sent.done("close it")
    }
}
