//! `--follow`: prints beads as they become ready, never more than the line can carry, and ends
//! when nothing is left that could become ready without a person.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use beads::lock::Held;
use beads::time::{is_since, now};
use beads::watch::Watch;
use beads::{Bead, Graph, Phase, Reach, Status, Tool};
use jiff::{Timestamp, ToSpan};

use crate::left::say_what_is_left;
use crate::select::{Selection, complain_of_faults};

/// How much may be under way.
pub(crate) struct Limits {
    pub(crate) new: usize,
    pub(crate) agents: usize,
    pub(crate) prs: usize,
    pub(crate) interval: Duration,
    pub(crate) forever: bool,
}

/// A printed bead counts as on its way for so long; one under way that nobody holds is printed
/// again after as long.
const PATIENCE: Duration = Duration::from_mins(1);

/// A bead that comes back is still held by who sent it, for a moment: it is looked at this often
/// for so long.
const BLINK: Duration = Duration::from_millis(20);
const SOON: Duration = Duration::from_secs(1);

/// A look that has failed for so long ends the line.
const LASTS: Duration = Duration::from_secs(10);

/// How often `agent-stop --all` is heeded while nothing else happens.
const HEED: Duration = Duration::from_secs(1);

/// A container that `pr-merge` is about to close keeps the line alive for so long.
const CLOSING: Duration = Duration::from_secs(10);

/// What was printed this often without getting anywhere is left for the next run.
const PRINTS: u32 = 5;

/// A deferral that ends later than this does not keep the line alive.
const HORIZON: i64 = 24;

/// What is known of a bead from earlier looks: in this process only, and not needed by the next.
struct Seen {
    stand: (u64, u64, Phase),
    prints: u32,
    /// Since when it has been on its way to a program, or without one.
    since: Instant,
    /// Since when it has been back and not printed.
    back: Option<Instant>,
}

struct Follow<'a> {
    tool: &'a Tool,
    limits: &'a Limits,
    start: Timestamp,
    seen: HashMap<String, Seen>,
    said: HashSet<String>,
    /// What beads depend on and Beads does not have.
    nowhere: HashSet<String>,
    closing: Option<Instant>,
    new: usize,
    first: bool,
}

/// Runs until nothing is left, or for ever.
///
/// # Errors
/// When Beads cannot be read, or the epic is unknown.
pub(crate) fn follow(tool: &Tool, selection: &Selection, limits: &Limits) -> anyhow::Result<()> {
    let watch = Watch::start(tool);
    let mut follow = Follow {
        tool,
        limits,
        start: Timestamp::try_from(tool.start)?,
        seen: HashMap::new(),
        said: HashSet::new(),
        nowhere: HashSet::new(),
        closing: None,
        new: 0,
        first: true,
    };
    let mut failing: Option<Instant> = None;
    let stopped = || tool.repository.state_dir().stopped_since(tool.start);
    while !stopped() {
        let looked = match follow.look(selection) {
            // Beads that cannot be read, or an epic that is not shown: it may be over in a moment.
            Err(_) if !follow.first && failing.is_none_or(|at| at.elapsed() < LASTS) => {
                failing.get_or_insert_with(Instant::now);
                Some(SOON)
            }
            looked => {
                failing = None;
                looked?
            }
        };
        let Some(wake) = looked.or(limits.forever.then_some(limits.interval)) else {
            return say_what_is_left(tool, selection);
        };
        let cheap = tool.store.reach() == Reach::File;
        let longest = limits.interval;
        let pause = if cheap { wake.min(longest) } else { longest };
        let due = Instant::now() + pause;
        while !stopped() {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() || (watch.wait(left.min(HEED)) && cheap) {
                break;
            }
        }
    }
    tool.pipe.remark("stopped: nothing more is handed out");
    Ok(())
}

impl Follow<'_> {
    /// Prints what is to be printed. `None`: nothing keeps the line alive; else the time until
    /// something may have to be done although Beads did not change.
    fn look(&mut self, selection: &Selection) -> anyhow::Result<Option<Duration>> {
        let beads = self.tool.all()?;
        let graph = Graph::of(&beads);
        let scope = selection.on(&graph)?;
        self.complain(selection, &beads, &graph);
        let held = Held::now();
        let mut wake = None;
        let mut alive =
            |after: Duration| wake = Some(wake.map_or(after, |w: Duration| w.min(after)));
        let (mut agents, mut prs) = (0, 0);
        for bead in beads.iter().filter(|bead| bead.under_way()) {
            let lost = self.tool.lost(bead, selection.lost_after);
            let elsewhere = !lost && !self.tool.repository.owns(&bead.facts().host);
            if elsewhere {
                // Should it lose that clone, it is printed at once.
                self.seen.remove(bead.id());
            }
            if elsewhere && self.tool.store.reach() != Reach::Server {
                let host = &bead.facts().host;
                self.once(
                    bead,
                    &format!("under way in the clone '{host}': left to it"),
                );
                continue;
            }
            // Of a lost bead it was the lost clone's run that gave it up.
            if !lost && self.left(bead) {
                continue;
            }
            let wait = match scope.holds(bead) && scope.resumes(self.tool, bead) {
                true => self.reprint(bead, &held, lost),
                // What another machine lands may make others ready.
                false => (elsewhere && bead.facts().waits.is_empty()).then_some(PATIENCE),
            };
            if let Some(wait) = wait {
                alive(wait);
            } else if !self.is_held(bead, &held) {
                // Nobody will bring it further in this run: it takes up no room.
                continue;
            }
            match bead.phase() {
                Phase::Committed | Phase::PrCreated => prs += 1,
                _ => agents += 1,
            }
        }

        self.wait_for_claims(&beads, &held);
        // Also one that is claimed at this very moment, and so is not ready any more.
        for bead in beads.iter().filter(|bead| bead.status() == Status::Open) {
            if let Some(rest) = self.on_its_way(bead)
                && !self.left(bead)
            {
                agents += 1;
                alive(rest);
            }
        }

        let ready = self.tool.store.ready()?;
        // Two readings: a blocker that one of them did not show blocks.
        let free = |bead: &&Bead| graph.is_work(bead) && graph.blockers(bead.id()).is_empty();
        let ready = ready.iter().filter_map(|id| graph.get(id));
        for bead in ready.filter(|bead| scope.holds(bead)).filter(free) {
            let on_its_way = self.on_its_way(bead).is_some();
            if !selection.phases.is_empty() || on_its_way || self.left(bead) {
                continue;
            }
            let again = self
                .seen
                .get(bead.id())
                .is_some_and(|seen| seen.stand == stand(bead));
            if !again && self.new >= self.limits.new {
                continue;
            }
            if self.may_be_blocked(bead, &graph) {
                alive(SOON);
                continue;
            }
            if agents < self.limits.agents && prs < self.limits.prs {
                if !self.print(bead) {
                    continue;
                }
                self.new += usize::from(!again);
                agents += 1;
            }
            alive(PATIENCE);
        }
        for until in deferrals(&graph, &beads, |bead| scope.holds(bead)) {
            alive(Duration::try_from(until.duration_since(now())).unwrap_or_default());
        }
        if let Some(rest) = self.closing(&graph) {
            alive(rest);
        }
        self.seen.retain(|id, _| graph.get(id).is_some());
        // What is ready was read a moment after the rest.
        if wake.is_none() && !self.limits.forever {
            let still = self.tool.all()?;
            let same = beads
                .iter()
                .map(Bead::line)
                .eq(still.iter().map(Bead::line));
            wake = (!same).then_some(Duration::ZERO);
        }
        self.first = false;
        Ok(wake)
    }

    /// Names the beads that cannot be worked on, of those that are asked for.
    fn complain(&mut self, selection: &Selection, beads: &[Bead], graph: &Graph) {
        if selection.ids.is_empty() {
            complain_of_faults(self.tool, beads, &mut self.said);
        }
        for id in selection.ids.iter().filter(|_| self.first) {
            if let Err(err) = selection.workable(self.tool, graph, id) {
                self.tool.pipe.fail(id, &err);
            }
        }
    }

    /// How long the closing of finished containers is waited for, if there are any.
    fn closing(&mut self, graph: &Graph) -> Option<Duration> {
        let mut finished = graph.finished_containers().into_iter();
        let closing = finished.any(|bead| !self.left(bead));
        self.closing = closing.then(|| self.closing.unwrap_or_else(Instant::now));
        CLOSING.checked_sub(self.closing?.elapsed())
    }

    /// Whether a bead depends on one that Beads has not shown yet: it may be away for a moment only.
    fn may_be_blocked(&mut self, bead: &Bead, graph: &Graph) -> bool {
        let edges = bead.dependencies().iter().filter(|edge| edge.may_block());
        let mut absent = edges
            .map(|edge| edge.depends_on_id.as_str())
            .filter(|on| graph.get(on).is_none());
        let (tool, nowhere) = (self.tool, &mut self.nowhere);
        // Each is waited for once: some trackers name beads that were deleted long ago.
        absent.any(|on| {
            let gone = nowhere.contains(on) || tool.is_gone(on).unwrap_or(false);
            if gone {
                nowhere.insert(on.to_owned());
            }
            !gone
        })
    }

    /// What was printed and is in hand, but not claimed yet, waits for its turn.
    fn wait_for_claims(&mut self, beads: &[Bead], held: &Held) {
        let tool = self.tool;
        for bead in beads.iter().filter(|bead| bead.status() == Status::Open) {
            if let Some(seen) = self.seen.get_mut(bead.id())
                && held.contains(&tool.repository.folder(bead.id()).stage_lock())
            {
                seen.since = Instant::now();
            }
        }
    }

    /// How long a bead that was printed still counts as on its way to its claim, if it does.
    fn on_its_way(&self, bead: &Bead) -> Option<Duration> {
        let seen = self.seen.get(bead.id())?;
        let rest = PATIENCE.checked_sub(seen.since.elapsed())?;
        (seen.stand == stand(bead)).then_some(rest)
    }

    /// Whether a program or an agent has the bead.
    fn is_held(&self, bead: &Bead, held: &Held) -> bool {
        let folder = self.tool.repository.folder(bead.id());
        held.contains(&folder.stage_lock()) || held.contains(&folder.hold_lock())
    }

    /// A bead of ours under way, or one that lost its clone: printed at the first look, when it
    /// comes back, and when nobody has held it for long; never while another program has it in
    /// hand. `None`: it does not keep the line alive; else when to look again.
    fn reprint(&mut self, bead: &Bead, held: &Held, lost: bool) -> Option<Duration> {
        let folder = self.tool.repository.folder(bead.id());
        let in_hand = held.contains(&folder.stage_lock());
        let is_held = self.is_held(bead, held);
        let at_once = self.first || lost;
        let seen = self
            .seen
            .entry(bead.id().to_owned())
            .or_insert_with(|| Seen {
                stand: stand(bead),
                prints: 0,
                since: Instant::now(),
                back: at_once.then(Instant::now),
            });
        if seen.stand.1 < bead.facts().round {
            seen.back = Some(Instant::now());
        }
        if seen.stand != stand(bead) {
            (seen.stand, seen.prints) = (stand(bead), 0);
        }
        if is_held {
            seen.since = Instant::now();
        }
        match seen.back {
            // Whoever sent it back is about to let go of it.
            Some(back) if in_hand && back.elapsed() < SOON => return Some(BLINK),
            // Another line was faster.
            Some(_) if in_hand => seen.back = None,
            None if seen.since.elapsed() < PATIENCE => {}
            _ => return self.print(bead).then_some(PATIENCE),
        }
        Some(PATIENCE.saturating_sub(seen.since.elapsed()))
    }

    /// Prints a bead, unless that has led nowhere too often.
    fn print(&mut self, bead: &Bead) -> bool {
        let fresh = Seen {
            stand: stand(bead),
            prints: 0,
            since: Instant::now(),
            back: None,
        };
        let seen = self.seen.entry(bead.id().to_owned()).or_insert(fresh);
        if seen.stand != stand(bead) {
            (seen.stand, seen.prints) = (stand(bead), 0);
        }
        if seen.prints == PRINTS {
            self.once(
                bead,
                "left for the next run: printed five times, and nothing came of it",
            );
            return false;
        }
        seen.prints += 1;
        seen.since = Instant::now();
        seen.back = None;
        self.tool.pipe.emit(bead);
        true
    }

    /// Whether a program of this run has given the bead up, or found that a person has to act.
    fn left(&mut self, bead: &Bead) -> bool {
        let facts = bead.facts();
        let since_start = |at: Option<Timestamp>| at.is_some_and(|at| is_since(at, self.start));
        // What another clone could not make a worktree for, this one may.
        let own = facts.host.is_empty() || self.tool.repository.owns(&facts.host);
        if bead.status() == Status::Open && own && since_start(facts.error_at) {
            let why = format!("left for the next run: {}", facts.error);
            self.once(bead, &why);
            return true;
        }
        bead.under_way() && (since_start(facts.error_at) || since_start(facts.waits_at))
    }

    fn once(&mut self, bead: &Bead, what: &str) {
        if self.said.insert(format!("{} {what}", bead.id())) {
            self.tool.pipe.say(bead.id(), what);
        }
    }
}

/// The near times at which a deferred bead becomes ready by itself.
fn deferrals(graph: &Graph, beads: &[Bead], in_scope: impl Fn(&Bead) -> bool) -> Vec<Timestamp> {
    let now = now();
    let near =
        |at: &Timestamp| *at > now && *at <= now.saturating_add(HORIZON.hours()).unwrap_or(now);
    let all = beads.iter().filter_map(Bead::defer_until);
    let Some(last) = all.filter(near).max() else {
        return Vec::new();
    };
    let waits = |bead: &Bead| {
        let parents = graph.parents(bead.id()).filter_map(Bead::defer_until);
        parents.chain(bead.defer_until()).filter(near).max()
    };
    graph
        .ready(last)
        .into_iter()
        .filter(|bead| in_scope(bead) && graph.is_work(bead))
        .filter_map(waits)
        .collect()
}

fn stand(bead: &Bead) -> (u64, u64, Phase) {
    (bead.facts().run, bead.facts().round, bead.phase())
}
