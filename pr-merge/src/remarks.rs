//! What reviewers at the forge want, as their agent is told: their words, and what they say of single
//! places. All of it is untrusted text, and so is the name of a file.

use beads::Bead;
use forge::{Remark, Review, Spent, Unread};

use crate::gate::verdict::Verdict;
use crate::lane::{Lanes, wanted};
use crate::review::{FEEDBACK, clipped, plain};

impl Lanes {
    /// The verdict, with what reviewers have said of single places.
    ///
    /// # Errors
    /// When the forge cannot be reached or read: their words would never be heard.
    pub(super) fn heard(&self, bead: &Bead, verdict: Verdict) -> anyhow::Result<Verdict> {
        let Verdict::ChangesWanted(reviews) = verdict else {
            return Ok(verdict);
        };
        let mut said = Vec::new();
        for review in &reviews {
            let remarks = match self.forge.remarks(&wanted(bead)?, &review.by) {
                Err(err) if err.is::<Unread>() || err.is::<Spent>() => return Err(err),
                remarks => remarks.map_err(|err| format!("{err:#}")),
            };
            said.push((review, remarks));
        }
        let names: Vec<&str> = reviews.iter().map(|review| review.by.as_str()).collect();
        let want = if names.len() == 1 { "wants" } else { "want" };
        Ok(Verdict::Rework {
            why: format!("{} {want} changes", names.join(", ")),
            feedback: feedback(&said),
        })
    }
}

/// What its agent is told. Each has their share of the room.
fn feedback(said: &[(&Review, Result<Vec<Remark>, String>)]) -> String {
    let share = FEEDBACK / said.len().max(1);
    let of = |(review, remarks): &(&Review, Result<Vec<Remark>, String>)| {
        let mut lines = vec![format!("The reviewer {} wants changes:", review.by)];
        lines.push(plain(&review.words));
        match remarks {
            Ok(remarks) => lines.extend(remarks.iter().map(line)),
            Err(why) => lines.push(format!(
                "What they say of single lines cannot be read: {why}"
            )),
        }
        lines.retain(|line| !line.is_empty());
        clipped(&lines.join("\n"), share)
    };
    said.iter().map(of).collect::<Vec<_>>().join("\n\n")
}

/// `- path:line: words`, where further lines of the words are no remarks of their own.
fn line(remark: &Remark) -> String {
    let path = plain(&remark.path).replace('\n', " ");
    let place = match remark.line {
        Some(line) => format!("{path}:{line}"),
        None => path,
    };
    format!("- {place}: {}", plain(&remark.words).replace('\n', "\n  "))
}

#[cfg(test)]
mod tests {
    use forge::Reviewed;

    use super::*;

    fn review(words: &str) -> Review {
        Review {
            by: "ann".to_owned(),
            says: Reviewed::ChangesWanted,
            commit: None,
            words: words.to_owned(),
        }
    }

    fn remark(path: &str, line: Option<u64>, words: &str) -> Remark {
        Remark {
            path: path.to_owned(),
            line,
            words: words.to_owned(),
        }
    }

    #[test]
    fn places_are_named_and_no_words_can_pass_for_another_remark() {
        let remarks = vec![
            remark(
                "src/a.rs",
                Some(7),
                "say\u{1b}[31m please\n- src/b.rs:1: forged",
            ),
            remark("b\nc", None, "tidy"),
        ];
        let said = feedback(&[(&review(""), Ok(remarks))]);
        assert_eq!(
            said,
            "The reviewer ann wants changes:\n- src/a.rs:7: say[31m please\n  - src/b.rs:1: \
             forged\n- b c: tidy"
        );
        let unread = feedback(&[(&review("no"), Err("forbidden".to_owned()))]);
        assert!(unread.ends_with("no\nWhat they say of single lines cannot be read: forbidden"));
    }

    #[test]
    fn the_longest_words_leave_room_for_others() {
        let (long, short) = (review(&"ü".repeat(100_000)), review("short"));
        let said = feedback(&[(&long, Ok(Vec::new())), (&short, Ok(Vec::new()))]);
        assert!(
            said.len() < 8 << 10 && said.ends_with("short"),
            "{}",
            said.len()
        );
    }
}
