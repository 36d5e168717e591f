//! What this program has put into a forge's merge queue, and what came out of it without landing.

use std::collections::{HashMap, HashSet};

use beads::Bead;
use forge::{Busy, LetGo, Pull, State, Unread};
use git::Sha;

use crate::gate::verdict::{On, Verdict};
use crate::lane::{Lanes, pushed, wanted};

/// By head: what a queue lets go of is not put in again at the same head by this run.
#[derive(Default)]
pub(crate) struct Entries {
    queued: HashSet<Sha>,
    gone: HashMap<Sha, LetGo>,
}

impl Entries {
    pub(super) fn put_in(&mut self, head: Sha) {
        self.queued.insert(head);
        self.gone.remove(&head);
    }
}

impl Lanes {
    /// The verdict, unless the merge queue has thrown it out.
    ///
    /// # Errors
    /// When the forge cannot be asked why.
    pub(super) fn after_queue(
        &mut self,
        bead: &Bead,
        pull: Option<&Pull>,
        verdict: Verdict,
    ) -> anyhow::Result<Verdict> {
        let head = pushed(bead)?;
        let open = pull.filter(|pull| pull.state == State::Open && pull.head == Some(head));
        let Some(pull) = open else {
            return Ok(verdict);
        };
        if matches!(pull.busy, Some(Busy::Queued(_))) {
            self.entries.put_in(head);
            return Ok(verdict);
        }
        if self.entries.queued.contains(&head) {
            let gone = self.forge.let_go(&wanted(bead)?).map_err(Unread::of)?;
            let Some(gone) = gone else {
                // It lands in this very moment, or its entry does not show yet.
                let what = "the merge queue is about to have it, or to land it";
                return Ok(Verdict::Wait(On::Machine, what.to_owned()));
            };
            self.entries.queued.remove(&head);
            self.entries.gone.insert(head, gone);
        }
        let would_land = matches!(
            verdict,
            Verdict::Land(_) | Verdict::Wait(On::Us | On::Machine, _)
        );
        Ok(match self.entries.gone.get(&head) {
            Some(gone) if would_land => out(gone),
            _ => verdict,
        })
    }
}

/// Checks that failed are its agent's; anything else is a person's.
fn out(gone: &LetGo) -> Verdict {
    if gone.failed.is_empty() {
        let what = format!("the merge queue let go of it: {}", gone.why);
        return Verdict::Wait(On::Person, what);
    }
    let names: Vec<&str> = gone
        .failed
        .iter()
        .map(|check| check.name.as_str())
        .collect();
    let said: Vec<String> = gone
        .failed
        .iter()
        .map(|check| format!("- {}: {} {}", check.name, check.words, check.url))
        .collect();
    Verdict::Rework {
        why: format!("checks failed in the merge queue: {}", names.join(", ")),
        feedback: format!(
            "The merge queue let go of your work ({}). These checks failed on its merge with the \
             base and with what was queued before it:\n{}",
            gone.why,
            said.join("\n")
        ),
    }
}
