//! What a claim writes: of a free bead, and of one that another clone has under way.

use std::path::PathBuf;

use beads::{Bead, Change, Name, Phase, tail};
use serde_json::json;

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
        Change::default().facts(&json!({
            "phase": phase,
            "attempt": facts.attempt.saturating_sub(cut_short.into()),
            "worktree": self.place(bead),
            "host": self.tool.repository.host(),
            "agent_pid": 0,
            "not_before": "",
            "error": "",
            "error_at": "",
            "waits": "",
            "waits_at": "",
        }))
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
        Change::default().facts(&json!({
            "phase": Phase::Spawned,
            "worktree": self.place(bead),
            "branch": self.branch(bead),
            "base": base,
            // Only a dry run may meet a clone without a name.
            "host": self.tool.repository.host().unwrap_or_default(),
            "agent_pid": 0,
            "pr_number": 0,
            "opened_at": "",
            "attempt": 0,
            "run_from": bead.facts().run,
            "round": 0,
            "conflicts": 0,
            "outcome": "",
            "feedback": feedback,
            "not_before": "",
            "error": "",
            "error_at": "",
            "waits": "",
            "waits_at": "",
        }))
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
