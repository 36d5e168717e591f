//! Where an agent says what it used and what went wrong, as a table tells it.

use serde::{Deserialize, Serialize};

/// What went wrong, as the agent says it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// Its model has had too many requests.
    RateLimited,
    /// Its model does not know its key, or lets it do nothing.
    Unauthorized,
    /// Its model cannot be reached, or does not answer as it should.
    Unreachable,
    /// Something else.
    Other,
}

/// Where an agent says what it used, and what went wrong.
#[derive(Debug)]
pub struct Words {
    /// What it used.
    pub used: Used,
    /// The events that say that the run failed: their type, and what else they have to hold. No
    /// event: it speaks prose, of which the last lines are looked at.
    pub failures: &'static [(&'static str, &'static str)],
    /// What such an event or line holds, and what that means; the first that is found counts.
    pub marks: &'static [(&'static str, Trouble)],
    /// Exit statuses that mean something.
    pub exits: &'static [(i32, Trouble)],
}

/// How an agent says what it used.
#[derive(Debug)]
pub enum Used {
    /// Events of this type, to be summed; the rest are JSON pointers into them.
    Event {
        /// The event's type.
        kind: &'static str,
        /// Tokens that were read.
        input: &'static [&'static str],
        /// Tokens that were written.
        output: &'static [&'static str],
        /// Dollars; empty where it does not tell.
        cost: &'static str,
    },
    /// Lines such as `Tokens: 1.2k sent, 34 received. Cost: $0.01 message, $0.02 session.`
    Prose,
    /// Not at all.
    Untold,
}

impl Words {
    /// Whether the agent tells its tokens.
    #[must_use]
    pub fn tell_tokens(&self) -> bool {
        !matches!(self.used, Used::Untold)
    }

    /// Whether it tells what it costs.
    #[must_use]
    pub fn tell_cost(&self) -> bool {
        !matches!(self.used, Used::Untold | Used::Event { cost: "", .. })
    }
}
