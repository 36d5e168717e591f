//! The lane to one base: prepare the merge, review it, check it, land it, prove it. One landing at
//! a time per base and clone.

use std::collections::HashMap;

use anyhow::{Context, bail, ensure};
use beads::{Bead, Hand, Name, Tool, lock};
use forge::{Forge, Landed, Landing, Pull, State, Wanted};
use git::{Look, Root, Sha};

use crate::Args;
use crate::gate::{Check, Facts, Merge, On, Review, Verdict, gate};

/// How often a landing is prepared anew because the base moved under its check.
const TRIES: u32 = 20;

/// All lanes of this program.
pub(crate) struct Lanes<'a> {
    pub(crate) tool: &'a Tool,
    pub(crate) args: &'a Args,
    pub(crate) look: Look,
    pub(crate) root: Root,
    pub(crate) forge: Box<dyn Forge>,
    /// The reviewer's words by head: a verdict counts for that head only.
    pub(crate) reviews: HashMap<Sha, Review>,
    /// Why the forge refused to land a head on a base: until one of them moves, or the next run,
    /// testing it again would only be refused again.
    pub(crate) refused: HashMap<(Sha, Sha), String>,
}

impl Lanes<'_> {
    /// Looks at a pull request without acting: everything but review and check is known.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub(crate) fn look_at(&self, bead: &Bead, pull: Option<&Pull>) -> anyhow::Result<Verdict> {
        let pushed = pushed(bead)?;
        let lands = |pull: &Pull| {
            pull.state == State::Open
                && !pull.draft
                && pull.head == Some(pushed)
                && !self.args.by_hand
        };
        let merge = match pull.and_then(|pull| pull.base_head) {
            // Tried in the lane, where nothing moves.
            Some(_) if pull.is_some_and(lands) && !self.args.dry_run => Merge::Unknown,
            Some(base) => self.merge(bead, base)?,
            None => Merge::Unknown,
        };
        let theirs = pull
            .filter(|pull| pull.state == State::Open)
            .and_then(|pull| pull.head);
        if let Some(theirs) = theirs.filter(|head| *head != pushed && !self.args.dry_run) {
            // Its agent is told to merge it.
            self.fetch(&bead.facts().branch, theirs)?;
        }
        self.judge(bead, pull, merge, None)
    }

    /// Takes a pull request through review and check, and lands it. The verdict is where that
    /// ended: `Landed` if all went well.
    ///
    /// `fresh`: what the forge said a moment ago. That it has aged costs one more round.
    ///
    /// # Errors
    /// When git or the forge fails; nothing has landed, or the next look finds that it has.
    pub(crate) fn land(
        &mut self,
        hand: &mut Hand,
        mut fresh: Option<Pull>,
    ) -> anyhow::Result<Option<Verdict>> {
        let base = hand.bead().facts().base.clone();
        let path = self
            .tool
            .repository
            .folders()
            .join(format!("merge-{}.lock", Name::of(&base)));
        let lane =
            lock::take(&path).with_context(|| format!("cannot lock '{}'", path.display()))?;
        for _ in 0..TRIES {
            // Waiting for the lane, and testing, may have taken long.
            if !hand.still_ours()? {
                return Ok(None);
            }
            let wanted = wanted(hand.bead());
            let pull = match fresh.take() {
                Some(pull) => Some(pull),
                None => self.pull(&wanted)?,
            };
            let Some(base_head) = pull.as_ref().and_then(|pull| pull.base_head) else {
                return self
                    .judge(hand.bead(), pull.as_ref(), Merge::Unknown, None)
                    .map(Some);
            };
            let merge = self.merge(hand.bead(), base_head)?;
            let verdict = self.judge(hand.bead(), pull.as_ref(), merge.clone(), None)?;
            let tree = match (&verdict, &merge) {
                (Verdict::Wait(On::Us, _) | Verdict::Land(_), Merge::Clean(tree)) => *tree,
                // By hand, or by one of us that was killed: it is settled at the forge, too.
                (Verdict::Landed(commit), _) => {
                    if !hand.still_ours()? {
                        return Ok(None);
                    }
                    self.forge.settle(&wanted, pushed(hand.bead())?, *commit)?;
                    return Ok(Some(verdict));
                }
                _ => return Ok(Some(verdict)),
            };
            let head = pushed(hand.bead())?;
            if self.args.review.is_some() && !self.reviews.contains_key(&head) {
                let review = self.review(hand.bead(), base_head, head)?;
                self.reviews.insert(head, review);
                continue;
            }
            if let Some(why) = self.refused.get(&(head, base_head)) {
                return Ok(Some(Verdict::Wait(On::Person, why.clone())));
            }
            let commit = self.commit(hand.bead(), base_head, head, tree, &lane)?;
            let check = self.check(hand.bead(), commit, &lane)?;
            let verdict = self.judge(hand.bead(), pull.as_ref(), merge, Some(check))?;
            let Verdict::Land(tree) = verdict else {
                return Ok(Some(verdict));
            };
            if !hand.still_ours()? {
                return Ok(None);
            }
            // What was checked is what lands.
            ensure!(
                self.look.tree(commit)? == tree,
                "the commit to land has another tree"
            );
            let landing = Landing {
                wanted: wanted.clone(),
                head,
                base_head,
                commit,
                tree,
            };
            match self.forge.land(&landing)? {
                Landed::Merged(_) => return self.prove(&wanted, head, tree).map(Some),
                Landed::Moved => {}
                Landed::Blocked(why) => {
                    self.refused.insert((head, base_head), why.clone());
                    return Ok(Some(Verdict::Wait(On::Person, why)));
                }
            }
        }
        Ok(Some(Verdict::Wait(
            On::Machine,
            "the base moves faster than the check runs".to_owned(),
        )))
    }

    /// The forge says merged at that head, and the base contains a commit with that tree.
    fn prove(&self, wanted: &Wanted, head: Sha, tree: Sha) -> anyhow::Result<Verdict> {
        let pull = self
            .pull(wanted)?
            .context("the pull request is gone after its landing")?;
        let State::Merged {
            head: merged,
            commit,
        } = pull.state
        else {
            bail!("the forge does not show the landing");
        };
        let base = pull
            .base_head
            .context("the base is gone after the landing")?;
        self.fetch(&wanted.base, base)?;
        ensure!(
            merged == head
                && self.look.tree(commit)? == tree
                && self.look.contains(base, commit)?,
            "the base does not contain what was landed"
        );
        Ok(Verdict::Landed(commit))
    }

    fn pull(&self, wanted: &Wanted) -> anyhow::Result<Option<Pull>> {
        Ok(self.forge.pulls(std::slice::from_ref(wanted))?.pop())
    }

    fn judge(
        &self,
        bead: &Bead,
        pull: Option<&Pull>,
        merge: Merge,
        check: Option<Check>,
    ) -> anyhow::Result<Verdict> {
        let pushed = pushed(bead)?;
        let review = match (&self.args.review, self.reviews.get(&pushed)) {
            (None, _) => Review::NotAsked,
            (Some(_), None) => Review::NotRun,
            (Some(_), Some(review)) => review.clone(),
        };
        let unknown = if self.args.no_checks {
            Check::NotAsked
        } else {
            Check::NotRun
        };
        let check = check.unwrap_or(unknown);
        let by_hand = self.args.by_hand;
        let base = &format!("{}/{}", self.args.forge.remote.name, bead.facts().base);
        Ok(gate(&Facts {
            pull,
            pushed,
            merge,
            review,
            check,
            by_hand,
            base,
        }))
    }
}

/// The pull request of a bead.
pub(crate) fn wanted(bead: &Bead) -> Wanted {
    let facts = bead.facts();
    Wanted {
        number: facts.pr_number,
        branch: facts.branch.clone(),
        base: facts.base.clone(),
    }
}

/// The head that we pushed.
pub(crate) fn pushed(bead: &Bead) -> anyhow::Result<Sha> {
    Sha::from_hex(bead.facts().pushed.as_bytes()).context("`pushed` is no commit")
}
