//! What agents have used for a bead: tokens and money, as far as they tell.

use std::fmt;
use std::str::FromStr;

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::record::lenient::lenient;

/// How long a run is remembered by itself: budgets look back no further.
pub const WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// More tokens than that are not told apart: bd keeps numbers as floats, and hands greater ones back
/// as no integers at all.
const MOST: u64 = 1 << 53;

/// US dollars, to the millionth. In a record a string such as `"0.001540"`.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Dollars(u64);

/// Tokens and money of one run, or of several.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Spent {
    /// Tokens that the model read, those from its cache included.
    pub input_tokens: u64,
    /// Tokens that it wrote.
    pub output_tokens: u64,
    /// What that cost; 0 where the agent does not tell.
    pub cost: Dollars,
}

/// The fact `usage`: the sum over all runs of a bead, and those of the last 24 hours one by one.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Usage {
    /// The sum.
    #[serde(flatten)]
    pub total: Spent,
    /// Newest last.
    #[serde(deserialize_with = "lenient")]
    pub runs: Vec<Run>,
}

/// One run of an agent.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Run {
    /// Its number.
    pub run: u64,
    /// When it was started.
    pub started_at: Timestamp,
    /// When it had ended; absent while it is not known to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Input and output.
    #[serde(default)]
    pub tokens: u64,
    /// What it cost.
    #[serde(default)]
    pub cost: Dollars,
}

impl Spent {
    /// Input and output.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }

    /// Adds what somebody else has used.
    pub fn add(&mut self, other: &Self) {
        let sum = |one: u64, other| one.saturating_add(other).min(MOST);
        self.input_tokens = sum(self.input_tokens, other.input_tokens);
        self.output_tokens = sum(self.output_tokens, other.output_tokens);
        self.cost.0 = self.cost.0.saturating_add(other.cost.0);
    }
}

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tokens", self.tokens())?;
        match self.cost.0 {
            0 => Ok(()),
            _ => write!(f, ", ${}", self.cost),
        }
    }
}

impl Usage {
    /// Notes the start of a run, and forgets those that no budget counts any more.
    pub fn start(&mut self, run: u64, now: Timestamp) {
        self.runs.retain(|old| old.counts(now) && old.run != run);
        self.runs.push(Run {
            run,
            started_at: now,
            ..Run::default()
        });
    }

    /// Notes the end of a run with what it used, once.
    pub fn end(&mut self, run: u64, at: Timestamp, spent: &Spent) {
        let known = self.runs.iter_mut().find(|known| known.run == run);
        let Some(known) = known.filter(|known| known.ended_at.is_none()) else {
            return;
        };
        known.ended_at = Some(at);
        known.tokens = spent.tokens();
        known.cost = spent.cost;
        self.total.add(spent);
    }

    /// The runs that are not known to have ended.
    #[must_use]
    pub fn unended(&self) -> Vec<u64> {
        let unended = self.runs.iter().filter(|run| run.ended_at.is_none());
        unended.map(|run| run.run).collect()
    }
}

impl Run {
    /// Whether the run is one of the last 24 hours. By another machine's clock it may lie a little
    /// ahead; what lies further ahead would count for ever.
    #[must_use]
    pub fn counts(&self, now: Timestamp) -> bool {
        now.duration_since(self.at()).abs() < WINDOW
    }

    /// When it ended, or started if it has not.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.ended_at.unwrap_or(self.started_at)
    }
}

impl Dollars {
    /// As agents print it. `None`: no amount of money.
    #[must_use]
    pub fn from_float(dollars: f64) -> Option<Self> {
        format!("{dollars:.6}")
            .replace('.', "")
            .parse()
            .ok()
            .map(Self)
    }

    /// The sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, not below 0.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Dollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

impl FromStr for Dollars {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let amount = text.strip_prefix('$').unwrap_or(text).parse()?;
        Self::from_float(amount).context("not an amount of money")
    }
}

impl Serialize for Dollars {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Dollars {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_exact_to_the_millionth() {
        let dollars = |text: &str| text.parse::<Dollars>().map(|d| d.to_string()).ok();
        assert_eq!(dollars("0.00154").as_deref(), Some("0.001540"));
        assert_eq!(dollars("$12").as_deref(), Some("12.000000"));
        for odd in ["-1", "NaN", "inf", "1e300", "much", ""] {
            assert_eq!(dollars(odd), None, "{odd}");
        }
    }

    #[test]
    fn whatever_an_agent_claims_can_be_kept() {
        let mut spent = Spent::default();
        let claimed = Spent {
            input_tokens: u64::MAX,
            ..Spent::default()
        };
        spent.add(&claimed);
        spent.add(&claimed);
        assert_eq!(spent.tokens(), MOST);
    }

    #[test]
    fn a_run_is_counted_once_and_forgotten_after_a_day() {
        let day = |n: i64| Timestamp::from_second(n * 86_400).expect("a time");
        let spent = Spent {
            input_tokens: 1200,
            output_tokens: 34,
            cost: Dollars(5),
        };
        let mut usage = Usage::default();
        usage.start(1, day(0));
        usage.end(1, day(0), &spent);
        usage.end(1, day(0), &spent);
        usage.start(2, day(2));
        assert_eq!(usage.total, spent);
        assert_eq!(usage.unended(), [2]);
        assert!(usage.runs[0].counts(day(2)) && !usage.runs[0].counts(day(1)));
        assert_eq!(usage.runs.len(), 1);
        let line = serde_json::to_string(&usage).expect("JSON");
        assert_eq!(
            line,
            r#"{"input_tokens":1200,"output_tokens":34,"cost":"0.000005","runs":[{"run":2,"started_at":"1970-01-03T00:00:00Z","tokens":0,"cost":"0.000000"}]}"#
        );
        assert_eq!(
            serde_json::from_str::<Usage>(&line).expect("read").total,
            spent
        );
    }
}
