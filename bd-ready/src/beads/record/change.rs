//! What a program writes to a bead, and under which condition.

use anyhow::Context;
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::record::bead::Bead;
use crate::record::facts::{Fact, Phase, Status};
use crate::record::members::{Members, set};
use crate::text::{harmless, shell_word, tail};
use crate::token::CLAIM;

/// Longest feedback or error, in bytes.
const FEEDBACK: usize = 8 << 10;

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
    /// The bead enters a phase: what kept it from that is over, and so is, where an agent is to run,
    /// what came of an earlier run.
    #[must_use]
    pub fn to(phase: Phase) -> Self {
        let run = (phase < Phase::Committed).then_some(Fact::Outcome(None));
        Self::default()
            .facts([Fact::Phase(phase), Fact::NotBefore(None)])
            .facts(run)
            .facts([Fact::Error(String::new()), Fact::ErrorAt(None)])
            .waits_no_more()
    }

    /// Adds facts, or replaces them.
    #[must_use]
    pub fn facts(mut self, facts: impl IntoIterator<Item = Fact>) -> Self {
        for fact in facts {
            match serde_json::to_value(fact) {
                Ok(Value::Object(fact)) => self.facts.extend(fact),
                _ => unreachable!("a fact is a key and its value"),
            }
        }
        self
    }

    /// Notes what went wrong.
    #[must_use]
    pub fn error(self, why: &str, at: Timestamp) -> Self {
        let why = tail(why, usize::MAX, FEEDBACK).to_owned();
        self.facts([Fact::Error(why), Fact::ErrorAt(Some(at))])
    }

    /// Notes what a person has to do first.
    #[must_use]
    pub fn waits(self, why: &str, at: Timestamp) -> Self {
        self.facts([Fact::Waits(why.to_owned()), Fact::WaitsAt(Some(at))])
    }

    /// Notes that nobody has to do anything first.
    #[must_use]
    pub fn waits_no_more(self) -> Self {
        self.facts([Fact::Waits(String::new()), Fact::WaitsAt(None)])
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
        Self::round(bead, why).facts([Fact::Conflicts(conflicts + 1)])
    }

    /// Has the branch judged again, which has moved since its verdict: a new round that begins after
    /// its run. After `max_rounds` it goes to a person instead.
    #[must_use]
    pub fn judge_again(bead: &Bead, why: &str, max_rounds: u64) -> Self {
        let sent = Self::rework(bead, why, max_rounds);
        if sent.status.is_some() {
            return sent;
        }
        Self::to(Phase::Working).facts([Fact::Round(bead.facts().round + 1)])
    }

    fn too_often(bead: &Bead, what: &str, why: &str) -> Self {
        let first = why.lines().next().unwrap_or_default();
        let why = format!("{what}; last: {first}");
        Self::to_person(bead.id(), &why).facts([Fact::Feedback(why)])
    }

    fn round(bead: &Bead, why: &str) -> Self {
        let facts = bead.facts();
        Self::to(Phase::Spawned).facts([
            Fact::Round(facts.round + 1),
            Fact::RunFrom(facts.run),
            Fact::Attempt(0),
            Fact::Feedback(tail(why, usize::MAX, FEEDBACK).to_owned()),
        ])
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
    use super::*;
    use crate::record::facts::{Facts, Outcome};
    use crate::record::usage::Usage;

    #[test]
    fn what_is_written_is_what_is_read() {
        let at: Timestamp = "2026-01-02T03:04:05Z".parse().expect("a time");
        let text = str::to_owned;
        let facts = Facts {
            phase: Phase::Working,
            worktree: text("w"),
            branch: text("b"),
            agent_pid: 1,
            pr_number: 2,
            base: text("c"),
            host: text("d"),
            run: 3,
            attempt: 4,
            run_from: 5,
            round: 6,
            conflicts: 7,
            head: text("e"),
            pushed: text("f"),
            outcome: Some(Outcome::Escaped),
            feedback: text("g"),
            not_before: Some(at),
            error: text("h"),
            error_at: Some(at),
            waits: text("i"),
            waits_at: Some(at),
            pr_url: text("j"),
            opened_at: Some(at),
            merged_sha: text("k"),
            usage: Usage::default(),
        };
        let change = Change::to(Phase::Working)
            .facts([
                Fact::Worktree("w".into()),
                Fact::Branch(text("b")),
                Fact::AgentPid(1),
                Fact::PrNumber(2),
                Fact::Base(text("c")),
                Fact::Host(text("d")),
                Fact::Run(3),
                Fact::Attempt(4),
                Fact::RunFrom(5),
                Fact::Round(6),
                Fact::Conflicts(7),
                Fact::Head(text("e")),
                Fact::Pushed(text("f")),
                Fact::Outcome(Some(Outcome::Escaped)),
                Fact::Feedback(text("g")),
                Fact::NotBefore(Some(at)),
                Fact::PrUrl(text("j")),
                Fact::OpenedAt(Some(at)),
                Fact::MergedSha(text("k")),
                Fact::Usage(Usage::default()),
            ])
            .error("h", at)
            .waits("i", at);
        let bead = Bead::parse(r#"{"id":"t-1"}"#).expect("a bead");
        let written = bead.with(&change, at).expect("changed");
        assert_eq!(format!("{:?}", written.facts()), format!("{facts:?}"));
        // A new phase clears what is over.
        let next = written
            .with(&Change::to(Phase::Spawned), at)
            .expect("changed");
        let next = next.facts();
        assert_eq!(
            (next.outcome, next.not_before, next.error_at, next.waits_at),
            (None, None, None, None)
        );
        assert_eq!(
            (next.error.as_str(), next.waits.as_str(), next.run),
            ("", "", 3)
        );
    }

    #[test]
    fn what_no_tool_knows_survives_byte_for_byte() {
        let line = r#"{"z":18446744073709551616,"id":"t-1","odd":1.10,"metadata":{"mine":1e2,"phase":"spawned"},"u":"\u00e9"}"#;
        let at = "2026-01-02T03:04:05Z".parse().expect("a time");
        let change = Change::default().facts([Fact::Phase(Phase::Working)]);
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
