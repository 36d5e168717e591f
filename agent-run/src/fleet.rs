//! The beads in hand: which one starts next, which one waits, and whose word has changed.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use agent::Budget;
use beads::time::now;
use beads::{Bead, Breaker, Change, Hand, Phase, Tool};
use git::Identity;
use git::process::Marker;
use git::shell;
use jiff::Timestamp;

use crate::attend::{self, After, Attendant};
use crate::obstacle::Obstacle;
use crate::{Args, choice};

/// Nothing is to be done but to wait for input.
const LONG: Duration = Duration::from_mins(1);

enum Event {
    Input(Option<Hand>),
    After(String, anyhow::Result<After>),
}

struct Claim {
    token: String,
    /// Counts against `max_agents`: an agent that was attached to has its slot already.
    counts: bool,
}

struct Fleet<'a> {
    tool: &'a Tool,
    attendant: Arc<Attendant>,
    max_agents: usize,
    events: Sender<Event>,
    /// In the order they came, each with the time before which it may not start.
    waiting: VecDeque<(Option<Timestamp>, Hand)>,
    /// The claims of the beads whose agents start, work or are judged.
    at_work: HashMap<String, Claim>,
    seen: Option<Arc<Vec<Bead>>>,
    breaker: Breaker<Obstacle>,
    budget: Budget,
    /// Whether it was said that the budget is reached.
    said_reached: bool,
    /// When a person's word was looked for last.
    heeded: Option<Instant>,
}

pub(crate) fn run(tool: &Tool, args: Args) -> anyhow::Result<()> {
    let agent = choice::agent(tool, &args);
    choice::warn(tool, &args, &agent);
    shell::watch(&tool.pipe)?;
    let (sender, events) = mpsc::channel();
    let (beads, dry, max_agents) = (args.beads.clone(), args.dry, args.agents.max);
    let budget = args.budget.clone();
    if !dry.run {
        Identity::default().require(&tool.repository, &args.launch.env)?;
    }
    let attendant = Arc::new(Attendant::new(tool, args, agent)?);
    if dry.run {
        tool.preview(&beads, Phase::Working, |bead| preview(tool, bead));
        return Ok(());
    }
    let input = sender.clone();
    tool.feed_hands(&beads, Phase::Spawned..=Phase::Working, move |hand| {
        let _ = input.send(Event::Input(hand));
    });
    let mut fleet = Fleet {
        tool,
        attendant,
        max_agents,
        events: sender,
        waiting: VecDeque::new(),
        at_work: HashMap::new(),
        seen: None,
        breaker: Breaker::default(),
        budget,
        said_reached: false,
        heeded: None,
    };
    let mut input = true;
    while (input && fleet.breaker.is_open().is_none()) || !fleet.is_empty() {
        match events.recv_timeout(fleet.next()) {
            Ok(Event::Input(Some(hand))) => fleet.accept(hand),
            Ok(Event::Input(None)) => input = false,
            Ok(Event::After(id, after)) => fleet.settle(&id, after),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        fleet.heed_people();
        fleet.start_due();
    }
    Ok(())
}

impl Fleet<'_> {
    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.at_work.is_empty()
    }

    fn has_room(&self) -> bool {
        self.at_work.values().filter(|claim| claim.counts).count() < self.max_agents
    }

    /// How long nothing may be to do.
    fn next(&self) -> Duration {
        if self.is_empty() {
            return LONG;
        }
        let until = |at: &Timestamp| {
            Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default()
        };
        let free = self.has_room() && !self.said_reached;
        let due = self
            .waiting
            .iter()
            .filter_map(|(at, _)| at.as_ref())
            .map(until)
            .min();
        let tick = self.tool.store.reach().tick();
        due.filter(|_| free).unwrap_or(tick).min(tick)
    }

    fn accept(&mut self, hand: Hand) {
        match Attendant::is_to_be_judged(hand.bead()) {
            true => self.send_off(hand, false),
            false => self
                .waiting
                .push_back((hand.bead().facts().rests_until(now()), hand)),
        }
    }

    fn settle(&mut self, id: &str, after: anyhow::Result<After>) {
        self.at_work.remove(id);
        match after {
            Ok(After::Done(bead)) => {
                self.note(None);
                self.tool.pipe.emit(&bead);
            }
            Ok(After::Again(hand, obstacle)) => {
                self.note(obstacle);
                self.waiting
                    .push_back((hand.bead().facts().rests_until(now()), hand));
            }
            Ok(After::Waits(hand)) => self.waiting.push_front((None, hand)),
            Ok(After::Blocked) => self.note(None),
            Ok(After::Left) => {}
            Err(err) => self.tool.pipe.fail(id, &err),
        }
    }

    /// Counts a run that met an obstacle, and says so once when those are too many.
    fn note(&mut self, obstacle: Option<Obstacle>) {
        let was_open = self.breaker.is_open().is_some();
        self.breaker.note(obstacle);
        if let Some(obstacle) = self.breaker.is_open().filter(|_| !was_open) {
            self.attendant.start_no_more();
            self.tool.pipe.stop_reading();
            self.tool.pipe.complain(&format!(
                "no further agent is started: {}, three times in a row",
                obstacle.why()
            ));
        }
    }

    /// Starts what is due while there is room, in the order the beads came.
    fn start_due(&mut self) {
        let stopped = self
            .tool
            .repository
            .state_dir()
            .stopped_since(self.tool.start);
        let why = match self.breaker.is_open() {
            _ if stopped => Some(attend::STOPPED),
            Some(_) => Some(attend::NO_MORE),
            None => None,
        };
        if let Some(why) = why {
            for (_, hand) in self.waiting.drain(..) {
                hand.say(why);
            }
        }
        let mut at = 0;
        while at < self.waiting.len() && self.has_room() {
            let due = self.waiting[at].0.is_none_or(|due| due <= Timestamp::now());
            if due && !self.has_budget() {
                return;
            }
            match due.then(|| self.waiting.remove(at)).flatten() {
                Some((_, hand)) => self.send_off(hand, true),
                None => at += 1,
            }
        }
    }

    /// Whether the budget allows one more start; said once, if it does not.
    fn has_budget(&mut self) -> bool {
        if !self.budget.is_set() {
            return true;
        }
        // Beads out of reach: the start finds that out, and says so.
        let Ok(beads) = self.tool.all() else {
            return true;
        };
        // Those that Beads does not show yet.
        let started = |bead: &&Bead| Attendant::is_to_be_judged(bead);
        let known = beads.iter().filter(started).map(Bead::id);
        let known: HashSet<&str> = known.collect();
        let starting = self
            .at_work
            .keys()
            .filter(|id| !known.contains(id.as_str()));
        let starting = starting.count().try_into().unwrap_or(u64::MAX);
        let standing = self.budget.standing(&beads, starting, now());
        let reached = standing.reached.is_some();
        if let Some((budget, frees_at)) = standing.reached
            && !self.said_reached
        {
            self.tool.pipe.remark(&format!(
                "the budget of {budget} in 24 hours is reached: nothing starts before {frees_at:.0}"
            ));
        }
        self.said_reached = reached;
        !reached
    }

    fn send_off(&mut self, hand: Hand, counts: bool) {
        let id = hand.bead().id().to_owned();
        let token = hand.bead().assignee().to_owned();
        self.at_work.insert(id.clone(), Claim { token, counts });
        let (attendant, events) = (Arc::clone(&self.attendant), self.events.clone());
        thread::spawn(move || {
            let after = attendant.attend(hand);
            let _ = events.send(Event::After(id, after));
        });
    }

    /// Ends the agents, and lets go of the waiting beads, whose claim a person has taken away.
    fn heed_people(&mut self) {
        let tick = self.tool.store.reach().tick();
        if self.is_empty() || self.heeded.is_some_and(|at| at.elapsed() < tick) {
            return;
        }
        self.heeded = Some(Instant::now());
        // Beads out of reach is nobody's word.
        let Ok(beads) = self.tool.list() else {
            return;
        };
        if self
            .seen
            .as_ref()
            .is_some_and(|seen| Arc::ptr_eq(seen, &beads))
        {
            return;
        }
        let ours: HashMap<&str, &str> = beads
            .iter()
            .filter(|bead| bead.under_way())
            .map(|bead| (bead.id(), bead.assignee()))
            .collect();
        // One list is no word on a claim: what it does not show so is asked for by name.
        let (tool, mut doubted) = (self.tool, false);
        let mut lost = |id: &str, token: &str| {
            let doubt = ours.get(id) != Some(&token);
            let lost = doubt && tool.has_lost(id, token).unwrap_or(false);
            doubted |= doubt && !lost;
            lost
        };
        for (id, claim) in &self.at_work {
            if lost(id, &claim.token) {
                // Its attendant sees the end, and says whose the bead is now.
                let marker = Marker::of(&self.tool.repository, id);
                thread::spawn(move || marker.end());
            }
        }
        let waiting = std::mem::take(&mut self.waiting);
        for (due, mut hand) in waiting {
            let (id, token) = (hand.bead().id(), hand.bead().assignee());
            if !lost(id, token) || hand.still_ours().unwrap_or(true) {
                self.waiting.push_back((due, hand));
            }
        }
        self.seen = Some(beads).filter(|_| !doubted);
    }
}

/// What a run would do for a bead.
fn preview(tool: &Tool, bead: &Bead) -> anyhow::Result<()> {
    if tool.would_take(bead, &(Phase::Spawned..=Phase::Working))? {
        tool.pipe.say(bead.id(), "would get an agent");
        let change = Change::to(Phase::Committed);
        tool.pipe.emit(&bead.with(&change, now())?);
    }
    Ok(())
}
