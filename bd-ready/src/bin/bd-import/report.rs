//! What an import says on stderr: what was left out and why, and the counts at its end.

use std::cell::Cell;
use std::fmt;

use beads::pipe::Pipe;

/// The counts of a run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) created: usize,
    pub(crate) updated: usize,
    pub(crate) unchanged: usize,
    pub(crate) skipped: usize,
    pub(crate) failed: usize,
    pub(crate) unresolved: usize,
}

/// Where everything that is said goes through.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pipe: Option<Pipe>,
    counts: Cell<Counts>,
}

impl Report {
    /// Speaks through the program's streams.
    pub(crate) fn to(pipe: &Pipe) -> Self {
        Self {
            pipe: Some(pipe.clone()),
            counts: Cell::default(),
        }
    }

    /// Says nothing: for what is only looked at.
    pub(crate) fn silent() -> Self {
        Self::default()
    }

    /// Something was left out as it should be.
    pub(crate) fn skip(&self, what: &str, why: &str) {
        self.count(|counts| counts.skipped += 1);
        if let Some(pipe) = &self.pipe {
            pipe.say(what, &format!("skipped: {why}"));
        }
    }

    /// Something was left out that should be there.
    pub(crate) fn fail(&self, what: &str, why: &str) {
        self.count(|counts| counts.failed += 1);
        if let Some(pipe) = &self.pipe {
            pipe.complain(&format!("{what}: {why}"));
        }
    }

    /// A dependency was left out.
    pub(crate) fn unresolved(&self, file: &str, line: usize, why: &str) {
        self.count(|counts| counts.unresolved += 1);
        if let Some(pipe) = &self.pipe {
            pipe.complain(&format!("{file}:{line}: unresolved: {why}"));
        }
    }

    /// Something happened to a bead.
    pub(crate) fn say(&self, id: &str, what: &str) {
        if let Some(pipe) = &self.pipe {
            pipe.say(id, what);
        }
    }

    pub(crate) fn count(&self, change: impl FnOnce(&mut Counts)) {
        let mut counts = self.counts.get();
        change(&mut counts);
        self.counts.set(counts);
    }

    /// Says the counts.
    pub(crate) fn end(&self) {
        if let Some(pipe) = &self.pipe {
            pipe.remark(&self.counts.get().to_string());
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            created,
            updated,
            unchanged,
            skipped,
            failed,
            unresolved,
        } = self;
        write!(
            f,
            "{created} created, {updated} updated, {unchanged} unchanged, {skipped} skipped, \
             {failed} failed, {unresolved} dependencies unresolved"
        )
    }
}
