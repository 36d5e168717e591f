//! One Markdown file: its title, its criteria, its status line, its dependencies, and the rest.
//!
//! Text only. What becomes a bead's text is cut out of the file, byte for byte.

use std::ops::Range;

use anyhow::{Context, ensure};
use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// A page, taken apart.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Page {
    /// The first heading of the first level, in one line.
    pub(crate) title: String,
    /// Everything but the title and the criteria.
    pub(crate) description: String,
    /// What stands below `Success Criteria` and `Acceptance Criteria`.
    pub(crate) criteria: String,
    /// What follows `**Status:**` above the first section.
    pub(crate) status: Option<String>,
    /// The first lines of the items and paragraphs below `Dependencies`.
    pub(crate) dependencies: Vec<Entry>,
}

/// One thing that the page says about dependencies.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Entry {
    /// The line of the file, counted from 1.
    pub(crate) line: usize,
    /// Its first line.
    pub(crate) text: String,
}

/// A heading that stands by itself, in no list and no quotation.
struct Heading {
    level: HeadingLevel,
    whole: Range<usize>,
    text: Range<usize>,
}

impl Heading {
    /// What it says; a bare `#` says nothing.
    fn text<'a>(&self, page: &'a str) -> &'a str {
        page.get(self.text.clone()).unwrap_or_default()
    }
}

/// What a page's section is about.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Topic {
    Criteria,
    Dependencies,
    Other,
}

impl Page {
    /// Takes a file apart.
    ///
    /// # Errors
    /// When it has no title, or holds what no bead can hold.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        // A mark that some editors put first.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        ensure!(!text.contains('\0'), "it holds a NUL character");
        let headings = headings(text);
        let first = headings
            .iter()
            .position(|heading| heading.level == HeadingLevel::H1)
            .context("it has no title: no heading '# …'")?;
        let title = one_line(headings[first].text(text));
        ensure!(!title.is_empty(), "its title is empty");
        let (mut criteria, mut cut) = (Vec::new(), vec![headings[first].whole.clone()]);
        let mut dependencies = Vec::new();
        for (at, heading) in headings.iter().enumerate().skip(first + 1) {
            let inside = cut.last().is_some_and(|cut| heading.whole.start < cut.end);
            let below = |next: &&Heading| next.level <= heading.level;
            let end = headings[at + 1..]
                .iter()
                .find(below)
                .map_or(text.len(), |next| next.whole.start);
            match topic(heading.text(text)) {
                Topic::Criteria if !inside => {
                    criteria.push(trim_lines(&text[heading.whole.end..end]));
                    cut.push(heading.whole.start..end);
                }
                Topic::Dependencies => dependencies.extend(entries(text, heading.whole.end..end)),
                Topic::Criteria | Topic::Other => {}
            }
        }
        let header = headings
            .get(first + 1)
            .map_or(text.len(), |next| next.whole.start);
        Ok(Self {
            title,
            description: trim_lines(&without(text, &cut)).to_owned(),
            criteria: criteria.join("\n\n"),
            status: status(&text[..header]),
            dependencies,
        })
    }
}

/// The rows of all tables of a page, cell by cell.
pub(crate) fn rows(text: &str) -> Vec<Vec<&str>> {
    let mut rows = Vec::new();
    for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
        match event {
            Event::Start(Tag::TableHead | Tag::TableRow) => rows.push(Vec::new()),
            Event::Start(Tag::TableCell) => {
                if let Some(row) = rows.last_mut() {
                    row.push(text[range].trim_matches(['|', ' ', '\t']));
                }
            }
            _ => {}
        }
    }
    rows
}

fn headings(text: &str) -> Vec<Heading> {
    let (mut found, mut depth, mut open) = (Vec::new(), 0_usize, None);
    for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
        match event {
            Event::Start(Tag::Heading { level, .. }) if depth == 0 => {
                open = Some(Heading {
                    level,
                    whole: range.clone(),
                    // Turned around: the first part sets both ends.
                    text: range.end..range.start,
                });
                depth += 1;
            }
            Event::End(TagEnd::Heading(_)) if depth == 1 => {
                found.extend(open.take());
                depth -= 1;
            }
            Event::Start(_) => {
                widen(&mut open, range);
                depth += 1;
            }
            Event::End(_) => depth = depth.saturating_sub(1),
            _ => widen(&mut open, range),
        }
    }
    found
}

/// The text of a heading reaches from its first part to its last.
fn widen(heading: &mut Option<Heading>, part: Range<usize>) {
    if let Some(Heading { text, .. }) = heading {
        *text = text.start.min(part.start)..text.end.max(part.end);
    }
}

fn topic(heading: &str) -> Topic {
    let heading = heading.to_lowercase();
    let heading = heading.trim_matches(|c: char| !c.is_alphanumeric());
    match heading {
        "depends on" => Topic::Dependencies,
        _ if heading.starts_with("dependencies") => Topic::Dependencies,
        _ if heading.starts_with("success criteria") => Topic::Criteria,
        _ if heading.starts_with("acceptance criteria") => Topic::Criteria,
        _ => Topic::Other,
    }
}

/// The items of a part of the page, and the lines of its paragraphs. What is code says nothing
/// about tasks.
fn entries(text: &str, part: Range<usize>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let (mut begins, mut items) = (false, 0_usize);
    let parser = Parser::new_ext(&text[part.clone()], Options::ENABLE_TASKLISTS);
    for (event, range) in parser.into_offset_iter() {
        match event {
            Event::Start(Tag::Item) => (begins, items) = (true, items + 1),
            Event::End(TagEnd::Item) => (begins, items) = (false, items.saturating_sub(1)),
            // An item's first paragraph is the item; what follows explains it.
            Event::Start(Tag::Paragraph) => begins |= items == 0,
            Event::SoftBreak | Event::HardBreak => begins = items == 0,
            Event::Start(Tag::CodeBlock(_) | Tag::HtmlBlock | Tag::List(_)) => begins = false,
            Event::TaskListMarker(_) => {}
            _ if begins => {
                begins = false;
                let start = part.start + range.start;
                let line = text[start..].lines().next().unwrap_or_default();
                entries.push(Entry {
                    line: text[..start].matches('\n').count() + 1,
                    text: line.trim().to_owned(),
                });
            }
            _ => {}
        }
    }
    entries
}

fn status(header: &str) -> Option<String> {
    header.lines().find_map(|line| {
        let plain: String = line.chars().filter(|c| !"*_`".contains(*c)).collect();
        let plain = plain.trim().trim_start_matches(['-', '+', '>', ' ']);
        let (word, status) = plain.split_once(':')?;
        word.trim()
            .eq_ignore_ascii_case("status")
            .then(|| status.trim().to_owned())
    })
}

fn without(text: &str, cut: &[Range<usize>]) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut from = 0;
    for range in cut {
        kept.push_str(&text[from..range.start]);
        from = range.end;
    }
    kept.push_str(&text[from..]);
    kept
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Without empty lines around it. The first line keeps its indent, which may mean something.
fn trim_lines(text: &str) -> &str {
    let text = text.trim_end();
    let start = text.len() - text.trim_start().len();
    let line = text[..start].rfind('\n').map_or(0, |end| end + 1);
    &text[line..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> Page {
        Page::parse(text).expect("a page")
    }

    #[test]
    fn a_page_is_cut_and_nothing_of_it_is_lost() {
        let page = page(
            "intro\n# Task 001: A `b` *c*\n\n**Status:** [~] doing\n\n## What\r\n\r\n    indented\r\n\n### Success criteria:\n- one\n#### more\n- two\n## Last\n```\n# no heading\n## Dependencies\n- 007_x\n```\n",
        );
        assert_eq!(page.title, "Task 001: A `b` *c*");
        assert_eq!(page.criteria, "- one\n#### more\n- two");
        assert_eq!(
            page.description,
            "intro\n\n**Status:** [~] doing\n\n## What\r\n\r\n    indented\r\n\n## Last\n```\n# no heading\n## Dependencies\n- 007_x\n```"
        );
        assert_eq!(page.status.as_deref(), Some("[~] doing"));
        assert_eq!(page.dependencies, []);
    }

    #[test]
    fn dependencies_are_items_and_paragraphs_with_their_lines() {
        let page = page(
            "# T\n## Dependencies\nNone\nyet\n\n- `001_a` - why\n  more of it\n- Task 002 (why)\n  - nested 003\n* [ ] **004_b**: x\n\n```\n005_c\n```\n\n## Dependencies of others\n1. 006_d\n## Else\n- 007_e\n",
        );
        let entries: Vec<(usize, &str)> = page
            .dependencies
            .iter()
            .map(|entry| (entry.line, entry.text.as_str()))
            .collect();
        assert_eq!(
            entries,
            [
                (3, "None"),
                (4, "yet"),
                (6, "`001_a` - why"),
                (8, "Task 002 (why)"),
                (9, "nested 003"),
                (10, "**004_b**: x"),
                (17, "006_d")
            ]
        );
    }

    #[test]
    fn what_is_no_page_is_refused() {
        for text in ["", "no heading", "## Second", "#\n", "> # Quoted", "# A\0"] {
            assert!(Page::parse(text).is_err(), "{text}");
        }
        assert_eq!(page("\u{feff}Set\n===\n").title, "Set");
    }

    #[test]
    fn a_table_is_read_cell_by_cell() {
        let text =
            "| # | Task | Status |\n|---|---|---|\n| 001 | A \\| b | [x] Complete |\n| 002 |\n";
        assert_eq!(
            rows(text),
            [
                vec!["#", "Task", "Status"],
                vec!["001", "A \\| b", "[x] Complete"],
                vec!["002", "", ""]
            ]
        );
    }
}
