//! What the tools read of a bead's line, and what in it cannot be read.
//!
//! A field that says whether the bead may be worked on is read, or it is the bead's fault: an odd
//! dependency is never none. Any other field of a wrong type reads as empty, as one odd bead must
//! not stop the reading of all.

use indexmap::IndexMap;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::record::facts::{Facts, Status};
use crate::record::lenient::lenient;
use crate::record::members::Members;

/// What the tools read of a bead. Absent and null are the same: empty; `status` alone is no null.
#[derive(Clone, Debug, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "the columns of Beads")]
pub(crate) struct View {
    pub(crate) id: String,
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) title: String,
    #[serde(default, deserialize_with = "status")]
    pub(crate) status: Status,
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) priority: i64,
    #[serde(default, deserialize_with = "strict")]
    pub(crate) issue_type: String,
    #[serde(default, deserialize_with = "strict")]
    pub(crate) assignee: String,
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) labels: Vec<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) created_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) updated_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) closed_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "time")]
    pub(crate) defer_until: Option<Timestamp>,
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) lease_expires_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "strict")]
    pub(crate) pinned: bool,
    #[serde(default, deserialize_with = "strict")]
    pub(crate) ephemeral: bool,
    /// An older word for it.
    #[serde(default, deserialize_with = "strict")]
    pub(crate) wisp: bool,
    #[serde(default, deserialize_with = "strict")]
    pub(crate) wisp_plane: bool,
    #[serde(default, deserialize_with = "strict")]
    pub(crate) is_template: bool,
    #[serde(default, deserialize_with = "dependencies")]
    pub(crate) dependencies: Vec<Dependency>,
    /// Boxed: most beads of a tracker have none, and all are held at once.
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) metadata: Option<Box<Facts>>,
}

/// One edge of the dependency graph, as a row of `dependencies` has it.
#[derive(Clone, Debug)]
pub struct Dependency {
    /// The bead that is depended on.
    pub depends_on_id: String,
    /// `blocks`, `parent-child`, `conditional-blocks`, `waits-for`, `related`, …
    pub kind: String,
    /// JSON text with the options of a `waits-for` edge.
    pub metadata: String,
}

/// A row as an export has it, or as `bd show` does: the whole bead that is depended on.
#[derive(Deserialize)]
struct Row {
    depends_on_id: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "text")]
    metadata: String,
    id: Option<String>,
    dependency_type: Option<String>,
}

impl View {
    /// Reads a line. With it comes its fault: the fields that cannot be read, and why not.
    ///
    /// # Errors
    /// When the line is no JSON object, or has no string `id`.
    pub(crate) fn read(line: &str) -> Result<(Self, Option<String>), serde_json::Error> {
        match serde_json::from_str(line) {
            Ok(view) => Ok((view, None)),
            Err(err) => match Self::read_around_faults(line) {
                Some((view, fault)) => Ok((view, Some(fault))),
                None => Err(err),
            },
        }
    }

    /// Reads what can be read. `None`: that is nothing, or no field is at fault.
    fn read_around_faults(line: &str) -> Option<(Self, String)> {
        let mut members: Members = serde_json::from_str(line).ok()?;
        let id = members.get("id")?.clone();
        let mut faults = Vec::new();
        for (name, raw) in &members {
            let alone = IndexMap::from([("id", &id), (name.as_str(), raw)]);
            let alone = serde_json::to_string(&alone).ok()?;
            if let Err(err) = serde_json::from_str::<Self>(&alone) {
                faults.push((name.clone(), format!("`{name}`: {}", plain(&err))));
            }
        }
        for (name, _) in &faults {
            let rest = members.shift_remove(name).and_then(|raw| good_rows(&raw));
            if name == "dependencies"
                && let Some(rest) = rest
            {
                members.insert(name.clone(), rest);
            }
        }
        let mut view: Self = serde_json::from_str(&serde_json::to_string(&members).ok()?).ok()?;
        if faults.iter().any(|(name, _)| name == "status") {
            view.status = Status::Other;
        }
        let why: Vec<String> = faults.into_iter().map(|(_, why)| why).collect();
        (!why.is_empty()).then(|| (view, why.join("; ")))
    }
}

impl Dependency {
    /// Reads one row of `dependencies`: a plain id blocks, as does an edge of no type.
    pub(crate) fn read(row: &RawValue) -> Option<Self> {
        if row.get().starts_with('"') {
            let id: String = serde_json::from_str(row.get()).ok()?;
            return (!id.is_empty()).then(|| Self::new(id, None, String::new()));
        }
        let row: Row = serde_json::from_str(row.get()).ok()?;
        let on = row.depends_on_id.or(row.id)?;
        Some(Self::new(
            on,
            row.kind.or(row.dependency_type),
            row.metadata,
        ))
    }

    /// Whether the bead that is depended on may hold this one back.
    #[must_use]
    pub fn may_block(&self) -> bool {
        let kinds = ["blocks", "conditional-blocks", "waits-for", "parent-child"];
        kinds.contains(&self.kind.as_str())
    }

    fn new(depends_on_id: String, kind: Option<String>, metadata: String) -> Self {
        Self {
            depends_on_id,
            kind: kind.unwrap_or_else(|| "blocks".to_owned()),
            metadata,
        }
    }
}

/// What is left of a list of rows without those that cannot be read.
fn good_rows(raw: &RawValue) -> Option<Box<RawValue>> {
    let rows: Vec<&RawValue> = serde_json::from_str(raw.get()).ok()?;
    let is_good = |row: &&RawValue| Dependency::read(row).is_some();
    let good: Vec<&RawValue> = rows.into_iter().filter(is_good).collect();
    serde_json::value::to_raw_value(&good).ok()
}

fn dependencies<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Dependency>, D::Error> {
    let rows = Option::<Vec<&RawValue>>::deserialize(deserializer)?.unwrap_or_default();
    let read = |(number, row): (usize, &&RawValue)| {
        let odd = || D::Error::custom(format!("row {number} is neither an id nor an edge"));
        Dependency::read(row).ok_or_else(odd)
    };
    (1..).zip(&rows).map(read).collect()
}

/// A value of its type, or nothing.
fn strict<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + DeserializeOwned,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A bead that has no status is open; one whose status is something else than a word is not.
fn status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Status, D::Error> {
    let raw = <&RawValue>::deserialize(deserializer)?;
    serde_json::from_str(raw.get()).map_err(|_| is_no(raw, "status"))
}

/// A time, or a date: the beginning of that day in UTC, which is the same on every machine.
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let raw = <&RawValue>::deserialize(deserializer)?;
    let text: Option<String> = serde_json::from_str(raw.get()).map_err(|_| is_no(raw, "time"))?;
    let read = |text: String| moment(&text).ok_or_else(|| is_no(raw, "time"));
    text.map(read).transpose()
}

fn moment(text: &str) -> Option<Timestamp> {
    let civil = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok();
    text.parse()
        .ok()
        .or_else(|| civil().map(|zoned| zoned.timestamp()))
}

/// JSON text, or the JSON itself.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let raw = <&RawValue>::deserialize(deserializer)?.get();
    match raw {
        "null" => Ok(String::new()),
        _ => Ok(serde_json::from_str(raw).unwrap_or_else(|_| raw.to_owned())),
    }
}

fn is_no<E: Error>(raw: &RawValue, what: &str) -> E {
    let start: String = raw.get().chars().take(40).collect();
    E::custom(format!("{start} is no {what}"))
}

/// The JSON library's message without its position: the line number is said elsewhere.
pub(crate) fn plain(err: &serde_json::Error) -> String {
    let text = err.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(field: &str, value: &Value) -> (View, Option<String>) {
        View::read(&json!({"id": "t", field: value}).to_string()).expect("a bead")
    }

    #[test]
    fn every_form_of_an_edge_is_read() {
        let rows = json!([
            "a",
            {"depends_on_id": "b"},
            {"depends_on_id": "c", "type": null},
            {"depends_on_id": "d", "type": "waits-for", "metadata": {"also_blocks": true}},
            {"id": "e", "title": "as bd show has it", "dependency_type": "related"},
            // As Beads lists an edge that it was given without a type.
            {"depends_on_id": "f", "type": ""},
        ]);
        let (view, fault) = read("dependencies", &rows);
        let edges = view.dependencies.iter();
        let edges: Vec<(&str, &str)> = edges
            .map(|edge| (edge.depends_on_id.as_str(), edge.kind.as_str()))
            .collect();
        assert_eq!(
            edges,
            [
                ("a", "blocks"),
                ("b", "blocks"),
                ("c", "blocks"),
                ("d", "waits-for"),
                ("e", "related"),
                ("f", ""),
            ]
        );
        assert_eq!(view.dependencies[3].metadata, r#"{"also_blocks":true}"#);
        assert_eq!(fault, None);
    }

    #[test]
    fn a_field_that_cannot_be_read_is_named() {
        for (field, value, why) in [
            (
                "dependencies",
                json!({}),
                "invalid type: map, expected a sequence",
            ),
            (
                "dependencies",
                json!(["a", 7]),
                "row 2 is neither an id nor an edge",
            ),
            (
                "dependencies",
                json!([""]),
                "row 1 is neither an id nor an edge",
            ),
            (
                "dependencies",
                json!([null]),
                "row 1 is neither an id nor an edge",
            ),
            (
                "dependencies",
                json!([{"depends_on_id": 7}]),
                "row 1 is neither an id nor an edge",
            ),
            (
                "dependencies",
                json!([{"title": "a"}]),
                "row 1 is neither an id nor an edge",
            ),
            ("status", Value::Null, "null is no status"),
            ("status", json!(7), "7 is no status"),
            ("defer_until", json!("soon"), "\"soon\" is no time"),
            ("defer_until", json!(1_900_000_000), "1900000000 is no time"),
            (
                "assignee",
                json!(["ann"]),
                "invalid type: sequence, expected a string",
            ),
            (
                "pinned",
                json!("yes"),
                "invalid type: string \"yes\", expected a boolean",
            ),
        ] {
            let (_, fault) = read(field, &value);
            assert_eq!(fault, Some(format!("`{field}`: {why}")), "{value}");
        }
        for field in ["dependencies", "defer_until", "assignee", "pinned"] {
            assert_eq!(read(field, &Value::Null).1, None, "{field}");
        }
    }

    #[test]
    fn the_rest_of_a_bead_with_a_fault_is_read() {
        let line = json!({
            "id": "t", "status": 7, "defer_until": 7, "title": "T",
            "dependencies": [{"depends_on_id": "a", "type": "parent-child"}, 7],
        });
        let (view, fault) = View::read(&line.to_string()).expect("a bead");
        assert_eq!((view.title.as_str(), view.status), ("T", Status::Other));
        assert_eq!(view.dependencies[0].kind, "parent-child");
        let fault = fault.expect("a fault");
        assert_eq!(fault.matches("; ").count(), 2, "{fault}");
    }

    #[test]
    fn a_date_is_the_beginning_of_its_day() {
        for (text, at) in [
            ("2030-01-01", "2030-01-01T00:00:00Z"),
            ("2030-01-01T05:00:00", "2030-01-01T05:00:00Z"),
            ("2030-01-01T05:00:00+05:00", "2030-01-01T00:00:00Z"),
        ] {
            assert_eq!(moment(text), at.parse().ok(), "{text}");
        }
        assert_eq!(moment("2030-13-01"), None);
    }
}
