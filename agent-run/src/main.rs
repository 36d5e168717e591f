//! Runs an agent in the worktree of each bead, and judges what it did.
//!
//! Reads `worktree`, `branch`, `base`; adds `agent_pid`, `run`, `attempt`, `outcome`, `head`; phase
//! `working`, then `committed`. Agents outlive this program: started anew, it attaches to them.

mod attend;
mod bases;
mod choice;
mod escape;
mod fleet;
mod gitlinks;
mod judge;
mod next;
mod obstacle;
mod settle;
mod show;
mod work;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use agent::{Allowance, Budget};
use anyhow::Context;
use beads::{Common, DryRun, Ids, MaxAgents, Tool, pipe, some_time};
use clap::Parser;

/// Run an agent in the worktree of each bead, and judge what it did
#[derive(Parser)]
#[command(
    version,
    after_help = "Example: bd-ready | wt-spawn | agent-run --agent codex --check 'cargo test'

The agent gets the prompt on stdin and as the file $BEAD_PROMPT, and $BEAD_ID, $BEAD_TITLE,
$BEAD_RUN, $BEAD_ATTEMPT and $BEAD_ROUND in its environment. One that exits with 75 is rate limited.
A bead is printed when its work is committed, not in the order of the input.
Exit status: 0 done, 1 a bead failed or its agent was stopped, 2 usage."
)]
struct Args {
    #[command(flatten)]
    beads: Ids,

    /// Agent: a name (see --list-agents) or a command line [default: the first known agent that is
    /// installed]
    #[arg(long, env, value_name = "CMD")]
    agent: Option<String>,

    /// Template of the prompt [default: the repository's .beadline/prompt.md, or the built-in one]
    #[arg(long, value_name = "FILE")]
    prompt: Option<PathBuf>,

    #[command(flatten)]
    remote: git::Remote,

    #[command(flatten)]
    check: git::Check,

    /// End an agent, or its check, after TIME
    #[arg(long, env, value_name = "TIME", value_parser = some_time, default_value = "1h")]
    timeout: Duration,

    /// End an agent that neither prints nor changes anything for TIME
    #[arg(long, env, value_name = "TIME", value_parser = some_time, default_value = "15m")]
    stall: Duration,

    /// Block a bead after N failed runs, until a person looks at it
    #[arg(long, env, value_name = "N", default_value_t = 3)]
    attempts: u64,

    #[command(flatten)]
    allowance: Allowance,

    #[command(flatten)]
    budget: Budget,

    #[command(flatten)]
    launch: git::Launch,

    #[command(flatten)]
    agents: MaxAgents,

    /// List the known agents, and which of them are installed
    #[arg(long, exclusive = true)]
    list_agents: bool,

    /// Print the prompt that the bead's agent would get
    #[arg(long, value_name = "ID", conflicts_with_all = ["ids", "dry_run"])]
    show_prompt: Option<String>,

    #[command(flatten)]
    dry: DryRun,

    #[command(flatten)]
    common: Common,
}

fn main() -> ExitCode {
    let args: Args = pipe::parse();
    if args.list_agents {
        return choice::list();
    }
    let common = args.common.clone();
    Tool::run("agent-run", &common, |tool| match &args.show_prompt {
        Some(id) => show::prompt(tool, &args, id).with_context(|| id.clone()),
        None => fleet::run(tool, args),
    })
}
