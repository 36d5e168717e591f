//! Title and text of a pull request, from a bead's untrusted text.

use anyhow::Context;
use beads::Bead;
use minijinja::{Environment, UndefinedBehavior, context};

/// The longest title that every forge takes, in characters.
const LONGEST: usize = 250;

/// Breaks a word for a forge and for nobody who reads it.
const ZERO_WIDTH_SPACE: char = '\u{200b}';

/// The title: one line.
pub(crate) fn title(template: &str, bead: &Bead) -> anyhow::Result<String> {
    let filled = fill(template, bead).context("--title")?;
    let line = filled
        .split(|c: char| c.is_control())
        .collect::<Vec<_>>()
        .join(" ");
    let line = defuse(line.trim());
    Ok(line.chars().take(LONGEST).collect())
}

/// The text, with a last line that names the bead.
pub(crate) fn body(template: &str, bead: &Bead) -> anyhow::Result<String> {
    let text = defuse(fill(template, bead).context("--body")?.trim_end());
    let id: String = bead.id().chars().filter(|c| !c.is_control()).collect();
    let gap = if text.is_empty() { "" } else { "\n\n" };
    Ok(format!("{text}{gap}Bead: {id}"))
}

fn fill(template: &str, bead: &Bead) -> anyhow::Result<String> {
    let mut templates = Environment::new();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    let values = context! { id => bead.id(), title => bead.title(), description => bead.text("description") };
    Ok(templates.render_str(template, values)?)
}

/// Makes mentions and references mere text: nobody is called, and no issue is closed, by what
/// somebody wrote into a bead. Without `@name`, `#1`, `GH-1` and issue URLs a forge's closing
/// keywords have nothing to close.
fn defuse(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        safe.push(c);
        let before_word = rest.peek().is_some_and(|next| next.is_alphanumeric());
        let lower = |length: usize| safe[safe.len().saturating_sub(length)..].to_ascii_lowercase();
        let reference = match c {
            '@' | '#' | '!' => before_word,
            '-' => {
                before_word
                    && safe.is_char_boundary(safe.len().saturating_sub(3))
                    && lower(3) == "gh-"
            }
            '/' => {
                before_word
                    && ["/issues/", "/pull/", "/pulls/"]
                        .iter()
                        .any(|part| safe.ends_with(part))
            }
            _ => false,
        };
        if reference {
            safe.push(ZERO_WIDTH_SPACE);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mentions_and_references_are_defused() {
        let seen = |text: &str| defuse(text).replace(ZERO_WIDTH_SPACE, "|");
        assert_eq!(
            seen("@alice fixes #12, o/r#3 and GH-4"),
            "@|alice fixes #|12, o/r#|3 and GH-|4"
        );
        assert_eq!(
            seen("closes https://h/o/r/issues/7"),
            "closes https://h/o/r/issues/|7"
        );
        assert_eq!(seen("a @ b # c é-1 x-1"), "a @ b # c é-1 x-1");
    }

    #[test]
    fn a_title_is_one_line_and_a_body_names_its_bead() {
        let bead = Bead::parse(r#"{"id":"t-1","title":"a\nb\u001b[31m","description":"d"}"#)
            .expect("a bead");
        assert_eq!(
            title("{{ title }} ({{ id }})", &bead).expect("filled"),
            "a b [31m (t-1)"
        );
        assert_eq!(
            body("{{ description }}", &bead).expect("filled"),
            "d\n\nBead: t-1"
        );
        assert!(title("{{ nonsense }}", &bead).is_err());
    }
}
