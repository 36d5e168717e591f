//! Which beads a call is about, and why one that was named cannot be worked on.

use std::collections::HashSet;

use anyhow::{bail, ensure};
use beads::time::now;
use beads::{Bead, Graph, LostAfter, Phase, Status, Tool, shell_word};

/// What the command line selects.
pub(crate) struct Selection {
    pub(crate) ids: Vec<String>,
    pub(crate) epic: Option<String>,
    pub(crate) label: Option<String>,
    pub(crate) phases: Vec<Phase>,
    pub(crate) resume: bool,
    pub(crate) lost_after: LostAfter,
}

/// The selection on one reading of Beads.
pub(crate) struct Scope<'a> {
    selection: &'a Selection,
    below: Option<HashSet<&'a str>>,
}

/// Prints once what is selected: what is under way first, then at most `limit` new beads.
///
/// # Errors
/// When Beads cannot be read, or the epic is unknown. A named bead that cannot be worked on is
/// complained about.
pub(crate) fn print(tool: &Tool, selection: &Selection, limit: usize) -> anyhow::Result<()> {
    let beads = tool.store.list()?;
    let graph = Graph::of(&beads);
    if !selection.ids.is_empty() {
        for id in &selection.ids {
            match selection.workable(tool, &graph, id) {
                Ok(bead) => tool.pipe.emit(bead),
                Err(err) => tool.pipe.fail(id, &err),
            }
        }
        return Ok(());
    }
    complain_of_faults(tool, &beads, &mut HashSet::new());
    let scope = selection.on(&graph)?;
    for bead in beads
        .iter()
        .filter(|bead| scope.holds(bead) && scope.resumes(tool, bead))
    {
        tool.pipe.emit(bead);
    }
    if selection.phases.is_empty() {
        let ready = tool.store.ready()?;
        let new = ready.iter().filter_map(|id| graph.get(id));
        for bead in new
            .filter(|bead| scope.holds(bead) && graph.is_work(bead))
            .take(limit)
        {
            tool.pipe.emit(bead);
        }
    }
    Ok(())
}

/// Names what cannot be read of a bead, unless that was `said` before.
pub(crate) fn complain_of_faults(tool: &Tool, beads: &[Bead], said: &mut HashSet<String>) {
    let faults = beads
        .iter()
        .filter_map(|bead| Some(format!("{}: {}", bead.id(), bead.fault()?)));
    for fault in faults {
        if said.insert(fault.clone()) {
            tool.pipe.complain(&fault);
        }
    }
}

fn why_not(bead: &Bead) -> String {
    match bead.defer_until() {
        Some(until) => format!("deferred until {until}"),
        None => "set aside, or its parent is deferred".to_owned(),
    }
}

impl Selection {
    /// Applies the selection to a reading of Beads.
    ///
    /// # Errors
    /// When the epic is unknown.
    pub(crate) fn on<'a>(&'a self, graph: &Graph<'a>) -> anyhow::Result<Scope<'a>> {
        let below = match &self.epic {
            None => None,
            Some(epic) => {
                ensure!(graph.get(epic).is_some(), "{epic}: no such bead");
                Some(graph.descendants(epic))
            }
        };
        Ok(Scope {
            selection: self,
            below,
        })
    }

    /// The bead with this id, if a line may work on it.
    ///
    /// # Errors
    /// Says why it may not.
    pub(crate) fn workable<'a>(
        &self,
        tool: &Tool,
        graph: &Graph<'a>,
        id: &str,
    ) -> anyhow::Result<&'a Bead> {
        let Some(bead) = graph.get(id) else {
            bail!("no such bead")
        };
        if self.is_ours(tool, bead) {
            return Ok(bead);
        }
        if let Some(fault) = bead.fault() {
            bail!("{fault}");
        }
        ensure!(
            !graph.is_container(bead),
            "a container: its children are worked on"
        );
        match bead.status() {
            _ if bead.is_open(now()) => {
                let free = bead.assignee().is_empty() || bead.claimed();
                ensure!(free, "assigned to '{}'", bead.assignee());
            }
            Status::Closed | Status::Tombstone => bail!("closed"),
            Status::InProgress if bead.under_way() => {
                bail!("under way in the clone '{}'", bead.facts().host)
            }
            Status::InProgress => bail!("in progress by '{}'", bead.assignee()),
            Status::Blocked => bail!(
                "blocked: a person has to look at it, then: just retry {}",
                shell_word(id)
            ),
            Status::Open | Status::Deferred | Status::Pinned | Status::Hooked | Status::Other => {
                bail!("set aside")
            }
        }
        let blockers = graph.blockers(id);
        ensure!(blockers.is_empty(), "blocked by {}", blockers.join(", "));
        ensure!(
            graph.is_work(bead) && tool.store.ready()?.iter().any(|ready| ready == id),
            "not ready: {}",
            why_not(bead)
        );
        Ok(bead)
    }

    /// Under way in this clone, or lost by another.
    fn is_ours(&self, tool: &Tool, bead: &Bead) -> bool {
        bead.under_way()
            && (tool.repository.owns(&bead.facts().host) || tool.lost(bead, self.lost_after))
    }
}

impl Scope<'_> {
    /// Whether the call is about this bead at all.
    pub(crate) fn holds(&self, bead: &Bead) -> bool {
        let Selection { ids, label, .. } = self.selection;
        self.below
            .as_ref()
            .is_none_or(|below| below.contains(bead.id()))
            && label
                .as_ref()
                .is_none_or(|label| bead.labels().contains(label))
            && (ids.is_empty() || ids.iter().any(|id| id == bead.id()))
    }

    /// Whether the bead is one that a line started anew takes up.
    pub(crate) fn resumes(&self, tool: &Tool, bead: &Bead) -> bool {
        let Selection { phases, resume, .. } = self.selection;
        match phases.is_empty() {
            true => *resume && self.selection.is_ours(tool, bead),
            // What has landed is under way no more.
            false if bead.phase() == Phase::Merged => {
                phases.contains(&Phase::Merged) && tool.repository.owns(&bead.facts().host)
            }
            false => phases.contains(&bead.phase()) && self.selection.is_ours(tool, bead),
        }
    }
}
