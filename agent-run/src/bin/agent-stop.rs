//! Ends agents, and keeps all their work. The beads stay in the line: the next run goes on.
//!
//! Takes no stage lock: the program that waits for the agent holds it.

use std::process::ExitCode;

use beads::lock::Held;
use beads::time::now;
use beads::{Bead, Change, Common, DryRun, Fact, Guard, Ids, Outcome, Phase, Tool, pipe};
use clap::Parser;
use git::process::{self, Marker};

/// End the agents of beads, and keep all their work
#[derive(Parser)]
#[command(
    name = "agent-stop",
    version,
    after_help = "Example: agent-stop bd-a3f8

The next run of the line goes on with the beads.
Exit status: 0 done, 1 a bead failed, 2 usage."
)]
struct Args {
    #[command(flatten)]
    beads: Ids,

    /// End every agent of this clone, and keep the lines that run now from starting more
    #[arg(long)]
    all: bool,

    #[command(flatten)]
    dry: DryRun,

    #[command(flatten)]
    common: Common,
}

fn main() -> ExitCode {
    let args: Args = pipe::parse();
    Tool::run("agent-stop", &args.common, |tool| {
        tool.pipe.watch_stdout(|| {});
        if !args.all {
            for bead in tool.beads(&args.beads) {
                attempt(tool, &args, &bead);
            }
            return Ok(());
        }
        if !args.dry.run {
            tool.repository.state_dir().forbid_starts()?;
        }
        let beads = tool.store.list()?;
        for bead in beads.iter().filter(|bead| bead.phase() == Phase::Working) {
            attempt(tool, &args, bead);
        }
        // Those whose beads are not shown, or deleted.
        let mut others = process::marked(&tool.repository);
        for bead in beads.iter() {
            others.remove(bead.id());
        }
        for id in others {
            end_unknown(tool, &args, &id);
        }
        Ok(())
    })
}

/// Ends the agent of a bead that a list does not show: it is asked for by name.
fn end_unknown(tool: &Tool, args: &Args, id: &str) {
    match tool.store.show(id) {
        Ok(Some(bead)) => attempt(tool, args, &bead),
        Ok(None) if args.dry.run => tool.pipe.say(id, "its agent would be ended"),
        Ok(None) => {
            Marker::of(&tool.repository, id).end();
            tool.pipe.say(id, "agent ended, its work is kept");
        }
        Err(err) => tool.pipe.fail(id, &err),
    }
}

fn attempt(tool: &Tool, args: &Args, piped: &Bead) {
    let id = piped.id().to_owned();
    let stopped = tool.find(&id).and_then(|bead| stop(tool, args, &bead));
    match stopped.and_then(|bead| piped.refreshed(&bead)) {
        Ok(bead) => tool.pipe.emit(&bead),
        Err(err) => tool.pipe.fail(&id, &err),
    }
}

/// Writes first, so that whoever waits for the agent finds out why it ended.
fn stop(tool: &Tool, args: &Args, bead: &Bead) -> anyhow::Result<Bead> {
    let (id, facts) = (bead.id(), bead.facts());
    let marker = Marker::of(&tool.repository, id);
    let held = Held::now().contains(&tool.repository.folder(id).hold_lock());
    let alive = held || marker.is_carried();
    if !alive {
        tool.pipe.say(id, "no agent of it is alive here");
        return Ok(bead.clone());
    }
    if args.dry.run {
        tool.pipe.say(id, "its agent would be ended");
        return Ok(bead.clone());
    }
    let ours = bead.phase() == Phase::Working
        && tool.repository.owns(&facts.host)
        && facts.outcome.is_none();
    let mut bead = bead.clone();
    if ours {
        let attempt = facts.attempt.saturating_sub(1);
        let change = Change::default()
            .facts([
                Fact::Outcome(Some(Outcome::Stopped)),
                Fact::Attempt(attempt),
            ])
            .error("its agent was stopped", now());
        let written = tool
            .store
            .record(id, &Guard::as_read(&bead), &change, None)?;
        bead = written.unwrap_or(bead);
    }
    marker.end();
    tool.pipe.say(bead.id(), "agent ended, its work is kept");
    Ok(bead)
}
