//! What agents may use: per bead, and in 24 hours over all beads. Computed from Beads alone, so that
//! a restart or a second machine knows it, too.

use std::fmt;

use beads::{Bead, Dollars, Run, Spent, Usage, WINDOW};
use clap::Args;
use jiff::Timestamp;

/// What one bead may use, all its runs together.
#[derive(Args, Clone, Debug, Default)]
pub struct Allowance {
    /// Block a bead whose agents have cost this many dollars; an agent that reports no cost counts
    /// as free
    #[arg(long, env, value_name = "DOLLARS")]
    pub max_cost: Option<Dollars>,

    /// Block a bead whose agents have used this many tokens
    #[arg(long, env, value_name = "N")]
    pub max_tokens: Option<u64>,
}

/// What all beads may use in 24 hours.
#[derive(Args, Clone, Debug, Default)]
pub struct Budget {
    /// Start no agent while all have cost this many dollars in 24 hours
    #[arg(long, env, value_name = "DOLLARS")]
    pub budget_cost: Option<Dollars>,

    /// Start no agent while all have used this many tokens in 24 hours
    #[arg(long, env, value_name = "N")]
    pub budget_tokens: Option<u64>,

    /// Start no agent while this many were started in 24 hours
    #[arg(long, env, value_name = "N")]
    pub budget_attempts: Option<u64>,
}

/// What the runs of the last 24 hours come to.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// How many there are.
    pub runs: u64,
    /// Their tokens.
    pub tokens: u64,
    /// Their cost.
    pub cost: Dollars,
    /// Which budget is reached, in words, and when there is room again.
    pub reached: Option<(String, Timestamp)>,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            runs, tokens, cost, ..
        } = self;
        write!(f, "last 24 h: {runs} runs, {tokens} tokens, ${cost}")?;
        match &self.reached {
            None => Ok(()),
            Some((budget, at)) => write!(
                f,
                "; the budget of {budget} is reached: nothing starts before {at:.0}"
            ),
        }
    }
}

impl Allowance {
    /// Why nothing more may be used, in words.
    #[must_use]
    pub fn exceeded(&self, spent: &Spent) -> Option<String> {
        let tokens = self.max_tokens.filter(|max| spent.tokens() >= *max);
        let cost = self.max_cost.filter(|max| spent.cost >= *max);
        match (tokens, cost) {
            (Some(max), _) => Some(format!("it has used {spent}, and may use {max} tokens")),
            (None, Some(max)) => Some(format!("it has used {spent}, and may cost ${max}")),
            (None, None) => None,
        }
    }

    /// What is left of it.
    #[must_use]
    pub fn less(&self, spent: &Spent) -> Self {
        Self {
            max_cost: self.max_cost.map(|max| max.minus(spent.cost)),
            max_tokens: self
                .max_tokens
                .map(|max| max.saturating_sub(spent.tokens())),
        }
    }
}

impl Budget {
    /// Whether there is any.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.budget_cost.is_some() || self.budget_tokens.is_some() || self.budget_attempts.is_some()
    }

    /// What was used in the 24 hours before `now`, with `starting` runs that Beads does not show yet.
    #[must_use]
    pub fn standing(&self, beads: &[Bead], starting: u64, now: Timestamp) -> Standing {
        let usages = beads.iter().map(|bead| &bead.facts().usage);
        self.of(usages, starting, now)
    }

    fn of<'a>(
        &self,
        usages: impl Iterator<Item = &'a Usage>,
        starting: u64,
        now: Timestamp,
    ) -> Standing {
        let mut runs: Vec<&Run> = usages
            .flat_map(|usage| &usage.runs)
            .filter(|run| run.counts(now))
            .collect();
        runs.sort_unstable_by_key(|run| run.at());
        let mut standing = Standing {
            runs: starting,
            ..Standing::default()
        };
        for run in &runs {
            standing.runs += 1;
            standing.tokens = standing.tokens.saturating_add(run.tokens);
            standing.cost = standing.cost.plus(run.cost);
        }
        // As the oldest runs leave the window one by one, so does what they used.
        let mut left = standing.clone();
        let mut frees_at = None;
        for run in runs {
            if self.exceeded(&left).is_none() {
                break;
            }
            left.runs -= 1;
            left.tokens = left.tokens.saturating_sub(run.tokens);
            left.cost = left.cost.minus(run.cost);
            frees_at = run.at().checked_add(WINDOW).ok();
        }
        if self.exceeded(&left).is_some() {
            frees_at = now.checked_add(WINDOW).ok();
        }
        standing.reached = self
            .exceeded(&standing)
            .map(|why| (why, frees_at.unwrap_or(now)));
        standing
    }

    fn exceeded(&self, used: &Standing) -> Option<String> {
        if let Some(max) = self.budget_attempts.filter(|max| used.runs >= *max) {
            return Some(format!("{max} runs"));
        }
        if let Some(max) = self.budget_tokens.filter(|max| used.tokens >= *max) {
            return Some(format!("{max} tokens"));
        }
        let max = self.budget_cost.filter(|max| used.cost >= *max)?;
        Some(format!("${max}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(n: i64) -> Timestamp {
        Timestamp::from_second(n * 3600).expect("a time")
    }

    /// One bead with a run of 100 tokens in each of these hours.
    fn usage(hours: &[i64]) -> Usage {
        let spent = Spent {
            input_tokens: 90,
            output_tokens: 10,
            cost: "0.5".parse().expect("money"),
        };
        let mut usage = Usage::default();
        for (run, at) in (1..).zip(hours) {
            usage.start(run, hour(*at));
            usage.end(run, hour(*at), &spent);
        }
        usage
    }

    #[test]
    fn a_budget_counts_a_day_and_says_when_it_frees() {
        let budget = Budget {
            budget_tokens: Some(200),
            ..Budget::default()
        };
        let usages = [usage(&[1, 9]), usage(&[5])];
        let at = |now| budget.of(usages.iter(), 0, hour(now));
        let (why, frees_at) = at(10).reached.expect("reached");
        assert_eq!((why.as_str(), frees_at), ("200 tokens", hour(29)));
        assert_eq!(at(10).cost.to_string(), "1.500000");
        assert!(at(29).reached.is_none());
        assert_eq!(at(40).runs, 0);
    }

    #[test]
    fn runs_that_start_now_count() {
        let budget = Budget {
            budget_attempts: Some(2),
            ..Budget::default()
        };
        let usage = usage(&[1]);
        assert!(
            budget
                .of([&usage].into_iter(), 0, hour(2))
                .reached
                .is_none()
        );
        assert!(
            budget
                .of([&usage].into_iter(), 1, hour(2))
                .reached
                .is_some()
        );
        let starting = budget.of([].into_iter(), 2, hour(2)).reached;
        assert_eq!(starting.map(|(_, at)| at), Some(hour(26)));
    }

    #[test]
    fn an_allowance_is_for_all_runs_of_a_bead() {
        let allowance = Allowance {
            max_tokens: Some(250),
            max_cost: None,
        };
        let spent = usage(&[1, 2]).total;
        assert!(allowance.exceeded(&spent).is_none());
        assert_eq!(allowance.less(&spent).max_tokens, Some(50));
        let why = allowance.exceeded(&usage(&[1, 2, 3]).total);
        assert_eq!(
            why.as_deref(),
            Some("it has used 300 tokens, $1.500000, and may use 250 tokens")
        );
    }
}
