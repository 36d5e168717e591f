//! Whose turn it is to land on a base, where several clones do: a ref of the remote, which says until
//! when. Taken by compare-and-swap, by a clone that was too slow for others again and again.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A turn.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Turn {
    /// The clone that has it.
    pub host: String,
    /// When it is over, whatever became of the clone.
    pub until: Timestamp,
}

/// The ref of a base's turn.
pub(crate) fn turn_ref(base: &str) -> String {
    format!("refs/beadline/turn/{base}")
}
