//! What `bd` is told to write, as arguments; a description that is too long for one, as a file.

use std::fs::File;
use std::io::{Seek, Write};

use anyhow::ensure;
use serde_json::Value;
use tempfile::NamedTempFile;

use crate::record::change::{Change, Guard};
use crate::record::create::{New, Revision};

/// Who made a bead that an import made.
const ACTOR: &str = "--actor=beadline";

/// Longest argument, in bytes: `MAX_ARG_STRLEN` of Linux (execve(2)), less a flag's name.
const LONGEST: usize = (128 << 10) - 64;

/// The one guarded write of `change`. Values stand behind `=`, so that none reads as a flag.
pub(super) fn update(id: &str, guard: &Guard, change: &Change) -> Vec<String> {
    let word = |status| serde_json::to_value(status).ok();
    let word = |status| match word(status) {
        Some(Value::String(word)) => word,
        _ => String::new(),
    };
    let mut args = vec![
        "update".to_owned(),
        format!("--actor={}", change.actor(guard)),
        format!("--if-assignee={}", guard.assignee),
        format!("--if-status={}", word(guard.status)),
        "--json".to_owned(),
    ];
    if let Some(status) = change.status {
        args.push(format!("--status={}", word(status)));
    }
    if let Some(assignee) = &change.assignee {
        args.push(format!("--assignee={assignee}"));
    }
    if let Some(note) = &change.note {
        args.push(format!("--append-notes={}", note.replace('\0', "")));
    }
    if !change.facts.is_empty() {
        args.push(format!(
            "--metadata={}",
            Value::Object(change.facts.clone())
        ));
    }
    args.extend(["--".to_owned(), id.to_owned()]);
    args
}

/// The call that creates a bead: one write, with everything that it is known by.
///
/// # Errors
/// When a text is too long to be an argument, or a label would be two.
pub(super) fn create(new: &New) -> anyhow::Result<(Vec<String>, Option<NamedTempFile>)> {
    let mut args = vec!["create".to_owned(), ACTOR.to_owned(), "--json".to_owned()];
    // Its stdin holds a lock, as an import that is killed leaves it at work.
    let long = match new.description.len() > LONGEST {
        true => Some(long(&new.description)?),
        false => None,
    };
    match &long {
        Some(file) => args.push(format!("--body-file={}", file.path().display())),
        None => text(&mut args, "description", &new.description)?,
    }
    args.push(format!("--title={}", new.title));
    args.push(format!("--priority={}", new.priority));
    args.push(format!("--type={}", new.issue_type));
    text(&mut args, "acceptance", &new.acceptance_criteria)?;
    text(&mut args, "design", &new.design)?;
    let ids = new.edges.iter().map(|(on, _)| on).chain(&new.parent);
    for list in ids.chain(&new.labels) {
        // Lists are read as rows of CSV.
        ensure!(
            !list.contains([',', '"', '\n']),
            "'{list}' cannot be in a list"
        );
    }
    if !new.labels.is_empty() {
        args.push(format!("--labels={}", new.labels.join(",")));
    }
    let edge = |(on, kind): &(String, String)| match kind.as_str() {
        // `blocks:ID` is the other direction.
        "blocks" => on.clone(),
        kind => format!("{kind}:{on}"),
    };
    let mut edges: Vec<String> = new.edges.iter().map(edge).collect();
    match (&new.id, &new.parent) {
        (Some(id), parent) => {
            args.extend([format!("--id={id}"), "--force".to_owned()]);
            edges.extend(parent.iter().map(|parent| format!("parent-child:{parent}")));
        }
        (None, Some(parent)) => {
            args.extend([
                format!("--parent={parent}"),
                "--no-inherit-labels".to_owned(),
            ]);
        }
        (None, None) => {}
    }
    if !edges.is_empty() {
        args.push(format!("--deps={}", edges.join(",")));
    }
    if !new.metadata.is_empty() {
        let metadata = Value::Object(new.metadata.clone()).to_string();
        text(&mut args, "metadata", &metadata)?;
    }
    Ok((args, long))
}

/// The call that changes all but the edges.
///
/// # Errors
/// When a text is too long to be an argument.
pub(super) fn revise(id: &str, revision: &Revision) -> anyhow::Result<Vec<String>> {
    let mut args = vec!["update".to_owned(), ACTOR.to_owned(), "--json".to_owned()];
    if let Some(title) = &revision.title {
        args.push(format!("--title={title}"));
    }
    if revision.description.is_some() {
        args.extend([
            "--body-file=-".to_owned(),
            "--allow-empty-description".to_owned(),
        ]);
    }
    if let Some(criteria) = &revision.acceptance_criteria {
        args.push(argument("acceptance", criteria)?);
    }
    if let Some(priority) = revision.priority {
        args.push(format!("--priority={priority}"));
    }
    if let Some(parent) = &revision.parent {
        args.push(format!("--parent={parent}"));
    }
    let metadata = Value::Object(revision.metadata.clone()).to_string();
    args.push(argument("metadata", &metadata)?);
    args.extend(["--".to_owned(), id.to_owned()]);
    Ok(args)
}

fn long(text: &str) -> anyhow::Result<NamedTempFile> {
    let mut file = NamedTempFile::new()?;
    file.write_all(text.as_bytes())?;
    Ok(file)
}

/// A description, to be read from its beginning.
pub(super) fn body(text: &str) -> anyhow::Result<File> {
    let mut file = tempfile::tempfile()?;
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    Ok(file)
}

pub(super) fn strs(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

fn text(args: &mut Vec<String>, flag: &str, text: &str) -> anyhow::Result<()> {
    if !text.is_empty() {
        args.push(argument(flag, text)?);
    }
    Ok(())
}

fn argument(flag: &str, text: &str) -> anyhow::Result<String> {
    ensure!(
        text.len() <= LONGEST,
        "its {flag} is longer than {LONGEST} bytes, which bd cannot be given"
    );
    Ok(format!("--{flag}={text}"))
}
