//! What follows a verdict: a pure function from a bead and the verdict on its last run to one write,
//! and to what becomes of the bead.

use std::path::Path;
use std::time::Duration;

use agent::Allowance;
use beads::{Bead, Change, Fact, Outcome, Phase, Usage};
use jiff::{SignedDuration, Timestamp};

use crate::judge::{Failure, Verdict};
use crate::obstacle::Obstacle;

/// Runs of one round after which a bead goes to a person, whatever the runs cost.
const RUNS: u64 = 20;

/// The first pause after a failed run; each further one doubles it.
const PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// The same of a rate limit: with it the runs of a round last longer than the hours of a quota.
const LONGEST_LIMIT: Duration = Duration::from_mins(30);

/// What becomes of a bead.
pub(crate) enum Next {
    Done,
    Again(Option<Obstacle>),
    Blocked,
}

/// What bounds the runs of a bead.
pub(crate) struct Limits<'a> {
    pub(crate) attempts: u64,
    pub(crate) allowance: &'a Allowance,
}

/// The write, what becomes of the bead, and what is said. `usage` is that of all its runs.
pub(crate) fn next(
    bead: &Bead,
    verdict: &Verdict,
    usage: &Usage,
    limits: &Limits,
    log: &Path,
    now: Timestamp,
) -> anyhow::Result<(Change, Next, String)> {
    let usage_of_all = Fact::Usage(usage.clone());
    let failure = match verdict {
        Verdict::Not(failure) => failure,
        Verdict::Done(head) => {
            let change = Change::to(Phase::Committed).facts([
                usage_of_all,
                Fact::Outcome(Some(Outcome::Done)),
                Fact::Head(head.to_string()),
            ]);
            return Ok((change, Next::Done, "done".to_owned()));
        }
    };
    let Failure {
        outcome,
        why,
        obstacle,
        wait,
    } = failure;
    let facts = bead.facts();
    let free = obstacle.is_some()
        || matches!(
            outcome,
            Outcome::RateLimited | Outcome::Unauthorized | Outcome::Interrupted | Outcome::Stopped
        );
    let attempt = facts.attempt.saturating_sub(u64::from(free));
    let runs = facts.run.saturating_sub(facts.run_from);
    let told = [
        usage_of_all,
        Fact::Outcome(Some(*outcome)),
        Fact::Attempt(attempt),
        Fact::Feedback(why.clone()),
    ];
    let summary = summary(*outcome, why);
    let last_word = if let Some(why) = limits.allowance.exceeded(&usage.total) {
        Some(format!("{why}; last: "))
    } else if attempt >= limits.attempts || runs >= RUNS {
        Some("attempts used up; last: ".to_owned())
    } else {
        matches!(outcome, Outcome::NoChange | Outcome::Escaped).then(String::new)
    };
    if let Some(last_word) = last_word {
        let note = format!("{last_word}{summary}, see {}", log.display());
        let change = Change::to_person(bead.id(), &note).facts(told);
        let said = format!("{summary}: blocked, a person has to look at it");
        return Ok((change, Next::Blocked, said));
    }
    let pause = match (outcome, wait) {
        (Outcome::Interrupted | Outcome::Stopped, _) => Duration::ZERO,
        // What was told before and did not suffice is not told enough.
        (Outcome::RateLimited, Some(wait)) => match runs.saturating_sub(attempt) {
            0 | 1 => *wait,
            limits => pause(limits - 1, LONGEST_LIMIT).max(*wait),
        },
        (Outcome::RateLimited, None) => pause(runs, LONGEST_LIMIT),
        _ if free => pause(runs, LONGEST_PAUSE),
        _ => pause(attempt, LONGEST_PAUSE),
    };
    let not_before = now + SignedDuration::try_from(pause)?;
    let change = Change::default()
        .facts(told)
        .facts([Fact::NotBefore(Some(not_before))]);
    let said = format!("{summary}: runs again in {} s", pause.as_secs());
    Ok((change, Next::Again(*obstacle), said))
}

/// 10 s, 20 s, 40 s, … after the first, second, third failure.
fn pause(failures: u64, longest: Duration) -> Duration {
    let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    PAUSE
        .saturating_mul(2_u32.saturating_pow(doublings))
        .min(longest)
}

/// The outcome in a few words: the first line of the reason is enough.
fn summary(outcome: Outcome, why: &str) -> String {
    let name = serde_json::to_value(outcome).ok();
    let name = name
        .as_ref()
        .and_then(|name| name.as_str())
        .unwrap_or_default()
        .replace('_', " ");
    match why.lines().next() {
        Some(first) if !first.is_empty() => format!("{name} ({first})"),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pauses_double_up_to_five_minutes() {
        let pause = |n| pause(n, LONGEST_PAUSE);
        let seconds: Vec<u64> = (1..8).map(|n| pause(n).as_secs()).collect();
        assert_eq!(seconds, [10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(pause(u64::MAX), LONGEST_PAUSE);
    }

    fn after(failure: Failure, facts: &serde_json::Value) -> (Change, Next) {
        let line = json!({"id": "t-1", "metadata": facts});
        let bead = Bead::parse(&line.to_string()).expect("a bead");
        let limits = Limits {
            attempts: 3,
            allowance: &Allowance::default(),
        };
        let now = Timestamp::UNIX_EPOCH;
        let usage = Usage::default();
        let log = Path::new("log");
        let (change, next, _) = next(&bead, &Verdict::Not(failure), &usage, &limits, log, now)
            .expect("a time in range");
        (change, next)
    }

    #[test]
    fn what_is_not_the_beads_fault_costs_no_attempt() {
        let mut limited = Failure::new(Outcome::RateLimited, "");
        limited.wait = Some(Duration::from_secs(7));
        let (change, next) = after(limited, &json!({"run": 3, "attempt": 3}));
        assert!(matches!(next, Next::Again(None)));
        assert_eq!(change.facts["attempt"], 2);
        assert_eq!(change.facts["not_before"], "1970-01-01T00:00:07Z");
        let mut missing = Failure::new(Outcome::Failed, "");
        missing.obstacle = Some(Obstacle::Missing);
        let (change, next) = after(missing, &json!({"run": 3, "attempt": 3}));
        assert!(matches!(next, Next::Again(Some(Obstacle::Missing))));
        assert_eq!(change.facts["attempt"], 2);
    }

    #[test]
    fn a_rate_limit_that_tells_no_wait_worth_it_is_not_run_into_again_and_again() {
        for (run, wait, seconds) in [
            (1, 0, 0),
            (2, 0, 10),
            (5, 1, 80),
            (5, 600, 600),
            (19, 0, 1800),
        ] {
            let mut limited = Failure::new(Outcome::RateLimited, "");
            limited.wait = Some(Duration::from_secs(wait));
            let (change, _) = after(limited, &json!({"run": run, "attempt": 1}));
            let due = Timestamp::from_second(seconds).expect("a time");
            assert_eq!(change.facts["not_before"], json!(due), "run {run}");
        }
    }

    #[test]
    fn the_last_attempt_and_what_no_further_run_mends_are_for_a_person() {
        for (outcome, attempt) in [
            (Outcome::Failed, 3),
            (Outcome::NoChange, 1),
            (Outcome::Escaped, 1),
        ] {
            let facts = json!({"run": attempt, "attempt": attempt});
            let (change, next) = after(Failure::new(outcome, ""), &facts);
            assert!(matches!(next, Next::Blocked));
            assert_eq!(change.assignee.as_deref(), Some(""));
        }
    }
}
