//! Beads as JSON lines: each at least `{"title":…}`.

use std::collections::HashSet;

use anyhow::{Context, ensure};
use beads::{New, Tool};
use serde::Deserialize;
use serde_json::Value;

use crate::import::Import;
use crate::report::Report;

/// The fields of a line that are taken.
#[derive(Debug, Deserialize)]
struct Line {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    title: String,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    acceptance_criteria: Option<String>,
    #[serde(default)]
    design: Option<String>,
    #[serde(default)]
    priority: Option<i64>,
    #[serde(default)]
    issue_type: Option<String>,
    #[serde(default)]
    labels: Option<Vec<String>>,
    #[serde(default)]
    parent: Option<String>,
    #[serde(default)]
    dependencies: Option<Vec<On>>,
}

/// What a line depends on: an id, or a row as an export has it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum On {
    Id(String),
    Row {
        depends_on_id: String,
        #[serde(rename = "type", default = "blocks")]
        kind: String,
    },
}

/// The types of edges that a line may have, the parent's aside.
const KINDS: [&str; 3] = ["blocks", "related", "discovered-from"];

/// Creates a bead for each line of the input that has none yet.
///
/// # Errors
/// When stdin or Beads cannot be read.
pub(crate) fn import(tool: &Tool, import: &Import<'_>, report: &Report) -> anyhow::Result<()> {
    let mut known: HashSet<String> = tool
        .store
        .list()?
        .iter()
        .map(|bead| bead.id().to_owned())
        .collect();
    tool.pipe.lines(|number, line| {
        let at = format!("line {number}");
        let done = line.and_then(|line| new(line, &known)).and_then(|new| {
            let Some(new) = new else { return Ok(None) };
            import.create(&at, &at, &new).map(Some)
        });
        match done {
            Ok(Some(bead)) => {
                known.insert(bead.id().to_owned());
                tool.pipe.emit(&bead);
            }
            Ok(None) => report.skip(&at, "its id is there already, or it is closed"),
            Err(err) => report.fail(&at, &format!("{err:#}")),
        }
    })
}

/// The bead that a line asks for; `None`: it is there already, or over.
fn new(line: &str, known: &HashSet<String>) -> anyhow::Result<Option<New>> {
    let value: Value = serde_json::from_str(line).context("not JSON")?;
    let line: Line = serde_json::from_value(value).context("not a bead")?;
    let over = matches!(line.status.as_deref(), Some("closed" | "tombstone"));
    if over || line.id.as_ref().is_some_and(|id| known.contains(id)) {
        return Ok(None);
    }
    let mut new = New {
        id: line.id,
        title: line.title,
        description: line.description.unwrap_or_default(),
        acceptance_criteria: line.acceptance_criteria.unwrap_or_default(),
        design: line.design.unwrap_or_default(),
        priority: line.priority.unwrap_or(2),
        issue_type: line.issue_type.unwrap_or_else(|| "task".to_owned()),
        labels: line.labels.unwrap_or_default(),
        parent: line.parent.filter(|parent| !parent.is_empty()),
        ..New::default()
    };
    for on in line.dependencies.unwrap_or_default() {
        let (id, kind) = match on {
            On::Id(id) => (id, blocks()),
            On::Row {
                depends_on_id,
                kind,
            } => (depends_on_id, kind),
        };
        if kind == "parent-child" {
            new.parent = Some(id);
        } else {
            ensure!(
                KINDS.contains(&kind.as_str()),
                "a dependency of type '{kind}' is not taken"
            );
            new.edges.push((id, kind));
        }
    }
    for on in new.edges.iter().map(|(on, _)| on).chain(&new.parent) {
        ensure!(
            known.contains(on),
            "it depends on '{on}', which is neither there nor in an earlier line"
        );
    }
    Ok(Some(new))
}

fn blocks() -> String {
    "blocks".to_owned()
}
