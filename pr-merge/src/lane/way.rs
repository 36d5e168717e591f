//! Who brings work onto a base, and what a forge is told of what was pushed there.

use anyhow::{Context, anyhow, bail};
use beads::{Change, Hand};
use forge::{Land, Landing, Spent, Unread, Wanted};
use git::{Git, Sha};

use crate::gate::verdict::{On, Verdict};
use crate::lane::Lanes;

impl Lanes {
    /// Who brings work onto this base: one that has refused a push is pushed to no more.
    pub(super) fn way(&self, base: &str) -> Land {
        match self.barred.contains(base) {
            true => Land::Merge,
            false => self.args.land,
        }
    }

    /// Whether several pull requests land on this base in a step.
    pub(crate) fn lands_together(&self, base: &str) -> bool {
        self.forge.lands_together(self.way(base))
    }

    /// Notes that a base refuses to be pushed to, and says so.
    pub(super) fn bar(&mut self, base: &str, why: &str) {
        let what = format!("{base} is not pushed to, the forge merges from now on: {why}");
        self.tool.pipe.remark(&what);
        self.barred.insert(base.to_owned());
    }

    /// Tells the forge of all that was pushed, once the base shows it. The next look finds what was
    /// not told.
    ///
    /// # Errors
    /// When git fails, or the base does not show it.
    pub(super) fn tell_all(
        &self,
        hands: &mut [&mut Hand],
        landings: &[Landing],
    ) -> anyhow::Result<Vec<Option<Verdict>>> {
        let last = landings.last().context("nothing has landed")?;
        let base = &last.wanted.base;
        let git = Git::at(self.tool.repository.common());
        let full = format!("refs/heads/{base}");
        let at = git.remote_commit(&self.args.forge.remote.name, &full);
        let at = at.map_err(Unread::of)?.context("the base is gone")?;
        self.fetch(base, at)?;
        if !self.look.contains(at, last.commit)? {
            bail!(Unread::of(anyhow!("the base does not show the landing")));
        }
        let mut told = Vec::new();
        for (hand, landing) in hands.iter_mut().zip(landings) {
            told.push(match self.tell(hand, &landing.wanted, landing.commit) {
                Ok(true) => Some(Verdict::Landed(landing.commit)),
                Ok(false) => None,
                Err(err) if err.is::<Spent>() || err.is::<Unread>() => {
                    let why = format!("it has landed, and the forge is told later: {err:#}");
                    Some(Verdict::Wait(On::Machine, why))
                }
                // It has landed all the same: the next look says what is wrong with its bead.
                Err(err) => {
                    self.tool.pipe.say(hand.bead().id(), &format!("{err:#}"));
                    let why = "it has landed, and that is not noted yet".to_owned();
                    Some(Verdict::Wait(On::Machine, why))
                }
            });
        }
        Ok(told)
    }

    /// Tells the forge that work has landed as this commit. `false`, and said: its bead is no longer
    /// ours.
    ///
    /// # Errors
    /// When the forge or Beads cannot be reached.
    pub(super) fn tell(
        &self,
        hand: &mut Hand,
        wanted: &Wanted,
        commit: Sha,
    ) -> anyhow::Result<bool> {
        match self.forge.settle(wanted, wanted.head, commit) {
            Ok(()) => Ok(true),
            Err(err) if err.is::<Spent>() || err.is::<Unread>() => Err(err),
            // What has landed has landed.
            Err(err) => self.note(hand, wanted, &format!("is not settled: {err:#}")),
        }
    }

    /// Notes what becomes of the pull request of landed work, and says so. `false`: as above.
    ///
    /// # Errors
    /// When Beads cannot be written.
    pub(super) fn note(&self, hand: &mut Hand, wanted: &Wanted, how: &str) -> anyhow::Result<bool> {
        let what = format!("pull request {} {how}", wanted.number);
        let is_ours = hand.record(&Change::default().note(format!("beadline: {what}")))?;
        if is_ours {
            self.tool.pipe.say(hand.bead().id(), &what);
        }
        Ok(is_ours)
    }
}
