//! What is known of a bead's branch before anything of it is moved.

use beads::Bead;
use git::{Heard, Look, Sha};

/// What the remote has said.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    /// Where the base is.
    pub(crate) at: Sha,
    pub(crate) heard: Heard,
}

/// Whether a branch at `at` holds the work that an earlier claim is said to have landed.
pub(crate) fn may_have_landed(bead: &Bead, at: Sha) -> bool {
    let facts = bead.facts();
    at == facts.pushed && Sha::from_hex(facts.merged_sha.as_bytes()).is_ok()
}

/// Whether a branch at `at` holds only work that has landed already, from an earlier claim: the base,
/// which is at `base`, still has the commit that carries it.
pub(crate) fn has_landed(look: &Look, bead: &Bead, at: Sha, base: Sha) -> anyhow::Result<bool> {
    let facts = bead.facts();
    match Sha::from_hex(facts.merged_sha.as_bytes()) {
        Ok(merged) if at == facts.pushed => look.contains(base, merged),
        _ => Ok(false),
    }
}
