//! Where the checks of open pull requests stand, as their forge says.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use beads::{Bead, Phase, Tool};
use forge::{Check, Forge, Pull, Seen, Spent, Stand, Wanted};
use git::{Look, Sha};

use crate::board::{Board, Row};

/// Between two looks at the forge, however often the board is drawn.
const PACE: Duration = Duration::from_secs(5);

/// No pause after looks that failed is longer, unless the forge itself asks for that.
const LONGEST: Duration = Duration::from_mins(1);

/// The word for checks that were not read.
const UNKNOWN: &str = "unknown";

/// What the forge said last, and when it is asked again.
#[derive(Default)]
pub(crate) struct Checks {
    forge: Option<Box<dyn Forge>>,
    due: Option<Instant>,
    /// Looks in a row in which something was not read.
    failed: u32,
    unread: Option<String>,
    /// By number, one word for each that was looked at.
    words: HashMap<u64, String>,
}

impl Checks {
    /// Adds what the forge says to the rows that have an open pull request: one look for all, at the
    /// forge's own pace. That it says nothing is told on the board.
    pub(crate) fn add(&mut self, tool: &Tool, flags: &forge::Flags, board: &mut Board) {
        let is_open = |row: &&mut Row| row.bead.phase() == Phase::PrCreated;
        let wanted: Vec<Wanted> = board
            .rows
            .iter_mut()
            .filter(is_open)
            .filter_map(|row| wanted(&row.bead))
            .collect();
        if wanted.is_empty() {
            return;
        }
        if self.due.is_none_or(|due| Instant::now() >= due) {
            let looked = self.look(tool, flags, &wanted);
            self.note(&wanted, looked);
        }
        for row in board.rows.iter_mut().filter(is_open) {
            let word = self.words.get(&row.bead.facts().pr_number);
            row.checks = word.cloned().unwrap_or_default();
        }
        board.unread.clone_from(&self.unread);
    }

    fn look(
        &mut self,
        tool: &Tool,
        flags: &forge::Flags,
        wanted: &[Wanted],
    ) -> anyhow::Result<Vec<Seen>> {
        let forge = if let Some(forge) = &self.forge {
            forge
        } else {
            let look = Look::open(&tool.repository)?;
            self.forge.insert(flags.open(&tool.repository, &look)?)
        };
        forge.pulls(wanted)
    }

    /// Keeps what a look came to, and how long that has to do.
    fn note(&mut self, wanted: &[Wanted], looked: anyhow::Result<Vec<Seen>>) {
        let asked = looked.as_ref().err().and_then(|err| err.downcast_ref());
        let asked = asked.map_or(Duration::ZERO, |spent: &Spent| spent.wait);
        let polite = self.forge.as_ref().map(|forge| forge.pause());
        let (words, unread): (Vec<String>, _) = match looked {
            Ok(seen) => {
                let err = seen.iter().find_map(|one| one.as_ref().err());
                let unread = err.map(|err| format!("{err:#}"));
                (seen.iter().map(words).collect(), unread)
            }
            Err(err) => (
                vec![UNKNOWN.to_owned(); wanted.len()],
                Some(format!("{err:#}")),
            ),
        };
        self.failed = unread.as_ref().map_or(0, |_| self.failed + 1);
        self.unread = unread;
        let pause = (PACE * 2_u32.pow(self.failed.min(8))).min(LONGEST);
        self.due = Some(Instant::now() + pause.max(asked).max(polite.unwrap_or_default()));
        self.words = wanted.iter().map(|one| one.number).zip(words).collect();
    }
}

fn wanted(bead: &Bead) -> Option<Wanted> {
    let facts = bead.facts();
    Some(Wanted {
        number: facts.pr_number,
        branch: facts.branch.clone(),
        base: facts.base.clone(),
        head: Sha::from_hex(facts.pushed.as_bytes()).ok()?,
    })
}

/// One word, and which checks it is about; empty where the forge keeps none.
fn words(seen: &Seen) -> String {
    let report = match seen {
        Ok(Some(Pull {
            report: Some(report),
            ..
        })) => report,
        Ok(_) => return String::new(),
        Err(_) => return UNKNOWN.to_owned(),
    };
    let Ok(checks) = &report.checks else {
        return UNKNOWN.to_owned();
    };
    let names = |stand: Stand| -> Vec<&str> {
        let these = checks.iter().filter(|check: &&Check| check.stand == stand);
        these.map(|check| check.name.as_str()).collect()
    };
    for (stand, word) in [(Stand::Failed, "red"), (Stand::Pending, "pending")] {
        let names = names(stand);
        if !names.is_empty() {
            return format!("{word}: {}", names.join(", "));
        }
    }
    match names(Stand::Passed).is_empty() {
        true => "none".to_owned(),
        false => "green".to_owned(),
    }
}
