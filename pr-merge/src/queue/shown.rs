//! What others are shown of the tests that run: one small file for each base. Nothing depends on it,
//! so what keeps it from being written is no error of ours.

use std::time::Duration;

use beads::lock::Held;
use beads::{StateDir, Testing, UnderTest};
use jiff::SignedDuration;

use crate::queue::Queue;

/// What was shown last of one base.
#[derive(Default)]
pub(super) struct Shown {
    /// `None`: nothing yet, so an earlier program's words may still be there.
    last: Option<Testing>,
    /// How long the last check took in this run.
    took: Option<SignedDuration>,
}

impl Queue<'_> {
    /// Shows what runs now, wherever that is something else than before.
    pub(super) fn show(&mut self) {
        let state = self.tool.repository.state_dir();
        for (base, rounds) in &mut self.rounds {
            let running = rounds.running();
            rounds.shown.show(&state, base, running);
        }
    }
}

impl Shown {
    pub(super) fn took(&mut self, time: Duration) {
        self.took = SignedDuration::try_from(time).ok();
    }

    fn show(&mut self, state: &StateDir, base: &str, groups: Vec<UnderTest>) {
        let took = self.took;
        let ours = Testing { groups, took };
        if self.last.as_ref() == Some(&ours) {
            return;
        }
        let last = self.last.take().unwrap_or_default();
        let stored = Testing::read(state, base);
        // Another program may test in other slots.
        let mut all = stored.clone().live(state, &Held::now());
        let is_ours = |group: &UnderTest| ours.groups.iter().any(|one| one.lock == group.lock);
        all.groups
            .retain(|group| !last.groups.contains(group) && !is_ours(group));
        all.groups.extend(ours.groups.iter().cloned());
        all.took = ours.took.or(all.took);
        if all != stored {
            let _ = all.write(state, base);
        }
        self.last = Some(ours);
    }
}
