//! What GitHub's REST API sends of repositories, pull requests and branches: the fields that are
//! read, and what they mean here.

use anyhow::Context;
use git::Sha;
use serde::Deserialize;
use serde_json::Value;

use crate::pull::{self, Busy, State};

#[derive(Deserialize)]
pub(super) struct Repository {
    /// Very old servers leave it out.
    pub(super) full_name: Option<String>,
}

/// Of a list it lacks `mergeable`.
#[derive(Clone, Deserialize)]
pub(super) struct Pull {
    pub(super) number: u64,
    html_url: String,
    state: String,
    #[serde(default)]
    draft: bool,
    merged_at: Option<String>,
    /// Of an open one a trial that proves nothing.
    merge_commit_sha: Option<String>,
    /// Null while that is found out, and when it is open no more.
    #[serde(default)]
    mergeable: Option<bool>,
    #[serde(default)]
    pub(super) mergeable_state: String,
    pub(super) head: End,
    pub(super) base: End,
}

/// Head or base of a pull request.
#[derive(Clone, Deserialize)]
pub(super) struct End {
    #[serde(rename = "ref")]
    pub(super) name: String,
    sha: String,
    /// Null for a fork that is gone.
    repo: Option<Repo>,
}

#[derive(Clone, Deserialize, Eq, PartialEq)]
struct Repo {
    id: u64,
}

#[derive(Deserialize)]
pub(super) struct Branch {
    pub(super) commit: Commit,
    #[serde(default)]
    pub(super) protected: bool,
    /// What everybody may know of its protection.
    #[serde(default)]
    pub(super) protection: Value,
}

#[derive(Deserialize)]
pub(super) struct Commit {
    pub(super) sha: String,
}

#[derive(Deserialize)]
pub(super) struct Ref {
    pub(super) object: Commit,
}

#[derive(Deserialize)]
pub(super) struct Merge {
    #[serde(default)]
    pub(super) merged: bool,
}

impl End {
    pub(super) fn sha(&self) -> Option<Sha> {
        Sha::from_hex(self.sha.as_bytes()).ok()
    }
}

impl Pull {
    pub(super) fn is_open(&self) -> bool {
        self.state == "open"
    }

    pub(super) fn is_merged(&self) -> bool {
        self.merged_at.is_some()
    }

    /// Whether its head is this branch, of this repository: a fork's may have the same name, and
    /// filters of lists are known to be ignored.
    pub(super) fn is_of(&self, branch: &str) -> bool {
        self.head.name == branch && self.head.repo.is_some() && self.head.repo == self.base.repo
    }

    /// As the programs know it, without a report.
    ///
    /// # Errors
    /// When it was merged and does not say as what.
    pub(super) fn pull(&self, base_head: Option<Sha>) -> anyhow::Result<pull::Pull> {
        let state = if self.is_merged() {
            let commit = self.merge_commit_sha.as_deref().unwrap_or_default();
            State::Merged {
                head: self.head.sha().context("it was merged without a head")?,
                commit: Sha::from_hex(commit.as_bytes())
                    .context("it was merged without a commit")?,
            }
        } else if self.is_open() {
            State::Open
        } else {
            State::Closed
        };
        let unknown = self.is_open() && self.mergeable.is_none();
        Ok(pull::Pull {
            number: self.number,
            url: self.html_url.clone(),
            state,
            draft: self.draft,
            head: self.head.sha(),
            base: self.base.name.clone(),
            base_head,
            report: None,
            busy: unknown.then_some(Busy::Settling),
        })
    }
}
