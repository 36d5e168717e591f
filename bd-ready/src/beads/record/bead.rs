//! One bead: the line that was read, and a typed view of what the tools need of it.

use std::sync::LazyLock;

use anyhow::{anyhow, ensure};
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::record::facts::{Facts, Phase, Status};
use crate::record::members::{Members, set};
use crate::record::view::{Dependency, View, plain};
use crate::token::CLAIM;

/// A record: the JSON object of one line, as Beads exports it.
///
/// The line is kept as it was read, so fields that no tool knows, their order and their numbers
/// pass through byte for byte.
#[derive(Clone, Debug)]
pub struct Bead {
    line: Box<str>,
    view: View,
    /// What cannot be read of what says whether it may be worked on.
    fault: Option<Box<str>>,
    /// It comes from Beads itself, not from a file.
    listed: bool,
}

impl Bead {
    /// Reads one line.
    ///
    /// # Errors
    /// When the line is not a JSON object, or has no string `id`.
    pub fn parse(line: &str) -> anyhow::Result<Self> {
        let (view, fault) =
            View::read(line).map_err(|err| anyhow!("not a bead: {}", plain(&err)))?;
        ensure!(!view.id.is_empty(), "not a bead: `id` is empty");
        Ok(Self {
            line: line.trim().into(),
            view,
            fault: fault.map(String::into_boxed_str),
            listed: false,
        })
    }

    /// The bead as Beads itself lists it.
    pub(crate) fn listed(self) -> Self {
        Self {
            listed: true,
            ..self
        }
    }

    /// Whether Beads itself listed it: all its edges are taken in, while a file may hold others.
    pub(crate) fn is_listed(&self) -> bool {
        self.listed
    }

    /// The line as it was read or made, without a line end.
    #[must_use]
    pub fn line(&self) -> &str {
        &self.line
    }

    /// The id, as Beads knows it: untrusted text.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.view.id
    }

    /// The title: untrusted text.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.view.title
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> Status {
        self.view.status
    }

    /// What cannot be read of the fields that say whether it may be worked on: nobody starts on
    /// such a bead, or on what depends on it.
    #[must_use]
    pub fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// Open, if need be by itself: deferred until a time that has passed.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        match self.status() {
            _ if self.fault.is_some() => false,
            Status::Open => true,
            Status::Deferred => self.defer_until().is_some_and(|until| until <= now),
            _ => false,
        }
    }

    /// The priority, 0 first, which is also that of a bead that names none.
    #[must_use]
    pub fn priority(&self) -> i64 {
        self.view.priority
    }

    /// Its place among those whose pull requests wait for the same base: by priority, then by when
    /// the pull request was first opened.
    #[must_use]
    pub fn place(&self) -> (i64, Option<Timestamp>) {
        (self.priority(), self.facts().opened_at)
    }

    /// The issue type: `task`, `epic`, …
    #[must_use]
    pub fn issue_type(&self) -> &str {
        &self.view.issue_type
    }

    /// Who has it: a person, a claim token, or nobody (empty).
    #[must_use]
    pub fn assignee(&self) -> &str {
        &self.view.assignee
    }

    /// The labels.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        &self.view.labels
    }

    /// When it was created.
    #[must_use]
    pub fn created_at(&self) -> Option<Timestamp> {
        self.view.created_at
    }

    /// When it was written last.
    #[must_use]
    pub fn updated_at(&self) -> Option<Timestamp> {
        self.view.updated_at
    }

    /// When it was closed.
    #[must_use]
    pub fn closed_at(&self) -> Option<Timestamp> {
        self.view.closed_at
    }

    /// When the lease of its claim ends or ended; none was given, or its store has none.
    #[must_use]
    pub fn lease_expires_at(&self) -> Option<Timestamp> {
        self.view.lease_expires_at
    }

    /// Time before which nobody is to start on it.
    #[must_use]
    pub fn defer_until(&self) -> Option<Timestamp> {
        self.view.defer_until
    }

    /// Pinned, ephemeral or a template: never work.
    #[must_use]
    pub fn set_aside(&self) -> bool {
        self.is_pinned() || self.is_ephemeral() || self.view.is_template
    }

    /// Stays open for good.
    pub(crate) fn is_pinned(&self) -> bool {
        self.view.pinned
    }

    /// Made to be thrown away.
    pub(crate) fn is_ephemeral(&self) -> bool {
        self.view.ephemeral || (self.view.wisp && !self.view.wisp_plane)
    }

    /// Kept apart by Beads, without a history: no edge that is imported leads there.
    pub(crate) fn is_wisp(&self) -> bool {
        self.view.wisp_plane || self.is_ephemeral()
    }

    /// The edges to what it depends on, parents included.
    #[must_use]
    pub fn dependencies(&self) -> &[Dependency] {
        &self.view.dependencies
    }

    /// Our facts.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        static NONE: LazyLock<Facts> = LazyLock::new(Facts::default);
        self.view.metadata.as_deref().unwrap_or(&NONE)
    }

    /// The phase as far as it counts: see [`Phase`].
    #[must_use]
    pub fn phase(&self) -> Phase {
        match (self.status(), self.facts().phase) {
            (Status::InProgress, phase) if phase < Phase::Merged => phase,
            (Status::Closed, Phase::Merged) => Phase::Merged,
            _ => Phase::None,
        }
    }

    /// Held by a claim of ours or of another clone's line.
    #[must_use]
    pub fn claimed(&self) -> bool {
        self.assignee().starts_with(CLAIM)
    }

    /// In progress by a line, and not merged yet.
    #[must_use]
    pub fn under_way(&self) -> bool {
        self.status() == Status::InProgress && self.claimed() && self.facts().phase != Phase::Merged
    }

    /// A text field by name, such as `description`; empty when absent or no string.
    #[must_use]
    pub fn text(&self, field: &str) -> String {
        let text = self.members().ok().and_then(|members| {
            members
                .get(field)
                .and_then(|raw| serde_json::from_str(raw.get()).ok())
        });
        text.unwrap_or_default()
    }

    /// The bead with an assignee, if only an empty one: Beads leaves that out, and whoever had the
    /// bead before would seem to have it still.
    pub(crate) fn with_assignee(self) -> anyhow::Result<Self> {
        let mut members = self.members()?;
        if members.contains_key("assignee") {
            return Ok(self);
        }
        set(&mut members, "assignee", &"")?;
        Self::from_members(&members)
    }

    /// The bead without one of its fields.
    pub(crate) fn without(self, field: &str) -> anyhow::Result<Self> {
        let mut members = self.members()?;
        members.shift_remove(field);
        Self::from_members(&members)
    }

    /// All keys of `metadata`, ours or not.
    pub(crate) fn metadata(&self) -> Map<String, Value> {
        let members = self.members().ok();
        let raw = members.as_ref().and_then(|members| members.get("metadata"));
        raw.and_then(|raw| serde_json::from_str(raw.get()).ok())
            .unwrap_or_default()
    }

    /// This bead with every field that `stored` has; fields the store does not know stay.
    ///
    /// # Errors
    /// Never for beads that were parsed; the signature follows the JSON library's.
    pub fn refreshed(&self, stored: &Self) -> anyhow::Result<Self> {
        let mut members = self.members()?;
        members.extend(stored.members()?);
        Self::from_members(&members)
    }

    /// The line with these fields added, for those who look on; every other field keeps its bytes.
    ///
    /// # Errors
    /// Never for beads that were parsed; the signature follows the JSON library's.
    pub fn line_with(&self, fields: &[(&str, Value)]) -> anyhow::Result<String> {
        let mut members = self.members()?;
        for (name, value) in fields {
            set(&mut members, name, value)?;
        }
        Ok(serde_json::to_string(&members)?)
    }

    pub(crate) fn members(&self) -> anyhow::Result<Members> {
        Ok(serde_json::from_str(&self.line)?)
    }

    pub(crate) fn from_members(members: &Members) -> anyhow::Result<Self> {
        Self::parse(&serde_json::to_string(members)?)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bead(line: &str) -> Bead {
        Bead::parse(line).expect("a bead")
    }

    #[test]
    fn a_phase_counts_only_with_its_status() {
        let phase = |status: &str, phase: &str| {
            bead(&json!({"id": "t", "status": status, "metadata": {"phase": phase}}).to_string())
                .phase()
        };
        assert_eq!(phase("in_progress", "committed"), Phase::Committed);
        assert_eq!(phase("open", "committed"), Phase::None);
        assert_eq!(phase("closed", "merged"), Phase::Merged);
        assert_eq!(phase("in_progress", "merged"), Phase::None);
        assert_eq!(phase("in_progress", "a later version's"), Phase::None);
    }

    #[test]
    fn a_field_of_another_type_reads_as_empty() {
        let odd = bead(r#"{"id":"t","title":7,"labels":null,"metadata":{"run":"x","branch":5}}"#);
        assert_eq!(
            (odd.title(), odd.facts().run, odd.facts().branch.as_str()),
            ("", 0, "")
        );
        assert_eq!(
            bead(r#"{"id":"t","metadata":"{}"}"#).facts().phase,
            Phase::None
        );
    }

    #[test]
    fn what_is_no_bead_is_refused() {
        for line in [
            "[]",
            "7",
            "{}",
            r#"{"id":7}"#,
            r#"{"id":""}"#,
            "{\"id\":",
            "\"id\"",
        ] {
            assert!(Bead::parse(line).is_err(), "{line}");
        }
    }
}
