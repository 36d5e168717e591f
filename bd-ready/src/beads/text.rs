//! Text from outside, made fit to be shown or kept.

use std::fmt::Write;

/// The text with every control character and direction mark written as an escape, so that it can
/// neither move a terminal's cursor, nor start a new line, nor hide what it says.
#[must_use]
pub fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\\n"),
            '\t' => shown.push_str("\\t"),
            c if c.is_control() || is_direction_mark(c) => {
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
            }
            c => shown.push(c),
        }
    }
    shown
}

/// Unicode's bidirectional controls (UAX 9), which can make text read as something else.
fn is_direction_mark(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text as one word of a shell's line that a person may paste.
#[must_use]
pub fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    match !text.is_empty() && !text.starts_with('-') && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", harmless(text).replace('\'', r"'\''")),
    }
}

/// The last `lines` lines of `text`, of those at most the last `bytes` bytes.
#[must_use]
pub fn tail(text: &str, lines: usize, bytes: usize) -> &str {
    let text = text.trim_end();
    let start = text
        .rmatch_indices('\n')
        .nth(lines.saturating_sub(1))
        .map_or(0, |(at, _)| at + 1);
    let mut start = start.max(text.len().saturating_sub(bytes));
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_codes_become_harmless() {
        assert_eq!(
            harmless("a\x1b[31m\nb\u{202e}\0"),
            "a\\u{1b}[31m\\nb\\u{202e}\\u{0}"
        );
        assert_eq!(harmless("größer ✓"), "größer ✓");
    }

    #[test]
    fn a_word_for_a_shell_is_one_word() {
        assert_eq!(shell_word("t-1.2"), "t-1.2");
        assert_eq!(shell_word("x; rm 'y'"), r"'x; rm '\''y'\'''");
    }

    #[test]
    fn a_tail_is_bounded_in_lines_and_bytes() {
        assert_eq!(tail("a\nb\nc\n", 2, 99), "b\nc");
        assert_eq!(tail("a\nb\nc\n", 9, 99), "a\nb\nc");
        assert_eq!(tail("aé", 9, 1), "");
        assert_eq!(tail("", 3, 3), "");
    }
}
