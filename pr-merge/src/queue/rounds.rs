//! The tests of groups on one base: what ran in this run of the program, and what runs. Nothing of
//! it is stored: who starts anew comes to the same groups, and finds what was green.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use beads::UnderTest;
use beads::time::now;
use git::Sha;
use git::process::Marker;
use git::shell::Judged;
use jiff::Timestamp;

use crate::gate::verdict::{On, Verdict};
use crate::lane::check::Run;
use crate::lane::group::{Group, Member};
use crate::lane::runner::Slot;
use crate::plan::{Base, Test, Word};
use crate::queue::shown::Shown;
use crate::retry::Retry;

/// The pause after something has moved once.
const FIRST: Duration = Duration::from_millis(250);

/// All tests on one base.
pub(super) struct Rounds {
    /// Where the base is.
    pub(super) tip: Sha,
    trials: Vec<Trial>,
    /// Nothing is started before, for this reason.
    pub(super) later: Option<(Instant, String)>,
    /// It may have moved: nothing is decided before the next look.
    is_stale: bool,
    /// So often what was green could not land though the base was in its place.
    doubts: Option<Retry>,
    /// So often in a row somebody else has moved the base while a group of ours was tested or landed.
    pub(super) lost: u32,
    /// How long the last test took.
    pub(super) took: Duration,
    /// What has landed in this run: the tip that it stood on, and its beads.
    landed: Vec<(Sha, Vec<String>)>,
    pub(super) shown: Shown,
}

/// One test of a group.
pub(super) struct Trial {
    key: u64,
    pub(super) group: Group,
    /// How it ended; `None`: it runs.
    run: Option<Run>,
    /// Those of it that have landed since it began.
    landed: Vec<String>,
    /// How many it began with.
    began_with: usize,
    /// How many of these are not in the base yet: what has left it otherwise was part of what was
    /// tested.
    size: usize,
    /// Somebody has left it without landing.
    is_partial: bool,
    /// When it was asked to end.
    stopped: Option<Instant>,
    /// Its answer is waited for no more.
    pub(super) is_void: bool,
    ends: Arc<AtomicBool>,
    marker: Marker,
    begun: Timestamp,
    /// The name of the lock that is held as long as it runs.
    lock: String,
}

impl Rounds {
    pub(super) fn new(tip: Sha) -> Self {
        Self {
            tip,
            trials: Vec::new(),
            later: None,
            is_stale: false,
            doubts: None,
            lost: 0,
            took: Duration::ZERO,
            landed: Vec::new(),
            shown: Shown::default(),
        }
    }

    /// What is known may have moved.
    pub(super) fn doubt(&mut self) {
        self.is_stale = true;
        self.doubts.get_or_insert_with(|| Retry::new(FIRST)).fail();
    }

    /// How long nothing is done here, or until the next look.
    pub(super) fn left(&self) -> Duration {
        match self.is_stale {
            true => Duration::MAX,
            false => self.doubts.map_or(Duration::ZERO, |doubts| doubts.left()),
        }
    }

    /// A look has found the base here: somebody else has moved it, if that is elsewhere.
    pub(super) fn stands_at(&mut self, tip: Sha) {
        self.is_stale = false;
        let is_green = |trial: &Trial| trial.is_green() && trial.group.tip == self.tip;
        if tip != self.tip
            && self
                .trials
                .iter()
                .any(|trial| trial.run.is_none() || is_green(trial))
        {
            self.lost += 1;
        }
        if tip != self.tip {
            self.doubts = None;
            let nothing = Group::new("", self.tip);
            self.moved(tip, &nothing);
        }
    }

    /// The wait for a time before which nothing is started.
    pub(super) fn is_later(&self) -> Option<Verdict> {
        let (until, why) = self.later.as_ref()?;
        (Instant::now() < *until).then(|| Verdict::Wait(On::Machine, why.clone()))
    }

    pub(super) fn begin(&mut self, key: u64, group: Group, ends: Arc<AtomicBool>, slot: &Slot) {
        self.trials.push(Trial {
            key,
            began_with: group.members.len(),
            size: group.members.len(),
            group,
            run: None,
            landed: Vec::new(),
            is_partial: false,
            stopped: None,
            is_void: false,
            ends,
            marker: slot.marker.clone(),
            begun: now(),
            lock: slot.name.clone(),
        });
    }

    /// Notes how a test ended. `None`: nobody waits for that any more.
    pub(super) fn end(&mut self, key: u64, tested: &Group, run: Run) -> Option<&Trial> {
        let at = self.trials.iter().position(|trial| trial.key == key)?;
        if self.trials[at].is_void {
            self.trials.remove(at);
            return None;
        }
        let trial = &mut self.trials[at];
        // As each would land; those that have landed meanwhile stay out.
        for member in &mut trial.group.members {
            if let Some(tested) = tested.members.iter().find(|one| one.id == member.id) {
                *member = tested.clone();
            }
        }
        trial.run = Some(run);
        Some(trial)
    }

    pub(super) fn trial(&self, key: u64) -> Option<&Trial> {
        self.trials.iter().find(|trial| trial.key == key)
    }

    pub(super) fn forget(&mut self, key: u64) {
        self.trials.retain(|trial| trial.key != key);
    }

    /// Whether a bead is in a group that is tested, or was on this tip.
    pub(super) fn is_tested(&self, id: &str) -> bool {
        let counts = |trial: &&Trial| trial.run.is_none() || trial.group.tip == self.tip;
        self.trials
            .iter()
            .filter(counts)
            .any(|trial| trial.holds(id))
    }

    /// How the check ended on a bead alone, when it was red the last time.
    pub(super) fn run_of(&self, id: &str) -> Option<&Run> {
        let alone = |trial: &&Trial| trial.began_with == 1 && trial.holds(id);
        let runs = self
            .trials
            .iter()
            .rev()
            .filter(alone)
            .filter_map(|trial| trial.run.as_ref());
        runs.into_iter().find(|run| run.judged != Judged::Passed)
    }

    /// Whose work a bead's own does not go with, as far as the tests tell, in words for its agent.
    pub(super) fn beside(&self, id: &str) -> Option<String> {
        let of = |trial: &&Trial| trial.holds(id) && trial.run.is_some();
        let tested = self.trials.iter().filter(of);
        let (green, red): (Vec<_>, Vec<_>) = tested.partition(|trial| trial.is_green());
        let since = |trial: &&&Trial| {
            let at = self
                .landed
                .iter()
                .position(|(tip, _)| *tip == trial.group.tip)?;
            Some(
                self.landed[at..]
                    .iter()
                    .flat_map(|(_, ids)| ids.clone())
                    .collect::<Vec<_>>(),
            )
        };
        if let Some(ids) = green
            .iter()
            .rev()
            .find_map(|trial| since(&trial))
            .filter(|ids| !ids.is_empty())
        {
            let ids = ids.join(", ");
            return Some(format!(
                "\nIt passed before {ids} landed: what fails comes of both."
            ));
        }
        let ids = red
            .iter()
            .rev()
            .map(|trial| trial.landed.join(", "))
            .find(|ids| !ids.is_empty())?;
        Some(format!(
            "\nIt failed together with the work of {ids}, which has landed since."
        ))
    }

    /// Ends a test whose answer does not matter any more.
    pub(super) fn stop(&mut self, key: u64) {
        for trial in &mut self.trials {
            if trial.key == key && trial.run.is_none() && !trial.is_void {
                trial.is_void = true;
                trial.stop();
            }
        }
    }

    /// Brings the tests to what waits on the base now, by bead and head: what runs for one that has
    /// left is ended; a red group that held it says nothing of the others.
    pub(super) fn keep(&mut self, present: &HashMap<&str, Sha>) {
        for trial in &mut self.trials {
            if trial.is_void {
                trial.stop();
                continue;
            }
            let before = trial.group.members.len();
            let is_there = |id: &str, head| present.get(id) == Some(&head);
            let left = trial
                .group
                .members
                .iter()
                .filter(|one| is_there(&one.id, one.head))
                .count();
            if left == before {
                continue;
            }
            match trial.run.as_ref().map(|run| run.judged) {
                None => {
                    trial.is_void = true;
                    trial.stop();
                }
                Some(Judged::Passed) => {
                    trial.is_partial = true;
                    trial
                        .group
                        .members
                        .retain(|one| is_there(&one.id, one.head));
                }
                Some(_) => trial.group.members.clear(),
            }
        }
        // The tip alone has no members from the start.
        self.trials.retain(|trial| {
            trial.run.is_none() || trial.is_of_tip() || !trial.group.members.is_empty()
        });
    }

    /// The base has moved: by ourselves, if `landed` are the members that it took in.
    pub(super) fn moved(&mut self, tip: Sha, landed: &Group) {
        for trial in &mut self.trials {
            let members = &mut trial.group.members;
            let count = landed.members.len();
            let begins_so = (1..members.len()).contains(&count)
                && members
                    .iter()
                    .zip(&landed.members)
                    .all(|(one, other)| one.head == other.head && one.tree == other.tree);
            if trial.group.tip == landed.tip && begins_so {
                // What is tested on top of it is tested on what the base has now.
                let landed = members.drain(..count).map(|member| member.id);
                trial.landed.extend(landed);
                trial.size -= count;
                trial.group.tip = tip;
            } else {
                let is_landed =
                    |one: &Member| landed.members.iter().any(|other| other.id == one.id);
                let gone = members
                    .extract_if(.., |one| is_landed(one))
                    .map(|member| member.id);
                trial.landed.extend(gone);
            }
        }
        self.trials.retain(|trial| {
            trial.run.is_none() || trial.is_of_tip() || !trial.group.members.is_empty()
        });
        if !landed.members.is_empty() {
            self.lost = 0;
            self.doubts = None;
            let ids = landed.members.iter().map(|member| member.id.clone());
            self.landed.push((landed.tip, ids.collect()));
        }
        self.tip = tip;
    }

    /// What runs and is waited for.
    pub(super) fn running(&self) -> Vec<UnderTest> {
        let runs = |trial: &&Trial| trial.run.is_none() && !trial.is_void;
        let shown = |trial: &Trial| UnderTest {
            ids: trial.group.members.iter().map(|m| m.id.clone()).collect(),
            since: trial.begun,
            lock: trial.lock.clone(),
        };
        self.trials.iter().filter(runs).map(shown).collect()
    }

    /// The tests as the plan wants them, each with its key, by the places of those that may land now.
    pub(super) fn tests(
        &self,
        places: &HashMap<&str, usize>,
        base: impl Fn(Sha) -> Base,
    ) -> Vec<(u64, Test)> {
        let of = |trial: &Trial| {
            let place = |id: &String| places.get(id.as_str()).copied();
            let ids = trial.group.members.iter().map(|one| &one.id);
            let mut members: Vec<usize> = ids.filter_map(place).collect();
            members.sort_unstable();
            let test = Test {
                // One that was red with others was not tested alone, as often as that takes.
                size: match trial.run.is_none() || trial.is_green() {
                    true => trial.size,
                    false => trial.began_with,
                },
                left_out: trial.group.left_out.iter().filter_map(place).collect(),
                base: base(trial.group.tip),
                word: match &trial.run {
                    None => Word::Running,
                    Some(_) if trial.is_green() => Word::Green,
                    Some(_) => Word::Red,
                },
                is_current: trial.group.tip == self.tip
                    && !trial.is_partial
                    && members.len() == trial.group.members.len(),
                members,
            };
            (trial.key, test)
        };
        self.trials
            .iter()
            .filter(|trial| !trial.is_void)
            .map(of)
            .collect()
    }
}

impl Trial {
    fn holds(&self, id: &str) -> bool {
        self.group.members.iter().any(|member| member.id == id)
    }

    fn is_green(&self) -> bool {
        let passed = |run: &Run| run.judged == Judged::Passed;
        self.run.as_ref().is_some_and(passed)
    }

    fn is_of_tip(&self) -> bool {
        self.began_with == 0
    }

    /// Again and again until it has ended: it may just be starting its command.
    fn stop(&mut self) {
        let again = Duration::from_secs(1);
        if self.stopped.is_some_and(|at| at.elapsed() < again) {
            return;
        }
        self.stopped = Some(Instant::now());
        self.ends.store(true, Ordering::Relaxed);
        let marker = self.marker.clone();
        // It may take its time to end.
        thread::spawn(move || marker.end());
    }
}

#[cfg(test)]
mod tests;
