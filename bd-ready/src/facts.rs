//! The words and facts of a bead: what Beads says of it, and what the line has learned.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::usage::Usage;

/// The states that Beads gives an issue. Custom ones read as `Other`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words of Beads")]
pub enum Status {
    #[default]
    Open,
    InProgress,
    Blocked,
    Deferred,
    Closed,
    Pinned,
    Hooked,
    Tombstone,
    #[serde(other)]
    Other,
}

/// How far a bead has come. It counts only while the bead is `in_progress` (`merged`: `closed`).
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// No program has taken it, or its phase is a word that this version does not know.
    #[default]
    None,
    /// Claimed; it has or gets a worktree.
    Spawned,
    /// An agent run was started or is about to be.
    Working,
    /// The agent's work is judged and committed on the branch.
    Committed,
    /// A pull request is open.
    PrCreated,
    /// The work is on the base branch.
    Merged,
}

/// The verdict on an agent's run.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    missing_docs,
    reason = "the words of the record, explained in the README"
)]
pub enum Outcome {
    Done,
    NoChange,
    Failed,
    Timeout,
    Stalled,
    RateLimited,
    Unauthorized,
    Stopped,
    Interrupted,
    Escaped,
}

/// Our facts: the plain keys of `metadata`. Empty or 0 = not known, or no longer so.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[expect(
    missing_docs,
    reason = "the table of the README's section on the record"
)]
pub struct Facts {
    #[serde(deserialize_with = "lenient")]
    pub phase: Phase,
    #[serde(deserialize_with = "lenient")]
    pub worktree: String,
    #[serde(deserialize_with = "lenient")]
    pub branch: String,
    #[serde(deserialize_with = "lenient")]
    pub agent_pid: i64,
    #[serde(deserialize_with = "lenient")]
    pub pr_number: u64,
    #[serde(deserialize_with = "lenient")]
    pub base: String,
    #[serde(deserialize_with = "lenient")]
    pub host: String,
    #[serde(deserialize_with = "lenient")]
    pub run: u64,
    #[serde(deserialize_with = "lenient")]
    pub attempt: u64,
    #[serde(deserialize_with = "lenient")]
    pub run_from: u64,
    #[serde(deserialize_with = "lenient")]
    pub round: u64,
    #[serde(deserialize_with = "lenient")]
    pub head: String,
    #[serde(deserialize_with = "lenient")]
    pub pushed: String,
    #[serde(deserialize_with = "lenient")]
    pub outcome: Option<Outcome>,
    #[serde(deserialize_with = "lenient")]
    pub feedback: String,
    #[serde(deserialize_with = "lenient")]
    pub not_before: Option<Timestamp>,
    #[serde(deserialize_with = "lenient")]
    pub error: String,
    #[serde(deserialize_with = "lenient")]
    pub error_at: Option<Timestamp>,
    #[serde(deserialize_with = "lenient")]
    pub waits: String,
    #[serde(deserialize_with = "lenient")]
    pub waits_at: Option<Timestamp>,
    #[serde(deserialize_with = "lenient")]
    pub pr_url: String,
    #[serde(deserialize_with = "lenient")]
    pub merged_sha: String,
    #[serde(deserialize_with = "lenient")]
    pub usage: Usage,
}

/// A field of ours that somebody filled with another type reads as empty: one odd bead must not
/// stop the reading of all.
pub(crate) fn lenient<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + serde::de::DeserializeOwned,
{
    let raw = <&RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(raw.get()).unwrap_or_default())
}
