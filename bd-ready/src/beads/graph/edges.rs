//! The edges of a tracker that count: those that Beads keeps when it takes the tracker in.
//!
//! Follows `bd import` of Beads 1.3 (`internal/storage/issueops/create.go`, `dependencies.go`). What it
//! leaves out, such as the edge that would close a cycle, blocks nothing here either.

use std::collections::{HashMap, HashSet};

use crate::record::bead::Bead;
use crate::record::facts::Status;
use crate::record::view::Dependency;

/// By bead, as the indices that `index` gives: what it depends on, parents first.
#[derive(Debug)]
pub(crate) struct Edges<'a>(Vec<Vec<Edge<'a>>>);

/// One edge that counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edge<'a> {
    pub(crate) to: usize,
    pub(crate) dependency: &'a Dependency,
}

impl Edge<'_> {
    pub(crate) fn is_to_parent(&self) -> bool {
        self.dependency.kind == "parent-child"
    }

    fn is_blocking(&self) -> bool {
        matches!(
            self.dependency.kind.as_str(),
            "blocks" | "conditional-blocks"
        )
    }

    /// One of those that may form no cycle.
    fn is_scheduling(&self) -> bool {
        self.is_blocking() || self.is_to_parent()
    }
}

impl<'a> Edges<'a> {
    /// In the order of the beads, but all parents before everything else, as hierarchy decides
    /// which other edges make sense.
    pub(crate) fn of(beads: &'a [Bead], index: &HashMap<&str, usize>) -> Self {
        let named: Vec<(usize, Edge)> = beads
            .iter()
            .enumerate()
            .flat_map(|(from, bead)| named(beads, index, bead).map(move |edge| (from, edge)))
            .collect();
        let knot = knot(beads.len(), &named);
        let (parents, others): (Vec<_>, Vec<_>) =
            named.into_iter().partition(|(_, edge)| edge.is_to_parent());
        let mut edges = Self(vec![Vec::new(); beads.len()]);
        for (from, edge) in parents.into_iter().chain(others) {
            let knotted = knot[from] && knot[edge.to];
            if edges.may_have(from, &edge, knotted) {
                edges.0[from].push(edge);
            }
        }
        edges
    }

    /// What a bead depends on.
    pub(crate) fn from(&self, at: usize) -> &[Edge<'a>] {
        &self.0[at]
    }

    /// The parents of a bead: as a rule one or none.
    pub(crate) fn parents(&self, at: usize) -> impl Iterator<Item = usize> {
        let parents = self.0[at].iter().filter(|edge| edge.is_to_parent());
        parents.map(|edge| edge.to)
    }

    fn may_have(&self, from: usize, edge: &Edge, knotted: bool) -> bool {
        // One edge between two, of whatever type: the first.
        let taken = self.0[from].iter().any(|other| other.to == edge.to);
        let on_line = |low, high| self.reaches(low, high, Edge::is_to_parent);
        let within = edge.is_blocking() && (on_line(from, edge.to) || on_line(edge.to, from));
        let closes =
            || knotted && edge.is_scheduling() && self.reaches(edge.to, from, Edge::is_scheduling);
        !taken && !within && !closes()
    }

    fn reaches(&self, from: usize, to: usize, along: impl Fn(&Edge<'a>) -> bool) -> bool {
        let mut seen = HashSet::new();
        let mut open = vec![from];
        while let Some(at) = open.pop() {
            if at == to {
                return true;
            }
            let on = self.0[at].iter().filter(|edge| along(edge));
            open.extend(on.map(|edge| edge.to).filter(|to| seen.insert(*to)));
        }
        false
    }
}

/// The edges of a bead that lead to another one of the same tracker. One to an id with another
/// prefix is meant for another tracker, even if this one has such a bead; and one that joins an
/// ephemeral bead and a lasting one is not taken in.
fn named<'a>(
    beads: &'a [Bead],
    index: &HashMap<&str, usize>,
    bead: &'a Bead,
) -> impl Iterator<Item = Edge<'a>> {
    let gone = |bead: &Bead| bead.status() == Status::Tombstone;
    bead.dependencies().iter().filter_map(move |dependency| {
        let to = *index.get(dependency.depends_on_id.as_str())?;
        let target = &beads[to];
        let joins = target.id() != bead.id()
            && prefix(target.id()) == prefix(bead.id())
            // Beads does not list what it keeps apart as such.
            && (bead.is_listed() || target.is_wisp() == bead.is_wisp())
            && !gone(target)
            && !gone(bead);
        joins.then_some(Edge { to, dependency })
    })
}

fn prefix(id: &str) -> &str {
    id.split_once('-').map_or("", |(prefix, _)| prefix)
}

/// Which beads lie on a cycle, or between two: only there an edge can close one.
fn knot(count: usize, edges: &[(usize, Edge)]) -> Vec<bool> {
    let scheduling = edges.iter().filter(|(_, edge)| edge.is_scheduling());
    let forth: Vec<(usize, usize)> = scheduling.map(|(from, edge)| (*from, edge.to)).collect();
    let back: Vec<(usize, usize)> = forth.iter().map(|(from, to)| (*to, *from)).collect();
    let (forth, back) = (endless(count, &forth), endless(count, &back));
    forth.iter().zip(back).map(|(a, b)| *a && b).collect()
}

/// Which beads a walk along the arrows can leave and never end.
fn endless(count: usize, arrows: &[(usize, usize)]) -> Vec<bool> {
    let mut ways = vec![0_usize; count];
    let mut before = vec![Vec::new(); count];
    for (from, to) in arrows {
        ways[*from] += 1;
        before[*to].push(*from);
    }
    let mut ends: Vec<usize> = (0..count).filter(|at| ways[*at] == 0).collect();
    while let Some(end) = ends.pop() {
        for at in &before[end] {
            ways[*at] -= 1;
            if ways[*at] == 0 {
                ends.push(*at);
            }
        }
    }
    ways.iter().map(|ways| *ways > 0).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The edges that are kept, as `from>to`.
    fn kept(rows: &[(&str, &[(&str, &str)])]) -> Vec<String> {
        let row = |(id, on): &(&str, &[(&str, &str)])| {
            let edge = |(on, kind): &(&str, &str)| json!({"depends_on_id": on, "type": kind});
            let edges: Vec<Value> = on.iter().map(edge).collect();
            let line = json!({"id": id, "ephemeral": id.contains("wisp"), "dependencies": edges});
            Bead::parse(&line.to_string()).expect("a bead")
        };
        let beads: Vec<Bead> = rows.iter().map(row).collect();
        let index = (0..)
            .zip(&beads)
            .map(|(at, bead)| (bead.id(), at))
            .collect();
        let edges = Edges::of(&beads, &index);
        let mut kept = Vec::new();
        for (at, bead) in beads.iter().enumerate() {
            let on = edges.from(at).iter().map(|edge| beads[edge.to].id());
            kept.extend(on.map(|on| format!("{}>{on}", bead.id())));
        }
        kept
    }

    #[test]
    fn the_edge_that_closes_a_cycle_is_left_out() {
        let rows: [(&str, &[(&str, &str)]); 4] = [
            ("a", &[("b", "blocks")]),
            ("b", &[("c", "conditional-blocks")]),
            ("c", &[("a", "blocks"), ("d", "blocks")]),
            ("d", &[("d", "blocks")]),
        ];
        assert_eq!(kept(&rows), ["a>b", "b>c", "c>d"]);
    }

    #[test]
    fn parents_come_first_and_nothing_blocks_within_a_family() {
        let rows: [(&str, &[(&str, &str)]); 3] = [
            ("a", &[("c", "blocks")]),
            ("b", &[("a", "related"), ("a", "parent-child")]),
            ("c", &[("b", "parent-child")]),
        ];
        assert_eq!(kept(&rows), ["b>a", "c>b"]);
    }

    #[test]
    fn another_tracker_and_the_ephemeral_are_not_joined() {
        let rows: [(&str, &[(&str, &str)]); 4] = [
            (
                "t-1",
                &[("u-1", "blocks"), ("t-wisp", "blocks"), ("t-9", "blocks")],
            ),
            ("t-2", &[("t-1", "blocks"), ("t-1", "related")]),
            ("t-wisp", &[("t-1", "blocks")]),
            ("u-1", &[]),
        ];
        assert_eq!(kept(&rows), ["t-2>t-1"]);
    }
}
