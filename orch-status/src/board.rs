//! What is to be shown: one row a bead, derived from one reading of Beads and the locks.

use std::collections::HashSet;

use agent::{Budget, Standing};
use anyhow::ensure;
use beads::lock::Held;
use beads::time::now;
use beads::{Bead, Graph, Phase, Status, Testing, Tool};
use git::process;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::person::person;
use crate::queue::{Queued, queues};

/// How long a landed bead stays on the board.
const RECENT: SignedDuration = SignedDuration::from_hours(24);

/// All rows, and what is only counted.
pub(crate) struct Board {
    pub(crate) rows: Vec<Row>,
    /// Every closed bead, shown or not.
    pub(crate) closed: usize,
    /// Why the forge did not say where checks stand.
    pub(crate) unread: Option<String>,
    /// What the agents of the last 24 hours have used, if they tell or a budget bounds it.
    pub(crate) used: Option<Standing>,
}

/// One bead.
pub(crate) struct Row {
    pub(crate) bead: Bead,
    pub(crate) state: String,
    pub(crate) agent: Agent,
    /// Since when the bead has been as it is.
    pub(crate) age: Option<SignedDuration>,
    /// What a person has to do.
    pub(crate) person: Option<String>,
    /// Where the pull request's checks stand; empty where nobody asked or there are none.
    pub(crate) checks: String,
    /// Where it stands in the queue of its base; `None`: in none.
    pub(crate) queued: Option<Queued>,
}

/// What is known of a bead's agent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Agent {
    /// There is none to speak of.
    None,
    /// It lives.
    Alive,
    /// It has ended, or it died.
    Ended,
    /// It is another clone's.
    Unknown,
}

impl Agent {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Alive => "alive",
            Self::Ended => "ended",
            Self::Unknown => "unknown",
        }
    }
}

impl Row {
    /// The bead with `agent` and `state` added, and what else is known of it.
    pub(crate) fn json(&self) -> anyhow::Result<String> {
        let mut fields = vec![
            ("agent", json!(self.agent.word())),
            ("state", json!(self.state)),
        ];
        if !self.checks.is_empty() {
            fields.push(("checks", json!(self.checks)));
        }
        if let Some(queued) = &self.queued {
            fields.push(("place", json!(queued.place)));
            let test = queued.test.as_ref();
            fields.extend(test.map(|test| ("testing_with", json!(test.with))));
        }
        self.bead.line_with(&fields)
    }
}

/// Reads it all once.
///
/// # Errors
/// When Beads cannot be read, or the epic is unknown.
pub(crate) fn read(tool: &Tool, epic: Option<&str>, budget: &Budget) -> anyhow::Result<Board> {
    let beads = tool.store.list()?;
    let graph = Graph::of(&beads);
    let below = match epic {
        None => None,
        Some(epic) => {
            ensure!(graph.get(epic).is_some(), "{epic}: no such bead");
            Some(graph.descendants(epic))
        }
    };
    let (held, marked) = (Held::now(), process::marked(&tool.repository));
    let now = now();
    let ready: HashSet<&str> = graph.ready(now).iter().map(|bead| bead.id()).collect();
    let in_scope = |bead: &&Bead| {
        !bead.set_aside()
            && bead.status() != Status::Tombstone
            && !graph.is_container(bead)
            && below.as_ref().is_none_or(|below| below.contains(bead.id()))
    };
    let is_shown = |bead: &&Bead| {
        let recent = bead
            .closed_at()
            .is_some_and(|at| now.duration_since(at).abs() < RECENT);
        bead.status() != Status::Closed || (bead.phase() == Phase::Merged && recent)
    };
    let agent = |bead: &Bead| {
        let lock = tool.repository.folder(bead.id()).hold_lock();
        let alive = held.contains(&lock) || marked.contains(bead.id());
        match (bead.under_way(), tool.repository.owns(&bead.facts().host)) {
            (_, true) if alive => Agent::Alive,
            (true, true) if bead.facts().run > 0 => Agent::Ended,
            (true, false) if bead.phase() == Phase::Working => Agent::Unknown,
            _ => Agent::None,
        }
    };
    let state_dir = tool.repository.state_dir();
    let testing = |host: &str, base: &str| match tool.repository.owns(host) {
        true => Testing::read(&state_dir, base).live(&state_dir, &held),
        // Another clone's tests are not seen from here.
        false => Testing::default(),
    };
    let mut queues = queues(&beads, testing, now);
    let mut rows: Vec<Row> = beads
        .iter()
        .filter(in_scope)
        .filter(is_shown)
        .map(|bead| Row {
            bead: bead.clone(),
            state: state(&graph, bead, ready.contains(&bead.id())),
            agent: agent(bead),
            age: bead
                .updated_at()
                .map(|at: Timestamp| now.duration_since(at)),
            person: person(bead),
            checks: String::new(),
            queued: queues.remove(bead.id()),
        })
        .collect();
    rows.sort_by_key(|row| {
        (
            order(&row.bead),
            row.bead.priority(),
            row.bead.id().to_owned(),
        )
    });
    let closed = beads
        .iter()
        .filter(in_scope)
        .filter(|b| b.status() == Status::Closed)
        .count();
    let used = budget.standing(&beads, 0, now);
    let used = (budget.is_set() || used.tokens > 0).then_some(used);
    Ok(Board {
        rows,
        closed,
        unread: None,
        used,
    })
}

/// Under way first, then what waits, then what is done.
fn order(bead: &Bead) -> u8 {
    match bead.status() {
        Status::InProgress => 0,
        Status::Closed => 3,
        Status::Open => 2,
        _ => 1,
    }
}

/// The phase of a bead under way; of any other why it is not.
fn state(graph: &Graph, bead: &Bead, ready: bool) -> String {
    let phase = match bead.phase() {
        Phase::None => None,
        phase => serde_json::to_value(phase)
            .ok()
            .and_then(|word| Some(word.as_str()?.to_owned())),
    };
    let word = match bead.status() {
        _ if bead.fault().is_some() => "unreadable",
        _ if ready && bead.assignee().is_empty() => "ready",
        _ if ready => "assigned",
        Status::Open if !graph.blockers(bead.id()).is_empty() => "waiting",
        Status::Open | Status::Deferred => "deferred",
        Status::InProgress => "in progress",
        Status::Blocked => "blocked",
        Status::Closed => "closed",
        _ => "set aside",
    };
    phase.unwrap_or_else(|| word.to_owned())
}
