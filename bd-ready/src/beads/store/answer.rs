//! Beads in what `bd` answers: an array, or the same in an envelope.

use anyhow::Context;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::record::bead::Bead;

/// `{"schema_version":1,"data":[…]}`, with `BD_JSON_ENVELOPE=1` and from version 2 on.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// What an answer holds, with an envelope or without.
pub(crate) fn data(text: &str) -> &str {
    let text = text.trim();
    if !text.starts_with('{') {
        return text;
    }
    match serde_json::from_str(text) {
        Ok(Envelope { data: Some(data) }) => data.get(),
        _ => text,
    }
}

/// The beads of an answer: in an array or alone. Each becomes one line, with every value as it was
/// written.
///
/// # Errors
/// When it is no JSON, or something in it is no bead.
pub(crate) fn beads(text: &str) -> anyhow::Result<Vec<Bead>> {
    let text = data(text);
    if text.starts_with('{') {
        return Ok(vec![Bead::parse(&compact(text))?.listed()]);
    }
    let rows: Vec<&RawValue> = serde_json::from_str(text).context("its answer is no JSON")?;
    rows.iter()
        .map(|row| Ok(Bead::parse(&compact(row.get()))?.listed()))
        .collect()
}

/// The one bead of an answer.
///
/// # Errors
/// When there is none.
pub(crate) fn bead(text: &str) -> anyhow::Result<Bead> {
    beads(text)?.pop().context("it answered nothing")
}

/// JSON without the white space between its tokens.
pub(crate) fn compact(json: &str) -> String {
    let (mut inside, mut escaped) = (false, false);
    let keep = |c: &char| {
        if inside {
            (inside, escaped) = (escaped || *c != '"', !escaped && *c == '\\');
            return true;
        }
        inside = *c == '"';
        !c.is_ascii_whitespace()
    };
    json.chars().filter(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_values_keep_their_bytes() {
        let row = "{\n  \"id\": \"t-1\",\n  \"n\": 1.10,\n  \"x\": \"a \\\" b\\\\\"\n}";
        let line = r#"{"id":"t-1","n":1.10,"x":"a \" b\\"}"#;
        for text in [
            format!("[\n{row}\n]\n"),
            format!("{{\"schema_version\": 1, \"data\": [{row}]}}"),
            row.to_owned(),
        ] {
            let beads = beads(&text).expect("beads");
            assert_eq!(beads.len(), 1, "{text}");
            assert_eq!(beads[0].line(), line);
        }
        assert!(beads("[]").expect("none").is_empty());
    }

    #[test]
    fn garbage_is_refused() {
        for text in ["", "panic: x", "[1]", "[{\"id\":\"a\"}", "{\"data\":7}"] {
            assert!(beads(text).is_err(), "{text}");
        }
    }
}
