//! Sending a merge, and proving what came of it.

use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use beads::lock::Lock;
use beads::{Bead, Hand};
use forge::{Landed, Landing, Pull, Report, State, Unread, Wanted};
use git::{Git, Sha, Trace};

use crate::gate::verdict::{On, Verdict};
use crate::lane::land::{PAUSE, STILL_AT_WORK, Step};
use crate::lane::{Lanes, pushed};

/// No merge is waited for any longer.
const LONGEST_MERGE: Duration = Duration::from_secs(30);

/// How often a forge is asked for the landing it has just reported.
const PROOFS: u32 = 20;

impl Lanes {
    /// What the forge's answer to the merge of one leads to.
    pub(super) fn answered(
        &mut self,
        hand: &mut Hand,
        landing: &Landing,
        landed: Landed,
        report: Option<Report>,
        lane: &Lock,
    ) -> anyhow::Result<Step> {
        let (head, base_head) = (landing.head, landing.base_head);
        Ok(match landed {
            Landed::Merged => {
                let proven = self.prove(&[hand.bead()], std::slice::from_ref(landing))?;
                Step::one(proven.into_iter().next())
            }
            // Either is dealt with where all that landed together are.
            Landed::Pushed | Landed::Barred(_) => Step::Again,
            Landed::Queued => {
                self.entries.put_in(head);
                let what = "the merge queue takes it".to_owned();
                Step::one(Some(Verdict::Wait(On::Machine, what)))
            }
            Landed::Moved => {
                // Plain git has no other way to tell that somebody was faster.
                if self.forge.has_checks() {
                    let why = format!("the forge says that it moved, at the base's {base_head}");
                    self.refusals.pass(head, &why);
                }
                Step::Again
            }
            Landed::Gone(why) => {
                let pull = self.forge.pull(&landing.wanted).map_err(Unread::of)?;
                let shows = |pull: &Pull| pull.state == State::Open && pull.head == Some(head);
                if !pull.as_ref().is_some_and(shows) {
                    return Ok(Step::Again);
                }
                let why = format!("the forge shows it, but says of its merge: {why}");
                self.refusals.stand(head, &why, base_head, report);
                Step::one(Some(Verdict::Wait(On::Person, why)))
            }
            Landed::Behind if self.look.contains(head, base_head)? => {
                Step::Later("the forge has not found out that it holds its base".to_owned())
            }
            Landed::Behind => Step::one(self.update(hand, base_head, landing.tree, lane)?),
            Landed::Later(why) => Step::Later(why),
            Landed::Blocked(why) => {
                self.refusals.stand(head, &why, base_head, report);
                Step::one(Some(Verdict::Wait(On::Person, why)))
            }
            Landed::Unknown(why) => {
                let what = format!("the answer to its merge was lost ({why}): looking again");
                self.tool.pipe.say(hand.bead().id(), &what);
                self.refusals.pass(head, &what);
                Step::Again
            }
        })
    }

    /// Sends the merge. Until its answer is there, a kill leaves word for whoever is next.
    pub(super) fn send(&self, landings: &[Landing], lane: &Lock) -> anyhow::Result<Landed> {
        if !self.forge.has_checks() {
            return self.forge.land(landings);
        }
        let busy = |time| {
            lane.hold_back(time)
                .context("cannot mark the lock of the base")
        };
        busy(LONGEST_MERGE)?;
        let landed = self.forge.land(landings);
        busy(match landed {
            Ok(Landed::Unknown(_)) => STILL_AT_WORK,
            _ => Duration::ZERO,
        })?;
        landed
    }

    /// The forge says merged at those heads, and the base contains commits with those trees.
    pub(super) fn prove(
        &self,
        beads: &[&Bead],
        landings: &[Landing],
    ) -> anyhow::Result<Vec<Verdict>> {
        let names: Vec<Wanted> = landings.iter().map(|one| one.wanted.clone()).collect();
        let mut tries = if self.forge.has_checks() { PROOFS } else { 1 };
        loop {
            tries -= 1;
            let pulls = self.read(&names)?;
            let mut verdicts = Vec::new();
            for ((bead, landing), pull) in beads.iter().zip(landings).zip(pulls) {
                let pull = pull.context("the pull request is gone after its landing")?;
                verdicts.extend(self.prove_one(bead, landing, &pull)?);
            }
            match tries {
                _ if verdicts.len() == landings.len() => return Ok(verdicts),
                // It may tell of branches a moment later.
                1.. => thread::sleep(PAUSE),
                0 => bail!(Unread::of(anyhow!("the forge does not show the landing"))),
            }
        }
    }

    /// `None`: the forge does not show it yet.
    fn prove_one(
        &self,
        bead: &Bead,
        landing: &Landing,
        pull: &Pull,
    ) -> anyhow::Result<Option<Verdict>> {
        let base = pull
            .base_head
            .context("the base is gone after the landing")?;
        self.fetch(&landing.wanted.base, base)?;
        let State::Merged { head, commit } = pull.state else {
            return Ok(None);
        };
        if !self.look.contains(base, commit)? {
            return Ok(None);
        }
        ensure!(
            head == landing.head,
            "the base does not contain what was landed"
        );
        let landed = self.look.tree(commit)?;
        if landed == landing.tree {
            return Ok(Some(Verdict::Landed(commit)));
        }
        // A forge merges onto the base as it is then, whatever that was a moment ago.
        let is_on_tested = self.look.parents(commit)?.first() == Some(&landing.base_head);
        ensure!(
            self.forge.has_checks(),
            "the base does not contain the tree that was tested"
        );
        if is_on_tested || !self.holds(pushed(bead)?, commit)? {
            return Ok(Some(lacking(commit)));
        }
        let what = "landed on commits that came a moment before: their merge was not checked";
        self.tool.pipe.say(bead.id(), what);
        Ok(Some(Verdict::Landed(commit)))
    }

    /// What landed without this program, or while it was away: a person, a merge queue, or a program
    /// that was killed has done it. Settled at the forge, too, where the pull request is ours to the
    /// last commit: what else is on its branch is a person's.
    ///
    /// # Errors
    /// When git or the forge fails.
    pub(super) fn found(
        &mut self,
        hand: &mut Hand,
        pull: &Pull,
        wanted: &Wanted,
        commit: Sha,
    ) -> anyhow::Result<Step> {
        let theirs = self.built_on(pull, wanted.head)?;
        if !self.look.has(commit) {
            let why = "the base does not show the landing yet".to_owned();
            return Ok(Step::Later(why));
        }
        if !self.holds(wanted.head, commit)? && !self.holds_or(theirs, commit)? {
            return Ok(Step::one(Some(lacking(commit))));
        }
        if !hand.still_ours()? {
            return Ok(Step::one(None));
        }
        let is_told = if self.is_ours(pull, wanted.head)? {
            self.tell(hand, wanted, commit)?
        } else if pull.state == State::Open {
            let head = pull.head.map(|head| head.to_string()).unwrap_or_default();
            let how = format!("stays open: {head} on its branch is not ours");
            self.note(hand, wanted, &how)?
        } else {
            true
        };
        if !is_told {
            return Ok(Step::one(None));
        }
        Ok(Step::one(Some(Verdict::Landed(commit))))
    }

    /// Whether a commit has all of the work. Where that is here no more, the forge's word counts.
    fn holds(&self, head: Sha, commit: Sha) -> anyhow::Result<bool> {
        if !self.look.has(head) {
            return Ok(true);
        }
        let common = self.tool.repository.common();
        let trace = self.proof.trace(&self.look, common, commit, head)?;
        Ok(matches!(trace, Trace::Stands(_)))
    }

    fn holds_or(&self, theirs: Option<Sha>, commit: Sha) -> anyhow::Result<bool> {
        theirs.map_or(Ok(false), |theirs| self.holds(theirs, commit))
    }

    /// The head of a pull request that a person has put work on, on top of ours.
    ///
    /// # Errors
    /// When git fails.
    pub(super) fn built_on(&self, pull: &Pull, ours: Sha) -> anyhow::Result<Option<Sha>> {
        let head = match pull.state {
            State::Merged { head, .. } => Some(head),
            State::Open | State::Closed => pull.head,
        };
        let Some(head) = head.filter(|head| *head != ours) else {
            return Ok(None);
        };
        if !self.look.has(head) {
            // Its branch may be gone; forges keep this one. What they do not have is not known.
            let kept = format!("refs/pull/{}/head", pull.number);
            let git = Git::at(self.tool.repository.common());
            let _ = git.fetch(&self.args.forge.remote.name, &[&kept]);
        }
        let common = self.tool.repository.common();
        let trace = self.proof.trace(&self.look, common, head, ours)?;
        let is_kept = self.look.contains(head, ours)? && matches!(trace, Trace::Stands(_));
        Ok(is_kept.then_some(head))
    }

    /// Whether nobody has put anything on the branch but a clean merge of the base.
    fn is_ours(&mut self, pull: &Pull, ours: Sha) -> anyhow::Result<bool> {
        let Some(head) = pull.head.filter(|head| *head != ours) else {
            return Ok(true);
        };
        if !self.look.has(head) {
            return Ok(false);
        }
        let (Some(base), &[before, merged]) = (pull.base_head, &self.look.parents(head)?[..])
        else {
            return Ok(false);
        };
        Ok(before == ours
            && self.look.contains(base, merged)?
            && self.is_clean_merge(head, before, merged)?)
    }
}

/// Merge queues have been seen to land something else than what was tested.
fn lacking(commit: Sha) -> Verdict {
    Verdict::Blocked(format!(
        "it landed as {commit}, which is not its work as that was tested"
    ))
}
