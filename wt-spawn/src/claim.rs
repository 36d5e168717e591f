//! What a claim writes: of a free bead, and of one that another clone has under way.

use std::path::PathBuf;

use beads::{Bead, Change, Fact, Name, Phase, tail};

use crate::spawn::{Spawn, is_elsewhere};

impl Spawn<'_> {
    /// What a claim changes of a bead, and the word for it.
    pub(crate) fn claim_of(&self, bead: &Bead) -> anyhow::Result<(Change, &'static str)> {
        Ok(match is_elsewhere(self.tool, bead) {
            true => (self.take_over_facts(bead), "taken over"),
            false => (self.claim_facts(bead, &self.base()?.branch), "claimed"),
        })
    }

    /// What a claim changes of a bead that is under way in another clone: what that one pushed is
    /// used, and its open pull request goes on; what that one's run gave up is tried again.
    fn take_over_facts(&self, bead: &Bead) -> Change {
        let phase = match bead.phase() {
            Phase::PrCreated => Phase::PrCreated,
            _ => Phase::Spawned,
        };
        let facts = bead.facts();
        // A run that ended with its machine costs no attempt.
        let cut_short = bead.phase() == Phase::Working && facts.outcome.is_none();
        Change::to(phase).facts([
            Fact::Attempt(facts.attempt.saturating_sub(cut_short.into())),
            Fact::Worktree(self.place(bead)),
            Fact::Host(self.host()),
            Fact::AgentPid(0),
        ])
    }

    /// Every fact of a new claim; what an earlier claim left is cleared, so an open bead starts
    /// anew whatever it carries. `merged_sha`, `head` and `pushed` stay: they tell whether the old
    /// branch has landed.
    fn claim_facts(&self, bead: &Bead, base: &str) -> Change {
        let notes = bead.text("notes");
        let feedback = if self.args.retry {
            tail(&notes, 100, 8 << 10)
        } else {
            ""
        };
        Change::to(Phase::Spawned).facts([
            Fact::Worktree(self.place(bead)),
            Fact::Branch(self.branch(bead)),
            Fact::Base(base.to_owned()),
            Fact::Host(self.host()),
            Fact::AgentPid(0),
            Fact::PrNumber(0),
            Fact::OpenedAt(None),
            Fact::Attempt(0),
            Fact::RunFrom(bead.facts().run),
            Fact::Round(0),
            Fact::Conflicts(0),
            Fact::Feedback(feedback.to_owned()),
        ])
    }

    /// Only a dry run may meet a clone without a name.
    fn host(&self) -> String {
        self.tool.repository.host().unwrap_or_default().to_owned()
    }

    pub(crate) fn place(&self, bead: &Bead) -> PathBuf {
        self.root.at(&Name::of(bead.id()))
    }

    pub(crate) fn branch(&self, bead: &Bead) -> String {
        self.args
            .branch
            .replace("{id}", Name::of(bead.id()).as_str())
    }
}
