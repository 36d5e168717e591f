//! The number of a task, which its file's name begins with: `005`, `005b`.

/// A task's number. Zeros before it do not count.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Number {
    value: u32,
    letter: Option<char>,
}

impl Number {
    /// Reads the number that a name begins with, and what stands behind it.
    pub(crate) fn split(name: &str) -> Option<(Self, &str)> {
        let digits = name.bytes().take_while(u8::is_ascii_digit).count();
        let value = name[..digits].parse().ok()?;
        let rest = &name[digits..];
        let is_letter = |c: &char| c.is_ascii_lowercase();
        let letter = rest.chars().next().filter(is_letter);
        let rest = letter.map_or(rest, |_| &rest[1..]);
        let ends = !rest.starts_with(|c: char| c.is_alphanumeric());
        ends.then_some((Self { value, letter }, rest))
    }

    /// Reads the name of a task's file without its ending: `005_name`, `005b_name`.
    pub(crate) fn of_stem(stem: &str) -> Option<Self> {
        let (number, name) = Self::split(stem)?;
        (name.len() > 1 && name.starts_with('_')).then_some(number)
    }

    /// Reads what is a number and nothing else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (number, rest) = Self::split(text)?;
        rest.is_empty().then_some(number)
    }
}

/// The title of a task without what only numbers it: `Task 005: Title`, `005 - Title`.
pub(crate) fn title(heading: &str, number: Number) -> &str {
    let task = heading
        .get(..4)
        .filter(|word| word.eq_ignore_ascii_case("task"));
    let rest = task.map_or(heading, |_| {
        heading[4..].trim_start().trim_start_matches('#')
    });
    let (numbered, rest) = match Number::split(rest) {
        Some((same, rest)) if task.is_some() || same == number => (true, rest),
        _ => (false, rest),
    };
    let bare = rest.trim_start();
    let title = bare.trim_start_matches([':', '-', '–', '—', '.', ' ']);
    let separated = bare.starts_with([':', '-', '–', '—', '.']);
    match separated && (numbered || task.is_some()) && !title.is_empty() {
        true => title,
        false => heading,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tasks_begin_with_a_number() {
        let same = |a: &str, b: &str| assert_eq!(Number::of_stem(a), Number::parse(b), "{a}");
        same("005_x", "5");
        same("005b_x", "5b");
        for stem in [
            "005",
            "005_",
            "x_005",
            "5x6_y",
            "99999999999_x",
            "-5_x",
            "005bc_x",
            "",
        ] {
            assert_eq!(Number::of_stem(stem), None, "{stem}");
        }
    }

    #[test]
    fn a_title_loses_its_number_alone() {
        let number = Number::parse("005").expect("a number");
        let table = [
            ("Task 005: Write: it", "Write: it"),
            ("task 5 — Write it", "Write it"),
            ("Task: Write it", "Write it"),
            ("Task #005. Write it", "Write it"),
            ("005 - Write it", "Write it"),
            ("Write it", "Write it"),
            ("Task 005", "Task 005"),
            ("Tasks: a list", "Tasks: a list"),
            ("42: the answer", "42: the answer"),
            ("Task queue", "Task queue"),
        ];
        for (heading, wanted) in table {
            assert_eq!(title(heading, number), wanted, "{heading}");
        }
    }
}
