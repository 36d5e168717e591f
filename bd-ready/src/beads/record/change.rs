//! What a program writes to a bead, and under which condition.

use anyhow::Context;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::record::bead::Bead;
use crate::record::facts::{Phase, Status};
use crate::record::members::{Members, set};
use crate::text::{harmless, shell_word, tail};
use crate::token::CLAIM;

/// Longest feedback or error, in bytes.
pub(crate) const FEEDBACK: usize = 8 << 10;

/// One write. What is `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// The new status.
    pub status: Option<Status>,
    /// The new assignee; empty for nobody.
    pub assignee: Option<String>,
    /// A line for the bead's notes.
    pub note: Option<String>,
    /// Keys of `metadata`, replaced in their place or added.
    pub facts: Map<String, Value>,
}

/// The condition of a write: it happens only while both are what the writer last read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Guard {
    /// The assignee, empty for nobody.
    pub assignee: String,
    /// The status.
    pub status: Status,
}

impl Change {
    /// Adds facts: an object, or a struct that serialises as one.
    ///
    /// # Panics
    /// When `facts` is no object: a mistake in a program, not in its input.
    #[must_use]
    pub fn facts(mut self, facts: &impl Serialize) -> Self {
        match serde_json::to_value(facts) {
            Ok(Value::Object(new)) => self.facts.extend(new),
            _ => unreachable!("facts are an object"),
        }
        self
    }

    /// Sets the status.
    #[must_use]
    pub fn status(mut self, status: Status) -> Self {
        self.status = Some(status);
        self
    }

    /// Sets the assignee.
    #[must_use]
    pub fn assignee(mut self, assignee: impl Into<String>) -> Self {
        self.assignee = Some(assignee.into());
        self
    }

    /// Appends a note.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    /// In whose name it is written: the claim's that it makes or is guarded by, else our own.
    #[must_use]
    pub fn actor<'a>(&'a self, guard: &'a Guard) -> &'a str {
        let names = [
            self.assignee.as_deref().unwrap_or_default(),
            &guard.assignee,
        ];
        let claim = names.into_iter().find(|name| name.starts_with(CLAIM));
        claim.unwrap_or("beadline")
    }

    /// Whether `bead` is as this change, made under `guard`, leaves it.
    #[must_use]
    pub fn is_done_to(&self, bead: &Bead, guard: &Guard) -> bool {
        let after = Guard {
            assignee: self.assignee.clone().unwrap_or(guard.assignee.clone()),
            status: self.status.unwrap_or(guard.status),
        };
        let stored = bead.metadata();
        let same = |(key, value)| stored.get(key) == Some(value);
        after.holds(bead) && self.facts.iter().all(same)
    }

    /// Gives the bead to a person: blocked, nobody's, with the reason as a note.
    #[must_use]
    pub fn to_person(id: &str, why: &str) -> Self {
        let (why, id) = (harmless(why), shell_word(id));
        let note = format!("beadline: {why}. To go on: just retry {id}");
        Self::default()
            .status(Status::Blocked)
            .assignee("")
            .note(note)
    }

    /// Sends the bead back to its agent with `why` as feedback: a new round. After `max_rounds`,
    /// of which those for conflicts are none, it goes to a person instead.
    #[must_use]
    pub fn rework(bead: &Bead, why: &str, max_rounds: u64) -> Self {
        let facts = bead.facts();
        if facts.round.saturating_sub(facts.conflicts) >= max_rounds {
            return Self::too_often(bead, &format!("sent back {max_rounds} times"), why);
        }
        Self::round(bead, why)
    }

    /// The same for a conflict, which others have brought about: it has a bound of its own.
    #[must_use]
    pub fn conflict(bead: &Bead, why: &str, max_conflicts: u64) -> Self {
        let conflicts = bead.facts().conflicts;
        if conflicts >= max_conflicts {
            let what = format!("sent back {max_conflicts} times for conflicts");
            return Self::too_often(bead, &what, why);
        }
        Self::round(bead, why).facts(&json!({"conflicts": conflicts + 1}))
    }

    /// Has the branch judged again, which has moved since its verdict: a new round that begins after
    /// its run. After `max_rounds` it goes to a person instead.
    #[must_use]
    pub fn judge_again(bead: &Bead, why: &str, max_rounds: u64) -> Self {
        let sent = Self::rework(bead, why, max_rounds);
        if sent.status.is_some() {
            return sent;
        }
        Self::default().facts(&json!({
            "phase": Phase::Working,
            "round": bead.facts().round + 1,
            "outcome": "",
            "error": "",
            "error_at": "",
        }))
    }

    fn too_often(bead: &Bead, what: &str, why: &str) -> Self {
        let first = why.lines().next().unwrap_or_default();
        let why = format!("{what}; last: {first}");
        Self::to_person(bead.id(), &why).facts(&json!({"feedback": why}))
    }

    fn round(bead: &Bead, why: &str) -> Self {
        let facts = bead.facts();
        Self::default().facts(&json!({
            "phase": Phase::Spawned,
            "round": facts.round + 1,
            "run_from": facts.run,
            "attempt": 0,
            "outcome": "",
            "not_before": "",
            "waits": "",
            "waits_at": "",
            "error": "",
            "error_at": "",
            "feedback": tail(why, usize::MAX, FEEDBACK),
        }))
    }
}

impl Guard {
    /// The bead exactly as it was read.
    #[must_use]
    pub fn as_read(bead: &Bead) -> Self {
        Self {
            assignee: bead.assignee().to_owned(),
            status: bead.status(),
        }
    }

    /// Whether `bead` still fulfils it.
    #[must_use]
    pub fn holds(&self, bead: &Bead) -> bool {
        *self == Self::as_read(bead)
    }
}

impl Bead {
    /// The bead with `change` applied at time `at`, as a store keeps it.
    ///
    /// # Errors
    /// When `metadata` is there and is not an object.
    pub fn with(&self, change: &Change, at: Timestamp) -> anyhow::Result<Self> {
        let mut members = self.members()?;
        if let Some(status) = change.status {
            set(&mut members, "status", &status)?;
            match status {
                Status::Closed => set(&mut members, "closed_at", &at)?,
                _ => drop(members.shift_remove("closed_at")),
            }
        }
        if let Some(assignee) = &change.assignee {
            set(&mut members, "assignee", assignee)?;
        }
        if let Some(note) = &change.note {
            let before = self.text("notes");
            let gap = if before.is_empty() { "" } else { "\n" };
            set(&mut members, "notes", &format!("{before}{gap}{note}"))?;
        }
        if !change.facts.is_empty() {
            let mut facts = match members.get("metadata").map(|raw| raw.get()) {
                None | Some("null") => Members::new(),
                Some(raw) => serde_json::from_str(raw).context("`metadata` is not an object")?,
            };
            for (key, value) in &change.facts {
                set(&mut facts, key, value)?;
            }
            set(&mut members, "metadata", &facts)?;
        }
        set(&mut members, "updated_at", &at)?;
        Self::from_members(&members)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_no_tool_knows_survives_byte_for_byte() {
        let line = r#"{"z":18446744073709551616,"id":"t-1","odd":1.10,"metadata":{"mine":1e2,"phase":"spawned"},"u":"\u00e9"}"#;
        let at = "2026-01-02T03:04:05Z".parse().expect("a time");
        let change = Change::default().facts(&json!({"phase": "working"}));
        assert_eq!(
            Bead::parse(line)
                .expect("a bead")
                .with(&change, at)
                .expect("changed")
                .line(),
            r#"{"z":18446744073709551616,"id":"t-1","odd":1.10,"metadata":{"mine":1e2,"phase":"working"},"u":"\u00e9","updated_at":"2026-01-02T03:04:05Z"}"#
        );
    }
}
