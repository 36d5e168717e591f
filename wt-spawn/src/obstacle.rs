//! What stands in the way of every bead alike: then no further one is claimed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Mutex, PoisonError};

use beads::{Bead, Breaker, Tool};

/// Why a bead got no worktree, through no fault of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Obstacle {
    /// The disk is full.
    Space,
    /// git makes no worktree.
    Worktree,
    /// Its includes or its set-up fail.
    SetUp,
}

/// Why a bead got no worktree, and what of it may stand in the way of others.
pub(crate) struct Failure {
    pub(crate) err: anyhow::Error,
    pub(crate) obstacle: Option<Obstacle>,
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(err: E) -> Self {
        Self {
            err: err.into(),
            obstacle: None,
        }
    }
}

impl Obstacle {
    /// A failure that it is the cause of.
    pub(crate) fn met(self, err: anyhow::Error) -> Failure {
        Failure {
            err,
            obstacle: Some(self),
        }
    }

    /// The reason, for people.
    fn why(self) -> &'static str {
        match self {
            Self::Space => "there is too little space",
            Self::Worktree => "no worktree can be made",
            Self::SetUp => "the set-up fails",
        }
    }
}

/// Takes beads in until something stands in the way of all of them.
pub(crate) struct Intake {
    tool: Tool,
    breaker: Mutex<Breaker<Obstacle>>,
    closed: AtomicBool,
    /// `None` ends one of those who take the beads.
    beads: Sender<Option<Bead>>,
}

impl Intake {
    pub(crate) fn new(tool: &Tool, beads: Sender<Option<Bead>>) -> Self {
        Self {
            tool: tool.clone(),
            breaker: Mutex::default(),
            closed: AtomicBool::new(false),
            beads,
        }
    }

    /// Notes how a bead has fared. What failed by its own fault says nothing about others.
    pub(crate) fn note(&self, fared: Result<(), &Failure>) {
        let met = match fared {
            Ok(()) => None,
            Err(Failure { obstacle: None, .. }) => return,
            Err(Failure { obstacle, .. }) => *obstacle,
        };
        let mut breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        breaker.note(met);
        if let Some(obstacle) = breaker.is_open()
            && self.close()
        {
            self.tool.pipe.complain(&format!(
                "no further bead is claimed: {}, three times in a row",
                obstacle.why()
            ));
        }
    }

    /// The remote was tried often enough: what keeps one bead from it keeps all.
    pub(crate) fn out_of_reach(&self, id: &str, err: &anyhow::Error) {
        match self.close() {
            true => self
                .tool
                .pipe
                .complain(&format!("{id}: {err:#}; no further bead is claimed")),
            false => self.leave(id),
        }
    }

    /// Says that a bead is not claimed.
    pub(crate) fn leave(&self, id: &str) {
        self.tool
            .pipe
            .say(id, "left for the next run: nothing more is claimed");
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Those who wait for beads end, one after the other.
    pub(crate) fn end(&self) {
        let _ = self.beads.send(None);
    }

    /// `false`: it was closed before.
    fn close(&self) -> bool {
        let now = !self.closed.swap(true, Ordering::Relaxed);
        if now {
            self.tool.pipe.stop_reading();
            self.end();
        }
        now
    }
}
