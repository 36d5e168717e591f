//! The words and facts of a bead: what Beads says of it, and what the line has learned.

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize, Serializer};

use crate::record::lenient::lenient;
use crate::record::usage::Usage;

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
    pub conflicts: u64,
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
    pub opened_at: Option<Timestamp>,
    #[serde(deserialize_with = "lenient")]
    pub merged_sha: String,
    #[serde(deserialize_with = "lenient")]
    pub usage: Usage,
}

/// A fact as a program writes it. An empty text, 0 or `None` clears it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "those of `Facts`")]
pub enum Fact {
    Phase(Phase),
    Worktree(PathBuf),
    Branch(String),
    AgentPid(i64),
    PrNumber(u64),
    Base(String),
    Host(String),
    Run(u64),
    Attempt(u64),
    RunFrom(u64),
    Round(u64),
    Conflicts(u64),
    Head(String),
    Pushed(String),
    Outcome(#[serde(serialize_with = "or_empty")] Option<Outcome>),
    Feedback(String),
    NotBefore(#[serde(serialize_with = "or_empty")] Option<Timestamp>),
    Error(String),
    ErrorAt(#[serde(serialize_with = "or_empty")] Option<Timestamp>),
    Waits(String),
    WaitsAt(#[serde(serialize_with = "or_empty")] Option<Timestamp>),
    PrUrl(String),
    OpenedAt(#[serde(serialize_with = "or_empty")] Option<Timestamp>),
    MergedSha(String),
    Usage(Usage),
    /// Nobody reads it: that it is written renews the lease of a claim, where a write does.
    RenewedAt(Timestamp),
}

/// bd merges `metadata`, so a key cannot be taken away: it is emptied.
#[expect(clippy::ref_option, reason = "as serde calls it")]
fn or_empty<T: Serialize, S: Serializer>(
    value: &Option<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => value.serialize(serializer),
        None => serializer.serialize_str(""),
    }
}

/// No program puts a run off for longer.
const LONGEST_REST: SignedDuration = SignedDuration::from_hours(24);

impl Facts {
    /// Time before which no new run starts. One further ahead than any program sets it was set by
    /// a clock that was wrong, or by nobody, and does not count.
    #[must_use]
    pub fn rests_until(&self, now: Timestamp) -> Option<Timestamp> {
        let counts = |until: &Timestamp| until.duration_since(now) <= LONGEST_REST;
        self.not_before.filter(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_of_more_than_a_day_does_not_count() {
        let rest = |until: &str| {
            let now = "2026-01-01T00:00:00Z".parse().expect("a time");
            let not_before = until.parse().ok();
            let facts = Facts {
                not_before,
                ..Facts::default()
            };
            facts.rests_until(now) == not_before
        };
        assert!(rest("2026-01-02T00:00:00Z"));
        assert!(!rest("2026-01-02T00:00:01Z"));
    }
}
