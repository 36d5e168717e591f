//! How many are red.

/// What is thought before anybody has landed, and how many verdicts that is worth.
const START: f64 = 0.05;
const WEIGHT: f64 = 8.0;

/// The rate of red ones among the last `culprits + landed` (a Beta prior).
#[expect(clippy::cast_precision_loss, reason = "counts of pull requests")]
pub(crate) fn rate(culprits: u64, landed: u64) -> f64 {
    (START * WEIGHT + culprits as f64) / (WEIGHT + (culprits + landed) as f64)
}
