//! The tasks of all epics with what they depend on: resolved, and without cycles.

use std::collections::HashSet;

use crate::epic::{Epic, Task};
use crate::reference::{Reference, Said};
use crate::report::Report;
use crate::state::State;

/// A task, by the positions of its epic and of itself.
pub(crate) type At = (usize, usize);

/// All that a plan's folder says.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) epics: Vec<Epic>,
    /// In an order in which every task comes after what it depends on.
    pub(crate) order: Vec<At>,
    edges: Vec<Vec<Vec<Edge>>>,
}

/// What a task depends on, and where its file says so.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Edge {
    pub(crate) on: At,
    pub(crate) line: usize,
}

impl Plan {
    /// Resolves the dependencies of all tasks that are not complete. What cannot be resolved, and
    /// what would close a cycle, is reported and left out.
    pub(crate) fn new(epics: Vec<Epic>, report: &Report) -> Self {
        let edges = epics
            .iter()
            .map(|epic| vec![Vec::new(); epic.tasks.len()])
            .collect();
        let mut plan = Self {
            epics,
            order: Vec::new(),
            edges,
        };
        for at in plan.live() {
            let silent = Report::silent();
            let report = if plan.epics[at.0].chosen {
                report
            } else {
                &silent
            };
            for edge in plan.resolve(at, report) {
                plan.join(at, edge, report);
            }
        }
        let mut seen = HashSet::new();
        for at in plan.live() {
            plan.visit(at, &mut seen);
        }
        plan
    }

    pub(crate) fn task(&self, at: At) -> &Task {
        &self.epics[at.0].tasks[at.1]
    }

    pub(crate) fn edges(&self, at: At) -> &[Edge] {
        &self.edges[at.0][at.1]
    }

    /// The tasks that there is something to do for.
    fn live(&self) -> Vec<At> {
        let all = self.epics.iter().enumerate();
        let tasks = all.flat_map(|(e, epic)| (0..epic.tasks.len()).map(move |t| (e, t)));
        tasks
            .filter(|at| self.task(*at).state != State::Complete)
            .collect()
    }

    fn resolve(&self, at: At, report: &Report) -> Vec<Edge> {
        let task = self.task(at);
        let mut edges: Vec<Edge> = Vec::new();
        for entry in &task.page.dependencies {
            let unresolved = |why: &str| report.unresolved(&task.file, entry.line, why);
            let named = match Said::read(&entry.text) {
                Said::Nothing => continue,
                Said::Unclear => {
                    unresolved(&format!("unclear: '{}'", entry.text));
                    continue;
                }
                Said::Tasks(named) => named,
            };
            for reference in named {
                match self.find(at.0, &reference) {
                    Ok(found) => {
                        let live = found
                            .into_iter()
                            .filter(|on| self.task(*on).state != State::Complete);
                        edges.extend(live.map(|on| Edge {
                            on,
                            line: entry.line,
                        }));
                    }
                    Err(why) => unresolved(&format!("{why}: '{}'", entry.text)),
                }
            }
        }
        edges
    }

    /// The tasks that a reference stands for.
    fn find(&self, epic: usize, reference: &Reference) -> Result<Vec<At>, &'static str> {
        let epic = match &reference.epic {
            None => epic,
            Some(name) => {
                let named = self.epics.iter().position(|epic| epic.name == *name);
                named.ok_or("no such epic")?
            }
        };
        let tasks = || self.epics[epic].tasks.iter().enumerate();
        if let Some(stem) = &reference.stem
            && let Some((task, _)) = tasks().find(|(_, task)| task.stem == *stem)
        {
            return Ok(vec![(epic, task)]);
        }
        // A name that changed still has its number.
        let last = reference.last.unwrap_or(reference.number);
        let numbers = reference.number..=last;
        let found: Vec<At> = tasks()
            .filter(|(_, task)| numbers.contains(&task.number))
            .map(|(task, _)| (epic, task))
            .collect();
        match (found.len(), reference.last) {
            (0, _) => Err("no such task"),
            (1, _) | (_, Some(_)) => Ok(found),
            (_, None) => Err("several tasks have this number"),
        }
    }

    fn join(&mut self, from: At, edge: Edge, report: &Report) {
        if self.edges(from).iter().any(|there| there.on == edge.on) {
            return;
        }
        if let Some(way) = self.way(edge.on, from) {
            let name = |at: &At| self.task(*at).stem.as_str();
            let names: Vec<&str> = [from].iter().chain(&way).map(name).collect();
            let why = format!("a cycle: {}", names.join(" -> "));
            report.unresolved(&self.task(from).file, edge.line, &why);
            return;
        }
        self.edges[from.0][from.1].push(edge);
    }

    /// The tasks on the way from one to another along what they depend on, both included.
    fn way(&self, from: At, to: At) -> Option<Vec<At>> {
        let mut seen = HashSet::from([from]);
        let mut ways = vec![vec![from]];
        while let Some(way) = ways.pop() {
            let last = *way.last()?;
            if last == to {
                return Some(way);
            }
            for edge in self.edges(last) {
                if seen.insert(edge.on) {
                    ways.push([&way[..], &[edge.on]].concat());
                }
            }
        }
        None
    }

    /// Appends what a task depends on to the order, then the task. Not by recursion: a chain of
    /// tasks may be long.
    fn visit(&mut self, at: At, seen: &mut HashSet<At>) {
        let mut open = vec![(at, false)];
        while let Some((at, left)) = open.pop() {
            if left {
                self.order.push(at);
            } else if seen.insert(at) {
                open.push((at, true));
                open.extend(self.edges(at).iter().rev().map(|edge| (edge.on, false)));
            }
        }
    }
}
