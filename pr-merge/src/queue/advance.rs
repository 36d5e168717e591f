//! Carries out the plan of each base: lands what is green, sends back whoever is to blame, and starts
//! and ends tests.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use git::Sha;
use git::shell::Judged;

use crate::gate::verdict::{On, Verdict};
use crate::lane::check::Run;
use crate::lane::group::Group;
use crate::lane::land::End;
use crate::lane::pushed;
use crate::lane::turn::waits_for;
use crate::plan::{Base, Facts, chain, plan, rate};
use crate::queue::ended::LATER;
use crate::queue::{Event, Queue, caught};
use crate::waiting::Waiting;

/// What came of starting a test.
enum Begun {
    Yes,
    /// Others have all places to run in.
    NoPlace,
    /// Somebody in it turned out not to be ready: there is another queue to plan for.
    Otherwise,
}

impl Queue<'_> {
    /// Does what can be done now on each base. `true`: something has landed.
    pub(super) fn advance(&mut self) -> bool {
        self.show();
        let bases: Vec<String> = self.rounds.keys().cloned().collect();
        let mut landed = false;
        for base in bases {
            // Each step leads to another plan.
            while let Some(step) = self.step(&base) {
                landed |= step;
                self.show();
            }
        }
        self.show();
        landed
    }

    /// One step on a base. `None`: there is nothing to do now. `Some(true)`: something has landed.
    fn step(&mut self, base: &str) -> Option<bool> {
        let command = self.args.check.command.clone()?;
        let on_base = |one: &&Waiting| one.hand.bead().facts().base == base;
        let head = |one: &Waiting| pushed(one.hand.bead()).ok();
        let present = self.waiting.iter().filter(on_base);
        let present: HashMap<&str, Sha> = present
            .filter_map(|one| Some((one.hand.bead().id(), head(one)?)))
            .collect();
        let nobody = present.is_empty();
        let rounds = self.rounds.get_mut(base)?;
        rounds.keep(&present);
        if !rounds.left().is_zero() || rounds.is_later().is_some() {
            return None;
        }
        let tip = rounds.tip;
        let lanes = &self.lanes;
        let mut order: Vec<&Waiting> = self.waiting.iter().filter(on_base).collect();
        order.retain(|one| {
            let Some(head) = head(one) else { return false };
            let report = one.ready.as_ref().map(|pull| pull.report.as_ref());
            report.is_some_and(|report| lanes.refusals.standing(head, tip, report).is_none())
                && lanes.refusals.hold(head).is_none()
                && one.is_due()
                && one.stands.as_ref().is_none_or(|(at, _)| *at != tip)
        });
        order.sort_by_key(|one| one.place());
        let order: Vec<String> = order
            .iter()
            .map(|one| one.hand.bead().id().to_owned())
            .collect();
        let places: HashMap<&str, usize> = order.iter().map(String::as_str).zip(0..).collect();
        let of = |tip| match lanes.bases.get(&tip) {
            None => Base::Unknown,
            Some(Judged::Failed | Judged::Died) => Base::Red,
            // Where the base lacks the check, what that says of the work stands alone.
            Some(Judged::Passed | Judged::NotRun | Judged::Later) => Base::Green,
        };
        let (keys, tests): (Vec<u64>, Vec<_>) = rounds.tests(&places, of).into_iter().unzip();
        let facts = Facts {
            queue: order.len(),
            tests: &tests,
            base: of(tip),
            slots: self.args.check_jobs,
            batch: smaller(self.args.batch, rounds.lost),
            rate: rate(self.culprits, self.landings),
        };
        let plan = match lanes.lands_together(base) {
            true => plan(&facts),
            false => chain(&facts),
        };
        for at in plan.stop {
            rounds.stop(keys[at]);
        }
        // What the turn was taken for has landed elsewhere, or goes back.
        if nobody {
            lanes.end_turn(base);
        }
        if let Some(at) = plan.land {
            return Some(self.land_group(base, keys[at]));
        }
        let judged: Vec<usize> = plan.blame.into_iter().chain(plan.wait_for_base).collect();
        if !judged.is_empty() {
            for place in judged {
                self.blame(base, &order[place], of_base(&self.lanes.bases, tip));
            }
            return Some(false);
        }
        let (lost, took) = (rounds.lost, rounds.took);
        if lost > LOST && !plan.test.is_empty() && !self.takes_turn(base, took) {
            return None;
        }
        for group in plan.test {
            let ids: Vec<&str> = group.iter().map(|place| order[*place].as_str()).collect();
            match self.begin(base, tip, &ids, &command) {
                Ok(Begun::Yes) => {}
                Ok(Begun::NoPlace) => return None,
                Ok(Begun::Otherwise) => return Some(false),
                Err(err) => {
                    let rounds = self.rounds.get_mut(base)?;
                    rounds.later = Some((Instant::now() + LATER, format!("{err:#}")));
                    self.tool
                        .pipe
                        .complain(&format!("no check can be started: {err:#}"));
                    return None;
                }
            }
        }
        None
    }

    /// Takes the turn of a base that was lost to others too often. `false`: it is another clone's, so
    /// nothing is tested meanwhile.
    fn takes_turn(&mut self, base: &str, took: Duration) -> bool {
        if let Some((left, host)) = self.lanes.others_turn(base) {
            if let Some(rounds) = self.rounds.get_mut(base) {
                rounds.later = Some((Instant::now() + left.min(SOON), waits_for(&host)));
            }
            return false;
        }
        if self.lanes.take_turn(base, took).unwrap_or(false) {
            let what = format!("{base}: other clones are faster: takes the turn to land");
            self.tool.pipe.remark(&what);
        }
        // Without one the next test may be faster.
        true
    }

    /// Stacks a group, and starts its test.
    fn begin(
        &mut self,
        base: &str,
        tip: Sha,
        ids: &[&str],
        command: &str,
    ) -> anyhow::Result<Begun> {
        let Some(slot) = self.lanes.runner.slot(base, self.args.check_jobs)? else {
            return Ok(Begun::NoPlace);
        };
        let mut group = Group::new(base, tip);
        let mut ended = Vec::new();
        for id in ids {
            let find = |one: &&Waiting| one.hand.bead().id() == *id;
            let Some(one) = self.waiting.iter().find(find) else {
                continue;
            };
            let Some(mut pull) = one.ready.clone() else {
                continue;
            };
            pull.base_head = Some(tip);
            let bead = one.hand.bead();
            match self.lanes.on_tip(bead, &pull, tip) {
                Ok(Verdict::Wait(On::Us, _) | Verdict::Land(_)) => {
                    // What conflicts with what is ahead of it is left out of this group.
                    if let Err(err) = self.lanes.push(&mut group, bead, &slot.lock) {
                        ended.push((*id, Err(err)));
                    }
                }
                other => ended.push((*id, other)),
            }
        }
        let is_other = !ended.is_empty();
        for (id, verdict) in ended {
            if let Some(mut waiting) = self.take(id) {
                waiting.ready = None;
                match verdict {
                    // It is settled at the forge, too.
                    Ok(Verdict::Landed(_)) => drop(self.land_alone(waiting, None)),
                    verdict => drop(self.settle(waiting, verdict.map(Some))),
                }
            }
        }
        if is_other || group.members.len() < ids.len().min(1) {
            return Ok(Begun::Otherwise);
        }
        if group.members.len() > 1 {
            let what = format!("{base}: checks {} together", group.names());
            self.tool.pipe.remark(&what);
        }
        self.begun += 1;
        let (key, ends) = (self.begun, Arc::new(AtomicBool::new(false)));
        if let Some(rounds) = self.rounds.get_mut(base) {
            rounds.begin(key, group.clone(), Arc::clone(&ends), &slot);
        }
        let (runner, events) = (self.lanes.runner.clone(), self.events.clone());
        let (base, command) = (base.to_owned(), command.to_owned());
        thread::spawn(move || {
            let tested = caught(|| runner.test(group, &command, &slot, &ends));
            // The next one finds the place free.
            drop(slot);
            let _ = events.send(Event::Tested(key, base, tested));
        });
        Ok(Begun::Yes)
    }

    /// Lands a group that has passed. `true`: it has landed.
    fn land_group(&mut self, base: &str, key: u64) -> bool {
        let Some(mut group) = self.rounds[base]
            .trial(key)
            .map(|trial| trial.group.clone())
        else {
            return false;
        };
        let mut hands = Vec::new();
        for one in &mut self.waiting {
            let at = |hand: &beads::Hand| {
                group
                    .members
                    .iter()
                    .position(|member| member.id == hand.bead().id())
            };
            if let Some(at) = at(&one.hand) {
                hands.push((at, &mut one.hand));
            }
        }
        hands.sort_by_key(|(at, _)| *at);
        let mut hands: Vec<_> = hands.into_iter().map(|(_, hand)| hand).collect();
        let verdicts = match self.lanes.land(&mut hands, Some(&group), None) {
            Ok(End::Verdicts(verdicts)) => verdicts,
            other => {
                self.not_landed(base, key, &group, other);
                return false;
            }
        };
        let is_landed = |verdict: &Option<Verdict>| matches!(verdict, Some(Verdict::Landed(_)));
        let is_partly = group.members.len() > 1 && !verdicts.iter().all(is_landed);
        let mut tip = None;
        for (member, verdict) in group.members.iter().zip(verdicts) {
            if let Some(Verdict::Landed(commit)) = verdict {
                tip = Some(commit);
            }
            if let Some(mut waiting) = self.take(&member.id) {
                // What waits on is ready again when a look says so.
                waiting.ready = None;
                self.settle(waiting, Ok(verdict));
            }
        }
        // What has landed and cannot be told of yet moves the base, too.
        if is_partly {
            self.doubt(base);
        }
        let Some(tip) = tip else {
            return false;
        };
        self.lanes.end_turn(base);
        // A forge merges onto the base as it is then: what was tested on top of the group counts only if
        // that is what the base has now.
        let tree = group.members.last().map(|member| member.tree);
        if self.lanes.look.tree(tip).ok() == tree {
            self.lanes.bases.insert(tip, Judged::Passed);
        } else {
            group.tip = tip;
        }
        if let Some(rounds) = self.rounds.get_mut(base) {
            rounds.moved(tip, &group);
            for one in &mut self.waiting {
                let bead = one.hand.bead();
                if one.ready.is_some() && bead.facts().base == base && !rounds.is_tested(bead.id())
                {
                    one.passed += 1;
                }
            }
        }
        true
    }

    /// Nothing of the group has landed, and none is to blame for that alone.
    fn not_landed(&mut self, base: &str, key: u64, group: &Group, end: anyhow::Result<End>) {
        let Some(rounds) = self.rounds.get_mut(base) else {
            return;
        };
        let names = group.names();
        match end {
            Ok(End::Verdicts(_) | End::Apart) => {}
            Ok(End::Untested) => rounds.forget(key),
            Ok(End::Stale) => self.doubt(base),
            Ok(End::NotNow(left, host)) => {
                rounds.later = Some((Instant::now() + left.min(SOON), waits_for(&host)));
            }
            Ok(End::Refused(why)) => {
                let what = format!("{base}: {names} are refused together: {why}");
                self.tool.pipe.remark(&what);
                let run = Run {
                    judged: Judged::Failed,
                    how: format!("refused: {why}"),
                    said: why,
                };
                rounds.end(key, group, run);
            }
            Err(err) => {
                self.doubt(base);
                if let [one] = &group.members[..] {
                    if let Some(waiting) = self.take(&one.id) {
                        self.settle(waiting, Err(err));
                    }
                } else {
                    // Whose fault it is shows when each is looked at.
                    let _ = self.is_spent(&err);
                    let what = format!("{base}: cannot land {names}: {err:#}");
                    self.tool.pipe.remark(&what);
                }
            }
        }
    }

    /// What is known of a base has moved: nothing is done on it before the next look, and, where that
    /// finds the base in its place, for longer each time.
    fn doubt(&mut self, base: &str) {
        if let Some(rounds) = self.rounds.get_mut(base) {
            rounds.doubt();
            self.doubts = true;
        }
    }
}

/// Bases that were lost twice to others: what takes less time to test is lost less often.
const LOST: u32 = 2;

/// Another clone may end its turn before it is over.
const SOON: Duration = Duration::from_secs(1);

/// How big groups may be.
fn smaller(batch: Option<usize>, lost: u32) -> Option<usize> {
    match lost {
        0..LOST => batch,
        _ => Some((batch.unwrap_or(FIRST) >> (lost + 1 - LOST).min(16)).max(1)),
    }
}

/// A group is hardly bigger.
const FIRST: usize = 32;

/// What the check says of a base alone, as far as that is asked: of one that nobody has asked about,
/// nothing.
fn of_base(bases: &HashMap<Sha, Judged>, tip: Sha) -> Judged {
    bases.get(&tip).copied().unwrap_or(Judged::Passed)
}
