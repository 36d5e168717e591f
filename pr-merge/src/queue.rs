//! The pull requests in hand: which may land, which wait and for whom, and who is told. Looks, checks
//! and reviews run beside each other; everything is decided here, in one thread.

mod act;
mod advance;
mod ended;
mod look;
mod rounds;
mod shown;

use std::collections::{HashMap, HashSet};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use beads::{Bead, Hand, Phase, Tool};
use forge::{Forge, Land};
use git::{Sha, shell};

use crate::gate::facts::Review;
use crate::gate::verdict::On;
use crate::lane::check::Tested;
use crate::lane::{Lanes, checked};
use crate::plan::rate;
use crate::queue::rounds::Rounds;
use crate::retry::Retry;
use crate::waiting::Waiting;
use crate::{Args, close};

/// Between two looks at pull requests that wait for a person.
const TICK: Duration = Duration::from_secs(2);

/// What comes within so long of each other is tested together, and so long at most is waited for it:
/// the check of the first alone would be one more for all the others to wait for.
const TOGETHER: Duration = Duration::from_millis(200);
const ALL_TOGETHER: Duration = Duration::from_secs(2);

/// Nothing is to be done but to wait for input.
const LONG: Duration = Duration::from_mins(1);

/// What the queue wakes up for.
#[expect(clippy::large_enum_variant, reason = "short-lived, one at a time")]
enum Event {
    Come(Hand),
    /// No more will come.
    InputEnds,
    /// A test of a group, by its key.
    Tested(u64, String, anyhow::Result<Tested>),
    Reviewed(Reviewed),
}

/// What a reviewer has said of a bead's head.
struct Reviewed {
    base: String,
    id: String,
    head: Sha,
    review: anyhow::Result<Review>,
}

struct Queue<'a> {
    tool: &'a Tool,
    args: Arc<Args>,
    lanes: Lanes,
    /// In the order they became ready.
    waiting: Vec<Waiting>,
    /// By base: the tests on it.
    rounds: HashMap<String, Rounds>,
    /// Bases on which a head is being reviewed.
    reviewing: HashSet<String>,
    /// So many were sent back by the check, and so many landed.
    culprits: u64,
    landings: u64,
    /// What is known of a base has moved since the last look.
    doubts: bool,
    /// How many tests were begun.
    begun: u64,
    events: Sender<Event>,
    /// When a person's word was looked for last.
    heeded: Option<Instant>,
    /// How long the forge asked to be left alone in this look.
    spent: Option<Duration>,
    /// Looks that failed: nothing is known of any pull request.
    failed: Option<Retry>,
    /// Whether a look has not failed in this run.
    has_looked: bool,
}

pub(crate) fn run(tool: &Tool, args: Args) -> anyhow::Result<()> {
    let args = Arc::new(args);
    let mut lanes = Lanes::open(tool, &args)?;
    require_usable(tool, &args, &*lanes.forge);
    shell::watch(&tool.pipe)?;
    if args.dry.run {
        let (culprits, landings) = before(&tool.store.list()?);
        lanes.preview_all(rate(culprits, landings));
        return Ok(());
    }
    let (culprits, landings) = before(&close::containers(tool)?);
    checked::drop_old(&tool.repository.state_dir());
    let (sender, events) = mpsc::channel();
    let mut queue = Queue {
        tool,
        args: Arc::clone(&args),
        lanes,
        waiting: Vec::new(),
        rounds: HashMap::new(),
        reviewing: HashSet::new(),
        culprits,
        landings,
        doubts: false,
        begun: 0,
        events: sender.clone(),
        heeded: None,
        spent: None,
        failed: None,
        has_looked: false,
    };
    let phases = Phase::PrCreated..=Phase::PrCreated;
    tool.feed_hands(&args.beads, phases, move |hand| {
        let _ = sender.send(hand.map_or(Event::InputEnds, Event::Come));
    });
    let (mut input, mut looked, mut due) = (true, false, Instant::now());
    loop {
        let left = due.saturating_duration_since(Instant::now());
        let pause = match queue.waiting.is_empty() {
            true => LONG,
            // A check that has ended is an event of its own.
            false => left.min(TICK).min(queue.left()),
        };
        let mut come = false;
        let mut next = events.recv_timeout(pause).ok();
        let latest = Instant::now() + ALL_TOGETHER;
        while let Some(event) = next {
            let mut more = Duration::ZERO;
            match event {
                Event::Come(hand) => {
                    queue.waiting.push(Waiting::new(hand));
                    come = true;
                    if input && args.check.command.is_some() {
                        more = TOGETHER.min(latest.saturating_duration_since(Instant::now()));
                    }
                }
                Event::InputEnds => input = false,
                Event::Tested(key, base, tested) => queue.tested(key, &base, tested),
                Event::Reviewed(reviewed) => {
                    queue.reviewed(reviewed);
                    come = true;
                }
            }
            next = events.recv_timeout(more).ok();
        }
        let mut landed = queue.advance();
        if std::mem::take(&mut queue.doubts) {
            due = Instant::now();
        }
        looked &= !come;
        // A forge is not asked for each bead that arrives.
        if Instant::now() >= due || (!queue.has_pace() && !looked) {
            landed |= queue.look();
            looked = queue.failed.is_none();
            landed |= queue.advance();
            due = Instant::now() + queue.pause(landed);
        }
        if landed && let Err(err) = close::containers(tool) {
            tool.pipe.complain(&format!("{err:#}"));
        }
        // What has landed may have mended what another one waits for.
        looked &= !(landed && queue.waits_for_a_base());
        // One look is not worth the long wait for a forge that takes no more requests.
        let barred = due.saturating_duration_since(Instant::now()) > LONG;
        let over = match args.once {
            true => (looked && !queue.waits_to_be_read() && !queue.waits_for_us()) || barred,
            false => looked && !queue.waits_for_machines(),
        };
        if !input && over {
            break;
        }
    }
    // Those whose answer nobody waits for any more.
    shell::end_all();
    queue.say_what_waits();
    close::containers(tool)?;
    Ok(())
}

/// What runs in a thread of its own comes to an end that is told, even by a mistake of ours.
fn caught<T>(run: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let ended = panic::catch_unwind(AssertUnwindSafe(run));
    ended.unwrap_or_else(|_| Err(anyhow!("pr-merge made a mistake")))
}

/// How many of the last beads that landed were sent back before, and how many there are: what is
/// known of the check before it has run.
fn before(beads: &[Bead]) -> (u64, u64) {
    let mut landed: Vec<&Bead> = beads
        .iter()
        .filter(|bead| bead.phase() == Phase::Merged)
        .collect();
    landed.sort_by_key(|bead| bead.closed_at());
    let last = landed.iter().rev().take(LAST);
    last.fold((0, 0), |(rounds, count), bead| {
        let facts = bead.facts();
        (
            rounds + facts.round.saturating_sub(facts.conflicts),
            count + 1,
        )
    })
}

/// So many landings tell how many are red.
const LAST: usize = 50;

/// Ends the program where its settings do not fit the forge, or would let work land unseen.
fn require_usable(tool: &Tool, args: &Args, forge: &dyn Forge) {
    if !forge.has_checks() && (args.approvals > 0 || !args.require.is_empty()) {
        tool.pipe
            .usage("--require and --approvals need a forge: plain git keeps neither");
    }
    if args.queue && !forge.has_queues() {
        tool.pipe.usage("--queue needs GitHub");
    }
    if args.queue && args.land == Land::Push {
        tool.pipe
            .usage("--queue and --land push exclude each other");
    }
    if !forge.has_checks() && args.check.command.is_none() && !args.no_checks && !args.by_hand {
        tool.pipe.usage(
            "nothing vouches for the work: give --check CMD, or --no-checks to land without",
        );
    }
}

impl Queue<'_> {
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

    /// How long until something is done again where something has moved.
    fn left(&self) -> Duration {
        let left = self.rounds.values().map(Rounds::left);
        left.filter(|left| !left.is_zero()).min().unwrap_or(TICK)
    }

    /// Whether the check or the review of one has not come to an end.
    fn waits_for_us(&self) -> bool {
        let for_us = |one: &Waiting| matches!(one.wait, Some((On::Us, ..)));
        self.waiting.iter().any(for_us)
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
