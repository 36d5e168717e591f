//! One look at all that wait: what the forge says, and what is made of it. What was not read keeps
//! its bead, and is asked for again, later each time.

use std::time::Duration;

use anyhow::anyhow;
use beads::Hand;
use forge::{Pull, Seen, Spent, Wanted};

use crate::gate::verdict::Verdict;
use crate::lane::wanted;
use crate::queue::Queue;
use crate::retry::Retry;
use crate::turn;
use crate::waiting::Waiting;

/// The pause after a first look that failed.
const FIRST: Duration = Duration::from_secs(1);

/// How often in a row a single pull request is not read before its bead fails. For a forge that has
/// said nothing in this run, too, nobody waits more often, nor with `--once`.
const TRIES: u32 = 6;

/// What a look comes to for one of those that wait.
pub(super) struct Looked {
    pub(super) pull: Option<Pull>,
    pub(super) verdict: anyhow::Result<Verdict>,
}

impl Queue<'_> {
    /// What the forge says of each; `None`: it is not to be looked at yet.
    ///
    /// # Errors
    /// When the forge cannot be reached or read.
    pub(super) fn read(&self) -> anyhow::Result<Vec<Option<Seen>>> {
        let due = |one: &Waiting| one.is_due().then(|| wanted(one.hand.bead()));
        let names: Vec<Option<anyhow::Result<Wanted>>> = self.waiting.iter().map(due).collect();
        // One without a head is not asked for.
        let asked: Vec<Wanted> = names.iter().flatten().flatten().cloned().collect();
        let mut seen = self.lanes.forge.pulls(&asked)?.into_iter();
        let mut next = |name: anyhow::Result<Wanted>| {
            let left_out = || Err(anyhow!("the forge left it out"));
            name.and_then(|_| seen.next().unwrap_or_else(left_out))
        };
        let of = |name: Option<anyhow::Result<Wanted>>| name.map(&mut next);
        Ok(names.into_iter().map(of).collect())
    }

    /// The verdict as of this look.
    pub(super) fn judge(&mut self, hand: &mut Hand, seen: Seen) -> Looked {
        let (pull, verdict) = match seen {
            Ok(pull) => {
                let adopted = self.lanes.adopt(hand, pull.as_ref());
                let verdict = adopted.and_then(|()| self.lanes.look_at(hand.bead(), pull.as_ref()));
                (pull, verdict)
            }
            Err(err) => (None, Err(err)),
        };
        Looked { pull, verdict }
    }

    /// The same, but for those that have to wait for another's turn on their base.
    pub(super) fn in_turn(
        &mut self,
        waiting: &[Waiting],
        looks: Vec<Option<Looked>>,
    ) -> Vec<Option<Looked>> {
        let mut places = Vec::new();
        for (one, look) in waiting.iter().zip(&looks) {
            // One that cannot be told takes no turn; its own verdict says what is wrong.
            if let Some(Looked {
                pull: Some(pull),
                verdict: Ok(verdict),
            }) = look
                && !one.waits_for_people()
                && let Ok(Some(place)) = self.lanes.place(one.hand.bead(), pull, verdict)
            {
                places.push(place);
            }
        }
        self.lanes.turns = turn::turns(&places);
        let admit = |(one, look): (&Waiting, Option<Looked>)| {
            let bead = one.hand.bead();
            let Looked { pull, verdict } = look?;
            let admit = |verdict| turn::admit(&bead.facts().base, bead.id(), verdict, &places);
            let verdict = verdict.map(admit);
            Some(Looked { pull, verdict })
        };
        waiting.iter().zip(looks).map(admit).collect()
    }

    /// A look has failed: nothing is known of anybody, so everybody waits for the next one.
    pub(super) fn has_failed(&mut self, err: &anyhow::Error) {
        if self.is_spent(err) {
            return;
        }
        let failed = self.failed.get_or_insert_with(|| Retry::new(FIRST));
        failed.fail();
        let is_over = match self.args.once || !self.has_looked {
            true => failed.times >= TRIES,
            false => failed.since.elapsed() >= self.args.wait,
        };
        if is_over {
            self.failed = None;
            return self.waiting.drain(..).for_each(|one| one.hand.fail(err));
        }
        let seconds = failed.left().as_secs_f64().ceil();
        self.tool.pipe.remark(&format!(
            "cannot look at the pull requests: {err:#}: looks again in {seconds} s"
        ));
    }

    /// One alone was not read: it waits for its next look.
    pub(super) fn has_not_read(&mut self, mut waiting: Waiting, err: &anyhow::Error) {
        let unread = waiting.unread.get_or_insert_with(|| Retry::new(FIRST));
        unread.fail();
        if unread.times >= TRIES {
            return waiting.hand.fail(err);
        }
        let seconds = unread.left().as_secs_f64().ceil();
        let what = format!("cannot be read: {err:#}: looked at again in {seconds} s");
        self.tool.pipe.say(waiting.hand.bead().id(), &what);
        self.waiting.push(waiting);
    }

    /// Whether one alone was not read, and will be looked at again.
    pub(super) fn waits_to_be_read(&self) -> bool {
        self.waiting.iter().any(|one| one.unread.is_some())
    }

    /// Whether looks are so far apart as the forge wants, or as its trouble lasts.
    pub(super) fn has_pace(&self) -> bool {
        self.lanes.forge.has_checks() || self.failed.is_some()
    }

    /// Whether nothing is wrong but that the forge takes no more requests for now.
    pub(super) fn is_spent(&mut self, err: &anyhow::Error) -> bool {
        let Some(spent) = err.downcast_ref::<Spent>() else {
            return false;
        };
        if self.spent.is_none() {
            self.tool
                .pipe
                .remark(&format!("waits for the forge: {spent}"));
        }
        self.spent = Some(spent.wait);
        true
    }
}
