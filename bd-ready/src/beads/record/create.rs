//! New beads, and changes to what a bead asks for: what an import writes.

use anyhow::{Context, ensure};
use indexmap::IndexMap;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::record::bead::Bead;
use crate::record::facts::Status;
use crate::record::members::{Members, set};
use crate::record::view::Dependency;

/// Longest title that Beads takes, in characters.
const TITLE: usize = 500;

/// A bead that is not there yet: open, and nobody's.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct New {
    /// The id, if it is to have this one; else the store makes one.
    pub id: Option<String>,
    /// The title, one line.
    pub title: String,
    /// What is to be done.
    pub description: String,
    /// How one knows that it is done.
    pub acceptance_criteria: String,
    /// How it is to be done.
    pub design: String,
    /// 0 to 4, 0 first.
    pub priority: i64,
    /// `task`, `epic`, …
    pub issue_type: String,
    /// Labels.
    pub labels: Vec<String>,
    /// The bead it is a child of.
    pub parent: Option<String>,
    /// What it depends on, the parent aside: `(id, type)`.
    pub edges: Vec<(String, String)>,
    /// Keys of `metadata`.
    pub metadata: Map<String, Value>,
}

/// A change to what a bead asks for, in one write. What is `None` or empty stays as it is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Revision {
    /// The new title.
    pub title: Option<String>,
    /// The new description.
    pub description: Option<String>,
    /// The new acceptance criteria.
    pub acceptance_criteria: Option<String>,
    /// The new priority.
    pub priority: Option<i64>,
    /// The new parent.
    pub parent: Option<String>,
    /// Beads that block it from now on.
    pub block: Vec<String>,
    /// Beads that block it no longer.
    pub unblock: Vec<String>,
    /// Keys of `metadata`, replaced in their place or added.
    pub metadata: Map<String, Value>,
}

/// One row of `dependencies`, as an export has it.
#[derive(Serialize)]
struct Row<'a> {
    issue_id: &'a str,
    depends_on_id: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    created_at: Timestamp,
}

impl New {
    /// Whether Beads would take it.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn check(&self) -> anyhow::Result<()> {
        ensure!(!self.title.trim().is_empty(), "it has no title");
        ensure!(
            self.title.chars().count() <= TITLE,
            "its title is longer than {TITLE} characters"
        );
        ensure!(
            (0..=4).contains(&self.priority),
            "its priority is not one of 0 to 4"
        );
        let texts = [
            &self.title,
            &self.description,
            &self.acceptance_criteria,
            &self.design,
        ];
        ensure!(
            !texts.into_iter().any(|text| text.contains('\0')),
            "it holds a NUL character"
        );
        Ok(())
    }

    /// The bead as a store keeps it, made at time `at`.
    ///
    /// # Errors
    /// When the id is empty.
    pub fn bead(&self, id: &str, at: Timestamp) -> anyhow::Result<Bead> {
        let mut bead = json!({"_type": "issue", "id": id, "title": self.title});
        let texts = [
            ("description", &self.description),
            ("acceptance_criteria", &self.acceptance_criteria),
            ("design", &self.design),
        ];
        for (field, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
            bead[field] = json!(text);
        }
        bead["status"] = json!(Status::Open);
        bead["priority"] = json!(self.priority);
        bead["issue_type"] = json!(self.issue_type);
        if !self.labels.is_empty() {
            bead["labels"] = json!(self.labels);
        }
        bead["created_at"] = json!(at);
        bead["updated_at"] = json!(at);
        if !self.metadata.is_empty() {
            bead["metadata"] = json!(self.metadata);
        }
        let rows = self.rows(id, at);
        if !rows.is_empty() {
            bead["dependencies"] = json!(rows);
        }
        Bead::parse(&bead.to_string())
    }

    /// Whether the bead is what became of this one.
    pub(crate) fn is(&self, bead: &Bead) -> bool {
        self.id.is_none() && !self.metadata.is_empty() && bead.metadata() == self.metadata
    }

    /// Whether a bead that was made of it can be told from others.
    pub(crate) fn is_known_again(&self) -> bool {
        self.id.is_some() || !self.metadata.is_empty()
    }

    /// The bead that a store made of it and answered without its edges, with them.
    pub(crate) fn with_edges(&self, made: &Bead) -> anyhow::Result<Bead> {
        let rows = self.rows(made.id(), made.created_at().unwrap_or_default());
        if rows.is_empty() {
            return Ok(made.clone());
        }
        let mut members = made.members()?;
        set(&mut members, "dependencies", &rows)?;
        Bead::from_members(&members)
    }

    fn rows<'a>(&'a self, id: &'a str, at: Timestamp) -> Vec<Row<'a>> {
        let parent = self.parent.iter().map(|on| (on.as_str(), "parent-child"));
        let edges = self.edges.iter();
        let edges = edges.map(|(on, kind)| (on.as_str(), kind.as_str()));
        let row = |(depends_on_id, kind)| Row {
            issue_id: id,
            depends_on_id,
            kind,
            created_at: at,
        };
        parent.chain(edges).map(row).collect()
    }
}

impl Revision {
    /// Whether it would change nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Bead {
    /// The bead with `revision` applied at time `at`, as a store keeps it.
    ///
    /// # Errors
    /// When `metadata` or `dependencies` are there in another form than an export has.
    pub fn revised(&self, revision: &Revision, at: Timestamp) -> anyhow::Result<Self> {
        let mut members = self.members()?;
        let texts = [
            ("title", &revision.title),
            ("description", &revision.description),
            ("acceptance_criteria", &revision.acceptance_criteria),
        ];
        for (field, text) in texts {
            if let Some(text) = text {
                set(&mut members, field, text)?;
            }
        }
        if let Some(priority) = revision.priority {
            set(&mut members, "priority", &priority)?;
        }
        self.revise_edges(&mut members, revision, at)?;
        if !revision.metadata.is_empty() {
            let mut metadata: IndexMap<String, Box<RawValue>> = match members
                .get("metadata")
                .map(|raw| raw.get())
            {
                None | Some("null") => IndexMap::new(),
                Some(raw) => serde_json::from_str(raw).context("`metadata` is not an object")?,
            };
            for (key, value) in &revision.metadata {
                set(&mut metadata, key, value)?;
            }
            set(&mut members, "metadata", &metadata)?;
        }
        set(&mut members, "updated_at", &at)?;
        Self::from_members(&members)
    }

    fn revise_edges(
        &self,
        members: &mut Members,
        revision: &Revision,
        at: Timestamp,
    ) -> anyhow::Result<()> {
        let Revision {
            parent,
            block,
            unblock,
            ..
        } = revision;
        if parent.is_none() && block.is_empty() && unblock.is_empty() {
            return Ok(());
        }
        let rows: Vec<Box<RawValue>> = match members.get("dependencies").map(|raw| raw.get()) {
            None | Some("null") => Vec::new(),
            Some(raw) => serde_json::from_str(raw).context("`dependencies` is not a list")?,
        };
        let goes = |row: &RawValue| match Dependency::read(row) {
            Some(row) if row.kind == "blocks" => unblock.contains(&row.depends_on_id),
            Some(row) if row.kind == "parent-child" => parent.is_some(),
            _ => false,
        };
        let mut kept: Vec<Box<RawValue>> = rows.into_iter().filter(|row| !goes(row)).collect();
        let parent = parent.iter().map(|on| (on, "parent-child"));
        let block = block.iter().map(|on| (on, "blocks"));
        for (depends_on_id, kind) in parent.chain(block) {
            let row = Row {
                issue_id: self.id(),
                depends_on_id,
                kind,
                created_at: at,
            };
            kept.push(serde_json::value::to_raw_value(&row)?);
        }
        set(members, "dependencies", &kept)
    }
}
