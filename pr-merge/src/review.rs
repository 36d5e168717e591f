//! A reviewer's word: the JSON object that it writes to the file `$BEADLINE_VERDICT`. What is not in
//! this form decides nothing, and neither does an exit status.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustix::fs::{Mode, OFlags, open};
use serde::Deserialize;

use crate::gate::facts::Review;

/// The longest verdict that is read.
const LONGEST: u64 = 256 << 10;

/// The longest feedback that is made of one; what begins it comes before that.
pub(crate) const FEEDBACK: usize = 7 << 10;

/// `{"verdict", "summary", "findings"}`; other fields are nobody's business here.
#[derive(Debug, Deserialize)]
struct Word {
    verdict: Decision,
    #[serde(default)]
    summary: String,
    #[serde(default)]
    findings: Vec<Finding>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Decision {
    Approve,
    Rework,
    Person,
}

/// What it has found, and where.
#[derive(Debug, Deserialize)]
struct Finding {
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    line: Option<u64>,
    severity: Severity,
    body: String,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Severity {
    /// This has to change first.
    Must,
    Should,
    Note,
}

/// What the file at `path` says. Links are not followed, and nothing is waited for.
pub(crate) fn read(path: &Path) -> Review {
    match bytes(path) {
        Ok(bytes) => parse(&bytes),
        Err(err) if err.kind() == io::ErrorKind::NotFound => {
            Review::Undecided("it wrote no verdict".to_owned())
        }
        Err(err) => Review::Undecided(format!("its verdict cannot be read: {err}")),
    }
}

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes)?;
    match u64::try_from(bytes.len()) {
        Ok(size) if size <= LONGEST => Ok(bytes),
        _ => Err(io::Error::other("it is too long")),
    }
}

/// Strict where it decides: what contradicts itself is undecided.
fn parse(bytes: &[u8]) -> Review {
    let word: Word = match serde_json::from_slice(bytes) {
        Ok(word) => word,
        Err(err) => return Review::Undecided(format!("its verdict is malformed: {err}")),
    };
    let has_must = word
        .findings
        .iter()
        .any(|finding| finding.severity == Severity::Must);
    let undecided = |why: &str| Review::Undecided(why.to_owned());
    match (word.verdict, has_must) {
        (Decision::Approve, false) => Review::Approved,
        (Decision::Approve, true) => undecided("it approves what it says must change"),
        (Decision::Rework, true) => Review::SentBack(feedback(&word)),
        (Decision::Rework, false) => undecided("it names nothing that must change"),
        (Decision::Person, _) => Review::ForPerson(clipped(&plain(&word.summary), 500)),
    }
}

/// What its agent is told.
fn feedback(word: &Word) -> String {
    let mut lines = vec![plain(&word.summary)];
    for finding in &word.findings {
        let severity = match finding.severity {
            Severity::Must => "must",
            Severity::Should => "should",
            Severity::Note => "note",
        };
        let path = plain(finding.path.as_deref().unwrap_or_default()).replace('\n', " ");
        let place = match (path.is_empty(), finding.line) {
            (true, _) => String::new(),
            (false, None) => format!(" {path}:"),
            (false, Some(line)) => format!(" {path}:{line}:"),
        };
        lines.push(format!("- {severity}:{place} {}", plain(&finding.body)));
    }
    lines.retain(|line| !line.is_empty());
    clipped(&lines.join("\n"), FEEDBACK)
}

/// Without control characters; lines stay lines.
pub(crate) fn plain(text: &str) -> String {
    let kept = |c: &char| matches!(c, '\n' | '\t') || !c.is_control();
    text.chars()
        .filter(kept)
        .collect::<String>()
        .trim()
        .to_owned()
}

/// The beginning of it.
pub(crate) fn clipped(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let mut end = bytes;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{} … (cut here)", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_word_decides() {
        let of = |text: &str| parse(text.as_bytes());
        assert_eq!(of(r#"{"verdict":"approve"}"#), Review::Approved);
        let more = r#"{"verdict":"approve","summary":"fine","cost":1,
            "findings":[{"severity":"note","body":"x","line":null,"weight":2}]}"#;
        assert_eq!(of(more), Review::Approved);
        assert_eq!(
            of(r#"{"verdict":"person","summary":"ask\u001b[31m Ann"}"#),
            Review::ForPerson("ask[31m Ann".to_owned())
        );
        let unclear = [
            "",
            "REQUEST CHANGES",
            "null",
            "[]",
            r#"{"verdict":"Approve"}"#,
            r#"{"verdict":"approved"}"#,
            r#"{"verdict":["approve"]}"#,
            r#"{"verdict":"approve","verdict":"rework"}"#,
            r#"{"verdict":"approve"} {"verdict":"rework"}"#,
            r#"{"summary":"approve"}"#,
            r#"{"verdict":"rework","summary":"no"}"#,
            r#"{"verdict":"rework","findings":[{"severity":"should","body":"x"}]}"#,
            r#"{"verdict":"rework","findings":[{"severity":"critical","body":"x"}]}"#,
            r#"{"verdict":"rework","findings":[{"severity":"must"}]}"#,
            r#"{"verdict":"approve","findings":[{"severity":"must","body":"x"}]}"#,
        ];
        for text in unclear {
            assert!(matches!(of(text), Review::Undecided(_)), "{text}");
        }
    }

    #[test]
    fn feedback_names_places_and_has_a_bound() {
        let of = |body: &str| {
            let word = serde_json::json!({"verdict": "rework", "summary": "Not yet.", "findings": [
                {"path": "src/a.rs", "line": 7, "severity": "must", "body": body},
                {"path": "b\nc", "severity": "should", "body": "tidy"},
            ]});
            match parse(word.to_string().as_bytes()) {
                Review::SentBack(words) => words,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(
            of("say\u{7} please"),
            "Not yet.\n- must: src/a.rs:7: say please\n- should: b c: tidy"
        );
        let long = of(&"ü".repeat(100_000));
        assert!(long.len() < 8 << 10 && long.starts_with("Not yet."));
    }
}
