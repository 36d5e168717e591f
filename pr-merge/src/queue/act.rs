//! What is made of a look at one pull request: it lands, it is reviewed, it is ready for the check, it
//! waits, or its wait is over.

use std::thread;

use forge::{Pull, Unread};
use git::Sha;

use crate::gate::verdict::{On, Verdict};
use crate::lane::land::End;
use crate::lane::pushed;
use crate::lane::turn::waits_for;
use crate::queue::look::Looked;
use crate::queue::rounds::Rounds;
use crate::queue::{Event, Queue, Reviewed, caught};
use crate::waiting::{Waiting, write};

impl Queue<'_> {
    /// Looks at all pull requests in one go, and acts on each: a red one holds up nobody. `true`: a
    /// base has moved, so the next look will tell something new.
    pub(super) fn look(&mut self) -> bool {
        self.heed_people();
        if self.waiting.is_empty() {
            self.failed = None;
            return false;
        }
        let pulls = match self.read() {
            Ok(pulls) => pulls,
            Err(err) => {
                self.has_failed(&err);
                return false;
            }
        };
        self.failed = None;
        self.has_looked = true;
        let mut waiting = std::mem::take(&mut self.waiting);
        let looks = waiting
            .iter_mut()
            .zip(pulls)
            .map(|(one, pull)| Some(self.judge(&mut one.hand, pull?)))
            .collect();
        let looks = self.in_turn(&waiting, looks);
        // Each landing moves the base: what was read is fresh for the first one only. And a forge's
        // reports may have been read before.
        let mut fresh = !self.lanes.forge.has_checks();
        let mut landed = false;
        for (waiting, look) in waiting.into_iter().zip(looks) {
            let Some(Looked { pull, verdict }) = look else {
                self.waiting.push(waiting);
                continue;
            };
            if let Some(tip) = pull.as_ref().and_then(|pull| pull.base_head) {
                self.note_tip(&waiting.hand.bead().facts().base.clone(), tip);
            }
            landed |= self.act(waiting, verdict, pull, &mut fresh);
        }
        landed
    }

    fn note_tip(&mut self, base: &str, tip: Sha) {
        let rounds = self.rounds.entry(base.to_owned());
        rounds.or_insert_with(|| Rounds::new(tip)).stands_at(tip);
    }

    /// `true`: it has landed.
    fn act(
        &mut self,
        mut waiting: Waiting,
        verdict: anyhow::Result<Verdict>,
        pull: Option<Pull>,
        fresh: &mut bool,
    ) -> bool {
        let held = self.lanes.held(waiting.hand.bead());
        match (verdict, pull) {
            (Ok(Verdict::Wait(On::Us, _) | Verdict::Land(_) | Verdict::Update), pull)
                if let Some(wait) = held =>
            {
                // A test of it goes on meanwhile.
                waiting.ready = pull.or(waiting.ready.take());
                self.settle(waiting, Ok(Some(wait)))
            }
            (Ok(Verdict::Wait(On::Us, _) | Verdict::Land(_)), Some(pull)) => {
                self.prepare(waiting, pull, fresh)
            }
            (Ok(Verdict::Landed(_) | Verdict::Update), pull) => {
                let pull = pull.filter(|_| std::mem::take(fresh));
                self.land_alone(waiting, pull)
            }
            (verdict, _) => {
                waiting.ready = None;
                self.settle(waiting, verdict.map(Some))
            }
        }
    }

    /// One that nothing keeps from landing but what we have to do for that.
    fn prepare(&mut self, mut waiting: Waiting, pull: Pull, fresh: &mut bool) -> bool {
        let of = |bead| pushed(bead).map(|head| (head, bead.facts().base.clone()));
        let (head, base) = match of(waiting.hand.bead()) {
            Ok(known) => known,
            Err(err) => return self.settle(waiting, Err(err)),
        };
        let tip = pull.base_head;
        if let Some(command) = self.args.review.clone()
            && !self.lanes.reviews.contains_key(&head)
            && let Some(tip) = tip
        {
            // Nobody is paid to review what cannot be merged.
            let verdict = self.lanes.on_tip(waiting.hand.bead(), &pull, tip);
            match verdict {
                Ok(Verdict::Wait(On::Us, _) | Verdict::Land(_)) => {}
                other => return self.settle(waiting, other.map(Some)),
            }
            // Its words on an earlier head may hold for this one.
            if !self.lanes.reviews.contains_key(&head) {
                waiting.ready = None;
                let id = waiting.hand.bead().id().to_owned();
                return match self.begin_review(command, &base, id, head, tip) {
                    Ok(()) => {
                        let why = "its review is under way, or waits its turn".to_owned();
                        self.settle(waiting, Ok(Some(Verdict::Wait(On::Us, why))))
                    }
                    Err(err) => self.settle(waiting, Err(err)),
                };
            }
        }
        if self.args.check.command.is_none() {
            return self.land_alone(waiting, Some(pull).filter(|_| std::mem::take(fresh)));
        }
        let standing = tip.and_then(|tip| {
            let refused = self
                .lanes
                .refusals
                .standing(head, tip, pull.report.as_ref());
            let known = waiting.stands.as_ref().filter(|(at, _)| *at == tip);
            refused.or(known.map(|(_, verdict)| verdict.clone()))
        });
        waiting.ready = Some(pull);
        let later = self.rounds.get(&base).and_then(Rounds::is_later);
        let why = "its check is under way, or waits its turn".to_owned();
        let wait = standing.or(later).unwrap_or(Verdict::Wait(On::Us, why));
        self.settle(waiting, Ok(Some(wait)))
    }

    /// Starts a review, if nobody is at work where it runs.
    fn begin_review(
        &mut self,
        command: String,
        base: &str,
        id: String,
        head: Sha,
        tip: Sha,
    ) -> anyhow::Result<()> {
        if self.reviewing.contains(base) {
            return Ok(());
        }
        let Some(slot) = self.lanes.runner.desk(base)? else {
            return Ok(());
        };
        self.reviewing.insert(base.to_owned());
        let (runner, events) = (self.lanes.runner.clone(), self.events.clone());
        let base = base.to_owned();
        thread::spawn(move || {
            let review = caught(|| runner.review(&command, &id, tip, head, &slot));
            // The next one finds the place free.
            drop(slot);
            let _ = events.send(Event::Reviewed(Reviewed {
                base,
                id,
                head,
                review,
            }));
        });
        Ok(())
    }

    pub(super) fn reviewed(&mut self, reviewed: Reviewed) {
        self.reviewing.remove(&reviewed.base);
        match reviewed.review {
            Ok(review) => drop(self.lanes.reviews.insert(reviewed.head, review)),
            Err(err) => {
                if let Some(waiting) = self.take(&reviewed.id) {
                    waiting.hand.fail(&err);
                }
            }
        }
    }

    /// Takes one out of the queue.
    pub(super) fn take(&mut self, id: &str) -> Option<Waiting> {
        let at = self
            .waiting
            .iter()
            .position(|one| one.hand.bead().id() == id)?;
        Some(self.waiting.remove(at))
    }

    /// Lands one for which no check of ours is asked, or that has landed. `true`: it has.
    pub(super) fn land_alone(&mut self, mut waiting: Waiting, fresh: Option<Pull>) -> bool {
        let landed = self.lanes.land(&mut [&mut waiting.hand], None, fresh);
        let verdict = landed.map(|end| match end {
            End::Verdicts(verdicts) => verdicts.into_iter().next().flatten(),
            End::NotNow(_, host) => Some(Verdict::Wait(On::Machine, waits_for(&host))),
            // The next look ends that.
            End::Stale | End::Apart | End::Untested => {
                Some(Verdict::Wait(On::Machine, "it has moved".to_owned()))
            }
            End::Refused(why) => Some(Verdict::Wait(On::Machine, why)),
        });
        self.settle(waiting, verdict)
    }

    /// Keeps one that waits on, and writes what ends a wait. `None`, and said: its bead is no longer
    /// ours. `true`: it has landed.
    pub(super) fn settle(
        &mut self,
        mut waiting: Waiting,
        verdict: anyhow::Result<Option<Verdict>>,
    ) -> bool {
        let acted = match verdict {
            Ok(Some(Verdict::Wait(on, why))) => {
                let kept = waiting.keep(self.tool, self.args.wait, on, why);
                self.waiting.extend(kept);
                return false;
            }
            // The base has moved since the look: the next one takes it in turn.
            Ok(Some(Verdict::Update)) => {
                waiting.ready = None;
                self.doubts = true;
                self.waiting.push(waiting);
                return false;
            }
            Ok(Some(verdict)) => write(&self.args, &mut waiting.hand, verdict),
            Ok(None) => Ok(false),
            Err(err) if self.is_spent(&err) => {
                waiting.ready = None;
                self.waiting.push(waiting);
                return false;
            }
            Err(err) if err.is::<Unread>() => {
                self.has_not_read(waiting, &err);
                return false;
            }
            Err(err) => Err(err),
        };
        match acted {
            Ok(true) => {
                let id = waiting.hand.bead().id();
                self.lanes.turns.retain(|_, holder| holder != id);
                self.landings += 1;
                match waiting.hand.done() {
                    Ok(bead) => self.tool.pipe.emit(&bead),
                    Err(err) => self.tool.pipe.complain(&format!("{err:#}")),
                }
                return true;
            }
            Ok(false) => {}
            Err(err) => waiting.hand.fail(&err),
        }
        false
    }
}
