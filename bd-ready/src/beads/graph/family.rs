//! Parents and children: who is above, who is below, and which containers are finished.

use std::cmp::Reverse;
use std::collections::HashSet;

use crate::graph::{CONTAINERS, Graph, NO_WORK};
use crate::record::bead::Bead;
use crate::record::facts::{Phase, Status};

impl<'a> Graph<'a> {
    /// Whether it stands for others' work: it has or had children, or its type says so.
    #[must_use]
    pub fn is_container(&self, bead: &Bead) -> bool {
        let kind = bead.issue_type();
        CONTAINERS.contains(&kind)
            || NO_WORK.contains(&kind)
            || self
                .index
                .get(bead.id())
                .is_some_and(|at| self.children.contains_key(at))
    }

    /// The children of a bead.
    pub fn children(&self, id: &str) -> impl Iterator<Item = &'a Bead> {
        let children = self.index.get(id).and_then(|at| self.children.get(at));
        children.into_iter().flatten().map(|at| &self.beads[*at])
    }

    /// The parents of a bead: as a rule one or none.
    pub fn parents(&self, id: &str) -> impl Iterator<Item = &'a Bead> {
        let parents = self.index.get(id).map(|at| &self.parents[*at]);
        parents.into_iter().flatten().map(|at| &self.beads[*at])
    }

    /// The ids of everything below `id`, without itself.
    #[must_use]
    pub fn descendants(&self, id: &str) -> HashSet<&'a str> {
        let mut found = HashSet::new();
        let mut open: Vec<&str> = vec![id];
        while let Some(id) = open.pop() {
            for child in self.children(id) {
                if found.insert(child.id()) {
                    open.push(child.id());
                }
            }
        }
        found
    }

    /// The open containers whose children are all closed, at least one of them by a merge, and
    /// that nothing blocks: those that the line closes. The deepest come first.
    #[must_use]
    pub fn finished_containers(&self) -> Vec<&'a Bead> {
        let mut finished: Vec<usize> = self
            .children
            .iter()
            .filter(|(at, children)| self.is_finished(**at, children))
            .map(|(at, _)| *at)
            .collect();
        finished.sort_by_key(|at| (Reverse(self.depth(*at)), self.beads[*at].id()));
        finished.into_iter().map(|at| &self.beads[at]).collect()
    }

    fn is_finished(&self, at: usize, children: &[usize]) -> bool {
        let bead = &self.beads[at];
        let closed = |at: &usize| self.beads[*at].status() == Status::Closed;
        let merged = |id: &&str| {
            self.get(id)
                .is_some_and(|bead| bead.phase() == Phase::Merged)
        };
        bead.status() == Status::Open
            && !bead.set_aside()
            && !self.blocked[at]
            && children.iter().all(closed)
            && self.descendants(bead.id()).iter().any(merged)
    }

    fn depth(&self, at: usize) -> usize {
        let mut seen = HashSet::new();
        let mut at = at;
        while seen.insert(at) {
            match self.parents[at].first() {
                Some(parent) => at = *parent,
                None => break,
            }
        }
        seen.len()
    }
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

    #[test]
    fn a_container_is_finished_when_a_child_merged_and_all_are_closed() {
        let merged = json!({"phase": "merged", "merged_sha": "abc"});
        let finished = |status: &str, metadata: &Value| {
            let beads = beads(&[
                json!({"id": "e"}),
                json!({"id": "e.1", "status": "closed", "metadata": metadata}),
                json!({"id": "e.2", "status": status}),
            ]);
            Graph::of(&beads)
                .finished_containers()
                .iter()
                .map(|b| b.id().to_owned())
                .next()
        };
        assert_eq!(finished("closed", &merged).as_deref(), Some("e"));
        assert_eq!(finished("open", &merged), None);
        assert_eq!(finished("closed", &json!({})), None);
    }
}
