//! Listening to an agent: what it used, and what it says went wrong between it and its model.
//!
//! Nothing is believed that may be a file which the agent shows: failures are read from events of
//! its own, or from its last lines, and those count only where nothing else speaks for the run.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;

use beads::{Dollars, Spent};
use jiff::Zoned;
use jiff::civil::{DateTime, Time};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::format::{Trouble, Used, Words};

/// Longer lines are let pass unread.
const LONGEST: usize = 1 << 20;

/// Of prose so many lines count as the last ones, and of each so many bytes.
const LAST: usize = 20;
const LAST_BYTES: usize = 4 << 10;

/// The longest wait that is believed.
const LONGEST_WAIT: u64 = 24 * 3600;

/// What an agent has said by its end.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Said {
    /// What it used.
    #[serde(default)]
    pub spent: Spent,
    /// What went wrong.
    #[serde(default)]
    pub trouble: Option<Trouble>,
    /// Whether an event of its own says so. Prose may be anybody's.
    #[serde(default)]
    pub sure: bool,
    /// Seconds that its model wants it to wait.
    #[serde(default)]
    pub wait: Option<u64>,
}

/// Listens to the output of one run.
#[derive(Debug)]
pub struct Listener {
    words: &'static Words,
    line: Vec<u8>,
    said: Said,
    last: VecDeque<String>,
}

impl Listener {
    /// Listens to an agent whose words stand there.
    #[must_use]
    pub fn new(words: &'static Words) -> Self {
        Self {
            words,
            line: Vec::new(),
            said: Said::default(),
            last: VecDeque::new(),
        }
    }

    /// Hears a part of the output. `false`: it was nothing but words on a model out of reach, which
    /// some agents repeat for ever, and no sign of life.
    pub fn hear(&mut self, bytes: &[u8]) -> bool {
        let mut alive = false;
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.line.len() + part.len() <= LONGEST {
                self.line.extend(part);
            }
            if part.last() != Some(&b'\n') {
                return true;
            }
            let line = std::mem::take(&mut self.line);
            self.hear_line(&line);
            alive |= self.said.trouble != Some(Trouble::Unreachable);
        }
        alive
    }

    /// What the agent has used so far.
    #[must_use]
    pub fn spent(&self) -> Spent {
        self.said.spent
    }

    /// All that it has said, now that it has ended with this status.
    #[must_use]
    pub fn end(mut self, status: Option<i32>) -> Said {
        let line = std::mem::take(&mut self.line);
        self.hear_line(&line);
        let exit = self
            .words
            .exits
            .iter()
            .find(|(exit, _)| Some(*exit) == status);
        if let Some((_, trouble)) = exit {
            self.said.trouble = Some(*trouble);
            self.said.sure = true;
        }
        if self.words.failures.is_empty() {
            let marked =
                |line: &String| Some((trouble(self.words, line)?, wait(line, &Zoned::now())));
            // The last word is the one that the agent gave up at.
            if let Some((trouble, wait)) = self.last.iter().rev().find_map(marked) {
                self.said.trouble = Some(trouble);
                self.said.wait = wait;
            }
        }
        self.said
    }

    fn hear_line(&mut self, line: &[u8]) {
        let line = String::from_utf8_lossy(line.trim_ascii());
        if self.words.failures.is_empty() {
            self.hear_prose(&line);
        } else if line.starts_with('{')
            && let Ok(event) = serde_json::from_str::<Value>(&line)
        {
            self.hear_event(&event);
        }
    }

    fn hear_event(&mut self, event: &Value) {
        let Some(kind) = event["type"].as_str() else {
            return;
        };
        if let Used::Event {
            kind: used,
            input,
            output,
            cost,
        } = &self.words.used
            && kind == *used
        {
            let sum = |pointers: &[&str]| {
                let numbers = pointers.iter().filter_map(|at| event.pointer(at)?.as_u64());
                numbers.fold(0, u64::saturating_add)
            };
            let cost = event.pointer(cost).and_then(Value::as_f64);
            self.said.spent.add(&Spent {
                input_tokens: sum(input),
                output_tokens: sum(output),
                cost: cost.and_then(Dollars::from_float).unwrap_or_default(),
            });
        }
        // As JSON without blanks: marks cannot stand inside a string of somebody else's.
        let text = event.to_string();
        let failed = |(of, mark): &(&str, &str)| kind == *of && text.contains(mark);
        // Any other event: it has gone on since.
        let failed = self.words.failures.iter().any(failed);
        let marked = || trouble(self.words, &text).unwrap_or(Trouble::Other);
        self.said.trouble = failed.then(marked);
        self.said.sure = failed;
        self.said.wait = match failed {
            true => wait(&text, &Zoned::now()),
            false => None,
        };
    }

    fn hear_prose(&mut self, line: &str) {
        if matches!(self.words.used, Used::Prose) {
            self.said
                .spent
                .add(&sent_and_received(line).unwrap_or_default());
        }
        if !line.is_empty() {
            if self.last.len() == LAST {
                self.last.pop_front();
            }
            self.last.push_back(line.chars().take(LAST_BYTES).collect());
        }
    }
}

/// What an agent whose words stand there has used by its log.
#[must_use]
pub fn spent_in(log: &Path, words: &'static Words) -> Spent {
    let mut listener = Listener::new(words);
    listener.hear(&fs::read(log).unwrap_or_default());
    listener.end(None).spent
}

fn trouble(words: &Words, text: &str) -> Option<Trouble> {
    let found = words.marks.iter().find(|(mark, _)| text.contains(mark));
    found.map(|(_, trouble)| *trouble)
}

/// `Tokens: 1.2k sent, 34 received. Cost: $0.01 message, $0.02 session.`
fn sent_and_received(line: &str) -> Option<Spent> {
    let told = line.strip_prefix("Tokens: ")?;
    let (tokens, cost) = told.split_once(" Cost: ").unwrap_or((told, ""));
    let mut spent = Spent::default();
    for part in tokens.trim_end_matches('.').split(", ") {
        let (number, what) = part.split_once(' ')?;
        match what {
            "received" => spent.output_tokens += count(number)?,
            _ => spent.input_tokens += count(number)?,
        }
    }
    let message = cost.split_once(" message").map_or("", |(cost, _)| cost);
    spent.cost = message.parse().unwrap_or_default();
    Some(spent)
}

/// `34`, `1.2k` or `3M`.
fn count(text: &str) -> Option<u64> {
    let (number, zeros) = match text.strip_suffix(['k', 'M']) {
        Some(number) if text.ends_with('k') => (number, 3),
        Some(number) => (number, 6),
        None => (text, 0),
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    format!("{whole}{part:0<zeros$.zeros$}").parse().ok()
}

/// The wait that a failure asks for, in seconds: `"retry-after":"2"`, `retry in 23.5s`,
/// `try again in 3 days 4 hours 5 minutes`, `try again at 5:23 PM`.
fn wait(text: &str, now: &Zoned) -> Option<u64> {
    let after = |words: &str| text.split_once(words).map(|(_, rest)| rest);
    let header = || {
        let rest = after("\"retry-after\"")?.trim_start_matches(['"', ':', ' ']);
        leading(rest, |c| c.is_ascii_digit()).parse().ok()
    };
    let told = || {
        let ways = ["ry again in ", "etry in "];
        ways.iter().find_map(|words| period(after(words)?))
    };
    let clock = || seconds_until(after("ry again at ")?, now);
    let seconds = header().or_else(told).or_else(clock);
    seconds.map(|seconds| seconds.min(LONGEST_WAIT))
}

/// `23.5s`, `1m30s`, `120ms` or `3 days 4 hours`, in seconds. Parts are waited for as wholes.
fn period(mut text: &str) -> Option<u64> {
    let mut seconds = None;
    loop {
        text = text.trim_start_matches([' ', ',']);
        let number = leading(text, |c| c.is_ascii_digit() || c == '.');
        let rest = text[number.len()..].trim_start();
        let unit = leading(rest, |c| c.is_ascii_alphabetic());
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let Ok(whole) = whole.parse::<u64>() else {
            return seconds;
        };
        let amount = whole.saturating_add(u64::from(!part.is_empty()));
        let each = match unit.to_ascii_lowercase().as_bytes() {
            [b'm', b's', ..] | [b'm', b'i', b'l', ..] => 0,
            [b'd', ..] => 86_400,
            [b'h', ..] => 3600,
            [b'm', ..] => 60,
            [b's', ..] => 1,
            _ => return seconds,
        };
        let more = match each {
            0 => amount.div_ceil(1000),
            _ => amount.saturating_mul(each),
        };
        seconds = Some(seconds.unwrap_or(0_u64).saturating_add(more));
        text = &rest[unit.len()..];
    }
}

/// `5:23 PM` of today or `Nov 24th, 2026 5:23 PM`, where the agent's clock hangs: how codex says it.
fn seconds_until(text: &str, now: &Zoned) -> Option<u64> {
    let end = text.find("AM").or_else(|| text.find("PM"))? + 2;
    let text = ["st,", "nd,", "rd,", "th,"]
        .iter()
        .fold(text[..end].to_owned(), |text, of| text.replace(of, ","));
    let of_today = || {
        Some(
            now.date()
                .to_datetime(Time::strptime("%I:%M %p", &text).ok()?),
        )
    };
    let at = DateTime::strptime("%b %d, %Y %I:%M %p", &text)
        .ok()
        .or_else(of_today)?;
    let at = at.to_zoned(now.time_zone().clone()).ok()?;
    // The minute is told without its seconds.
    let left = at.timestamp().as_second() + 60 - now.timestamp().as_second();
    Some(left.try_into().unwrap_or_default())
}

fn leading(text: &str, is_part: impl Fn(char) -> bool) -> &str {
    &text[..text.find(|c| !is_part(c)).unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presets::words;

    fn said(agent: &str, output: &str, status: i32) -> Said {
        let mut listener = Listener::new(words(agent));
        // In pieces, as a pipe hands them over.
        for piece in output.as_bytes().chunks(7) {
            listener.hear(piece);
        }
        listener.end(Some(status))
    }

    fn trouble_of(agent: &str, output: &str) -> Option<Trouble> {
        said(agent, output, 1).trouble
    }

    #[test]
    fn what_was_used_is_summed() {
        let step = r#"{"type":"step_finish","part":{"tokens":{"input":1200,"output":34,"reasoning":1,"cache":{"write":2,"read":3}},"cost":0.00154}}"#;
        let twice = said("opencode", &format!("{step}\nnoise\n{step}"), 0).spent;
        assert_eq!((twice.input_tokens, twice.output_tokens), (2410, 70));
        assert_eq!(twice.cost.to_string(), "0.003080");
        let line =
            "Tokens: 1.2k sent, 3 cache hit, 34 received. Cost: $0.01 message, $0.02 session.";
        let aider = said("aider", line, 0).spent;
        assert_eq!((aider.input_tokens, aider.output_tokens), (1203, 34));
        assert_eq!(aider.cost.to_string(), "0.010000");
    }

    #[test]
    fn trouble_counts_while_nothing_follows_it() {
        let limited = r#"{"type":"error","message":"Reconnecting... 1/5 (429 Too Many Requests)"}"#;
        assert_eq!(trouble_of("codex", limited), Some(Trouble::RateLimited));
        let fine = format!("{limited}\n{}", r#"{"type":"turn.completed","usage":{}}"#);
        assert_eq!(trouble_of("codex", &fine), None);
        let odd = r#"{"type":"turn.failed","error":{"message":"the prompt is too long"}}"#;
        assert_eq!(trouble_of("codex", odd), Some(Trouble::Other));
        assert_eq!(said("gemini", "", 145).trouble, Some(Trouble::Unauthorized));
        let claude =
            r#"{"type": "result", "is_error": true, "api_error_status": 529, "result": ""}"#;
        assert_eq!(trouble_of("claude", claude), Some(Trouble::Unreachable));
    }

    #[test]
    fn what_an_agent_shows_is_no_trouble_of_its_own() {
        let shown = r#"{"type":"result","is_error":false,"result":"\"is_error\":true, \"api_error_status\":429"}"#;
        assert_eq!(trouble_of("claude", shown), None);
        let early = format!("litellm.RateLimitError\n{}", "more\n".repeat(LAST));
        assert_eq!(trouble_of("aider", &early), None);
        assert!(!said("aider", "litellm.RateLimitError", 0).sure);
    }

    #[test]
    fn a_model_out_of_reach_is_no_sign_of_life() {
        let mut codex = Listener::new(words("codex"));
        let waits = "{\"type\":\"error\",\"message\":\"Reconnecting... waiting for network\"}\n";
        assert!(codex.hear(b"{\"type\":\"turn.started\"}\n"));
        assert!(!codex.hear(waits.as_bytes()));
        assert!(codex.hear(b"{\"type\":\"item.started\"}\n"));
    }

    #[test]
    fn the_wait_is_read_as_it_is_told() {
        let now: Zoned = "2026-11-23T17:00:30+01:00[+01:00]".parse().expect("a time");
        for (text, seconds) in [
            (r#"{"retry-after":"7"}"#, Some(7)),
            ("Please retry in 23.1s.", Some(24)),
            ("Please try again in 120ms.", Some(1)),
            ("Please try again in 1m30s. Visit", Some(90)),
            ("Please try again in 6m0s.", Some(360)),
            ("or try again in 1 hour 2 minutes.", Some(3720)),
            ("try again in 900 days", Some(LONGEST_WAIT)),
            ("try again later", None),
            ("try again in a moment", None),
            ("or try again at 5:23 PM.", Some(23 * 60 + 30)),
            (
                "Try again at Nov 24th, 2026 12:05 AM.",
                Some(7 * 3600 + 5 * 60 + 30),
            ),
            ("try again at 4:58 PM", Some(0)),
            ("try again at noon", None),
        ] {
            assert_eq!(wait(text, &now), seconds, "{text}");
        }
    }
}
