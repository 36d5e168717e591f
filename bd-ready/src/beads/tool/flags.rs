//! The flags that several programs have, each with one meaning.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use clap::Args;

use crate::time::duration;

/// The flags that every program has.
#[derive(Args, Clone, Debug)]
pub struct Common {
    /// Work in the repository at DIR
    #[arg(
        short = 'C',
        value_name = "DIR",
        default_value = ".",
        hide_default_value = true
    )]
    pub dir: PathBuf,

    /// Report only what went wrong
    #[arg(long)]
    pub quiet: bool,
}

/// The beads that a program works on: those on stdin, or these.
#[derive(Args, Clone, Debug)]
pub struct Ids {
    /// Bead ids; without any, beads are read from stdin
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
}

/// Whether a program that changes something does so.
#[derive(Args, Clone, Copy, Debug)]
pub struct DryRun {
    /// Report what would be done, and change nothing
    #[arg(id = "dry_run", long = "dry-run")]
    pub run: bool,
}

/// When a bead has lost the clone that worked on it.
#[derive(Args, Clone, Copy, Debug)]
pub struct LostAfter {
    /// On a Beads server: take over another clone's bead whose lease ended TIME ago
    #[arg(long, env, value_name = "TIME", value_parser = duration, default_value = "5m")]
    pub lost_after: Duration,
}

/// How many agents work at once.
#[derive(Args, Clone, Copy, Debug)]
pub struct MaxAgents {
    /// Run at most N agents at a time in this clone
    #[arg(id = "max_agents", long = "max-agents", env, value_name = "N", value_parser = some, default_value_t = 4)]
    pub max: usize,
}

/// How often work goes back to its agent.
#[derive(Args, Clone, Copy, Debug)]
pub struct MaxRounds {
    /// Block a bead that was sent back to its agent N times, until a person looks at it
    #[arg(
        id = "max_rounds",
        long = "max-rounds",
        env,
        value_name = "N",
        default_value_t = 3
    )]
    pub max: u64,
}

/// Reads a number of which nothing could be done with none: a program that may start no agent would
/// wait for ever.
///
/// # Errors
/// When it is no whole number, or 0.
pub fn some(text: &str) -> anyhow::Result<usize> {
    let number = text.parse()?;
    ensure!(number > 0, "at least 1 is needed");
    Ok(number)
}
