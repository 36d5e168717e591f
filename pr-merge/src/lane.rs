//! The lane to one base: prepare the merge, review it, check it, land it, prove it. One landing at
//! a time per base and clone.

mod check;
pub(crate) mod entries;
mod prepare;
mod prove;
mod tree;
mod update;
mod vouch;

use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use beads::lock::Lock;
use beads::{Bead, Hand, Name, Tool, lock};
use forge::{Forge, Landing, Method, Pull, State, Unread, Wanted};
use git::shell::Judged;
use git::{Look, Proof, Root, Sha};

use crate::Args;
use crate::gate::facts::{Beside, Check, Demands, Facts, Merge, Review};
use crate::gate::gate;
use crate::gate::verdict::{On, Verdict};
use crate::lane::entries::Entries;
use crate::lane::prepare::message;
use crate::refusals::Refusals;

/// How often a landing is prepared anew because the base moved under its check.
const TRIES: u32 = 20;

/// How long after a merge was sent and not answered the forge may still be at work on it: another
/// one sent meanwhile could land the work twice.
pub(super) const STILL_AT_WORK: Duration = Duration::from_secs(5);

/// How long a forge is waited for that is not ready at this moment, before others have their turn.
const READY: Duration = Duration::from_secs(6);
pub(super) const PAUSE: Duration = Duration::from_millis(250);

/// All lanes of this program.
pub(crate) struct Lanes<'a> {
    pub(crate) tool: &'a Tool,
    pub(crate) args: &'a Args,
    pub(crate) look: Look,
    pub(crate) root: Root,
    pub(crate) forge: Box<dyn Forge>,
    /// The reviewer's words by head: a verdict counts for that head only.
    pub(crate) reviews: HashMap<Sha, Review>,
    /// What the forge has refused to land.
    pub(crate) refusals: Refusals,
    /// What merging a head and a base comes to.
    pub(crate) merges: HashMap<(Sha, Sha), Merge>,
    /// What bases say of work that they may have.
    pub(crate) proof: Proof,
    /// Whether a merge commit is nothing but a clean merge.
    pub(crate) updates: HashMap<Sha, bool>,
    /// What was tested, by head and base.
    pub(crate) tested: HashMap<(Sha, Sha), Tested>,
    /// What the check says of bases by themselves.
    pub(crate) bases: HashMap<Sha, Judged>,
    /// By base, the bead whose turn it is to be brought up to date.
    pub(crate) turns: HashMap<String, String>,
    /// What went into the forge's merge queue.
    pub(crate) entries: Entries,
}

/// A commit that would land, and what the check says of it.
#[derive(Clone)]
pub(crate) struct Tested {
    pub(super) commit: Sha,
    /// How it is made.
    pub(super) method: Method,
    pub(super) check: Check,
    /// When it is to be checked again.
    pub(super) again: Option<Instant>,
}

/// How a step towards a landing ended.
pub(super) enum Step {
    /// With this verdict; `None`, and said: the bead is no longer ours.
    End(Option<Verdict>),
    /// Something has moved: look again.
    Again,
    /// The forge is not ready, for this reason.
    Later(String),
}

impl Lanes<'_> {
    /// Looks at a pull request without acting: everything but review and check is known.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub(crate) fn look_at(&mut self, bead: &Bead, pull: Option<&Pull>) -> anyhow::Result<Verdict> {
        let pushed = pushed(bead)?;
        let lands = |pull: &Pull| {
            pull.state == State::Open
                && !pull.draft
                && pull.head == Some(pushed)
                && !self.args.by_hand
        };
        let merge = match pull.and_then(|pull| pull.base_head) {
            // Tried in the lane, where nothing moves; but where the forge reports, it has to do so
            // before the lane is taken.
            Some(_)
                if pull.is_some_and(lands) && !self.args.dry.run && !self.forge.has_checks() =>
            {
                Merge::Unknown
            }
            Some(base) => self.merge(bead, pull, base)?,
            None => Merge::Unknown,
        };
        let theirs = pull
            .filter(|pull| pull.state == State::Open)
            .and_then(|pull| pull.head);
        if let Some(theirs) = theirs.filter(|head| *head != pushed && !self.args.dry.run) {
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
        let (head, mut waited) = (pushed(hand.bead())?, Duration::ZERO);
        for _ in 0..TRIES {
            match self.step(hand, fresh.take(), &lane)? {
                Step::End(verdict) => return Ok(verdict),
                Step::Again => {}
                Step::Later(why) => self.refusals.pass(head, &why),
            }
            if let Some((left, wait)) = self.refusals.hold(head) {
                waited += left;
                if waited > READY {
                    return Ok(Some(wait));
                }
                thread::sleep(left);
            }
        }
        Ok(Some(Verdict::Wait(
            On::Machine,
            "the base moves faster than the check runs".to_owned(),
        )))
    }

    /// The wait of one that the forge has refused a moment ago.
    pub(crate) fn held(&self, bead: &Bead) -> Option<Verdict> {
        let (_, wait) = self.refusals.hold(pushed(bead).ok()?)?;
        Some(wait)
    }

    /// From a look to the landing, unless something moves meanwhile.
    fn step(&mut self, hand: &mut Hand, fresh: Option<Pull>, lane: &Lock) -> anyhow::Result<Step> {
        // A merge whose answer was lost, perhaps with the program that sent it.
        let held_back = lane.held_back();
        if !held_back.is_zero() {
            thread::sleep(held_back.min(STILL_AT_WORK));
            lane.hold_back(Duration::ZERO)?;
        }
        // Waiting for the lane, and testing, may have taken long.
        if !hand.still_ours()? {
            return Ok(Step::End(None));
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
        let (tree, base_head) = match (&verdict, &merge, base_head) {
            (Verdict::Wait(On::Us, _) | Verdict::Land(_), Merge::Clean(tree), Some(base_head)) => {
                (*tree, base_head)
            }
            (Verdict::Update, Merge::Clean(tree), Some(base_head)) => {
                let updated = self.update(hand, base_head, *tree, lane)?;
                return Ok(Step::End(updated));
            }
            // By hand, or by one of us that was killed: it is settled at the forge, too.
            (Verdict::Landed(commit), _, Some(_)) => {
                let pull = pull.as_ref().context("it landed without a pull request")?;
                return self.found(hand, pull, &wanted, *commit);
            }
            _ => return Ok(Step::End(Some(verdict))),
        };
        let head = wanted.head;
        if self.args.review.is_some() && !self.reviews.contains_key(&head) {
            let review = self.review(hand.bead(), base_head, head, lane)?;
            self.reviews.insert(head, review);
            return Ok(Step::Again);
        }
        let report = pull.as_ref().and_then(|pull| pull.report.clone());
        if let Some(wait) = self.refusals.standing(head, base_head, report.as_ref()) {
            return Ok(Step::End(Some(wait)));
        }
        let Some(Tested {
            commit,
            method,
            check,
            ..
        }) = self.tested(hand.bead(), base_head, head, tree, lane)?
        else {
            return Ok(Step::Again);
        };
        let verdict = self.judge(hand.bead(), pull.as_ref(), merge, Some(check))?;
        let Verdict::Land(tree) = verdict else {
            if matches!(verdict, Verdict::Rework { .. }) {
                // Should the same head come back, it has another try.
                self.tested.remove(&(head, base_head));
            }
            return Ok(Step::End(Some(verdict)));
        };
        if !hand.still_ours()? {
            return Ok(Step::End(None));
        }
        // What was checked is what lands.
        ensure!(
            self.look.tree(commit)? == tree,
            "the commit to land has another tree"
        );
        let (title, text) = message(hand.bead());
        let landing = Landing {
            wanted,
            head,
            base_head,
            commit,
            tree,
            method,
            title,
            text,
            queue: self.args.queue,
        };
        let landed = self.send(&landing, lane)?;
        self.landed(hand, &landing, landed, report, lane)
    }

    /// The commit that would land, and what the check says of it. `None`: that took its time, and
    /// all that the forge knows has to be read anew; plain git's leases tell what has moved.
    fn tested(
        &mut self,
        bead: &Bead,
        base: Sha,
        head: Sha,
        tree: Sha,
        lane: &Lock,
    ) -> anyhow::Result<Option<Tested>> {
        let is_fresh = |known: &&Tested| known.again.is_none_or(|again| Instant::now() < again);
        if let Some(known) = self.tested.get(&(head, base)).filter(is_fresh) {
            return Ok(Some(known.clone()));
        }
        // What is checked here is what its names bring elsewhere.
        self.look
            .require_genuine_work(head, Some(base))
            .context("its work cannot be checked")?;
        let (commit, method) = self.commit(bead, base, head, tree, lane)?;
        let check = self.check(bead, base, commit, lane)?;
        let tested = Tested {
            commit,
            method,
            again: check::again(&check),
            check,
        };
        self.tested.insert((head, base), tested.clone());
        let is_quick = tested.check == Check::NotAsked || !self.forge.has_checks();
        Ok(is_quick.then_some(tested))
    }

    fn judge(
        &mut self,
        bead: &Bead,
        pull: Option<&Pull>,
        merge: Merge,
        check: Option<Check>,
    ) -> anyhow::Result<Verdict> {
        let pushed = pushed(bead)?;
        let reports = pull.is_some_and(|pull| pull.report.is_some());
        let beside = match (&self.args.check.command, self.args.no_checks) {
            (Some(_), _) => Beside::OurCheck,
            (None, true) => Beside::Everybody,
            (None, false) => Beside::Nobody,
        };
        let unknown = match beside {
            Beside::Everybody => Check::NotAsked,
            Beside::Nobody if reports => Check::NotAsked,
            Beside::Nobody | Beside::OurCheck => Check::NotRun,
        };
        let (mut heads, mut is_behind) = (Vec::new(), false);
        let has_base = reports || matches!(merge, Merge::Clean(_));
        if has_base && let Some(base) = pull.and_then(|pull| pull.base_head) {
            heads = self.same_work(pushed, base)?;
            is_behind = reports && !self.look.contains(pushed, base)?;
        }
        // A word on a head counts for its clean merges with the base.
        let known = heads.iter().find_map(|head| self.reviews.get(head));
        if let Some(known) = known.cloned() {
            self.reviews.insert(pushed, known);
        }
        let review = match (&self.args.review, self.reviews.get(&pushed)) {
            (None, _) => Review::NotAsked,
            (Some(_), None) => Review::NotRun,
            (Some(_), Some(review)) => review.clone(),
        };
        let is_ours_and_more = match pull {
            Some(pull) if matches!(pull.state, State::Merged { .. }) => {
                self.built_on(pull, pushed)?.is_some()
            }
            _ => false,
        };
        let check = check.unwrap_or(unknown);
        let by_hand = self.args.by_hand;
        let base = &format!("{}/{}", self.args.forge.remote.name, bead.facts().base);
        let verdict = gate(&Facts {
            pull,
            pushed,
            heads: &heads,
            is_behind,
            is_ours_and_more,
            demands: Demands {
                require: &self.args.require,
                approvals: self.args.approvals,
                beside,
                queue: self.args.queue,
            },
            merge,
            review,
            check,
            by_hand,
            onto: &bead.facts().base,
            base,
        });
        let verdict = self.heard(bead, verdict)?;
        self.after_queue(bead, pull, verdict)
    }
}

/// The pull request of a bead.
///
/// # Errors
/// When its record lacks what was pushed.
pub(crate) fn wanted(bead: &Bead) -> anyhow::Result<Wanted> {
    let facts = bead.facts();
    Ok(Wanted {
        number: facts.pr_number,
        branch: facts.branch.clone(),
        base: facts.base.clone(),
        head: pushed(bead)?,
    })
}

/// The head that we pushed.
pub(crate) fn pushed(bead: &Bead) -> anyhow::Result<Sha> {
    Sha::from_hex(bead.facts().pushed.as_bytes()).context("`pushed` is no commit")
}
