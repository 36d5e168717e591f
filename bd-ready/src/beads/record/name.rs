//! Safe names for paths and branches, made from ids that anybody may have chosen.

use std::fmt;

use sha2::{Digest, Sha256};

/// A name that follows from an id alone and is good as one path segment and one ref segment.
///
/// An id of letters, digits and `._-` is its own name. Any other is sanitised and gets `=` and a
/// hash: two ids never share a name, as no plain name holds a `=`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Name(String);

/// Longer names are cut and hashed: `NAME_MAX` is 255 bytes, and git adds `.lock`.
const LONGEST: usize = 100;

/// What lies beside the beads' folders in the state of a clone.
const TAKEN: [&str; 5] = ["checked", "github.turn", "gits", "slots", "stop"];

/// The same, by what these names begin and end with: a base's name stands between.
const TAKEN_AROUND: (&str, &str) = ("queue-", ".json");

impl Name {
    /// The name of a bead's worktree, state folder and branch.
    #[must_use]
    pub fn of(id: &str) -> Self {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let good = id.starts_with(|c: char| c.is_ascii_alphanumeric())
            && id.chars().all(plain)
            && id.len() <= LONGEST
            && !id.contains("..")
            && !id.ends_with('.')
            && !id.to_ascii_lowercase().ends_with(".lock")
            && !TAKEN.contains(&id)
            && !(id.starts_with(TAKEN_AROUND.0) && id.ends_with(TAKEN_AROUND.1));
        if good {
            return Self(id.to_owned());
        }
        let kept: String = id
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
            .skip_while(|c| *c == '-')
            .take(40)
            .collect();
        let hash = Sha256::digest(id);
        let hash = hash
            .iter()
            .take(8)
            .fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        Self(format!("{kept}={hash:016x}"))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_plain_id_is_its_own_name() {
        for id in ["t-1", "bd-a3f8.1.2", "A_b", "0"] {
            assert_eq!(Name::of(id).as_str(), id);
        }
    }

    #[test]
    fn hostile_ids_get_safe_names_of_their_own() {
        let long = "x".repeat(300);
        let ids = [
            "../../x",
            "x",
            "-rf",
            "rf",
            "a b",
            "a_b",
            "a/b",
            "ab",
            ".git",
            "git",
            "a..b",
            "a.lock",
            "A.LOCK",
            "slots",
            "stop",
            ".",
            "..",
            "",
            "\u{1b}[31m",
            "a\0b",
            "é",
            &long,
            "a.",
            "a=b",
        ];
        let names: BTreeSet<Name> = ids.iter().map(|id| Name::of(id)).collect();
        assert_eq!(names.len(), ids.len());
        for name in names {
            let name = name.as_str();
            assert!(
                !name.starts_with(['.', '-', '/']) && !name.is_empty(),
                "{name}"
            );
            assert!(
                name.bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"._-=".contains(&b))
            );
            assert!(
                name.len() <= LONGEST
                    && !name.contains("..")
                    && !name.to_lowercase().ends_with(".lock")
            );
        }
    }
}
