//! Lands each pull request that may land, and closes its bead.
//!
//! Reads `pr_number`, `branch`, `base`, `pushed`; adds `merged_sha`, `waits`; phase `merged`. Never
//! forces, never overrides, never resolves a conflict: what cannot land goes back to its agent, or
//! to a person.

mod close;
mod gate;
mod lane;
mod plan;
mod preview;
mod queue;
mod refusals;
mod remarks;
mod retry;
mod review;
mod turn;
mod waiting;

use std::process::ExitCode;
use std::time::Duration;

use beads::{Common, DryRun, Ids, MaxRounds, Tool, pipe, some, some_time};
use clap::Parser;
use clap::parser::ValueSource;
use forge::{Land, Method};

/// Land each pull request that may land, and close its bead
#[derive(Parser)]
#[expect(clippy::struct_excessive_bools, reason = "flags")]
#[command(
    version,
    after_help = "Example: bd-ready --phase pr_created | pr-merge --once --check 'cargo test'

The check runs on the base with one or several heads merged into it, and exactly that lands. Without
--check, the checks that report to the forge decide, on a head that contains the base. A bead is printed when it has
landed, not in the order of the input.
Exit status: 0 done, 1 a bead failed, 2 usage. A bead that waits or was sent back is no failure."
)]
struct Args {
    #[command(flatten)]
    beads: Ids,

    #[command(flatten)]
    forge: forge::Flags,

    #[command(flatten)]
    check: git::Check,

    /// Run up to N checks side by side on each base, each in a worktree of its own
    #[arg(long, env, value_name = "N", value_parser = some, default_value_t = 1)]
    check_jobs: usize,

    /// Test at most N pull requests together; 1: one by one [default: as many as their chance to be
    /// red allows]
    #[arg(long, env, value_name = "N", value_parser = some)]
    batch: Option<usize>,

    /// Run a check that fails on one pull request alone N times more before it is sent back
    #[arg(long, env, value_name = "N", default_value_t = 1)]
    retries: u32,

    /// Land without a check
    #[arg(long, env)]
    no_checks: bool,

    /// Check that must have passed at the forge, besides those that the base requires; may be given
    /// several times
    #[arg(long, env, value_name = "NAME", value_delimiter = ',')]
    require: Vec<String>,

    /// Number of people who must have approved at the forge, if the base requires fewer
    #[arg(long, env, value_name = "N", default_value_t = 0)]
    approvals: u64,

    /// Reviewer: gets the diff on stdin, in a worktree of its own at the head, and writes its verdict
    /// to the file `$BEADLINE_VERDICT`: `{"verdict":"approve|rework|person","summary":"…","findings":[{"path",
    /// "line","severity":"must|should|note","body"}]}`; anything else waits for a person
    #[arg(long, env, value_name = "CMD")]
    review: Option<String>,

    /// How the work becomes a part of the base
    #[arg(long, env, default_value = "squash")]
    method: Method,

    /// Who brings the work onto the base of a forge
    #[arg(long, env, default_value = "merge")]
    land: Land,

    /// Land through the forge's merge queue, where the base has one
    #[arg(long, env)]
    queue: bool,

    /// Never land: wait until a person has merged, then close the bead
    #[arg(long, env)]
    by_hand: bool,

    /// Look once, and leave out the beads that still wait
    #[arg(long)]
    once: bool,

    /// End a check or a review after TIME, and leave a wait in which nothing changes for TIME to a
    /// person
    #[arg(long, env, value_name = "TIME", value_parser = some_time, default_value = "1h")]
    wait: Duration,

    #[command(flatten)]
    rounds: MaxRounds,

    /// Block a bead that was sent back for conflicts N times; these do not count as rounds
    #[arg(long, env, value_name = "N", default_value_t = 10)]
    max_conflicts: u64,

    #[command(flatten)]
    under: git::Under,

    #[command(flatten)]
    furnish: git::Furnish,

    #[command(flatten)]
    dry: DryRun,

    #[command(flatten)]
    common: Common,
}

fn main() -> ExitCode {
    let (mut args, sources): (Args, _) = pipe::parse_with_sources();
    // The command line beats variables, the opposite flag's too.
    let typed = |name| sources.value_source(name) == Some(ValueSource::CommandLine);
    if typed("no_checks") && !typed("check") {
        args.check.command = None;
    }
    if args.check.command.is_some() && !(typed("no_checks") && typed("check")) {
        args.no_checks = false;
    }
    let common = args.common.clone();
    Tool::run("pr-merge", &common, |tool| {
        if args.check.command.is_some() && args.no_checks {
            tool.pipe
                .usage("--check and --no-checks exclude each other");
        }
        queue::run(tool, args)
    })
}
