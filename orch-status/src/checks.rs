//! Where the checks of open pull requests stand, as their forge says.

use std::collections::HashMap;

use anyhow::Context;
use beads::{Phase, Tool};
use forge::{Check, Pull, Stand, Wanted};
use git::{Look, Sha};

use crate::board::Board;

/// Adds what the forge says to the rows that have an open pull request: one look for all.
///
/// # Errors
/// When there is no remote, or its forge cannot be reached.
pub(crate) fn add(tool: &Tool, flags: &forge::Flags, board: &mut Board) -> anyhow::Result<()> {
    let wanted: Vec<Wanted> = board
        .rows
        .iter()
        .filter(|row| row.bead.phase() == Phase::PrCreated)
        .filter_map(|row| {
            let facts = row.bead.facts();
            Some(Wanted {
                number: facts.pr_number,
                branch: facts.branch.clone(),
                base: facts.base.clone(),
                head: Sha::from_hex(facts.pushed.as_bytes()).ok()?,
            })
        })
        .collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let look = Look::open(&tool.repository)?;
    let forge = flags.open(&tool.repository, &look)?;
    let pulls = forge.pulls(&wanted).context("--checks")?;
    let pulls: HashMap<u64, Pull> = pulls.into_iter().map(|pull| (pull.number, pull)).collect();
    for row in &mut board.rows {
        let number = row.bead.facts().pr_number;
        if row.bead.phase() == Phase::PrCreated {
            row.checks = pulls.get(&number).map(words).unwrap_or_default();
        }
    }
    Ok(())
}

/// One word, and which checks it is about; empty where the forge keeps none.
fn words(pull: &Pull) -> String {
    let Some(report) = &pull.report else {
        return String::new();
    };
    let Ok(checks) = &report.checks else {
        return "unknown".to_owned();
    };
    let names = |stand: Stand| -> Vec<&str> {
        let these = checks.iter().filter(|check: &&Check| check.stand == stand);
        these.map(|check| check.name.as_str()).collect()
    };
    for (stand, word) in [(Stand::Failed, "red"), (Stand::Pending, "pending")] {
        let names = names(stand);
        if !names.is_empty() {
            return format!("{word}: {}", names.join(", "));
        }
    }
    match names(Stand::Passed).is_empty() {
        true => "none".to_owned(),
        false => "green".to_owned(),
    }
}
