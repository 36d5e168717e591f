//! One pull request in hand: what it waits for, and what Beads is told when that is over.

use std::time::{Duration, Instant};

use anyhow::ensure;
use beads::time::now;
use beads::{Change, Fact, Hand, Phase, Status, Tool};
use forge::Pull;
use git::Sha;
use jiff::Timestamp;

use crate::Args;
use crate::gate::verdict::{On, Verdict};
use crate::retry::Retry;

/// Who was left out of so many groups goes first, whatever its priority.
const PATIENCE: u32 = 8;

/// A pull request in hand.
pub(crate) struct Waiting {
    pub(crate) hand: Hand,
    /// Whom it waits for, why, and since when that has been so; `None`: not looked at yet.
    pub(crate) wait: Option<(On, String, Instant)>,
    /// What machine it waited for last, and since when.
    machines: Option<(String, Instant)>,
    /// It alone could not be read, so often.
    pub(crate) unread: Option<Retry>,
    /// What the forge said of it, if nothing but our check keeps it from landing.
    pub(crate) ready: Option<Pull>,
    /// What our check has come to on this tip, where that is no end.
    pub(crate) stands: Option<(Sha, Verdict)>,
    /// So many groups have landed while it was in none.
    pub(crate) passed: u32,
}

impl Waiting {
    pub(crate) fn new(hand: Hand) -> Self {
        Self {
            hand,
            wait: None,
            machines: None,
            unread: None,
            ready: None,
            stands: None,
            passed: 0,
        }
    }

    /// Its place among those that wait for the same base, but who was passed too often goes first.
    pub(crate) fn place(&self) -> (bool, (i64, Option<Timestamp>)) {
        (self.passed < PATIENCE, self.hand.bead().place())
    }

    /// Whether it is to be looked at.
    pub(crate) fn is_due(&self) -> bool {
        self.unread.is_none_or(|unread| unread.left().is_zero())
    }

    pub(crate) fn waits_for_people(&self) -> bool {
        self.wait
            .as_ref()
            .is_some_and(|(on, ..)| on.is_for_people())
    }

    /// Stores a wait for a person at the first look of this run, and that it is over. `None`: it is
    /// in hand no more, and that is said.
    pub(crate) fn keep(
        mut self,
        tool: &Tool,
        longest: Duration,
        on: On,
        why: String,
    ) -> Option<Self> {
        let since = match &self.wait {
            Some((_, before, since)) if *before == why => *since,
            _ => Instant::now(),
        };
        // What we do between two of its waits for a machine is no end of these.
        let machines = self
            .machines
            .take()
            .filter(|(before, _)| on == On::Us || *before == why);
        let since = match (&machines, on) {
            (Some((_, since)), On::Machine) => *since,
            _ => since,
        };
        self.machines = match on {
            On::Machine => Some((why.clone(), since)),
            On::Us => machines,
            On::Base | On::Person => None,
        };
        let reason = why.clone();
        let (on, why) = match on {
            On::Machine if since.elapsed() >= longest => {
                (On::Person, format!("nothing changed for long: {why}"))
            }
            _ => (on, why),
        };
        let stored = &self.hand.bead().facts().waits;
        let first = !self.waits_for_people();
        let change = match on {
            On::Person | On::Base if first || *stored != why => {
                Some(Change::default().waits(&why, now()))
            }
            On::Machine | On::Us if !stored.is_empty() => Some(Change::default().waits_no_more()),
            _ => None,
        };
        if let Some(change) = change {
            match self.hand.record(&change) {
                Ok(true) => {}
                Ok(false) => return None,
                Err(err) => {
                    self.hand.fail(&err);
                    return None;
                }
            }
            let what = match on {
                On::Person => Some("waits for a person"),
                On::Base => Some("waits"),
                On::Machine | On::Us => None,
            };
            if let Some(what) = what {
                tool.pipe
                    .say(self.hand.bead().id(), &format!("{what}: {why}"));
            }
        }
        if on == On::Machine && !matches!(self.wait, Some((On::Machine, ..))) {
            tool.pipe
                .say(self.hand.bead().id(), &format!("waits: {why}"));
        }
        // What we have to do for it may fail as often as it is ready.
        if on != On::Us {
            self.unread = None;
        }
        self.wait = Some((on, reason, since));
        Some(self)
    }
}

/// Writes a verdict that ends the wait. `false`: there is nothing to print.
pub(crate) fn write(args: &Args, hand: &mut Hand, verdict: Verdict) -> anyhow::Result<bool> {
    match verdict {
        Verdict::Landed(commit) => {
            let number = hand.bead().facts().pr_number;
            let note = format!("beadline: landed as {commit} by pull request {number}");
            let change = Change::to(Phase::Merged)
                .status(Status::Closed)
                .note(note)
                .facts([Fact::MergedSha(commit.to_string())]);
            if !hand.record(&change)? {
                return Ok(false);
            }
            hand.say(&format!("landed as {commit}"));
            Ok(true)
        }
        Verdict::Rework { why, feedback } => {
            let change = Change::rework(hand.bead(), &feedback, args.rounds.max);
            hand.send_back(&change, &format!("sent back: {why}"))?;
            Ok(false)
        }
        Verdict::Conflict { why, feedback } => {
            let change = Change::conflict(hand.bead(), &feedback, args.max_conflicts);
            hand.send_back(&change, &format!("sent back: {why}"))?;
            Ok(false)
        }
        Verdict::Blocked(why) => {
            hand.give_to_person(&why)?;
            Ok(false)
        }
        Verdict::Land(_) | Verdict::Update | Verdict::Wait(..) | Verdict::ChangesWanted(_) => {
            ensure!(false, "a verdict that is no end");
            Ok(false)
        }
    }
}
