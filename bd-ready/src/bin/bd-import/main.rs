//! Makes beads of a plan's files, or of JSON lines, each one once.
//!
//! Adds what it takes from the files, and under which names it finds them again; removes nothing.

mod epic;
mod folder;
mod import;
mod lines;
mod merge;
mod number;
mod page;
mod plan;
mod reference;
mod report;
mod state;

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use anyhow::Context;
use beads::{Common, DryRun, Tool, lock, pipe};
use clap::Parser;

use crate::epic::Choice;
use crate::folder::Folder;
use crate::import::Import;
use crate::plan::Plan;
use crate::report::Report;

/// Make beads of the tasks in .plan/, or of JSON lines on stdin
#[derive(Parser)]
#[command(
    name = "bd-import",
    version,
    after_help = "Examples: bd-import --plan --dry-run
          bd-import < tasks.jsonl

With an EPIC, --plan or --include-complete it reads the plan of the repository's main worktree:
.plan/<epic>/PLAN.md and .plan/<epic>/tasks/NNN_name.md, or the same in .claude/plan/. Else it reads
stdin. It prints the beads that it created or updated; a dry run gives new ones the names of their
files.

A file's path is what it is known by: run again, it creates nothing, and updates what changed in the
files and not in Beads. A line of JSON needs a title, and may have id, description, design,
acceptance_criteria, priority, issue_type, labels, parent, and dependencies on beads that are there
or in an earlier line. A line whose id is there is left; a line without an id makes a new bead each
time.

Exit status: 0 done, 1 a file, a line or a dependency had to be left out, 2 usage."
)]
struct Args {
    /// Import only these epics: names of folders in the plan
    #[arg(value_name = "EPIC")]
    epics: Vec<String>,

    /// Read the plan instead of stdin
    #[arg(long)]
    plan: bool,

    /// Read the plan, including what is in its _complete/
    #[arg(long)]
    include_complete: bool,

    #[command(flatten)]
    dry: DryRun,

    #[command(flatten)]
    common: Common,
}

fn main() -> ExitCode {
    let args: Args = pipe::parse();
    let common = args.common.clone();
    Tool::run("bd-import", &common, |tool| run(tool, args))
}

fn run(tool: &Tool, args: Args) -> anyhow::Result<()> {
    let from_plan = args.plan || args.include_complete || !args.epics.is_empty();
    if !from_plan && io::stdin().is_terminal() {
        tool.pipe
            .usage("stdin is a terminal: pipe JSON lines in, or read the plan with --plan");
    }
    // Two at once would both find nothing, and make everything twice.
    let path = tool.repository.state_dir().import_lock();
    let lock = match args.dry.run {
        true => None,
        false => {
            Some(lock::take(&path).with_context(|| format!("cannot lock '{}'", path.display()))?)
        }
    };
    let report = Report::to(&tool.pipe);
    let mut import = Import::new(tool, &report, lock)?;
    if from_plan {
        let folder = Folder::find(tool.repository.main())?;
        let choice = Choice {
            names: args.epics,
            archived: args.include_complete,
        };
        let plan = Plan::new(epic::all(&folder, &choice, &report)?, &report);
        import.plan(&plan);
    } else {
        lines::import(tool, &import, &report)?;
    }
    report.end();
    Ok(())
}
