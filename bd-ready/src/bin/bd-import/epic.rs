//! An epic of the plan with its tasks, put together from its pages.

use std::collections::HashMap;

use anyhow::Context;

use crate::folder::Folder;
use crate::number::{self, Number};
use crate::page::{self, Page};
use crate::report::Report;
use crate::state::State;

/// Where epics go that are complete.
const ARCHIVE: &str = "_complete";

/// A folder with a `PLAN.md`.
#[derive(Debug)]
pub(crate) struct Epic {
    /// The folder's name.
    pub(crate) name: String,
    /// The path of its `PLAN.md` in the repository.
    pub(crate) file: String,
    /// Its title.
    pub(crate) title: String,
    pub(crate) page: Page,
    pub(crate) state: State,
    /// Whether it is to be imported; else it is only looked at, for what depends on it.
    pub(crate) chosen: bool,
    pub(crate) tasks: Vec<Task>,
}

/// One file of its `tasks/`.
#[derive(Debug)]
pub(crate) struct Task {
    /// The file's name without its ending.
    pub(crate) stem: String,
    pub(crate) number: Number,
    /// Its path in the repository.
    pub(crate) file: String,
    /// Its title.
    pub(crate) title: String,
    pub(crate) page: Page,
    pub(crate) state: State,
}

/// Which epics are wanted.
#[derive(Debug)]
pub(crate) struct Choice {
    /// Their names; none means all.
    pub(crate) names: Vec<String>,
    /// Those in `_complete/`, too.
    pub(crate) archived: bool,
}

/// A path without the archive's folder: an epic that moves there stays the same.
pub(crate) fn identity(file: &str) -> String {
    file.replacen(&format!("/{ARCHIVE}/"), "/", 1)
}

/// Reads every epic of the plan. What is wrong with one that is chosen is reported.
///
/// # Errors
/// When the plan's folder cannot be read.
pub(crate) fn all(folder: &Folder, choice: &Choice, report: &Report) -> anyhow::Result<Vec<Epic>> {
    let mut epics: Vec<Epic> = Vec::new();
    for (place, archived) in [("", false), ("_complete/", true)] {
        let list = folder.names(if archived { ARCHIVE } else { "." });
        for name in list.with_context(|| format!("'{}/{place}'", folder.path))? {
            let named = choice.names.contains(&name);
            let all = choice.names.is_empty() && (choice.archived || !archived);
            let chosen = named || all;
            let silent = Report::silent();
            let report = if chosen { report } else { &silent };
            if name.starts_with(['_', '.']) {
                continue;
            }
            let shown = format!("{}/{place}{name}", folder.path);
            if epics.iter().any(|epic| epic.name == name) {
                report.fail(&shown, "an epic of this name is there already");
                continue;
            }
            match epic(folder, &format!("{place}{name}"), &name, chosen, report) {
                Ok(Some(epic)) => epics.push(epic),
                Ok(None) => {}
                Err(err) => report.fail(&shown, &format!("{err:#}")),
            }
        }
    }
    for epic in epics
        .iter_mut()
        .filter(|epic| epic.state == State::Complete)
    {
        if epic.chosen && !choice.archived {
            report.skip(&epic.file, "complete, see --include-complete");
            epic.chosen = false;
        }
        if !epic.chosen {
            epic.tasks
                .iter_mut()
                .for_each(|task| task.state = State::Complete);
        }
    }
    for name in &choice.names {
        if !epics.iter().any(|epic| epic.name == *name) {
            report.fail(name, &format!("no such epic in '{}'", folder.path));
        }
    }
    Ok(epics)
}

/// Reads the epic in the folder `path`; `None`, and said where it may surprise: it holds none.
fn epic(
    folder: &Folder,
    path: &str,
    name: &str,
    chosen: bool,
    report: &Report,
) -> anyhow::Result<Option<Epic>> {
    let names = folder.names(&format!("{path}/tasks"))?;
    let shown = format!("{}/{path}", folder.path);
    let file = format!("{shown}/PLAN.md");
    // By custom what was found out beforehand, whatever the names of its pages.
    if name == "research" {
        report.skip(&shown, "not an epic");
        return Ok(None);
    }
    let Some(text) = folder.text(&format!("{path}/PLAN.md")).context("PLAN.md")? else {
        let tasks = names.iter().any(|name| Number::of_stem(name).is_some());
        anyhow::ensure!(!tasks, "it has tasks, but no PLAN.md");
        return Ok(None);
    };
    let page = Page::parse(&text).context("PLAN.md")?;
    let said = page.status.as_deref().and_then(State::read);
    let board = Board::read(folder, path, report);
    let mut epic = Epic {
        name: name.to_owned(),
        title: title(&page.title),
        file,
        state: match path == name {
            true => said.unwrap_or_default(),
            false => State::Complete,
        },
        page,
        chosen,
        tasks: Vec::new(),
    };
    let numbers: Vec<Number> = names
        .iter()
        .filter_map(|name| Number::of_stem(name))
        .collect();
    for name in names {
        let (Some(stem), shown) = (name.strip_suffix(".md"), format!("{shown}/tasks/{name}"))
        else {
            continue;
        };
        let Some(number) = Number::of_stem(stem) else {
            if stem != "README" {
                report.skip(&shown, "not a task: its name does not begin with a number");
            }
            continue;
        };
        let alone = numbers.iter().filter(|other| **other == number).count() == 1;
        let state = board.state(number, stem, alone);
        match task(folder, &format!("{path}/tasks/{name}"), stem, number, state) {
            Ok(task) => epic.tasks.push(Task {
                file: shown,
                ..task
            }),
            Err(err) => report.fail(&shown, &format!("{err:#}")),
        }
    }
    Ok(Some(epic))
}

fn task(
    folder: &Folder,
    path: &str,
    stem: &str,
    number: Number,
    state: Option<State>,
) -> anyhow::Result<Task> {
    let page = match state {
        // Nothing is made of it: it need not even be readable.
        Some(State::Complete) => Page::default(),
        _ => Page::parse(&folder.text(path)?.context("it is gone")?)?,
    };
    let said = || page.status.as_deref().and_then(State::read);
    Ok(Task {
        stem: stem.to_owned(),
        number,
        file: String::new(),
        title: number::title(&page.title, number).to_owned(),
        state: state.or_else(said).unwrap_or_default(),
        page,
    })
}

/// `Epic: Title` or `Title`.
fn title(heading: &str) -> String {
    let epic = heading
        .get(..5)
        .filter(|word| word.eq_ignore_ascii_case("epic:"));
    let title = epic.map_or(heading, |_| heading[5..].trim_start());
    if title.is_empty() { heading } else { title }.to_owned()
}

/// The states that `tasks/README.md` gives, in a table with a number and a mark in each row.
#[derive(Debug, Default)]
struct Board(HashMap<Number, Vec<(String, State)>>);

impl Board {
    fn read(folder: &Folder, path: &str, report: &Report) -> Self {
        let file = format!("{path}/tasks/README.md");
        match folder.text(&file) {
            Ok(text) => Self::parse(&text.unwrap_or_default()),
            Err(err) => {
                report.fail(&format!("{}/{file}", folder.path), &format!("{err:#}"));
                Self::default()
            }
        }
    }

    fn parse(text: &str) -> Self {
        let mut board = Self::default();
        let mut status = None;
        for row in page::rows(text) {
            let Some(number) = row.first().and_then(|cell| number_of(cell)) else {
                // A head, or a row of the legend.
                status = row
                    .iter()
                    .position(|cell| cell.eq_ignore_ascii_case("status"));
                continue;
            };
            let in_column = status.and_then(|at| State::read(row.get(at)?));
            let marked = || row[1..].iter().find_map(|cell| State::mark(cell));
            if let Some(state) = in_column.or_else(marked) {
                board
                    .0
                    .entry(number)
                    .or_default()
                    .push((row.join(" "), state));
            }
        }
        board
    }

    /// The state of a task. A number that several files have is not enough: a row has to name the
    /// file.
    fn state(&self, number: Number, stem: &str, alone: bool) -> Option<State> {
        let rows = self.0.get(&number)?;
        let names = |(row, _): &&(String, State)| row.contains(stem);
        let row = rows
            .iter()
            .find(names)
            .or_else(|| rows.first().filter(|_| alone))?;
        Some(row.1)
    }
}

/// `005`, `[005](005_x.md)`, `005_x`, `Task 005`.
fn number_of(cell: &str) -> Option<Number> {
    let cell = cell.trim_start_matches(|c: char| !c.is_alphanumeric());
    let cell = cell.strip_prefix("Task ").unwrap_or(cell);
    let end = cell
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(cell.len());
    Number::parse(&cell[..end]).or_else(|| Number::of_stem(&cell[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_board_gives_states_to_numbers() {
        let board = Board::parse(
            "| Mark | Means |\n|---|---|\n| [ ] | Pending |\n| [x] | Complete |\n\n\
             | # | Title | Status | Notes |\n|---|---|---|---|\n| 001 | A | [x] Complete | |\n\
             | [002](002_b.md) | B | In progress | [x] not this |\n| 003 | C | | [!] |\n\
             | 004 | 004_x | [x] | |\n",
        );
        let state =
            |name: &str, alone| board.state(Number::of_stem(name).expect("a name"), name, alone);
        assert_eq!(state("001_a", true), Some(State::Complete));
        assert_eq!(state("002_b", true), Some(State::InProgress));
        assert_eq!(state("003_c", true), Some(State::Blocked));
        assert_eq!(state("004_x", false), Some(State::Complete));
        assert_eq!(state("004_y", false), None);
        assert_eq!(state("005_e", true), None);
        assert_eq!(board.0.len(), 4);
    }
}
