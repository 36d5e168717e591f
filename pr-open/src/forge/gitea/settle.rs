//! Telling Gitea of what landed by other means than its own: pushes, and merges that a kill cut off
//! between base and database.

use std::thread;
use std::time::Duration;

use git::Sha;
use serde_json::json;
use ureq::http::Method as Verb;

use super::{Gitea, wire};
use crate::comment::{self, Comment};
use crate::http::Sent;

/// How long Gitea may take to see that a base holds the head of a pull request, where the repository
/// has it look: in milliseconds, from look to look.
const SEES: [u64; 6] = [250, 500, 1000, 2000, 4000, 0];

impl Gitea {
    /// Calls it merged where the repository lets people do that, else closed: it would stay open for
    /// ever.
    pub(super) fn tell_landed(&self, number: u64, head: Sha, commit: Sha) -> anyhow::Result<()> {
        let is_open =
            || -> anyhow::Result<bool> { Ok(self.one(number)?.is_some_and(|pull| pull.is_open())) };
        if !is_open()? {
            return Ok(());
        }
        let rest = format!("/pulls/{number}");
        let merged = json!({"Do": "manually-merged", "MergeCommitID": commit.to_string()});
        match self.send(&Verb::POST, &format!("{rest}/merge"), &merged)? {
            Sent::Answered(answer) if !answer.is_success() => {}
            sent => return sent.done("call it merged"),
        }
        let repository: wire::Repository = self.get("")?.json()?;
        if repository.autodetect_manual_merge && self.remote.holds(commit, head)? {
            for pause in SEES {
                if !is_open()? {
                    return Ok(());
                }
                thread::sleep(Duration::from_millis(pause));
            }
        }
        let talk = format!("/issues/{number}/comments");
        let said: Vec<Comment> = self.get(&talk)?.json()?;
        if !said.iter().any(|one| one.names(commit)) {
            let body = json!({"body": comment::landed(commit)});
            self.send(&Verb::POST, &talk, &body)?
                .done("comment on it")?;
        }
        let sent = self.send(&Verb::PATCH, &rest, &json!({"state": "closed"}))?;
        sent.done("close it")
    }
}
