//! Claims each bead and gives it a worktree on a branch of its own.
//!
//! Adds `worktree`, `branch`, `base`, `host`; phase `spawned`. Removes nothing that an agent or a
//! person could have worked in.

mod claim;
mod fetch;
mod host;
mod jobs;
mod obstacle;
mod place;
mod preview;
mod spawn;
mod start;

use std::process::ExitCode;

use beads::{Common, DryRun, Ids, LostAfter, Tool, pipe, some};
use bytesize::ByteSize;
use clap::Parser;
use git::Furnish;

/// Claim each bead and give it a worktree on a branch of its own
#[derive(Parser)]
#[command(
    version,
    after_help = "Example: bd-ready | wt-spawn --under ../trees --setup 'npm ci'

A bead is printed as soon as its worktree is complete, not in the order of the input.
Exit status: 0 done, 1 a bead failed, 2 usage. A bead that another line claimed first is no failure."
)]
struct Args {
    #[command(flatten)]
    beads: Ids,

    #[command(flatten)]
    under: git::Under,

    /// Branch to start from and to land on [default: the remote's HEAD]
    #[arg(long, env, value_name = "BRANCH")]
    base: Option<String>,

    /// Name of the agents' branches; {id} stands for the bead's id
    #[arg(long, env, value_name = "TEMPLATE", default_value = "agent/{id}")]
    branch: String,

    #[command(flatten)]
    remote: git::Remote,

    #[command(flatten)]
    furnish: Furnish,

    /// Create at most N worktrees at a time
    #[arg(long, value_name = "N", value_parser = some, default_value_t = 4)]
    jobs: usize,

    /// Create no worktree while less than SIZE is free
    #[arg(long, value_name = "SIZE", default_value = "2GiB")]
    min_free: ByteSize,

    /// Open a blocked bead, or take over another clone's, and claim it anew
    #[arg(long)]
    retry: bool,

    #[command(flatten)]
    dry: DryRun,

    #[command(flatten)]
    lost_after: LostAfter,

    #[command(flatten)]
    common: Common,
}

fn main() -> ExitCode {
    let args: Args = pipe::parse();
    Tool::run("wt-spawn", &args.common, |tool| spawn::run(tool, &args))
}
