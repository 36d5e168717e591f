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
use beads::{Common, Tool, pipe, some, some_time};
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
    /// Bead ids; without any, beads are read from stdin
    #[arg(value_name = "ID")]
    ids: Vec<String>,

    /// Agent: a name (see --list-agents) or a command line [default: the first known agent that is
    /// installed]
    #[arg(
        long,
        value_name = "CMD",
        env = "BEADLINE_AGENT",
        hide_env_values = true
    )]
    agent: Option<String>,

    /// Template of the prompt [default: the repository's .beadline/prompt.md, or the built-in one]
    #[arg(long, value_name = "FILE")]
    prompt: Option<PathBuf>,

    #[command(flatten)]
    remote: git::Remote,

    /// Command that the agent's work must pass; it runs in the worktree
    #[arg(
        long,
        value_name = "CMD",
        env = "BEADLINE_CHECK",
        hide_env_values = true
    )]
    check: Option<String>,

    /// End an agent, or its check, after TIME
    #[arg(long, value_name = "TIME", value_parser = some_time, env = "BEADLINE_TIMEOUT", hide_env_values = true, default_value = "1h")]
    timeout: Duration,

    /// End an agent that neither prints nor changes anything for TIME
    #[arg(long, value_name = "TIME", value_parser = some_time, env = "BEADLINE_STALL", hide_env_values = true, default_value = "15m")]
    stall: Duration,

    /// Block a bead after N failed runs, until a person looks at it
    #[arg(
        long,
        value_name = "N",
        env = "BEADLINE_ATTEMPTS",
        hide_env_values = true,
        default_value_t = 3
    )]
    attempts: u64,

    #[command(flatten)]
    allowance: Allowance,

    #[command(flatten)]
    budget: Budget,

    #[command(flatten)]
    launch: git::Launch,

    /// Variable that agents may see besides the usual ones; may be given several times
    #[arg(
        long,
        value_name = "NAME",
        env = "BEADLINE_ENV",
        hide_env_values = true,
        value_delimiter = ','
    )]
    env: Vec<String>,

    /// Run at most N agents at a time in this clone
    #[arg(
        long,
        value_name = "N",
        value_parser = some,
        env = "BEADLINE_MAX_AGENTS",
        hide_env_values = true,
        default_value_t = 4
    )]
    max_agents: usize,

    /// List the known agents, and which of them are installed
    #[arg(long, exclusive = true)]
    list_agents: bool,

    /// Print the prompt that the bead's agent would get
    #[arg(long, value_name = "ID", conflicts_with_all = ["ids", "dry_run"])]
    show_prompt: Option<String>,

    /// Report what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,

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
