//! Shows where every bead stands: a table for people, JSON lines for programs.
//!
//! Reads Beads and the locks; writes nothing. What it shows is derived at that moment.

mod board;
mod checks;
mod person;
mod queue;
mod table;

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use agent::Budget;
use beads::watch::Watch;
use beads::{Common, Tool, pipe};
use clap::Parser;

use crate::checks::Checks;

/// Show where every bead stands
#[derive(Parser)]
#[command(
    version,
    after_help = "Example: orch-status --json | jq -r 'select(.agent == \"ended\") | .id'

The agent of another clone is shown as unknown: this clone cannot tell.
Exit status: 0 done, 1 Beads or, for --checks, the forge cannot be read, 2 usage."
)]
struct Args {
    /// Print each bead as a JSON object on one line, with the state of its agent as `agent`, its place
    /// in the queue as `place`, and the others in its test as `testing_with`
    #[arg(long)]
    json: bool,

    /// Print again whenever Beads changes
    #[arg(long)]
    watch: bool,

    /// Show only beads below this one
    #[arg(long, value_name = "ID")]
    epic: Option<String>,

    #[command(flatten)]
    budget: Budget,

    /// Ask the forge for the checks of open pull requests
    #[arg(long)]
    checks: bool,

    #[command(flatten)]
    forge: forge::Flags,

    #[command(flatten)]
    common: Common,
}

/// Ages go on although nothing changes.
const REFRESH: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let args: Args = pipe::parse();
    Tool::run("orch-status", &args.common, |tool| {
        let mut checks = Checks::default();
        if !args.watch {
            return show(tool, &args, &mut checks);
        }
        let watch = Watch::start(tool);
        tool.pipe.watch_stdout(|| {});
        loop {
            show(tool, &args, &mut checks)?;
            let _ = watch.wait(REFRESH);
        }
    })
}

fn show(tool: &Tool, args: &Args, checks: &mut Checks) -> anyhow::Result<()> {
    let mut board = board::read(tool, args.epic.as_deref(), &args.budget)?;
    if args.checks {
        checks.add(tool, &args.forge, &mut board);
    }
    if let Some(why) = board.unread.as_ref().filter(|_| args.json || !args.watch) {
        tool.pipe.complain(&format!("--checks: {why}"));
    }
    if args.json {
        for row in &board.rows {
            tool.pipe.print(&row.json()?);
        }
        return Ok(());
    }
    let terminal = io::stdout().is_terminal();
    let size = rustix::termios::tcgetwinsize(io::stdout())
        .ok()
        .filter(|size| size.ws_col > 0);
    let plain = ["NO_COLOR", "TERM"].map(|name| std::env::var(name).unwrap_or_default());
    let style = table::Style {
        width: size
            .filter(|_| terminal)
            .map(|size| usize::from(size.ws_col)),
        colour: terminal && plain[0].is_empty() && plain[1] != "dumb",
    };
    if args.watch && terminal {
        // Cursor home, clear to the end (ECMA-48).
        tool.pipe.print("\u{1b}[H\u{1b}[2J");
    }
    for line in table::lines(&board, &style) {
        tool.pipe.print(&line);
    }
    Ok(())
}
