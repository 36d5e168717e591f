//! Prints the beads that are ready for an agent, as `bd ready` orders them.
//!
//! Reads Beads only; writes nothing. With `--follow` it is the line's admission control.

mod follow;
mod left;
mod select;

use std::process::ExitCode;
use std::time::Duration;

use beads::{Common, LostAfter, MaxAgents, Phase, Tool, pipe, some, some_time};
use clap::{Parser, ValueEnum};

use crate::select::Selection;

/// What the limit of agents means here.
const MAX_AGENTS: &str = "With --follow: print a new bead only while fewer than N are with agents";

/// Print the beads that are ready, one JSON object a line
#[derive(Parser)]
#[command(
    version,
    after_help = "Example: bd-ready --follow --epic bd-a3f8 | wt-spawn | agent-run | pr-open

Beads that have children, are blocked, deferred, pinned or assigned to a person are never printed.
Exit status: 0 done, 1 something could not be read or named, 2 usage.",
    mut_arg("max_agents", |arg| arg.help(MAX_AGENTS))
)]
struct Args {
    /// Print exactly these beads; one that cannot be worked on is an error that says why
    #[arg(value_name = "ID")]
    ids: Vec<String>,

    /// Print only beads below this one
    #[arg(long, value_name = "ID")]
    epic: Option<String>,

    /// Print only beads with this label
    #[arg(long, value_name = "L")]
    label: Option<String>,

    /// Print at most N new beads
    #[arg(long, value_name = "N")]
    limit: Option<usize>,

    /// Print only beads under way in this phase; may be given several times
    #[arg(long, value_name = "P")]
    phase: Vec<PhaseName>,

    /// Also print the beads that this clone has under way, and those whose clone has died
    #[arg(long)]
    resume: bool,

    /// Go on until nothing is left that could become ready without a person
    #[arg(long)]
    follow: bool,

    /// With --follow: never end
    #[arg(long)]
    forever: bool,

    #[command(flatten)]
    agents: MaxAgents,

    /// With --follow: print a new bead only while fewer than N wait to be merged
    #[arg(long, env, value_name = "N", value_parser = some, default_value_t = 16)]
    max_prs: usize,

    /// With --follow: how often to look where other machines may write
    #[arg(long, value_name = "TIME", value_parser = some_time, default_value = "2s")]
    interval: Duration,

    #[command(flatten)]
    lost_after: LostAfter,

    #[command(flatten)]
    common: Common,
}

#[derive(Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum PhaseName {
    Spawned,
    Working,
    Committed,
    PrCreated,
    Merged,
}

impl From<PhaseName> for Phase {
    fn from(name: PhaseName) -> Self {
        match name {
            PhaseName::Spawned => Self::Spawned,
            PhaseName::Working => Self::Working,
            PhaseName::Committed => Self::Committed,
            PhaseName::PrCreated => Self::PrCreated,
            PhaseName::Merged => Self::Merged,
        }
    }
}

fn main() -> ExitCode {
    let args: Args = pipe::parse();
    let common = args.common.clone();
    Tool::run("bd-ready", &common, |tool| {
        let selection = Selection {
            ids: args.ids,
            epic: args.epic,
            label: args.label,
            phases: args.phase.into_iter().map(Phase::from).collect(),
            resume: args.resume || args.follow,
            lost_after: args.lost_after,
        };
        if args.follow {
            tool.pipe.watch_stdout(|| {});
            let limits = follow::Limits {
                new: args.limit.unwrap_or(usize::MAX),
                agents: args.agents.max,
                prs: args.max_prs,
                interval: args.interval,
                forever: args.forever,
            };
            return follow::follow(tool, &selection, &limits);
        }
        select::print(tool, &selection, args.limit.unwrap_or(usize::MAX))
    })
}
