//! `--show-prompt`: what an agent would be told now.

use agent::Prompt;
use beads::time::now;
use beads::{Change, Fact, Name, Tool};
use git::{Base, Look};

use crate::Args;

/// Prints the prompt that the next run of a bead would get. One that was never claimed is shown with
/// the branch and the base that it gets by default.
///
/// # Errors
/// When there is no such bead, or the template is wrong.
pub(crate) fn prompt(tool: &Tool, args: &Args, id: &str) -> anyhow::Result<()> {
    let prompt = Prompt::load(args.prompt.as_deref(), tool.repository.main())?;
    let mut bead = tool.find(id)?;
    if bead.facts().branch.is_empty() {
        let look = Look::open(&tool.repository)?;
        let base = Base::find(&tool.repository, &look, &args.remote.name, None)?;
        let branch = format!("agent/{}", Name::of(id));
        let facts = [Fact::Branch(branch), Fact::Base(base.branch)];
        bead = bead.with(&Change::default().facts(facts), now())?;
    }
    tool.pipe.print(prompt.fill(&bead)?.trim_end());
    Ok(())
}
