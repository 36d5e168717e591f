//! Title and text of a pull request, from a bead's untrusted text.

use anyhow::Context;
use beads::Bead;
use forge::defuse;
use minijinja::{Environment, UndefinedBehavior, context};

/// The longest title that every forge takes, in characters.
const LONGEST_TITLE: usize = 250;

/// The longest text that every forge takes, in characters: GitHub refuses more than 65,536.
const LONGEST_BODY: usize = 65_000;

/// What a text ends with that was too long.
const CUT: &str = "\n\n… (the rest was cut: a forge takes no more)";

/// The title: one line.
pub(crate) fn title(template: &str, bead: &Bead) -> anyhow::Result<String> {
    let filled = fill(template, bead).context("--title")?;
    let line = filled
        .split(|c: char| c.is_control())
        .collect::<Vec<_>>()
        .join(" ");
    let line = defuse(line.trim());
    Ok(line.chars().take(LONGEST_TITLE).collect())
}

/// The text, with a last line that names the bead.
pub(crate) fn body(template: &str, bead: &Bead) -> anyhow::Result<String> {
    let mut text = defuse(fill(template, bead).context("--body")?.trim_end());
    if let Some((end, _)) = text.char_indices().nth(LONGEST_BODY) {
        text.truncate(end);
        text.push_str(CUT);
    }
    let id: String = bead.id().chars().filter(|c| !c.is_control()).collect();
    let gap = if text.is_empty() { "" } else { "\n\n" };
    Ok(format!("{text}{gap}Bead: {}", defuse(&id)))
}

fn fill(template: &str, bead: &Bead) -> anyhow::Result<String> {
    let mut templates = Environment::new();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    let values = context! { id => bead.id(), title => bead.title(), description => bead.text("description") };
    Ok(templates.render_str(template, values)?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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

    #[test]
    fn a_body_that_no_forge_takes_is_cut_and_says_so() {
        let long = json!({"id": "t-1", "description": "é".repeat(70_000)}).to_string();
        let bead = Bead::parse(&long).expect("a bead");
        let body = body("{{ description }}", &bead).expect("filled");
        assert!(body.ends_with(&format!("é{CUT}\n\nBead: t-1")));
        assert!(body.chars().count() < 65_536);
    }
}
