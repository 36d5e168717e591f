//! Closing the containers whose last child has landed.

use std::sync::Arc;

use beads::{Bead, Change, Graph, Guard, Status, Tool};

/// Closes every container whose children are all closed and of which one was merged, upwards.
/// Reads anew after each, as one may finish the next. Returns all beads.
///
/// # Errors
/// When Beads cannot be read or written.
pub(crate) fn containers(tool: &Tool) -> anyhow::Result<Arc<Vec<Bead>>> {
    loop {
        let beads = tool.all()?;
        let graph = Graph::of(&beads);
        let mut closed = false;
        for bead in graph.finished_containers() {
            let note = "beadline: closed, as all its children are";
            let change = Change::default().status(Status::Closed).note(note);
            if tool
                .store
                .record(bead.id(), &Guard::as_read(bead), &change, None)?
                .is_some()
            {
                tool.pipe.say(bead.id(), "closed: all its children are");
                closed = true;
            }
        }
        if !closed {
            return Ok(beads);
        }
    }
}
