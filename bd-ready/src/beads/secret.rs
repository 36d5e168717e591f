//! Which variables hold secrets, and that no program of ours shows what it was given.

use std::env;
use std::ffi::{OsStr, OsString};

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// What proves to a forge who we are, or names where that stands.
const FOR_FORGES: [&str; 7] = [
    "GH_TOKEN",
    "GITHUB_TOKEN",
    "GH_ENTERPRISE_TOKEN",
    "GITHUB_ENTERPRISE_TOKEN",
    "GITEA_TOKEN",
    "FORGEJO_TOKEN",
    "BEADLINE_TOKEN_FILE",
];

/// Lets no other process of this user, agents above all, read this program's environment or memory
/// (`PR_SET_DUMPABLE` of prctl(2)): its files in `/proc` are root's from here on. What it starts is
/// as open as ever.
pub(crate) fn hide() {
    // It takes no right that could be missing.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Whether a variable tells how to reach Beads. No agent gets it.
#[must_use]
pub fn is_for_beads(name: &OsStr) -> bool {
    let prefixes = ["BEADS_", "BEADLINE_BEADS_", "BD_"];
    let starts = |name: &str| prefixes.iter().any(|prefix| name.starts_with(prefix));
    name.to_str()
        .is_some_and(|name| starts(name) && name != "BD_READONLY")
}

/// Whether a variable holds a token of a forge.
#[must_use]
pub fn is_for_forges(name: &OsStr) -> bool {
    FOR_FORGES.iter().any(|known| *known == name)
}

/// The names of our variables that are like this.
#[must_use]
pub fn names(like: impl Fn(&OsStr) -> bool) -> Vec<OsString> {
    let names = env::vars_os().map(|(name, _)| name);
    names.filter(|name| like(name)).collect()
}
