//! Beads that Beads does not show: gone, or away for a moment.
//!
//! A file that is being saved, or a server that has just begun, shows none for a while. That is
//! nobody's word: an agent must not be ended for it. What a list does not show is asked for by
//! name, and counts as gone only when it has been away for long enough.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::record::bead::Bead;
use crate::record::facts::Status;
use crate::store::Reach;
use crate::time::now;
use crate::tool::Tool;

/// What has been away for so long is gone. A person is promised to be heard within 30 s, of which
/// two looks of 10 s each may pass before.
const GONE: Duration = Duration::from_secs(5);

/// What nobody has looked for since may have been back meanwhile.
const STALE: Duration = Duration::from_secs(20);

/// Since when beads have been away, and when they were looked for last.
#[derive(Debug, Default)]
pub(crate) struct Away {
    since: Mutex<HashMap<String, (Instant, Instant)>>,
    /// The beads that the last list showed and whose absence would mean something.
    shown: Mutex<HashSet<String>>,
}

impl Away {
    /// Notes what a look for a bead by its name has found, and returns how long it has been away.
    fn note(&self, id: &str, is_there: bool, now: Instant) -> Duration {
        let mut away = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        if is_there {
            away.remove(id);
            return Duration::ZERO;
        }
        let (since, last) = away.entry(id.to_owned()).or_insert((now, now));
        if now.saturating_duration_since(*last) > STALE {
            *since = now;
        }
        *last = now;
        now.saturating_duration_since(*since)
    }

    /// Forgets those that are shown: should they be away again, that begins anew.
    fn end(&self, shown: &[Bead]) {
        let mut away = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        for bead in shown {
            if away.is_empty() {
                return;
            }
            if claim_fault(bead).is_none() {
                away.remove(bead.id());
            }
        }
    }

    fn shown(&self) -> MutexGuard<'_, HashSet<String>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether it says something that a bead is not there: what is not done yet blocks others, keeps
/// its parent open and a line going, and what has run today counts for a budget.
fn is_missed(bead: &Bead) -> bool {
    bead.status() != Status::Closed || bead.facts().usage.runs.iter().any(|run| run.counts(now()))
}

/// What cannot be read of who has a bead: nobody's word, as if it was not shown.
fn claim_fault(bead: &Bead) -> Option<&str> {
    let of_a_claim = |fault: &&str| fault.contains("`status`: ") || fault.contains("`assignee`: ");
    bead.fault().filter(of_a_claim)
}

impl Tool {
    /// Every bead that one list shows: none of these is away any more.
    ///
    /// # Errors
    /// When Beads cannot be read.
    pub fn list(&self) -> anyhow::Result<Arc<Vec<Bead>>> {
        let beads = self.store.list()?;
        self.away.end(&beads);
        Ok(beads)
    }

    /// Every bead; waits for those that were shown before and may be away for a moment only.
    ///
    /// # Errors
    /// When Beads cannot be read.
    pub fn all(&self) -> anyhow::Result<Arc<Vec<Bead>>> {
        loop {
            let beads = self.list()?;
            if self.is_whole(&beads)? {
                return Ok(beads);
            }
            thread::sleep(self.pause());
        }
    }

    /// Whether a list shows what the one before it did, but for beads that are gone.
    fn is_whole(&self, beads: &[Bead]) -> anyhow::Result<bool> {
        let ids: HashSet<&str> = beads.iter().map(Bead::id).collect();
        let before = self.away.shown().clone();
        let lacks: Vec<&String> = before
            .iter()
            .filter(|id| !ids.contains(id.as_str()))
            .collect();
        let now = Instant::now();
        // All are noted at once, so that they are waited for together.
        let away = lacks.iter().map(|id| self.away.note(id, false, now));
        if away.min().is_some_and(|away| away < GONE) {
            return Ok(false);
        }
        for id in lacks {
            if !self.is_gone(id)? {
                return Ok(false);
            }
        }
        let missed = beads.iter().filter(|bead| is_missed(bead));
        *self.away.shown() = missed.map(|bead| bead.id().to_owned()).collect();
        Ok(true)
    }

    /// Between two looks for what is away.
    fn pause(&self) -> Duration {
        match self.store.reach() {
            Reach::File => GONE / 50,
            // Each look at a database is a call.
            Reach::Machine | Reach::Server => GONE / 5,
        }
    }

    /// The bead with this id; waits for one that may be away for a moment only, or whose claim cannot
    /// be read. `None`: it is gone.
    ///
    /// # Errors
    /// When Beads, or the bead's claim, cannot be read.
    pub fn seek(&self, id: &str) -> anyhow::Result<Option<Bead>> {
        loop {
            let found = self.store.show(id)?;
            let odd = found.as_ref().and_then(claim_fault);
            let is_there = found.is_some() && odd.is_none();
            let away = self.away.note(id, is_there, Instant::now());
            match odd {
                None if is_there || away >= GONE => return Ok(found),
                Some(fault) if away >= GONE => bail!("{fault}"),
                _ => thread::sleep(self.pause()),
            }
        }
    }

    /// Whether a claim is lost, its bead being another's or gone, asked for by name. Does not
    /// wait: of a bead that is away this is `false` until it has been looked for in vain for long
    /// enough.
    ///
    /// # Errors
    /// When Beads cannot be read.
    pub fn has_lost(&self, id: &str, token: &str) -> anyhow::Result<bool> {
        let found = self.store.show(id)?;
        let away = self.away.note(id, found.is_some(), Instant::now());
        Ok(match found {
            Some(bead) if claim_fault(&bead).is_some() => false,
            Some(bead) => !bead.under_way() || bead.assignee() != token,
            None => away >= GONE,
        })
    }

    /// Whether a bead that a list did not show is gone, asked for by name. Does not wait, as
    /// [`Tool::has_lost`].
    ///
    /// # Errors
    /// When Beads cannot be read.
    pub fn is_gone(&self, id: &str) -> anyhow::Result<bool> {
        let found = self.store.show(id)?;
        Ok(self.away.note(id, found.is_some(), Instant::now()) >= GONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn away_counts_from_the_first_look_in_vain_and_ends_when_it_is_seen() {
        let (away, start) = (Away::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(away.note("t-1", false, start), Duration::ZERO);
        assert_eq!(away.note("t-1", false, after(4)), Duration::from_secs(4));
        assert_eq!(away.note("t-2", false, after(5)), Duration::ZERO);
        assert_eq!(away.note("t-1", true, after(6)), Duration::ZERO);
        assert_eq!(away.note("t-1", false, after(7)), Duration::ZERO);
        // Nobody looked: it may have been back.
        assert_eq!(away.note("t-1", false, after(60)), Duration::ZERO);
    }
}
