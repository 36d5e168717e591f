//! What plain git keeps of a pull request: the names of its refs, and what the small one says.

use git::Sha;
use serde::{Deserialize, Serialize};

use crate::NewPull;

/// What the small ref holds.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Paper {
    pub(crate) number: u64,
    pub(crate) state: Word,
    pub(crate) branch: String,
    pub(crate) base: String,
    pub(crate) draft: bool,
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) labels: Vec<String>,
    pub(crate) reviewers: Vec<String>,
    /// Head, tree and commit of the landing; empty while it is open.
    pub(crate) head: String,
    pub(crate) tree: String,
    pub(crate) merged: String,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Word {
    Open,
    Closed,
    Merged,
}

impl Paper {
    pub(crate) fn new(number: u64, new: &NewPull) -> Self {
        Self {
            number,
            state: Word::Open,
            branch: new.branch.clone(),
            base: new.base.clone(),
            draft: new.draft,
            title: new.title.clone(),
            body: new.body.clone(),
            labels: new.labels.clone(),
            reviewers: new.reviewers.clone(),
            head: String::new(),
            tree: String::new(),
            merged: String::new(),
        }
    }

    pub(crate) fn merged(mut self, head: Sha, commit: Sha, tree: Sha) -> Self {
        self.state = Word::Merged;
        self.head = head.to_string();
        self.tree = tree.to_string();
        self.merged = commit.to_string();
        self
    }
}

pub(crate) fn pull_number(name: &str) -> Option<u64> {
    name.strip_prefix("refs/pull/")?
        .strip_suffix("/head")?
        .parse()
        .ok()
}

pub(crate) fn paper_ref(number: u64) -> String {
    format!("refs/beadline/pull/{number}")
}

pub(crate) fn open_ref(branch: &str) -> String {
    format!("refs/beadline/open/{branch}")
}

pub(crate) fn branch_ref(branch: &str) -> String {
    format!("refs/heads/{branch}")
}
