//! The board as text. Pure: a board and a style in, lines out.

use std::collections::BTreeMap;

use beads::harmless;
use jiff::SignedDuration;
use unicode_width::UnicodeWidthStr;

use crate::board::{Agent, Board, Row};
use crate::queue::Queued;

/// How the table is drawn.
pub(crate) struct Style {
    /// Columns of the terminal; `None`: as wide as it gets.
    pub(crate) width: Option<usize>,
    pub(crate) colour: bool,
}

const HEAD: [&str; 7] = ["ID", "PHASE", "AGENT", "AGE", "BRANCH", "PR", "TITLE"];

/// The narrowest column that is cut to.
const NARROWEST: usize = 8;

/// The most characters of a cell that are looked at.
const LONGEST: usize = 1000;

/// More are only counted.
const MOST: usize = 7;

/// The table, the counts, the queues, and what waits for a person.
pub(crate) fn lines(board: &Board, style: &Style) -> Vec<String> {
    let cells: Vec<[String; 7]> = board.rows.iter().map(cells).collect();
    let mut widths = HEAD.map(str::width);
    for row in &cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    fit(&mut widths, style.width);
    let paint = |code: &str, line: &str| {
        let line = cut(line, style.width.unwrap_or(usize::MAX));
        match style.colour && !code.is_empty() {
            true => format!("\u{1b}[{code}m{line}\u{1b}[0m"),
            false => line,
        }
    };
    let mut lines = Vec::new();
    if !board.rows.is_empty() {
        lines.push(paint("1", &line(&HEAD.map(str::to_owned), &widths)));
    }
    for (row, cells) in board.rows.iter().zip(&cells) {
        let code = match (row.person.is_some(), row.agent) {
            (true, _) => "33",
            (false, Agent::Alive) => "32",
            (false, _) => "",
        };
        lines.push(paint(code, &line(cells, &widths)));
    }
    lines.push(paint("", &counts(board)));
    let unread = |why: &String| paint("33", &format!("--checks: {}", harmless(why)));
    lines.extend(board.unread.iter().map(unread));
    lines.extend(board.used.iter().map(|used| paint("", &used.to_string())));
    let mut queued: Vec<(&Queued, &Row)> = board
        .rows
        .iter()
        .filter_map(|row| Some((row.queued.as_ref()?, row)))
        .collect();
    queued.sort_by_key(|(queued, _)| (&queued.base, queued.place));
    for (queued, row) in queued {
        let text = format!("{}: {}", harmless(row.bead.id()), stands(queued));
        lines.push(paint("", &text));
    }
    for row in &board.rows {
        if let Some(why) = &row.person {
            let text = format!("{}: {}", harmless(row.bead.id()), harmless(why));
            lines.push(paint("", &text));
        }
    }
    lines
}

fn cells(row: &Row) -> [String; 7] {
    let facts = row.bead.facts();
    let number = match facts.pr_number {
        0 => String::new(),
        number => number.to_string(),
    };
    // Which checks: that is for `--json`.
    let checks = row.checks.split(':').next().unwrap_or_default();
    [
        harmless(row.bead.id()),
        row.state.clone(),
        row.agent.word().to_owned(),
        row.age.map(age).unwrap_or_default(),
        harmless(&facts.branch),
        format!("{number} {checks}").trim_end().to_owned(),
        harmless(row.bead.title()),
    ]
}

/// Where one stands in the queue of its base, in words.
fn stands(queued: &Queued) -> String {
    let Queued { place, count, .. } = queued;
    let mut parts = vec![format!(
        "place {place} of {count} on {}",
        harmless(&queued.base)
    )];
    if let Some(test) = &queued.test {
        let names: Vec<String> = test.with.iter().take(MOST).map(|id| harmless(id)).collect();
        let more = test.with.len() - names.len();
        parts.push(", being checked".to_owned());
        if !names.is_empty() {
            parts.push(format!(" with {}", names.join(", ")));
        }
        if more > 0 {
            parts.push(format!(" and {more} more"));
        }
        parts.push(format!(" for {}", age(test.runs)));
        if let Some(took) = test.took {
            parts.push(format!(" of about {}", age(took)));
        }
    }
    if let Some(time) = queued.lands_in {
        parts.push(format!(", lands in about {} if all is green", age(time)));
    }
    parts.concat()
}

/// One number and its largest unit.
fn age(age: SignedDuration) -> String {
    let seconds = age.as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86400),
    }
}

/// Narrows the title first, then branch and id, until the line fits.
fn fit(widths: &mut [usize; 7], width: Option<usize>) {
    let Some(width) = width else { return };
    for column in [6, 4, 0] {
        let total: usize = widths.iter().sum::<usize>() + 2 * (widths.len() - 1);
        let over = total.saturating_sub(width);
        let narrowest = widths[column].min(NARROWEST);
        widths[column] = widths[column].saturating_sub(over).max(narrowest);
    }
}

fn line(cells: &[String; 7], widths: &[usize; 7]) -> String {
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        let cell = cut(cell, *width);
        let gap = width.saturating_sub(cell.width()) + 2;
        line.push_str(&cell);
        line.extend(std::iter::repeat_n(' ', gap));
    }
    line.trim_end().to_owned()
}

/// The text in at most `width` columns.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut cut = String::new();
    // Signs without a width of their own may change that of others, and may come by the thousand.
    for c in text.chars().take(LONGEST) {
        let before = cut.len();
        cut.push(c);
        if cut.width() >= width {
            cut.truncate(before);
            break;
        }
    }
    cut.push('…');
    cut
}

fn counts(board: &Board) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for row in &board.rows {
        if !matches!(row.state.as_str(), "merged" | "closed") {
            *counts.entry(&row.state).or_default() += 1;
        }
    }
    let mut parts: Vec<String> = counts
        .iter()
        .map(|(state, n)| format!("{n} {state}"))
        .collect();
    parts.push(format!("{} closed", board.closed));
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use agent::Standing;
    use beads::Bead;

    use super::*;
    use crate::queue::InTest;

    fn board(title: &str) -> Board {
        let line = serde_json::json!({"id": "t-1", "title": title, "metadata": {"pr_number": 7}});
        let row = Row {
            bead: Bead::parse(&line.to_string()).expect("a bead"),
            state: "working".to_owned(),
            agent: Agent::Alive,
            age: Some(SignedDuration::from_secs(90)),
            person: Some("approve it".to_owned()),
            checks: String::new(),
            queued: None,
        };
        Board {
            rows: vec![row],
            closed: 2,
            unread: None,
            used: Some(Standing::default()),
        }
    }

    #[test]
    fn a_table_with_its_counts_and_what_waits() {
        let style = Style {
            width: None,
            colour: false,
        };
        assert_eq!(
            lines(&board("Title"), &style),
            [
                "ID   PHASE    AGENT  AGE  BRANCH  PR  TITLE",
                "t-1  working  alive  1m           7   Title",
                "1 working, 2 closed",
                "last 24 h: 0 runs, 0 tokens, $0.000000",
                "t-1: approve it",
            ]
        );
    }

    #[test]
    fn a_place_in_the_queue_in_words() {
        let mut queued = Queued {
            base: "ma\u{1b}in".to_owned(),
            place: 1,
            count: 12,
            test: None,
            lands_in: None,
        };
        assert_eq!(stands(&queued), "place 1 of 12 on ma\\u{1b}in");
        let test = |with: &[&str]| InTest {
            with: with.iter().map(|id| (*id).to_owned()).collect(),
            runs: SignedDuration::from_secs(5),
            took: None,
        };
        queued.test = Some(test(&[]));
        assert!(stands(&queued).ends_with("in, being checked for 5s"));
        queued.test = Some(InTest {
            took: Some(SignedDuration::from_secs(8)),
            ..test(&["t-2", "t-\u{1b}3"])
        });
        queued.lands_in = Some(SignedDuration::from_secs(3));
        let end = ", being checked with t-2, t-\\u{1b}3 for 5s of about 8s, lands in about 3s if all is green";
        assert!(stands(&queued).ends_with(end), "{}", stands(&queued));
        queued.test = Some(test(&["t"; 9]));
        let some = "with t, t, t, t, t, t, t and 2 more for 5s";
        assert!(stands(&queued).contains(some), "{}", stands(&queued));
    }

    #[test]
    fn it_fits_the_terminal_and_controls_are_harmless() {
        let style = Style {
            width: Some(50),
            colour: false,
        };
        let lines = lines(&board(&format!("\u{1b}[2J漢字{}", "x".repeat(100))), &style);
        assert!(
            lines
                .iter()
                .all(|line| line.width() <= 50 && !line.contains('\u{1b}')),
            "{lines:?}"
        );
        assert!(lines[1].ends_with('…'));
    }

    #[test]
    fn colour_only_when_asked() {
        let style = Style {
            width: None,
            colour: true,
        };
        assert!(lines(&board("T"), &style)[1].starts_with("\u{1b}[33m"));
    }
}
