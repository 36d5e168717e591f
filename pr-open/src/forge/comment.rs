//! What a pull request says of its work that landed by other means than a merge of it.

use git::Sha;
use serde::Deserialize;

/// A comment on a pull request, as Gitea and GitHub send it.
#[derive(Deserialize)]
pub(crate) struct Comment {
    #[serde(default)]
    body: Option<String>,
}

impl Comment {
    /// Whether this is what [`landed`] says of that commit.
    pub(crate) fn names(&self, commit: Sha) -> bool {
        let body = self.body.as_deref().unwrap_or_default();
        body.lines().any(|line| line.trim_end() == mark(commit))
    }
}

/// Where the work is. Its last line tells that it has been said.
pub(crate) fn landed(commit: Sha) -> String {
    format!("Landed as {commit}.\n\n{}", mark(commit))
}

fn mark(commit: Sha) -> String {
    format!("<!-- beadline: landed as {commit} -->")
}
