//! Lands each pull request that may land, and closes its bead.
//!
//! Reads `pr_number`, `branch`, `base`, `pushed`; adds `merged_sha`, `waits`; phase `merged`. Never
//! forces, never overrides, never resolves a conflict: what cannot land goes back to its agent, or
//! to a person.

mod close;
mod gate;
mod lane;
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

use beads::{Common, Tool, pipe, some_time};
use clap::Parser;
use clap::builder::BoolishValueParser;
use clap::parser::ValueSource;
use forge::Method;

/// Land each pull request that may land, and close its bead
#[derive(Parser)]
#[expect(clippy::struct_excessive_bools, reason = "flags")]
#[command(
    version,
    after_help = "Example: bd-ready --phase pr_created | pr-merge --once --check 'cargo test'

The check runs on the merge of head and base, and what it saw is what lands. Without one the checks
that report to the forge decide, on a head that holds the base. Order is not kept: a
bead is printed when it has landed.
Exit status: 0 done, 1 a bead failed, 2 usage. A bead that waits or was sent back is no failure."
)]
struct Args {
    /// Bead ids, instead of beads on stdin
    #[arg(value_name = "ID")]
    ids: Vec<String>,

    #[command(flatten)]
    forge: forge::Flags,

    /// Command line that the merge of head and base has to pass
    #[arg(
        long,
        value_name = "CMD",
        env = "BEADLINE_CHECK",
        hide_env_values = true
    )]
    check: Option<String>,

    /// Land without a check
    #[arg(long, env = "BEADLINE_NO_CHECKS", hide_env_values = true, value_parser = BoolishValueParser::new())]
    no_checks: bool,

    /// Check that must have passed at the forge, beside those that the base asks for; may be given
    /// several times
    #[arg(
        long,
        value_name = "NAME",
        env = "BEADLINE_REQUIRE",
        hide_env_values = true,
        value_delimiter = ','
    )]
    require: Vec<String>,

    /// People that must have approved at the forge, if the base asks for fewer
    #[arg(
        long,
        value_name = "N",
        env = "BEADLINE_APPROVALS",
        hide_env_values = true,
        default_value_t = 0
    )]
    approvals: u64,

    /// Reviewer: gets the diff on stdin, in a worktree of its own at the head, and writes its verdict
    /// to the file `$BEADLINE_VERDICT`: `{"verdict":"approve|rework|person","summary":"…","findings":[{"path",
    /// "line","severity":"must|should|note","body"}]}`; anything else waits for a person
    #[arg(
        long,
        value_name = "CMD",
        env = "BEADLINE_REVIEW",
        hide_env_values = true
    )]
    review: Option<String>,

    /// How the work becomes a part of the base
    #[arg(
        long,
        env = "BEADLINE_METHOD",
        hide_env_values = true,
        default_value = "squash"
    )]
    method: Method,

    /// Land by the forge's merge queue, where the base has one
    #[arg(long, env = "BEADLINE_QUEUE", hide_env_values = true, value_parser = BoolishValueParser::new())]
    queue: bool,

    /// Never land: wait until a person has, then close the bead
    #[arg(long, env = "BEADLINE_BY_HAND", hide_env_values = true, value_parser = BoolishValueParser::new())]
    by_hand: bool,

    /// Look once, and leave out what still waits
    #[arg(long)]
    once: bool,

    /// End a check or a review after this time; a wait in which nothing changes for so long is left
    /// to a person
    #[arg(long, value_name = "TIME", value_parser = some_time, env = "BEADLINE_WAIT", hide_env_values = true, default_value = "1h")]
    wait: Duration,

    /// Times a bead is sent back to its agent before it goes to a person
    #[arg(
        long,
        value_name = "N",
        env = "BEADLINE_MAX_ROUNDS",
        hide_env_values = true,
        default_value_t = 3
    )]
    max_rounds: u64,

    /// Times a bead is sent back for a conflict, which are no rounds of these
    #[arg(
        long,
        value_name = "N",
        env = "BEADLINE_MAX_CONFLICTS",
        hide_env_values = true,
        default_value_t = 10
    )]
    max_conflicts: u64,

    #[command(flatten)]
    under: git::Under,

    #[command(flatten)]
    furnish: git::Furnish,

    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    common: Common,
}

fn main() -> ExitCode {
    let (mut args, sources): (Args, _) = pipe::parse_with_sources();
    // The command line beats variables, the opposite flag's too.
    let typed = |name| sources.value_source(name) == Some(ValueSource::CommandLine);
    if typed("no_checks") && !typed("check") {
        args.check = None;
    }
    if args.check.is_some() && !(typed("no_checks") && typed("check")) {
        args.no_checks = false;
    }
    Tool::run("pr-merge", &args.common, |tool| {
        if args.check.is_some() && args.no_checks {
            tool.pipe
                .usage("--check and --no-checks exclude each other");
        }
        queue::run(tool, &args)
    })
}
