//! Pull requests stacked on the tip of their base, each as what would land it: the last commit is
//! what is checked, and exactly that lands. The same pull requests on the same tip come to the same
//! commits, in every run.

use forge::Method;
use git::Sha;

/// A stack. Without members it is the tip alone.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) base: String,
    /// The commit of the base that it stands on.
    pub(crate) tip: Sha,
    /// From the tip upwards.
    pub(crate) members: Vec<Member>,
    /// Beads whose work conflicts with that of others in it.
    pub(crate) left_out: Vec<String>,
}

/// One pull request in a stack.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// Its bead.
    pub(crate) id: String,
    pub(crate) head: Sha,
    /// What lands it, on top of the member before.
    pub(crate) commit: Sha,
    pub(crate) tree: Sha,
    /// How that is made.
    pub(crate) method: Method,
    /// What the base's history says of it: the first line, and the rest.
    pub(crate) title: String,
    pub(crate) text: String,
}

impl Group {
    pub(crate) fn new(base: &str, tip: Sha) -> Self {
        Self {
            base: base.to_owned(),
            tip,
            members: Vec::new(),
            left_out: Vec::new(),
        }
    }

    /// The commit that is checked.
    pub(crate) fn commit(&self) -> Sha {
        self.members.last().map_or(self.tip, |member| member.commit)
    }

    /// Its beads, for people.
    pub(crate) fn names(&self) -> String {
        let ids: Vec<&str> = self.members.iter().map(|m| m.id.as_str()).collect();
        names(&self.base, &ids)
    }
}

/// Beads that are tested together on a base, for people: at most eight by name.
pub(crate) fn names(base: &str, ids: &[&str]) -> String {
    match ids.len() {
        0 => format!("{base} alone"),
        1..=8 => ids.join(", "),
        count => format!("{} and {} more", ids[..7].join(", "), count - 7),
    }
}
