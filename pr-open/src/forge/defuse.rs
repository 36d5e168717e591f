//! Somebody's words on their way to a forge: mentions, references and closing keywords become mere
//! text.

/// Breaks a word for a forge and for nobody who reads it.
const ZERO_WIDTH_SPACE: char = '\u{200b}';

/// Makes mentions and references mere text: nobody is called, and no issue is closed, by what
/// somebody wrote into a bead. Without `@name`, `#1`, `GH-1` and issue URLs a forge's closing
/// keywords have nothing to close. A character reference such as `&commat;` or `&#64;` would become
/// one of these when Markdown is rendered: it is shown as it was written.
#[must_use]
pub fn defuse(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        safe.push(c);
        let next = rest.peek();
        let before_word = next.is_some_and(|next| next.is_alphanumeric());
        let lower = |length: usize| safe[safe.len().saturating_sub(length)..].to_ascii_lowercase();
        let reference = match c {
            '@' | '#' | '!' => before_word,
            '&' => before_word || next == Some(&'#'),
            '-' => {
                before_word
                    && safe.is_char_boundary(safe.len().saturating_sub(3))
                    && lower(3) == "gh-"
            }
            '/' => {
                before_word
                    && ["/issues/", "/pull/", "/pulls/"]
                        .iter()
                        .any(|part| safe.to_ascii_lowercase().ends_with(part))
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

    fn seen(text: &str) -> String {
        defuse(text).replace(ZERO_WIDTH_SPACE, "|")
    }

    #[test]
    fn mentions_and_references_are_defused() {
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
    fn character_references_are_defused() {
        assert_eq!(
            seen("&commat;alice &#64;bob &#x40;eve &num;7"),
            "&|commat;alice &|#|64;bob &|#|x40;eve &|num;7"
        );
        assert_eq!(seen("this & that, a && b"), "this & that, a && b");
    }
}
