//! What one entry below `Dependencies` says: which tasks, by number or by name.

use crate::number::Number;

/// A task that an entry names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Reference {
    /// The epic, when it is named: `other_epic/003_x`.
    pub(crate) epic: Option<String>,
    /// The task's number; of a range the first.
    pub(crate) number: Number,
    /// The last number of a range: `001-003`.
    pub(crate) last: Option<Number>,
    /// The name of its file without the ending, when that is named.
    pub(crate) stem: Option<String>,
}

/// What an entry says.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Said {
    /// Nothing about a task.
    Nothing,
    /// It depends on these.
    Tasks(Vec<Reference>),
    /// It names a task, but not as its subject: only a person can tell what is meant.
    Unclear,
}

/// Words before the tasks that do not change the meaning.
const LEADS: [&str; 6] = [
    "depends on",
    "requires",
    "blocked by",
    "needs",
    "after",
    "on",
];

/// Beginnings of entries that deny a dependency.
const NONE: [&str; 5] = ["none", "n/a", "nothing", "no", "nil"];

impl Said {
    /// Reads the first line of an entry.
    pub(crate) fn read(entry: &str) -> Self {
        let plain = plain(entry);
        let mut rest = plain.trim();
        if NONE.iter().any(|word| after(rest, word).is_some()) {
            return Self::Nothing;
        }
        if let Some(behind) = LEADS.iter().find_map(|lead| after(rest, lead)) {
            rest = behind.trim_start_matches([':', ' ']);
        }
        let mut tasks = Vec::new();
        while let Some((task, behind)) = one(rest, !tasks.is_empty()) {
            tasks.push(task);
            rest = behind.trim_start();
            let next = rest.trim_start_matches([',', '&', '+', ' ']);
            rest = after(next, "and").map_or(next, str::trim_start);
        }
        match (tasks.is_empty(), mentions(&plain)) {
            (false, _) => Self::Tasks(tasks),
            (true, true) => Self::Unclear,
            (true, false) => Self::Nothing,
        }
    }
}

/// Reads one task at the beginning, and what stands behind it.
fn one(text: &str, again: bool) -> Option<(Reference, &str)> {
    let task = ["tasks", "task"].iter().find_map(|word| after(text, word));
    let text = task.unwrap_or(text).trim_start().trim_start_matches('#');
    let path = |c: char| c.is_alphanumeric() || "_-–./".contains(c);
    let end = text.find(|c| !path(c)).unwrap_or(text.len());
    let token = text[..end].trim_end_matches(['.', '-', '–', '/']);
    let behind = &text[token.len()..];
    let (folders, file) = token.rsplit_once('/').unwrap_or(("", token));
    let stem = file.strip_suffix(".md").unwrap_or(file);
    let (number, name) = Number::split(stem)?;
    let mut reference = Reference {
        epic: epic(folders),
        number,
        last: None,
        stem: None,
    };
    if Number::of_stem(stem).is_some() {
        reference.stem = Some(stem.to_owned());
        return Some((reference, behind));
    }
    let last = match name {
        "" => ["to", "through"].iter().find_map(|word| {
            let behind = after(behind.trim_start(), word)?.trim_start();
            let digits = behind
                .find(|c: char| !c.is_alphanumeric())
                .unwrap_or(behind.len());
            Some((Number::parse(&behind[..digits])?, &behind[digits..]))
        }),
        _ => Some((Number::parse(name.strip_prefix(['-', '–'])?)?, behind)),
    };
    let behind = last.map_or(behind, |(_, behind)| behind);
    reference.last = last.map(|(number, _)| number);
    // A number in prose is only a number: "300 users", "2 weeks".
    let digits = stem.bytes().take_while(u8::is_ascii_digit).count();
    let stands_alone = behind
        .trim_start()
        .chars()
        .next()
        .is_none_or(|c| ":-–—(,&+.;".contains(c));
    let listed = after(behind.trim_start(), "and").is_some();
    let is_task = task.is_some()
        || !folders.is_empty()
        || (digits >= 3 && (stands_alone || listed))
        || (again && digits >= 3);
    is_task.then_some((reference, behind))
}

/// The last folder that can be an epic's.
fn epic(folders: &str) -> Option<String> {
    let skipped = [
        "",
        ".",
        "..",
        "tasks",
        ".plan",
        ".claude",
        "plan",
        "_complete",
    ];
    let mut named = folders
        .split('/')
        .filter(|folder| !skipped.contains(folder));
    named.next_back().map(str::to_owned)
}

/// Whether the text names a task anywhere: `005_x`, `Task 5`.
fn mentions(text: &str) -> bool {
    let words = || text.split(|c: char| !c.is_alphanumeric() && !"_-".contains(c));
    let pairs = words().zip(words().skip(1));
    let is_task =
        |word: &str| word.eq_ignore_ascii_case("task") || word.eq_ignore_ascii_case("tasks");
    words().any(|word| word.len() > 4 && Number::of_stem(word).is_some())
        || pairs
            .into_iter()
            .any(|(word, next)| is_task(word) && Number::parse(next).is_some())
}

/// What follows a word at the beginning, whatever its case.
fn after<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let begins = text.get(..word.len())?.eq_ignore_ascii_case(word);
    let rest = &text[word.len()..];
    (begins && !rest.starts_with(char::is_alphanumeric)).then_some(rest)
}

/// The text without emphasis and code marks; of a link its text.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['*', '`', '[', ']', '~']) {
        plain.push_str(&rest[..at]);
        let link = rest[at..]
            .strip_prefix("](")
            .and_then(|target| target.split_once(')'));
        rest = link.map_or(&rest[at + 1..], |(_, behind)| behind);
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tasks of an entry, as `epic/number-last/stem`.
    fn tasks(entry: &str) -> String {
        let Said::Tasks(tasks) = Said::read(entry) else {
            return format!("{:?}", Said::read(entry));
        };
        let show = |task: &Reference| {
            let named = task.stem.clone().unwrap_or_else(|| {
                let last = task
                    .last
                    .map(|last| format!("..{last:?}"))
                    .unwrap_or_default();
                format!("{:?}{last}", task.number)
            });
            let epic = task
                .epic
                .as_ref()
                .map(|epic| format!("{epic}/"))
                .unwrap_or_default();
            let named = named
                .replace("Number { value: ", "")
                .replace(", letter: None }", "");
            epic + &named.replace(", letter: Some('b') }", "b")
        };
        tasks.iter().map(show).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_form_of_an_entry_is_read() {
        let table = [
            ("005_justfile_integration - why", "005_justfile_integration"),
            ("**`005_fix-bug.md`**: why", "005_fix-bug"),
            ("[005_x](005_x.md) (why, 006_y)", "005_x"),
            ("Task 005: Title, and Task 006", "5"),
            ("Task 5b (why)", "5b"),
            ("000: why", "0"),
            ("Task 001, Task 002 and 003_z - why 004", "1 2 003_z"),
            ("Tasks 001, 002 & 003", "1 2 3"),
            ("001 and 002", "1 2"),
            ("Tasks 001-003", "1..3"),
            ("001–003: all", "1..3"),
            ("Tasks 001 through 003 first", "1..3"),
            ("Depends on: Task 004", "4"),
            ("other_epic/003_x", "other_epic/003_x"),
            ("`.plan/other/tasks/003_x.md` - why", "other/003_x"),
            ("other/003", "other/3"),
            ("None - Task 001 is the first", "Nothing"),
            ("none", "Nothing"),
            ("No dependencies", "Nothing"),
            ("A running database, 300 users", "Nothing"),
            ("300 users", "Nothing"),
            ("2 weeks of Task force work", "Nothing"),
            ("Blocks Task 007", "Unclear"),
            ("The parser (see 004_parser)", "Unclear"),
            ("Node 20", "Nothing"),
            ("", "Nothing"),
            ("](", "Nothing"),
            ("é[x](", "Nothing"),
        ];
        for (entry, wanted) in table {
            assert_eq!(tasks(entry), wanted, "{entry}");
        }
    }
}
