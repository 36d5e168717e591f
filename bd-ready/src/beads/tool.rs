//! What every program has: its streams, the clone it works in, and Beads.

mod away;
pub(crate) mod breaker;
pub(crate) mod flags;
pub(crate) mod hand;
mod lease;
pub mod pipe;
pub mod watch;

use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use jiff::Timestamp;

use crate::clone::repository::Repository;
use crate::record::bead::Bead;
use crate::store::{self, Reach, Store};
use crate::tool::away::Away;
use crate::tool::flags::{Common, Ids, LostAfter};
use crate::tool::lease::Leases;
use crate::tool::pipe::Pipe;

/// A program at work. Cheap to clone: threads share it.
#[derive(Clone)]
pub struct Tool {
    /// The streams.
    pub pipe: Pipe,
    /// The clone.
    pub repository: Repository,
    /// Beads.
    pub store: Arc<dyn Store>,
    /// The leases of the beads in hand.
    pub(crate) leases: Arc<Leases>,
    /// The beads that were looked for in vain.
    pub(crate) away: Arc<Away>,
    /// When the program started.
    pub start: SystemTime,
    clock: Arc<Clock>,
}

impl Tool {
    /// Opens the clone and its Beads.
    ///
    /// # Errors
    /// When there is no repository, or no Beads in it.
    pub fn open(name: &'static str, common: &Common) -> anyhow::Result<Self> {
        let start = SystemTime::now();
        let pipe = Pipe::new(name, common.quiet);
        let repository = Repository::discover(&common.dir)?;
        let store: Arc<dyn Store> = store::open(&repository)?.into();
        Ok(Self {
            pipe,
            repository,
            leases: Arc::new(Leases::new(&store)),
            away: Arc::default(),
            store,
            start,
            clock: Arc::default(),
        })
    }

    /// The program of a `main`: opens, runs, and turns an error into one line and exit 1.
    pub fn run(
        name: &'static str,
        common: &Common,
        work: impl FnOnce(&Self) -> anyhow::Result<()>,
    ) -> std::process::ExitCode {
        match Self::open(name, common) {
            Ok(tool) => {
                if let Err(err) = work(&tool) {
                    tool.pipe.complain(&format!("{err:#}"));
                }
                tool.pipe.exit()
            }
            Err(err) => {
                Pipe::new(name, common.quiet).complain(&format!("{err:#}"));
                1.into()
            }
        }
    }

    /// These beads, or those on stdin when none is named; then the end. Reading goes
    /// on in the background, whatever happens to those handed on.
    #[must_use]
    pub fn beads(&self, beads: &Ids) -> Receiver<Bead> {
        let (sender, receiver) = mpsc::channel();
        self.feed(beads, move |bead| {
            if let Some(bead) = bead {
                let _ = sender.send(bead);
            }
        });
        receiver
    }

    /// As [`Tool::beads`], for a program with other events of its own: `None` is the end.
    pub fn feed(&self, beads: &Ids, mut hand_on: impl FnMut(Option<Bead>) + Send + 'static) {
        if beads.ids.is_empty() {
            self.pipe.read(hand_on);
            return;
        }
        let (tool, ids) = (self.clone(), beads.ids.clone());
        thread::spawn(move || {
            for id in ids {
                match tool.find(&id) {
                    Ok(bead) => hand_on(Some(bead)),
                    Err(err) => tool.pipe.fail(&id, &err),
                }
            }
            hand_on(None);
        });
    }

    /// Whether a bead is under way in another clone that has not renewed its claim for so long
    /// that it is up to any. Only a server knows: elsewhere the other clone's word is not seen.
    /// It is the server's clock that tells, or one machine whose clock is ahead would take the
    /// beads of all others.
    #[must_use]
    pub fn lost(&self, bead: &Bead, LostAfter { lost_after }: LostAfter) -> bool {
        let elsewhere = bead.under_way() && !self.repository.owns(&bead.facts().host);
        if !elsewhere || self.store.reach() != Reach::Server {
            return false;
        }
        let end = bead.lease_expires_at().or(bead.updated_at());
        let ago = |end| Duration::try_from(self.clock.now(self)?.duration_since(end)).ok();
        end.and_then(ago).is_some_and(|ago| ago > lost_after)
    }

    /// The bead with this id.
    ///
    /// # Errors
    /// When there is none, or Beads cannot be read.
    pub fn find(&self, id: &str) -> anyhow::Result<Bead> {
        self.store.show(id)?.context("no such bead")
    }
}

/// The server's clock, which is read rarely and counted on from there, whatever our own says.
#[derive(Default)]
struct Clock(Mutex<Option<(Instant, Option<Timestamp>)>>);

/// How long the server's clock is counted on, and how long one that cannot be read is left alone.
const COUNTED_ON: Duration = Duration::from_mins(1);

impl Clock {
    /// The server's time; `None`, and said: it cannot be read.
    fn now(&self, tool: &Tool) -> Option<Timestamp> {
        let mut read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = read.filter(|(since, _)| since.elapsed() < COUNTED_ON);
        let (since, at) = recent.unwrap_or_else(|| {
            let at = tool.store.clock().map_err(|err| {
                let why = "cannot read the clock of Beads, so no bead counts as lost";
                tool.pipe.remark(&format!("{why}: {err:#}"));
            });
            (Instant::now(), at.ok())
        });
        *read = Some((since, at));
        at?.checked_add(since.elapsed()).ok()
    }
}
