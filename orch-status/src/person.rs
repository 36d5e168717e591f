//! What a bead waits for a person for.

use beads::{Bead, Status};

/// What a person has to do about a bead; `None`: nothing.
pub(crate) fn person(bead: &Bead) -> Option<String> {
    let facts = bead.facts();
    match bead.status() {
        _ if bead.fault().is_some() => bead.fault().map(str::to_owned),
        Status::Blocked => {
            let notes = bead.text("notes");
            Some(notes.lines().last().unwrap_or("blocked").to_owned())
        }
        Status::InProgress if !facts.waits.is_empty() => Some(facts.waits.clone()),
        Status::InProgress if !facts.error.is_empty() => Some(facts.error.clone()),
        _ => None,
    }
}
