//! What a line that ends has not done, and why.

use beads::{Bead, Graph, Status, Tool};

use crate::select::Selection;

/// How many beads are named at the end, at most.
const NAMED: usize = 20;

/// Names what is not done, and what it waits for.
///
/// # Errors
/// When Beads cannot be read.
pub(crate) fn say_what_is_left(tool: &Tool, selection: &Selection) -> anyhow::Result<()> {
    let beads = tool.store.list()?;
    let graph = Graph::of(&beads);
    let scope = selection.on(&graph)?;
    let open = |bead: &&Bead| {
        !matches!(
            bead.status(),
            Status::Closed | Status::Tombstone | Status::Pinned
        ) && !bead.set_aside()
            && !graph.is_container(bead)
            && scope.holds(bead)
    };
    let left: Vec<&Bead> = beads.iter().filter(open).collect();
    for bead in left.iter().take(NAMED) {
        tool.pipe
            .say(bead.id(), &format!("not done: {}", reason(&graph, bead)));
    }
    if left.len() > NAMED {
        tool.pipe
            .remark(&format!("not done: {} more", left.len() - NAMED));
    }
    Ok(())
}

/// What an unfinished bead waits for.
fn reason(graph: &Graph, bead: &Bead) -> String {
    let facts = bead.facts();
    let blockers = graph.blockers(bead.id());
    match bead.status() {
        _ if bead.fault().is_some() => bead.fault().unwrap_or_default().to_owned(),
        Status::InProgress if !bead.claimed() => format!("'{}' has it", bead.assignee()),
        Status::InProgress if !facts.error.is_empty() => facts.error.clone(),
        Status::InProgress if !facts.waits.is_empty() => format!("a person: {}", facts.waits),
        Status::InProgress => "under way".to_owned(),
        Status::Blocked => "blocked, a person has to look at it".to_owned(),
        Status::Open if !blockers.is_empty() => format!("blocked by {}", blockers.join(", ")),
        Status::Open if !bead.assignee().is_empty() && !bead.claimed() => {
            format!("assigned to '{}'", bead.assignee())
        }
        Status::Open => match bead.defer_until() {
            Some(until) => format!("deferred until {until}"),
            None => "left for the next run".to_owned(),
        },
        _ => "set aside".to_owned(),
    }
}
