//! From the last look at pull requests to the proof that they have landed.

use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use beads::Hand;
use beads::lock::{self, Lock};
use forge::{Landed, Landing, Pull, Unread};

use crate::gate::facts::{Check, Merge};
use crate::gate::verdict::{On, Verdict};
use crate::lane::group::Group;
use crate::lane::{Lanes, pushed, wanted};

/// How often a landing is prepared anew because something moved under it.
const TRIES: u32 = 20;

/// How long after a merge was sent and not answered the forge may still be at work on it: another
/// one sent meanwhile could land the work twice.
pub(super) const STILL_AT_WORK: Duration = Duration::from_secs(5);

/// How long a forge is waited for that is not ready at this moment, before others have their turn.
const READY: Duration = Duration::from_secs(6);
pub(super) const PAUSE: Duration = Duration::from_millis(250);

/// How a landing ended.
pub(crate) enum End {
    /// What became of each, in order; `None`, and said: its bead is no longer ours.
    Verdicts(Vec<Option<Verdict>>),
    /// Base, heads or facts have moved: the group is not what would land now.
    Stale,
    /// What was tested is not what would land: it has to be tested anew.
    Untested,
    /// Each has to land by itself from now on.
    Apart,
    /// It is another clone's turn on the base: at most so long.
    NotNow(Duration, String),
    /// The remote will not have them together, for this reason.
    Refused(String),
}

/// How a step towards a landing ended.
pub(super) enum Step {
    End(End),
    /// Something has moved: look again.
    Again,
    /// The forge is not ready, for this reason.
    Later(String),
}

impl Step {
    /// The end of one that was to land alone.
    pub(super) fn one(verdict: Option<Verdict>) -> Self {
        Self::End(End::Verdicts(vec![verdict]))
    }
}

impl Lanes {
    /// Lands pull requests of one base together: those of a group that has passed the check, as it was
    /// tested, or one for which no check of ours is asked.
    ///
    /// `fresh`: what the forge said of it a moment ago. That it has aged costs one more round.
    ///
    /// # Errors
    /// When git or the forge fails; nothing has landed, or the next look finds that it has.
    pub(crate) fn land(
        &mut self,
        hands: &mut [&mut Hand],
        group: Option<&Group>,
        mut fresh: Option<Pull>,
    ) -> anyhow::Result<End> {
        let first = hands.first().context("nothing to land")?.bead();
        let head = pushed(first)?;
        let path = self
            .tool
            .repository
            .state_dir()
            .landing_lock(&first.facts().base);
        let lane =
            lock::take(&path).with_context(|| format!("cannot lock '{}'", path.display()))?;
        let mut waited = Duration::ZERO;
        for _ in 0..TRIES {
            // A merge whose answer was lost, perhaps with the program that sent it.
            let held_back = lane.held_back();
            if !held_back.is_zero() {
                thread::sleep(held_back.min(STILL_AT_WORK));
                lane.hold_back(Duration::ZERO)?;
            }
            let step = match (group, &mut *hands) {
                (Some(group), hands) => self.step(hands, group, &lane)?,
                (None, [hand]) => self.unchecked(hand, fresh.take(), &lane)?,
                (None, _) => return Err(anyhow::anyhow!("they were not tested together")),
            };
            match step {
                Step::End(end) => return Ok(end),
                Step::Again => {}
                Step::Later(why) => self.refusals.pass(head, &why),
            }
            if let Some((left, wait)) = self.refusals.hold(head) {
                waited += left;
                if waited > READY {
                    return Ok(End::Verdicts(vec![Some(wait)]));
                }
                thread::sleep(left);
            }
        }
        let why = "the base moves faster than it can be landed on".to_owned();
        Ok(End::Verdicts(vec![Some(Verdict::Wait(On::Machine, why))]))
    }

    /// One for which no check of ours is asked: it is prepared here, on what a look tells now.
    fn unchecked(
        &mut self,
        hand: &mut Hand,
        fresh: Option<Pull>,
        lane: &Lock,
    ) -> anyhow::Result<Step> {
        // Waiting for the lane may have taken long.
        if !hand.still_ours()? {
            return Ok(Step::one(None));
        }
        let wanted = wanted(hand.bead())?;
        let pull = match fresh {
            Some(pull) => Some(pull),
            None => self.forge.pull(&wanted).map_err(Unread::of)?,
        };
        let base_head = pull.as_ref().and_then(|pull| pull.base_head);
        let merge = match base_head {
            Some(base_head) => self.merge(hand.bead(), pull.as_ref(), base_head)?,
            None => Merge::Unknown,
        };
        let verdict = self.judge(hand.bead(), pull.as_ref(), merge.clone(), None)?;
        match (verdict, merge, base_head, pull) {
            (Verdict::Land(_), Merge::Clean(_), Some(base_head), Some(pull)) => {
                let mut group = Group::new(&wanted.base, base_head);
                self.push(&mut group, hand.bead(), lane)?;
                ensure!(
                    !group.members.is_empty(),
                    "it merges with its base and does not"
                );
                self.carry(&mut [hand], &group, &[pull], lane)
            }
            (Verdict::Update, Merge::Clean(tree), Some(base_head), _) => {
                let updated = self.update(hand, base_head, tree, lane)?;
                Ok(Step::one(updated))
            }
            // By hand, or by one of us that was killed: it is settled at the forge, too.
            (Verdict::Landed(commit), _, Some(_), pull) => {
                let pull = pull.context("it landed without a pull request")?;
                self.found(hand, &pull, &wanted, commit)
            }
            (verdict, ..) => Ok(Step::one(Some(verdict))),
        }
    }

    /// Those of a group that was tested: all is read anew, as testing may have taken long.
    fn step(
        &mut self,
        hands: &mut [&mut Hand],
        group: &Group,
        lane: &Lock,
    ) -> anyhow::Result<Step> {
        let is_one = hands.len() == 1;
        let mut names = Vec::new();
        for hand in &mut *hands {
            if !hand.still_ours()? {
                let end = if is_one {
                    End::Verdicts(vec![None])
                } else {
                    End::Stale
                };
                return Ok(Step::End(end));
            }
            names.push(wanted(hand.bead())?);
        }
        let mut pulls = Vec::new();
        for pull in self.read(&names)? {
            let Some(pull) = pull.filter(|pull| pull.base_head == Some(group.tip)) else {
                return Ok(Step::End(End::Stale));
            };
            pulls.push(pull);
        }
        if let Some((left, host)) = self.others_turn(&group.base) {
            return Ok(Step::End(End::NotNow(left, host)));
        }
        for (at, ((hand, pull), member)) in hands.iter().zip(&pulls).zip(&group.members).enumerate()
        {
            if pushed(hand.bead())? != member.head {
                return Ok(Step::End(End::Stale));
            }
            let verdict = self.checked(hand.bead(), pull, group.tip, Check::Green)?;
            // The first one stands on the base itself.
            if let Verdict::Land(tree) = verdict
                && at == 0
                && tree != member.tree
            {
                return Ok(Step::End(End::Untested));
            }
            if !matches!(verdict, Verdict::Land(_)) {
                return Ok(match is_one {
                    true => Step::one(Some(verdict)),
                    false => Step::End(End::Stale),
                });
            }
        }
        self.carry(hands, group, &pulls, lane)
    }

    /// Sends what was prepared, and proves what came of it.
    fn carry(
        &mut self,
        hands: &mut [&mut Hand],
        group: &Group,
        pulls: &[Pull],
        lane: &Lock,
    ) -> anyhow::Result<Step> {
        let mut landings = Vec::new();
        let mut top = group.tip;
        for (hand, member) in hands.iter_mut().zip(&group.members) {
            if !hand.still_ours()? {
                let end = End::Verdicts(vec![None]);
                return Ok(Step::End(if group.members.len() == 1 {
                    end
                } else {
                    End::Stale
                }));
            }
            // What was checked is what lands.
            ensure!(
                self.look.tree(member.commit)? == member.tree,
                "the commit to land has another tree"
            );
            landings.push(Landing {
                wanted: wanted(hand.bead())?,
                head: member.head,
                base_head: top,
                commit: member.commit,
                tree: member.tree,
                method: member.method,
                title: member.title.clone(),
                text: member.text.clone(),
                queue: self.args.queue,
                land: self.way(&group.base),
            });
            top = member.commit;
        }
        let report = match pulls {
            [pull] => {
                // Nothing has changed since it was refused.
                if let Some(wait) =
                    self.refusals
                        .standing(landings[0].head, group.tip, pull.report.as_ref())
                {
                    return Ok(Step::one(Some(wait)));
                }
                pull.report.clone()
            }
            _ => None,
        };
        let landed = self.send(&landings, lane)?;
        match (landed, hands, &landings[..]) {
            (Landed::Merged, hands, landings) => {
                let beads: Vec<_> = hands.iter().map(|hand| hand.bead()).collect();
                let verdicts = self.prove(&beads, landings)?;
                Ok(Step::End(End::Verdicts(
                    verdicts.into_iter().map(Some).collect(),
                )))
            }
            (Landed::Pushed, hands, landings) => {
                let told = self.tell_all(hands, landings)?;
                Ok(Step::End(End::Verdicts(told)))
            }
            (Landed::Barred(why), hands, _) => {
                self.bar(&group.base, &why);
                Ok(match hands {
                    [_] => Step::Again,
                    _ => Step::End(End::Apart),
                })
            }
            (landed, [hand], [landing]) => self.answered(hand, landing, landed, report, lane),
            (Landed::Blocked(why), ..) => Ok(Step::End(End::Refused(why))),
            _ => Ok(Step::End(End::Stale)),
        }
    }

    /// What the forge says of each now.
    pub(super) fn read(&self, names: &[forge::Wanted]) -> anyhow::Result<Vec<Option<Pull>>> {
        match names {
            // Its reports are read anew, too.
            [one] => Ok(vec![self.forge.pull(one).map_err(Unread::of)?]),
            // Theirs, too: a look may tell those of a moment ago.
            all if self.forge.has_checks() => {
                let pull = |one| self.forge.pull(one).map_err(Unread::of);
                all.iter().map(pull).collect()
            }
            all => {
                let seen = self.forge.pulls(all).map_err(Unread::of)?;
                seen.into_iter().collect()
            }
        }
    }
}
