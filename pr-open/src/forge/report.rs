//! What a forge says of a pull request's head, as data: checks, reviews, and what the base asks for.
//! Nothing is decided here, and what could not be read is not the same as what is not there.

use git::Sha;
use globset::GlobBuilder;

/// What a forge says of one head.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Report {
    /// Who opened the pull request: their own review never counts.
    pub author: String,
    /// The latest of each name, for this very head; an error is the reason why they are unknown.
    pub checks: Result<Vec<Check>, String>,
    /// The latest of each person that approves or wants changes.
    pub reviews: Result<Vec<Review>, String>,
    /// What the base asks for.
    pub policy: Result<Policy, String>,
}

/// A check that has reported.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub stand: Stand,
    /// What it says of itself; untrusted.
    pub words: String,
    /// Where a person looks at it; untrusted.
    pub url: String,
}

/// Where a check stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stand {
    /// It passed.
    Passed,
    /// It did not run, and says that this is well.
    Skipped,
    /// It has not ended, or says what this version does not know.
    Pending,
    /// It failed.
    Failed,
}

/// A person's latest review.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Review {
    /// Who.
    pub by: String,
    /// What they say.
    pub says: Reviewed,
    /// The commit that they looked at.
    pub commit: Option<Sha>,
    /// Their reasons; untrusted.
    pub words: String,
}

/// What a reviewer says of one place; all of it untrusted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Remark {
    /// The file.
    pub path: String,
    /// Its line, where there is one still.
    pub line: Option<u64>,
    /// What they say.
    pub words: String,
}

/// What a review comes to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reviewed {
    /// The work may land.
    Approved,
    /// It may not.
    ChangesWanted,
}

/// What a base asks of everything that lands on it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Policy {
    /// The checks that must have passed.
    pub required: Vec<Name>,
    /// How many must approve.
    pub approvals: u64,
    /// Whether a head has to hold the base.
    pub strict: bool,
    /// Whether everything lands by the forge's merge queue.
    pub queue: bool,
    /// Why a part of it cannot be read, though the forge does not say that all is well.
    pub unread: Option<String>,
}

/// The name of a required check.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Name {
    /// This very name.
    Is(String),
    /// Every name that fits, and there must be one.
    Like(String),
}

impl Name {
    /// Whether a check is meant.
    #[must_use]
    pub fn fits(&self, check: &Check) -> bool {
        match self {
            Self::Is(name) => *name == check.name,
            // One that is no pattern fits nothing, so that its check is missing.
            Self::Like(pattern) => GlobBuilder::new(pattern)
                .build()
                .is_ok_and(|glob| glob.compile_matcher().is_match(&check.name)),
        }
    }

    /// As a person wrote it.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Is(text) | Self::Like(text) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_as_they_are_or_as_patterns() {
        let check = |name: &str| Check {
            name: name.to_owned(),
            stand: Stand::Passed,
            words: String::new(),
            url: String::new(),
        };
        let like = |pattern: &str, name| Name::Like(pattern.to_owned()).fits(&check(name));
        assert!(like("ci / *", "ci / test (push)") && like("*", "a/b") && like("c?", "ci"));
        assert!(!like("ci", "ci2") && !like("[", "["));
        assert!(Name::Is("a*".to_owned()).fits(&check("a*")));
        assert!(!Name::Is("a*".to_owned()).fits(&check("ab")));
    }
}
