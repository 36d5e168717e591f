//! The lanes to the bases: what a pull request comes to, what is stacked and tested, and how it
//! lands. One landing at a time per base and clone; checks and reviews run beside it.

pub(crate) mod check;
pub(crate) mod checked;
pub(crate) mod entries;
pub(crate) mod group;
pub(crate) mod land;
mod prepare;
mod prove;
pub(crate) mod runner;
mod stack;
pub(crate) mod turn;
mod update;
mod vouch;
mod way;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use anyhow::Context;
use beads::{Bead, Tool};
use forge::{Forge, Pull, State, Unread, Wanted};
use git::shell::Judged;
use git::{Look, Proof, Sha};

use crate::Args;
use crate::gate::facts::{Beside, Check, Demands, Facts, Merge, Review};
use crate::gate::gate;
use crate::gate::verdict::Verdict;
use crate::lane::entries::Entries;
use crate::lane::runner::Runner;
use crate::refusals::Refusals;

/// All lanes of this program.
pub(crate) struct Lanes {
    pub(crate) tool: Tool,
    pub(crate) args: Arc<Args>,
    pub(crate) look: Arc<Look>,
    pub(crate) runner: Runner,
    pub(crate) forge: Box<dyn Forge>,
    /// The reviewer's words by head: a verdict counts for that head only.
    pub(crate) reviews: HashMap<Sha, Review>,
    /// What the forge has refused to land.
    pub(crate) refusals: Refusals,
    /// What merging a head and a base comes to.
    merges: HashMap<(Sha, Sha), Merge>,
    /// What bases say of work that they may have.
    proof: Proof,
    /// Whether a merge commit is nothing but a clean merge.
    updates: HashMap<Sha, bool>,
    /// Heads whose objects are what their names say.
    genuine: HashSet<Sha>,
    /// What the check says of bases by themselves.
    pub(crate) bases: HashMap<Sha, Judged>,
    /// By base, the bead whose turn it is to be brought up to date.
    pub(crate) turns: HashMap<String, String>,
    /// What went into the forge's merge queue.
    entries: Entries,
    /// Bases that have refused a push.
    barred: HashSet<String>,
}

impl Lanes {
    /// # Errors
    /// When the repository or its forge cannot be opened.
    pub(crate) fn open(tool: &Tool, args: &Arc<Args>) -> anyhow::Result<Self> {
        let look = Arc::new(Look::open(&tool.repository)?);
        Ok(Self {
            runner: Runner::new(tool, args, &look)?,
            forge: args.forge.open(&tool.repository, &look)?,
            tool: tool.clone(),
            args: Arc::clone(args),
            look,
            reviews: HashMap::new(),
            refusals: Refusals::default(),
            merges: HashMap::new(),
            proof: Proof::default(),
            updates: HashMap::new(),
            genuine: HashSet::new(),
            bases: HashMap::new(),
            turns: HashMap::new(),
            entries: Entries::default(),
            barred: HashSet::new(),
        })
    }

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

    /// What becomes of a pull request on this tip of its base, as far as that is known without the
    /// check: its merge is tried.
    ///
    /// # Errors
    /// When git or the forge fails.
    pub(crate) fn on_tip(&mut self, bead: &Bead, pull: &Pull, tip: Sha) -> anyhow::Result<Verdict> {
        let merge = self.merge(bead, Some(pull), tip)?;
        self.judge(bead, Some(pull), merge, None)
    }

    /// The same, with what the check came to.
    ///
    /// # Errors
    /// As above.
    pub(crate) fn checked(
        &mut self,
        bead: &Bead,
        pull: &Pull,
        tip: Sha,
        check: Check,
    ) -> anyhow::Result<Verdict> {
        let merge = self.merge(bead, Some(pull), tip)?;
        self.judge(bead, Some(pull), merge, Some(check))
    }

    /// What becomes of a pull request whose check did not pass, as it stands now.
    ///
    /// # Errors
    /// As above.
    pub(crate) fn failed(&mut self, bead: &Bead, check: Check) -> anyhow::Result<Verdict> {
        let pull = self.forge.pull(&wanted(bead)?).map_err(Unread::of)?;
        let merge = match pull.as_ref().and_then(|pull| pull.base_head) {
            Some(base) => self.merge(bead, pull.as_ref(), base)?,
            None => Merge::Unknown,
        };
        self.judge(bead, pull.as_ref(), merge, Some(check))
    }

    /// The wait of one that the forge has refused a moment ago.
    pub(crate) fn held(&self, bead: &Bead) -> Option<Verdict> {
        let (_, wait) = self.refusals.hold(pushed(bead).ok()?)?;
        Some(wait)
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
