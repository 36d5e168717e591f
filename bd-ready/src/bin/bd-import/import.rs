//! Puts beads into Beads: each one once, and changed only where the files did.

use std::collections::HashMap;

use beads::lock::Lock;
use beads::{Bead, New, Revision, Status, Tool, time};
use serde_json::{Map, Value, json};

use crate::epic::{self, Epic};
use crate::merge;
use crate::plan::{At, Plan};
use crate::report::Report;
use crate::state::State;

/// An import under way.
pub(crate) struct Import<'a> {
    tool: &'a Tool,
    report: &'a Report,
    /// Held while it writes; none in a dry run, which does not.
    lock: Option<Lock>,
    /// The beads of earlier imports, by the file that each stands for.
    known: HashMap<String, Bead>,
}

impl<'a> Import<'a> {
    /// Looks at what is there.
    ///
    /// # Errors
    /// When Beads cannot be read.
    pub(crate) fn new(
        tool: &'a Tool,
        report: &'a Report,
        lock: Option<Lock>,
    ) -> anyhow::Result<Self> {
        let mut known = HashMap::new();
        for bead in tool.store.list()?.iter() {
            if let Some(file) = file_of(bead) {
                known
                    .entry(epic::identity(&file))
                    .or_insert_with(|| bead.clone());
            }
        }
        Ok(Self {
            tool,
            report,
            lock,
            known,
        })
    }

    /// Imports a plan: its epics first, then its tasks, each after what it depends on.
    pub(crate) fn plan(&mut self, plan: &Plan) {
        for epic in plan.epics.iter().filter(|epic| epic.chosen) {
            self.epic(epic);
        }
        for at in &plan.order {
            if plan.epics[at.0].chosen {
                self.task(plan, *at);
            }
        }
    }

    fn epic(&mut self, epic: &Epic) {
        let live = epic.tasks.iter().any(|task| task.state != State::Complete);
        if !live && !epic.tasks.is_empty() && self.bead(&epic.file).is_none() {
            self.report.skip(&epic.file, "all its tasks are complete");
            return;
        }
        for task in epic
            .tasks
            .iter()
            .filter(|task| task.state == State::Complete)
        {
            let open = self
                .bead(&task.file)
                .filter(|bead| bead.status() != Status::Closed);
            let left = open.map_or(String::new(), |bead| {
                format!("; its bead {} stays as it is", bead.id())
            });
            self.report.skip(&task.file, &format!("complete{left}"));
        }
        let new = New {
            title: epic.title.clone(),
            description: epic.page.description.clone(),
            acceptance_criteria: epic.page.criteria.clone(),
            // How far the epic is says nothing about the order of its tasks.
            priority: State::Pending.priority(),
            issue_type: "epic".to_owned(),
            metadata: object(&json!({
                "plan_file": epic.file,
                "epic_name": epic.name,
                "original_status": epic.state.name(),
            })),
            ..New::default()
        };
        self.put(&epic.file, &epic.name, new);
    }

    fn task(&mut self, plan: &Plan, at: At) {
        let (epic, task) = (&plan.epics[at.0], plan.task(at));
        let Some(parent) = self.bead(&epic.file).map(|bead| bead.id().to_owned()) else {
            self.report.fail(&task.file, "its epic has no bead");
            return;
        };
        let mut edges = Vec::new();
        for edge in plan.edges(at) {
            let on = plan.task(edge.on);
            if let Some(bead) = self.bead(&on.file) {
                edges.push((bead.id().to_owned(), "blocks".to_owned()));
            } else {
                let why = format!("'{}' has no bead", on.stem);
                self.report.unresolved(&task.file, edge.line, &why);
            }
        }
        let new = New {
            title: task.title.clone(),
            description: task.page.description.clone(),
            acceptance_criteria: task.page.criteria.clone(),
            priority: task.state.priority(),
            issue_type: "task".to_owned(),
            parent: Some(parent),
            edges,
            metadata: object(&json!({
                "spec_file": task.file,
                "plan_file": epic.file,
                "epic_name": epic.name,
                "task_num": task.stem.split('_').next().unwrap_or_default(),
                "original_status": task.state.name(),
            })),
            ..New::default()
        };
        self.put(&task.file, &format!("{}/{}", epic.name, task.stem), new);
    }

    fn bead(&self, file: &str) -> Option<&Bead> {
        self.known.get(&epic::identity(file))
    }

    /// Creates or revises the bead of a file. In a dry run a new one is called `name`.
    fn put(&mut self, file: &str, name: &str, mut new: New) {
        let done = match self.bead(file).cloned() {
            None => {
                merge::sign(&mut new);
                self.create(file, name, &new).map(Some)
            }
            Some(bead) => self.revise(file, &bead, &new),
        };
        match done {
            Ok(Some(bead)) => {
                self.tool.pipe.emit(&bead);
                self.known.insert(epic::identity(file), bead);
            }
            Ok(None) => self.report.count(|counts| counts.unchanged += 1),
            Err(err) => self.report.fail(file, &format!("{err:#}")),
        }
    }

    /// Creates a bead. In a dry run it is called `name`.
    ///
    /// # Errors
    /// When Beads would not take it, or cannot be written.
    pub(crate) fn create(&self, from: &str, name: &str, new: &New) -> anyhow::Result<Bead> {
        new.check()?;
        let bead = match &self.lock {
            None => new.bead(new.id.as_deref().unwrap_or(name), time::now())?,
            lock => self.tool.store.create(new, lock.as_ref())?,
        };
        self.report.count(|counts| counts.created += 1);
        self.report.say(
            bead.id(),
            &format!("{} from {from}", self.word("created", "would be created")),
        );
        Ok(bead)
    }

    /// `None`: there is nothing to change.
    fn revise(&self, file: &str, bead: &Bead, new: &New) -> anyhow::Result<Option<Bead>> {
        if matches!(bead.status(), Status::Closed | Status::Tombstone) {
            return Ok(None);
        }
        new.check()?;
        let (revision, stay) = merge::revision(bead, new);
        if !stay.is_empty() {
            let why = format!(
                "changed in Beads and in {file}, left as it is: {}",
                stay.join(", ")
            );
            self.report.say(bead.id(), &why);
        }
        if revision.is_empty() {
            return Ok(None);
        }
        let revised = self.write(bead, &revision)?;
        self.report.count(|counts| counts.updated += 1);
        self.report.say(
            bead.id(),
            &format!("{} from {file}", self.word("updated", "would be updated")),
        );
        Ok(Some(revised))
    }

    fn write(&self, bead: &Bead, revision: &Revision) -> anyhow::Result<Bead> {
        match &self.lock {
            None => bead.revised(revision, time::now()),
            Some(_) => self.tool.store.revise(bead.id(), revision),
        }
    }

    fn word(&self, done: &'static str, would: &'static str) -> &'static str {
        if self.lock.is_none() { would } else { done }
    }
}

/// The file that a bead stands for, as an import noted it.
fn file_of(bead: &Bead) -> Option<String> {
    let line: Value = serde_json::from_str(bead.line()).ok()?;
    let metadata = line.get("metadata")?;
    let file = metadata
        .get("spec_file")
        .or_else(|| metadata.get("plan_file"))?;
    file.as_str().map(str::to_owned)
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}
