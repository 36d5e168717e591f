//! `--dry-run`: what would become of a bead.

use beads::{Bead, CLAIM, Change, Status, time};

use crate::spawn::{Spawn, Stand};

impl Spawn<'_> {
    /// Says and prints what would become of a bead; takes no lock, so that it disturbs no line at
    /// work.
    pub(crate) fn preview(&self, piped: &Bead) -> anyhow::Result<()> {
        let id = piped.id();
        let Some(bead) = self.tool.store.show(id)? else {
            self.tool
                .pipe
                .say(id, "left: there is no such bead any more");
            return Ok(());
        };
        let worktree = format!("would get the worktree '{}'", self.place(&bead).display());
        let (what, change) = match self.stand(&bead).map_err(|failure| failure.err)? {
            Stand::Left => return Ok(()),
            Stand::Passes => {
                self.tool.pipe.emit(&piped.refreshed(&bead)?);
                return Ok(());
            }
            Stand::Ours => (worktree, Change::default()),
            Stand::Free => {
                let host = self.tool.repository.host().unwrap_or_default();
                let token = format!("{CLAIM}{host}/dry-run");
                let (change, said) = self.claim_of(&bead)?;
                let what = match bead.under_way() {
                    true => format!("would be {said}"),
                    false => worktree,
                };
                (what, change.status(Status::InProgress).assignee(token))
            }
        };
        self.tool.pipe.say(id, &what);
        let shown = piped.refreshed(&bead)?.with(&change, time::now())?;
        self.tool.pipe.emit(&shown);
        Ok(())
    }
}
