//! Which agent works: the one that is named, or the first that is installed.

use std::env;
use std::process::ExitCode;

use agent::{PRESETS, Preset, words};
use beads::Tool;
use beads::pipe::Pipe;

use crate::Args;

/// The agent of this run, by name or as a command line. Ends the program where there is none, before
/// anything is done for a bead.
pub(crate) fn agent(tool: &Tool, args: &Args) -> String {
    let named = args.agent.as_ref().filter(|agent| !agent.trim().is_empty());
    let Some(agent) = named else {
        let Some(preset) = PRESETS.iter().find(|preset| preset.program().is_some()) else {
            let first = &PRESETS[0];
            tool.pipe.usage(&format!(
                "no agent: give --agent or set BEADLINE_AGENT, or install one that goes by name, \
                 such as {}: {} (see --list-agents)",
                first.name, first.install
            ));
        };
        let name = preset.name;
        tool.pipe
            .remark(&format!("no agent named: {name} works, as it is installed"));
        return name.to_owned();
    };
    // Behind a launcher it may be installed where this program cannot look.
    if let Some(preset) = Preset::named(agent)
        && args.launch.of_agents().is_none()
        && preset.program().is_none()
    {
        let what = format!("the agent '{agent}' is not installed: {}", preset.install);
        tool.pipe.usage(&what);
    }
    agent.clone()
}

/// Says which limits have nothing to count.
pub(crate) fn warn(tool: &Tool, args: &Args, agent: &str) {
    let (words, allowance, budget) = (words(agent), &args.allowance, &args.budget);
    let tokens = allowance.max_tokens.or(budget.budget_tokens);
    if tokens.is_some() && !words.tell_tokens() {
        tool.pipe
            .remark("the agent does not tell its tokens: no limit of tokens bounds it");
    }
    let cost = allowance.max_cost.or(budget.budget_cost);
    if cost.is_some() && !words.tell_cost() {
        tool.pipe
            .remark("the agent does not tell what it costs: no limit in dollars bounds it");
    }
}

/// Prints the agents that go by name.
pub(crate) fn list() -> ExitCode {
    let pipe = Pipe::new("agent-run", false);
    let home = env::var("HOME").unwrap_or_default();
    pipe.print(&format!(
        "{:<9} {:<40} {:<18} {}",
        "NAME", "INSTALLED AS, OR BY", "KEY, BY --env", "COMMAND LINE"
    ));
    for preset in &PRESETS {
        let place = preset.program().map(|path| path.display().to_string());
        let place = place.map(|path| match path.strip_prefix(&home) {
            Some(rest) if !home.is_empty() && rest.starts_with('/') => format!("~{rest}"),
            _ => path,
        });
        let place = place.unwrap_or_else(|| format!("- {}", preset.install));
        pipe.print(&format!(
            "{:<9} {place:<40} {:<18} {}",
            preset.name, preset.key, preset.line
        ));
    }
    pipe.exit()
}
