//! Sending a merge, and proving what came of it.

use std::thread;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use beads::lock::Lock;
use beads::{Bead, Hand};
use forge::{Landed, Landing, Report, State};
use git::Sha;

use crate::gate::{Merge, On, Verdict};
use crate::lane::{Lanes, PAUSE, STILL_AT_WORK, Step, pushed};

/// No merge is waited for any longer.
const LONGEST_MERGE: Duration = Duration::from_secs(30);

/// How often a forge is asked for the landing it has just reported.
const PROOFS: u32 = 20;

impl Lanes<'_> {
    /// What the forge's answer to a merge leads to.
    pub(super) fn landed(
        &mut self,
        hand: &mut Hand,
        landing: &Landing,
        landed: Landed,
        report: Option<Report>,
        lane: &Lock,
    ) -> anyhow::Result<Step> {
        let (head, base_head) = (landing.head, landing.base_head);
        Ok(match landed {
            Landed::Merged => Step::End(Some(self.prove(hand.bead(), landing)?)),
            Landed::Queued => {
                self.entries.put_in(head);
                let what = "the merge queue takes it".to_owned();
                Step::End(Some(Verdict::Wait(On::Machine, what)))
            }
            Landed::Moved => Step::Again,
            Landed::Behind if self.look.contains(head, base_head)? => {
                Step::Later("the forge has not found out that it holds its base".to_owned())
            }
            Landed::Behind => Step::End(self.update(hand, base_head, landing.tree, lane)?),
            Landed::Later(why) => Step::Later(why),
            Landed::Blocked(why) => {
                self.refused
                    .insert((head, base_head), (report, why.clone()));
                Step::End(Some(Verdict::Wait(On::Person, why)))
            }
            Landed::Unknown(why) => {
                let what = format!("the answer to its merge was lost ({why}): looking again");
                self.tool.pipe.say(hand.bead().id(), &what);
                Step::Again
            }
        })
    }

    /// Sends the merge. Until its answer is there, a kill leaves word for whoever is next.
    pub(super) fn send(&self, landing: &Landing, lane: &Lock) -> anyhow::Result<Landed> {
        if !self.forge.has_checks() {
            return self.forge.land(landing);
        }
        let busy = |time| {
            lane.hold_back(time)
                .context("cannot mark the lock of the base")
        };
        busy(LONGEST_MERGE)?;
        let landed = self.forge.land(landing);
        busy(match landed {
            Ok(Landed::Unknown(_)) => STILL_AT_WORK,
            _ => Duration::ZERO,
        })?;
        landed
    }

    /// The forge says merged at that head, and the base contains a commit with that tree.
    fn prove(&self, bead: &Bead, landing: &Landing) -> anyhow::Result<Verdict> {
        let wanted = &landing.wanted;
        let mut tries = if self.forge.has_checks() { PROOFS } else { 1 };
        let (head, commit, base) = loop {
            let pull = self
                .forge
                .pull(wanted)?
                .context("the pull request is gone after its landing")?;
            let base = pull
                .base_head
                .context("the base is gone after the landing")?;
            self.fetch(&wanted.base, base)?;
            tries -= 1;
            match pull.state {
                State::Merged { head, commit } if self.look.contains(base, commit)? => {
                    break (head, commit, base);
                }
                // It may tell of branches a moment later.
                _ if tries > 0 => thread::sleep(PAUSE),
                _ => bail!("the forge does not show the landing"),
            }
        };
        ensure!(
            head == wanted.head && self.look.contains(base, commit)?,
            "the base does not contain what was landed"
        );
        let landed = self.look.tree(commit)?;
        if landed == landing.tree {
            return Ok(Verdict::Landed(commit));
        }
        // A forge merges onto the base as it is then, whatever that was a moment ago.
        let is_on_tested = self.look.parents(commit)?.first() == Some(&landing.base_head);
        ensure!(
            self.forge.has_checks(),
            "the base does not contain the tree that was tested"
        );
        if is_on_tested || !self.holds(bead, commit)? {
            return Ok(lacking(commit));
        }
        let what = "landed on commits that came a moment before: their merge was not checked";
        self.tool.pipe.say(bead.id(), what);
        Ok(Verdict::Landed(commit))
    }

    /// What landed without this program, or while it was away: a person, a merge queue, or a program
    /// that was killed has done it.
    ///
    /// # Errors
    /// When git fails.
    pub(super) fn found(&self, bead: &Bead, commit: Sha) -> anyhow::Result<Step> {
        if !self.look.has(commit) {
            let why = "the base does not show the landing yet".to_owned();
            return Ok(Step::Later(why));
        }
        Ok(Step::End(Some(match self.holds(bead, commit)? {
            true => Verdict::Landed(commit),
            false => lacking(commit),
        })))
    }

    /// Whether a commit has all of the work: merging that into it changes nothing. Where the work is
    /// here no more, the forge's word counts.
    fn holds(&self, bead: &Bead, commit: Sha) -> anyhow::Result<bool> {
        let head = pushed(bead)?;
        let is_in = || Ok(matches!(self.try_merge(commit, head)?, Merge::InBase(_)));
        if self.look.has(head) {
            is_in()
        } else {
            Ok(true)
        }
    }
}

/// Merge queues have been seen to land something else than what was tested.
fn lacking(commit: Sha) -> Verdict {
    Verdict::Blocked(format!(
        "it landed as {commit}, which is not its work as that was tested"
    ))
}
