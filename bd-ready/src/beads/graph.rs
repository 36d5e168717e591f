//! Which beads are ready, in which order, and why the others are not.
//!
//! Follows `bd ready` of Beads 1.3 (`internal/storage/sqlbuild/ready.go`, `issueops/blocked_state.go`).

mod edges;
mod family;

use std::collections::{HashMap, HashSet};

use jiff::{Timestamp, Unit};
use serde::Deserialize;

use crate::graph::edges::{Edge, Edges};
use crate::record::bead::Bead;
use crate::record::facts::Status;

/// All beads of a tracker with the edges between them.
#[derive(Debug)]
pub struct Graph<'a> {
    beads: &'a [Bead],
    index: HashMap<&'a str, usize>,
    edges: Edges<'a>,
    /// The children by edge: blocks and deferrals go down to these alone.
    below: HashMap<usize, Vec<usize>>,
    /// By edge or, where there is none, by id: `t-1.2` is a child of `t-1`.
    parents: Vec<Vec<usize>>,
    children: HashMap<usize, Vec<usize>>,
    blocked: Vec<bool>,
}

/// Types that `bd ready` never hands out.
const NO_WORK: [&str; 7] = [
    "merge-request",
    "gate",
    "molecule",
    "rig",
    "agent",
    "role",
    "message",
];

/// Types that stand for other beads' work; with those of `NO_WORK` never given to an agent.
const CONTAINERS: [&str; 1] = ["epic"];

impl<'a> Graph<'a> {
    /// Reads the edges of `beads`: every bead of the tracker, closed ones included.
    #[must_use]
    pub fn of(beads: &'a [Bead]) -> Self {
        let index: HashMap<&str, usize> = beads
            .iter()
            .enumerate()
            .map(|(at, bead)| (bead.id(), at))
            .collect();
        let edges = Edges::of(beads, &index);
        let by_edge: Vec<Vec<usize>> = (0..beads.len())
            .map(|at| edges.parents(at).collect())
            .collect();
        let below = turned(&by_edge);
        let mut parents = by_edge;
        for (bead, parents) in beads.iter().zip(&mut parents) {
            let above = bead.id().rsplit_once('.').map(|(above, _)| above);
            let above = above.and_then(|id| index.get(id));
            if parents.is_empty() && bead.status() != Status::Tombstone {
                parents.extend(above);
            }
        }
        let mut graph = Self {
            beads,
            index,
            edges,
            below,
            children: turned(&parents),
            parents,
            blocked: Vec::new(),
        };
        graph.blocked = graph.spread_blocks();
        graph
    }

    /// The bead with this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&'a Bead> {
        self.index.get(id).map(|at| &self.beads[*at])
    }

    /// What `bd ready` lists at `now`, containers and templates included: by priority, then age,
    /// then id.
    #[must_use]
    pub fn ready(&self, now: Timestamp) -> Vec<&'a Bead> {
        let mut ready: Vec<&Bead> = (0..self.beads.len())
            .filter(|at| self.is_ready(*at, now))
            .map(|at| &self.beads[at])
            .collect();
        ready.sort_by_key(|bead| (bead.priority(), age(bead), bead.id()));
        ready
    }

    /// Whether a bead that Beads calls ready is work for an agent: nobody's, no container and no
    /// template. In nothing else does what is handed out differ from `bd ready`.
    #[must_use]
    pub fn is_work(&self, bead: &Bead) -> bool {
        !self.is_container(bead)
            && bead.fault().is_none()
            && !bead.set_aside()
            && (bead.assignee().is_empty() || bead.claimed())
    }

    /// What blocks the bead, directly or through a parent: ids, sorted. A parent that cannot be read
    /// is one of them.
    #[must_use]
    pub fn blockers(&self, id: &str) -> Vec<&'a str> {
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        let mut open: Vec<usize> = self.index.get(id).copied().into_iter().collect();
        while let Some(at) = open.pop() {
            if seen.insert(at) {
                let bead = &self.beads[at];
                found.extend(Some(bead.id()).filter(|on| self.is_unknown(at) && *on != id));
                found.extend(self.live_edges(at).map(|edge| self.beads[edge.to].id()));
                open.extend(self.edges.parents(at));
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    fn is_ready(&self, at: usize, now: Timestamp) -> bool {
        let bead = &self.beads[at];
        let deferred = |bead: &Bead| bead.defer_until().is_some_and(|until| until > now);
        bead.is_open(now)
            && !bead.is_pinned()
            && !bead.is_ephemeral()
            && !NO_WORK.contains(&bead.issue_type())
            && !self.blocked[at]
            && !deferred(bead)
            && !self
                .edges
                .parents(at)
                .any(|parent| deferred(&self.beads[parent]))
    }

    /// Blocked = by an edge of its own, or below a blocked parent. Of what cannot be read nobody
    /// knows.
    fn spread_blocks(&self) -> Vec<bool> {
        let mut blocked = vec![false; self.beads.len()];
        let mut open: Vec<usize> = (0..self.beads.len())
            .filter(|at| self.is_unknown(*at) || self.live_edges(*at).next().is_some())
            .collect();
        while let Some(at) = open.pop() {
            if self.is_alive(at) && !blocked[at] {
                blocked[at] = true;
                open.extend(self.below.get(&at).into_iter().flatten());
            }
        }
        blocked
    }

    fn live_edges(&self, at: usize) -> impl Iterator<Item = &Edge<'a>> {
        self.edges.from(at).iter().filter(|edge| self.blocks(edge))
    }

    /// Whether something blocks it cannot be read.
    fn is_unknown(&self, at: usize) -> bool {
        self.beads[at].fault().is_some() && self.is_alive(at)
    }

    fn is_alive(&self, at: usize) -> bool {
        !matches!(self.beads[at].status(), Status::Closed | Status::Pinned)
    }

    fn blocks(&self, edge: &Edge) -> bool {
        match edge.dependency.kind.as_str() {
            "blocks" | "conditional-blocks" => self.is_alive(edge.to),
            "waits-for" => {
                let gate: Gate =
                    serde_json::from_str(&edge.dependency.metadata).unwrap_or_default();
                let children = self.below.get(&edge.to).map_or(&[][..], Vec::as_slice);
                let opened = gate.gate == "any-children"
                    && children
                        .iter()
                        .any(|at| self.beads[*at].status() == Status::Closed);
                (children.iter().any(|at| self.is_alive(*at)) && !opened)
                    || (gate.also_blocks && self.is_alive(edge.to))
            }
            _ => false,
        }
    }
}

/// The options of a `waits-for` edge.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Gate {
    gate: String,
    also_blocks: bool,
}

/// Whole seconds, which is what Beads keeps; a bead without a time is as old as its import.
fn age(bead: &Bead) -> (bool, Option<Timestamp>) {
    let at = bead.created_at();
    (at.is_none(), at.and_then(|at| at.round(Unit::Second).ok()))
}

/// By parent, as `parents` has them by child.
fn turned(parents: &[Vec<usize>]) -> HashMap<usize, Vec<usize>> {
    let mut children: HashMap<usize, Vec<usize>> = HashMap::new();
    for (child, parents) in parents.iter().enumerate() {
        for parent in parents {
            children.entry(*parent).or_default().push(child);
        }
    }
    children
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn beads(rows: &[Value]) -> Vec<Bead> {
        rows.iter()
            .map(|row| Bead::parse(&row.to_string()).expect("a bead"))
            .collect()
    }

    fn ready(rows: &[Value]) -> Vec<String> {
        let now = "2026-06-01T00:00:00Z".parse().expect("a time");
        Graph::of(&beads(rows))
            .ready(now)
            .iter()
            .map(|bead| bead.id().to_owned())
            .collect()
    }

    fn on(target: &str, kind: &str) -> Value {
        json!([{"issue_id": "", "depends_on_id": target, "type": kind}])
    }

    #[test]
    fn priority_then_age_then_id() {
        let rows = [
            json!({"id": "d", "priority": 2, "created_at": "2026-01-02T00:00:00Z"}),
            json!({"id": "c", "priority": 2, "created_at": "2026-01-01T00:00:00+02:00"}),
            json!({"id": "b", "priority": 2, "created_at": "2026-01-02T00:00:00Z"}),
            json!({"id": "a", "priority": 0, "created_at": "2026-05-01T00:00:00Z"}),
        ];
        assert_eq!(ready(&rows), ["a", "c", "b", "d"]);
    }

    #[test]
    fn what_is_not_ready() {
        let rows = [
            json!({"id": "closed", "status": "closed"}),
            json!({"id": "taken", "status": "in_progress"}),
            json!({"id": "pinned", "pinned": true}),
            json!({"id": "wisp", "ephemeral": true}),
            json!({"id": "later", "defer_until": "2099-01-01T00:00:00Z"}),
            json!({"id": "below", "dependencies": on("later", "parent-child")}),
            json!({"id": "gate", "issue_type": "gate"}),
            json!({"id": "waits", "dependencies": on("taken", "blocks")}),
            json!({"id": "free", "dependencies": on("closed", "blocks")}),
            json!({"id": "gone", "dependencies": on("nowhere", "blocks")}),
            json!({"id": "related", "dependencies": on("taken", "related")}),
        ];
        assert_eq!(ready(&rows), ["free", "gone", "related"]);
    }

    #[test]
    fn a_blocked_parent_hides_what_is_below() {
        let rows = [
            json!({"id": "x"}),
            json!({"id": "e", "dependencies": on("x", "blocks")}),
            json!({"id": "e.1", "dependencies": on("e", "parent-child")}),
            json!({"id": "e.1.1", "dependencies": on("e.1", "parent-child")}),
            json!({"id": "e.2"}),
        ];
        // An id alone makes a child, but not one that its parent's blockers reach.
        assert_eq!(ready(&rows), ["e.2", "x"]);
        let beads = beads(&rows);
        assert_eq!(Graph::of(&beads).blockers("e.1.1"), ["x"]);
    }

    #[test]
    fn cycles_end() {
        let rows = [
            json!({"id": "a", "dependencies": on("b", "blocks")}),
            json!({"id": "b", "dependencies": on("a", "blocks")}),
            json!({"id": "p", "dependencies": on("q", "parent-child")}),
            json!({"id": "q", "dependencies": on("p", "parent-child")}),
        ];
        let beads = beads(&rows);
        let graph = Graph::of(&beads);
        assert_eq!(ready(&rows), ["b", "p", "q"]);
        assert_eq!(graph.blockers("a"), ["b"]);
        assert_eq!(graph.descendants("q").len(), 1);
    }

    #[test]
    fn waits_for_follows_the_children_of_its_target() {
        let waits = |gate: &str, first: &str| {
            let edge = json!([{"depends_on_id": "s", "type": "waits-for", "metadata": gate}]);
            ready(&[
                json!({"id": "s", "status": "closed"}),
                json!({"id": "s.1", "status": first, "dependencies": on("s", "parent-child")}),
                json!({"id": "s.2", "status": "in_progress", "dependencies": on("s", "parent-child")}),
                json!({"id": "w", "dependencies": edge}),
            ])
        };
        assert!(waits("{}", "closed").is_empty());
        assert_eq!(waits(r#"{"gate":"any-children"}"#, "closed"), ["w"]);
        assert!(waits(r#"{"gate":"any-children"}"#, "blocked").is_empty());
    }
}
