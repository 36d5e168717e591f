//! The pull requests in hand: which may land, which wait and for whom, and who is told.

mod look;

use std::collections::HashMap;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use beads::{Bead, Phase, Tool};
use forge::{Forge, Pull, Unread};
use git::{Look, Proof, Root, shell};

use crate::gate::verdict::{On, Verdict};
use crate::lane::Lanes;
use crate::lane::entries::Entries;
use crate::queue::look::Looked;
use crate::refusals::Refusals;
use crate::retry::Retry;
use crate::waiting::{Waiting, write};
use crate::{Args, close};

/// Between two looks at pull requests that wait for a person.
const TICK: Duration = Duration::from_secs(2);

/// Nothing is to be done but to wait for input.
const LONG: Duration = Duration::from_mins(1);

pub(super) struct Queue<'a> {
    pub(super) tool: &'a Tool,
    pub(super) args: &'a Args,
    pub(super) lanes: Lanes<'a>,
    /// In the order they became ready.
    pub(super) waiting: Vec<Waiting>,
    /// When a person's word was looked for last.
    heeded: Option<Instant>,
    /// How long the forge asked to be left alone in this look.
    pub(super) spent: Option<Duration>,
    /// Looks that failed: nothing is known of any pull request.
    pub(super) failed: Option<Retry>,
    /// Whether a look has not failed in this run.
    pub(super) has_looked: bool,
}

pub(crate) fn run(tool: &Tool, args: &Args) -> anyhow::Result<()> {
    let look = Look::open(&tool.repository)?;
    let forge = args.forge.open(&tool.repository, &look)?;
    require_usable(tool, args, &*forge);
    shell::watch(&tool.pipe)?;
    let root = Root::new(
        &tool.repository,
        &args.common.dir,
        args.under.dir.as_deref(),
    )?;
    let lanes = Lanes {
        tool,
        args,
        look,
        root,
        forge,
        reviews: HashMap::new(),
        refusals: Refusals::default(),
        merges: HashMap::new(),
        proof: Proof::default(),
        updates: HashMap::new(),
        tested: HashMap::new(),
        bases: HashMap::new(),
        turns: HashMap::new(),
        entries: Entries::default(),
    };
    let mut queue = Queue {
        tool,
        args,
        lanes,
        waiting: Vec::new(),
        heeded: None,
        spent: None,
        failed: None,
        has_looked: false,
    };
    if args.dry.run {
        tool.preview(&args.beads, Phase::PrCreated, |bead| {
            queue.lanes.preview(bead)
        });
        return Ok(());
    }
    close::containers(tool)?;
    let (sender, events) = mpsc::channel();
    tool.feed_hands(
        &args.beads,
        Phase::PrCreated..=Phase::PrCreated,
        move |hand| {
            let _ = sender.send(hand);
        },
    );
    let (mut input, mut looked, mut due) = (true, false, Instant::now());
    loop {
        let pause = match queue.waiting.is_empty() {
            true => LONG,
            false if queue.has_pace() => due.saturating_duration_since(Instant::now()),
            false if looked => TICK,
            false => Duration::ZERO,
        };
        let come = queue.waiting.len();
        match events.recv_timeout(pause) {
            Ok(Some(hand)) => queue.waiting.push(Waiting::new(hand)),
            Err(RecvTimeoutError::Timeout) => {}
            // Nobody is left who could make it wait.
            Err(RecvTimeoutError::Disconnected) if !input && !queue.waiting.is_empty() => {
                thread::sleep(pause);
            }
            Ok(None) | Err(RecvTimeoutError::Disconnected) => input = false,
        }
        while let Ok(event) = events.try_recv() {
            match event {
                Some(hand) => queue.waiting.push(Waiting::new(hand)),
                None => input = false,
            }
        }
        looked &= queue.waiting.len() == come;
        // A forge is not asked for each bead that arrives.
        if !queue.has_pace() || Instant::now() >= due {
            let landed = queue.look();
            due = Instant::now() + queue.pause(landed);
            looked = queue.failed.is_none() && !(landed && queue.waits_for_a_base());
        }
        // One look is not worth the long wait for a forge that takes no more requests.
        let barred = due.saturating_duration_since(Instant::now()) > LONG;
        let over = match args.once {
            true => (looked && !queue.waits_to_be_read()) || barred,
            false => looked && !queue.waits_for_machines(),
        };
        if !input && over {
            break;
        }
    }
    queue.say_what_waits();
    close::containers(tool)
}

/// Ends the program where its settings do not fit the forge, or would let work land unseen.
fn require_usable(tool: &Tool, args: &Args, forge: &dyn Forge) {
    if !forge.has_checks() && (args.approvals > 0 || !args.require.is_empty()) {
        tool.pipe
            .usage("--require and --approvals need a forge: plain git keeps neither");
    }
    if args.queue && !forge.has_queues() {
        tool.pipe.usage("--queue needs GitHub");
    }
    if !forge.has_checks() && args.check.command.is_none() && !args.no_checks && !args.by_hand {
        tool.pipe.usage(
            "nothing vouches for the work: give --check CMD, or --no-checks to land without",
        );
    }
}

impl Queue<'_> {
    /// Looks at all pull requests in one go, and acts on each in order: a red one holds up nobody.
    /// `true`: a base has moved, so the next look will tell something new.
    fn look(&mut self) -> bool {
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
            let pull = pull.filter(|_| std::mem::take(&mut fresh));
            landed |= self.act(waiting, verdict, pull);
        }
        landed
    }

    /// `true`: it has landed.
    fn act(
        &mut self,
        mut waiting: Waiting,
        verdict: anyhow::Result<Verdict>,
        fresh: Option<Pull>,
    ) -> bool {
        let verdict = match verdict {
            Ok(Verdict::Wait(On::Us, _) | Verdict::Land(_) | Verdict::Update) => {
                match self.lanes.held(waiting.hand.bead()) {
                    Some(wait) => Ok(Some(wait)),
                    None => self.lanes.land(&mut waiting.hand, fresh),
                }
            }
            Ok(Verdict::Landed(_)) => self.lanes.land(&mut waiting.hand, fresh),
            other => other.map(Some),
        };
        let acted = match verdict {
            Ok(Some(Verdict::Wait(on, why))) => {
                let kept = waiting.keep(self.tool, self.args.wait, on, why);
                self.waiting.extend(kept);
                return false;
            }
            Ok(Some(verdict)) => write(self.tool, self.args, &mut waiting.hand, verdict),
            Ok(None) => Ok(false),
            Err(err) if self.is_spent(&err) => {
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

    /// How long to wait before the next look.
    fn pause(&mut self, landed: bool) -> Duration {
        let tick = if landed { Duration::ZERO } else { TICK };
        let asked = self.spent.take().unwrap_or_default();
        let failed = self.failed.map_or(Duration::ZERO, |failed| failed.left());
        let polite = self.lanes.forge.pause();
        if polite > LONG {
            let seconds = polite.as_secs();
            self.tool.pipe.remark(&format!(
                "what is left of the forge's quota is for people: looks again in {seconds} s"
            ));
        }
        tick.max(asked).max(polite).max(failed)
    }

    /// Lets go of beads whose claim a person has taken away.
    fn heed_people(&mut self) {
        let tick = self.tool.store.reach().tick();
        if self.waiting.is_empty() || self.heeded.is_some_and(|at| at.elapsed() < tick) {
            return;
        }
        self.heeded = Some(Instant::now());
        // Beads out of reach is nobody's word.
        let Ok(beads) = self.tool.list() else {
            return;
        };
        let claims: HashMap<&str, &Bead> = beads.iter().map(|bead| (bead.id(), bead)).collect();
        self.waiting.retain_mut(|waiting| {
            let bead = waiting.hand.bead();
            let same = claims.get(bead.id()).is_some_and(|now| {
                (now.assignee(), now.status()) == (bead.assignee(), bead.status())
            });
            // One list is no word on a claim: what it does not show so is asked for by name.
            same || !self
                .tool
                .has_lost(bead.id(), bead.assignee())
                .unwrap_or(false)
                || waiting.hand.still_ours().unwrap_or(true)
        });
    }

    fn waits_for_machines(&self) -> bool {
        let for_machines = |one: &Waiting| !one.waits_for_people() || one.unread.is_some();
        self.waiting.iter().any(for_machines)
    }

    /// Whether a landing may have mended what one of them waits for.
    fn waits_for_a_base(&self) -> bool {
        let for_a_base = |one: &Waiting| matches!(one.wait, Some((On::Base, ..)));
        self.waiting.iter().any(for_a_base)
    }

    fn say_what_waits(&self) {
        for Waiting { hand, wait, .. } in &self.waiting {
            if let Some((_, why, _)) = wait {
                self.tool
                    .pipe
                    .say(hand.bead().id(), &format!("still waits: {why}"));
            }
        }
    }
}
