//! A bead in hand: locked for this program, read anew, and written only while it is still ours.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::clone::lock::{self, Lock};
use crate::clone::state::BeadDir;
use crate::record::bead::Bead;
use crate::record::change::{Change, Guard};
use crate::record::facts::{Phase, Status};
use crate::store::Reach;
use crate::time::now;
use crate::tool::Tool;
use crate::tool::flags::Ids;
use crate::tool::lease::Lease;

/// A bead that this program acts on. Dropping it lets go of it.
pub struct Hand {
    tool: Tool,
    piped: Bead,
    bead: Bead,
    /// When it was read last.
    read_at: Instant,
    lock: Lock,
    /// Kept alive as long as the bead is in hand.
    lease: Option<Lease>,
}

/// Where a look is a call, a bead that was read so short a time ago is not read anew.
const FRESH: Duration = Duration::from_secs(1);

/// What became of a bead that a program wanted in hand.
#[expect(clippy::large_enum_variant, reason = "short-lived, one at a time")]
pub enum Taken {
    /// It is ours to act on.
    Hand(Hand),
    /// Another program has brought it further meanwhile: it passes through.
    Past(Bead),
    /// It is not ours: said on stderr, and nothing to print.
    Left,
}

impl Tool {
    /// Takes a bead in hand if its phase is one of `phases`; a later one passes.
    ///
    /// # Errors
    /// When its phase is an earlier one, or a lock or Beads fails.
    pub fn take(&self, piped: Bead, phases: RangeInclusive<Phase>) -> anyhow::Result<Taken> {
        let Some(hand) = self.lock(piped)? else {
            return Ok(Taken::Left);
        };
        let bead = &hand.bead;
        if bead.phase() > *phases.end() {
            return Ok(Taken::Past(hand.done()?));
        }
        if let Some(why) = self.foreign(bead) {
            self.pipe.say(bead.id(), &why);
            return Ok(Taken::Left);
        }
        if bead.phase() < *phases.start() {
            bail!("{}", missing(bead.phase()));
        }
        Ok(Taken::Hand(hand))
    }

    /// Hands on the beads that this program acts on, taken in hand as they arrive, and then the end:
    /// a bead that waits inside a program is held by it. Later phases pass; the rest is said.
    pub fn feed_hands(
        &self,
        beads: &Ids,
        phases: RangeInclusive<Phase>,
        mut hand_on: impl FnMut(Option<Hand>) + Send + 'static,
    ) {
        let tool = self.clone();
        self.feed(beads, move |bead| {
            let Some(bead) = bead else {
                return hand_on(None);
            };
            if bead.phase() > *phases.end() {
                return tool.pipe.emit(&bead);
            }
            let id = bead.id().to_owned();
            match tool.take(bead, phases.clone()) {
                Ok(Taken::Hand(hand)) => hand_on(Some(hand)),
                Ok(Taken::Past(bead)) => tool.pipe.emit(&bead),
                Ok(Taken::Left) => {}
                Err(err) => tool.pipe.fail(&id, &err),
            }
        });
    }

    /// A dry run: shows each bead to `step`, but for those past phase `last`, which pass.
    pub fn preview(
        &self,
        beads: &Ids,
        last: Phase,
        mut step: impl FnMut(&Bead) -> anyhow::Result<()>,
    ) {
        for bead in self.beads(beads) {
            if bead.phase() > last {
                self.pipe.emit(&bead);
            } else if let Err(err) = step(&bead) {
                self.pipe.fail(bead.id(), &err);
            }
        }
    }

    /// Whether a dry run would take the bead in hand, as [`Tool::take`] does. Looks at the bead as
    /// it was piped, which may be as an earlier dry run left it, and locks nothing.
    ///
    /// # Errors
    /// When its phase is an earlier one.
    pub fn would_take(&self, piped: &Bead, phases: &RangeInclusive<Phase>) -> anyhow::Result<bool> {
        // A clone gets its name with its first claim, so a dry run may have left the host out.
        let previewed = piped.under_way() && piped.facts().host.is_empty();
        if let Some(why) = self.foreign(piped).filter(|_| !previewed) {
            self.pipe.say(piped.id(), &why);
            return Ok(false);
        }
        if piped.phase() < *phases.start() {
            bail!("{}", missing(piped.phase()));
        }
        Ok(true)
    }

    /// Locks a bead and reads it anew, whatever its state. `None`, and said: another program has
    /// it, or it is gone.
    ///
    /// # Errors
    /// When the lock or Beads fails.
    pub fn lock(&self, piped: Bead) -> anyhow::Result<Option<Hand>> {
        let folder = self.repository.folder(piped.id());
        let lock = lock::try_take(&folder.stage_lock())
            .with_context(|| format!("cannot lock '{}'", folder.stage_lock().display()))?;
        let Some(lock) = lock else {
            self.pipe
                .say(piped.id(), "left to another program that has it in hand");
            return Ok(None);
        };
        let Some(bead) = self.seek(piped.id())? else {
            self.pipe
                .say(piped.id(), "left: there is no such bead any more");
            return Ok(None);
        };
        let ours = bead.under_way() && self.repository.owns(&bead.facts().host);
        let lease = ours.then(|| self.leases.hold(&bead)).flatten();
        Ok(Some(Hand {
            tool: self.clone(),
            piped,
            bead,
            read_at: Instant::now(),
            lock,
            lease,
        }))
    }

    /// Why a bead is not this clone's to act on.
    #[must_use]
    pub fn foreign(&self, bead: &Bead) -> Option<String> {
        if bead.under_way() {
            let host = &bead.facts().host;
            return (!self.repository.owns(host))
                .then(|| format!("left: it belongs to the clone '{host}'"));
        }
        if bead.is_open(now()) {
            return None;
        }
        Some(match (bead.status(), bead.assignee()) {
            (Status::Closed, _) => "left: it is closed".to_owned(),
            (Status::Blocked, _) => "left: it is blocked".to_owned(),
            (Status::InProgress, who) => format!("left: it was taken by '{who}'"),
            (_, _) => "left: it is set aside".to_owned(),
        })
    }
}

impl Hand {
    /// The bead as it was read last.
    #[must_use]
    pub fn bead(&self) -> &Bead {
        &self.bead
    }

    /// The folder of its locks and logs.
    #[must_use]
    pub fn folder(&self) -> BeadDir {
        self.tool.repository.folder(self.bead.id())
    }

    /// Its stage lock.
    #[must_use]
    pub fn lock(&self) -> &Lock {
        &self.lock
    }

    /// Reads the bead anew, right before an effect that others see. `false`, and said: a person or
    /// another line has taken it away.
    ///
    /// # Errors
    /// When Beads cannot be read.
    pub fn still_ours(&mut self) -> anyhow::Result<bool> {
        let is_call = self.tool.store.reach() != Reach::File;
        if is_call && self.read_at.elapsed() < FRESH {
            return Ok(true);
        }
        let id = self.bead.id().to_owned();
        let Some(bead) = self.tool.seek(&id)? else {
            self.tool
                .pipe
                .say(&id, "left: there is no such bead any more");
            return Ok(false);
        };
        if Guard::as_read(&bead) != Guard::as_read(&self.bead) {
            let why = match bead.under_way() {
                true => "left: another claim has it".to_owned(),
                false => self
                    .tool
                    .foreign(&bead)
                    .unwrap_or_else(|| "left: it was given back".to_owned()),
            };
            self.tool.pipe.say(&id, &why);
            return Ok(false);
        }
        self.bead = bead;
        self.read_at = Instant::now();
        Ok(true)
    }

    /// Writes, if the bead is still ours. `false`, and said: it is not, and nothing was written.
    ///
    /// # Errors
    /// When Beads cannot be written.
    pub fn record(&mut self, change: &Change) -> anyhow::Result<bool> {
        let guard = Guard::as_read(&self.bead);
        let (tool, id) = (&self.tool, self.bead.id());
        let write = || tool.store.record(id, &guard, change, Some(&self.lock));
        let mut written = write()?;
        // Was it away for a moment only?
        if written.is_none() && tool.seek(id)?.is_some_and(|bead| guard.holds(&bead)) {
            written = write()?;
        }
        self.wrote(written)
    }

    /// Claims the bead exactly as it was read. `false`, and said: another one was faster.
    ///
    /// # Errors
    /// When Beads cannot be written.
    pub fn claim(&mut self, host: &str, change: Change) -> anyhow::Result<bool> {
        let store = &self.tool.store;
        let written = store.claim(&self.bead, host, change, Some(&self.lock))?;
        let ours = self.wrote(written)?;
        if ours {
            self.lease = self.tool.leases.hold(&self.bead);
        }
        Ok(ours)
    }

    /// Says that something happened to the bead.
    pub fn say(&self, what: &str) {
        self.tool.pipe.say(self.bead.id(), what);
    }

    /// Makes the write that sends the bead back, and says so; it may be that which gives a bead that
    /// was sent back too often to a person.
    ///
    /// # Errors
    /// When Beads cannot be written.
    pub fn send_back(&mut self, change: &Change, what: &str) -> anyhow::Result<()> {
        let end = match change.status {
            Some(Status::Blocked) => ", too often: a person has to look at it",
            _ => "",
        };
        if self.record(change)? {
            self.say(&format!("{what}{end}"));
        }
        Ok(())
    }

    /// Gives the bead to a person, and says so.
    ///
    /// # Errors
    /// When Beads cannot be written.
    pub fn give_to_person(&mut self, why: &str) -> anyhow::Result<()> {
        if self.record(&Change::to_person(self.bead.id(), why))? {
            self.say(&format!("blocked, a person has to look at it: {why}"));
        }
        Ok(())
    }

    /// Leaves the bead for the next run of the line, with what went wrong.
    pub fn fail(self, err: &anyhow::Error) {
        self.fail_with(err, Change::default());
    }

    /// Leaves the bead to whoever claims it next, with what went wrong: nothing came of its claim.
    pub fn give_back(self, err: &anyhow::Error) {
        self.fail_with(err, Change::default().status(Status::Open).assignee(""));
    }

    fn fail_with(mut self, err: &anyhow::Error, change: Change) {
        self.tool.pipe.fail(self.bead.id(), err);
        if !self.bead.under_way() {
            return;
        }
        let change = change.error(&format!("{err:#}"), now());
        if let Err(err) = self.record(&change) {
            self.tool.pipe.fail(self.bead.id(), &err);
        }
    }

    /// Lets go of the bead and returns it as it is to be printed. In this order: the next program
    /// takes it in hand as soon as it reads it.
    ///
    /// # Errors
    /// Never for beads that were parsed.
    pub fn done(self) -> anyhow::Result<Bead> {
        let Self {
            piped,
            bead,
            lock,
            lease,
            ..
        } = self;
        drop((lease, lock));
        piped.refreshed(&bead)
    }

    /// Lets go of a bead that is done for good, and removes its lock files.
    ///
    /// # Errors
    /// Never for beads that were parsed.
    pub fn forget(self) -> anyhow::Result<Bead> {
        let folder = self.folder();
        let Self {
            piped, bead, lock, ..
        } = self;
        if let Ok(Some(hold)) = lock::try_take(&folder.hold_lock()) {
            hold.remove();
        }
        lock.remove();
        // Goes only if there are no logs.
        let _ = std::fs::remove_dir(folder.path());
        piped.refreshed(&bead)
    }

    fn wrote(&mut self, written: Option<Bead>) -> anyhow::Result<bool> {
        if let Some(written) = written {
            // A write may answer without the edges.
            self.bead = self.bead.refreshed(&written)?;
            self.read_at = Instant::now();
            return Ok(true);
        }
        self.tool.pipe.say(
            self.bead.id(),
            "left: somebody else has taken or changed it",
        );
        Ok(false)
    }
}

/// Which program has to run before a bead in this phase can go on.
#[must_use]
pub fn missing(phase: Phase) -> String {
    let (state, program) = match phase {
        Phase::None => ("has no worktree yet", "wt-spawn"),
        Phase::Spawned | Phase::Working => ("has no finished work yet", "agent-run"),
        Phase::Committed => ("has no pull request yet", "pr-open"),
        Phase::PrCreated | Phase::Merged => ("is not merged yet", "pr-merge"),
    };
    format!("{state}: run {program} first")
}
