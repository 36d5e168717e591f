//! What a dry run says.

use std::sync::Arc;

use beads::time::now;
use beads::{Bead, Change, Phase, Status};

use crate::gate::verdict::{On, Verdict};
use crate::lane::{Lanes, wanted};

impl Lanes {
    /// A dry run.
    pub(crate) fn preview_all(&mut self) {
        let (tool, args) = (self.tool.clone(), Arc::clone(&self.args));
        tool.preview(&args.beads, Phase::PrCreated, |bead| self.preview(bead));
    }

    /// Says what would become of a pull request, and prints its bead as it would be.
    ///
    /// # Errors
    /// When repository or forge cannot be read.
    fn preview(&mut self, bead: &Bead) -> anyhow::Result<()> {
        if !self
            .tool
            .would_take(bead, &(Phase::PrCreated..=Phase::PrCreated))?
        {
            return Ok(());
        }
        let (lands, what) = if bead.facts().pr_number == 0 {
            // It has none yet: an earlier dry run said that it would get one.
            (true, "would be landed".to_owned())
        } else {
            let pull = self.forge.pull(&wanted(bead)?)?;
            match self.look_at(bead, pull.as_ref())? {
                Verdict::Update => (true, "would be brought up to date, and landed".to_owned()),
                Verdict::Wait(On::Us, why) => (true, format!("would be landed; {why}")),
                Verdict::Land(_) | Verdict::Landed(_) => (true, "would be landed".to_owned()),
                Verdict::Wait(_, why) => (false, format!("would wait: {why}")),
                Verdict::Rework { why, .. } | Verdict::Conflict { why, .. } => {
                    (false, format!("would be sent back: {why}"))
                }
                Verdict::ChangesWanted(_) => (false, "would be sent back".to_owned()),
                Verdict::Blocked(why) => (false, format!("would be blocked: {why}")),
            }
        };
        self.tool.pipe.say(bead.id(), &what);
        if lands {
            let change = Change::to(Phase::Merged).status(Status::Closed);
            self.tool.pipe.emit(&bead.with(&change, now())?);
        }
        Ok(())
    }
}
