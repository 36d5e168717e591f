//! Pushes the branch of each bead and opens its pull request.
//!
//! Reads `branch`, `base`, `head`, `pushed`; adds `pushed`, `pr_number`, `pr_url`, `opened_at`; phase
//! `pr_created`. Never overwrites a commit on the remote that is not ours.

mod open;
mod words;

use std::process::ExitCode;

use beads::{Common, DryRun, Ids, MaxRounds, Tool, pipe};
use clap::Parser;

/// Push the branch of each bead and open its pull request
#[derive(Parser)]
#[command(
    version,
    after_help = "Example: bd-ready --phase committed | pr-open --draft

Templates know {{ id }}, {{ title }} and {{ description }}.
Exit status: 0 done, 1 a bead failed, 2 usage. A bead that was sent back to its agent is no failure."
)]
struct Args {
    #[command(flatten)]
    beads: Ids,

    #[command(flatten)]
    forge: forge::Flags,

    /// Open a draft: it lands once a person marks it ready for review
    #[arg(long, env)]
    draft: bool,

    /// Label of the pull request; may be given several times
    #[arg(long, value_name = "L")]
    label: Vec<String>,

    /// Person to ask for a review; may be given several times
    #[arg(long, value_name = "R")]
    reviewer: Vec<String>,

    /// Template of the pull request's title
    #[arg(
        long,
        value_name = "TEMPLATE",
        default_value = "{{ title }} ({{ id }})"
    )]
    title: String,

    /// Template of the pull request's text
    #[arg(long, value_name = "TEMPLATE", default_value = "{{ description }}")]
    body: String,

    #[command(flatten)]
    rounds: MaxRounds,

    #[command(flatten)]
    dry: DryRun,

    #[command(flatten)]
    common: Common,
}

fn main() -> ExitCode {
    let args: Args = pipe::parse();
    Tool::run("pr-open", &args.common, |tool| open::run(tool, &args))
}
