//! How far a task is, as a plan says it: a mark or a word.

/// The state of a task in a plan.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum State {
    #[default]
    Pending,
    InProgress,
    Complete,
    Blocked,
}

/// The words that stand for a state, in lower case. The first one is kept in the bead.
const WORDS: [(State, &[&str]); 4] = [
    (
        State::Pending,
        &[
            "pending",
            "todo",
            "to do",
            "open",
            "not started",
            "planned",
            "ready",
        ],
    ),
    (
        State::InProgress,
        &[
            "in_progress",
            "in progress",
            "in-progress",
            "started",
            "wip",
            "active",
        ],
    ),
    (
        State::Complete,
        &[
            "complete",
            "completed",
            "done",
            "finished",
            "merged",
            "closed",
        ],
    ),
    (State::Blocked, &["blocked", "on hold"]),
];

impl State {
    /// Reads a mark, `[x]`, or a word, `✅ Complete (date)`. `None`: it is neither.
    pub(crate) fn read(text: &str) -> Option<Self> {
        Self::mark(text).or_else(|| Self::word(text))
    }

    /// Reads a mark at the beginning.
    pub(crate) fn mark(text: &str) -> Option<Self> {
        let text = text.trim_start_matches(|c: char| c.is_whitespace() || "`*-".contains(c));
        let (mark, _) = text.strip_prefix('[')?.split_once(']')?;
        match mark {
            " " | "" => Some(Self::Pending),
            "~" => Some(Self::InProgress),
            "x" | "X" => Some(Self::Complete),
            "!" => Some(Self::Blocked),
            _ => None,
        }
    }

    fn word(text: &str) -> Option<Self> {
        let text = text
            .trim_start_matches(|c: char| !c.is_alphanumeric())
            .to_lowercase();
        let begins = |word: &&&str| {
            text.strip_prefix(**word)
                .is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
        };
        let (state, _) = WORDS
            .iter()
            .find(|(_, words)| words.iter().any(|word| begins(&word)))?;
        Some(*state)
    }

    /// Its name in `original_status`.
    pub(crate) fn name(self) -> &'static str {
        WORDS
            .iter()
            .find(|(state, _)| *state == self)
            .map_or("", |(_, words)| words[0])
    }

    /// The priority of its bead.
    pub(crate) fn priority(self) -> i64 {
        match self {
            Self::InProgress => 1,
            Self::Pending | Self::Complete => 2,
            Self::Blocked => 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_words_are_read() {
        let table = [
            ("[ ] Pending", Some(State::Pending)),
            ("`[~]` anything", Some(State::InProgress)),
            ("[x]", Some(State::Complete)),
            ("[!] needs a key", Some(State::Blocked)),
            ("✅ Complete (2026-01-02)", Some(State::Complete)),
            ("Not started", Some(State::Pending)),
            ("In Progress", Some(State::InProgress)),
            ("Completely new", None),
            ("[see](x)", None),
            ("", None),
        ];
        for (text, state) in table {
            assert_eq!(State::read(text), state, "{text}");
        }
    }
}
