//! What a forge, or a remote, did not say.

use std::error::Error;
use std::fmt::{self, Display, Formatter};

use crate::Spent;

/// It was not reached, or its answer was none: nothing is known, and nobody is to blame. Asking again
/// later may help.
#[derive(Debug)]
pub struct Unread(String);

impl Unread {
    /// The error as one of these, unless it says more by itself.
    #[must_use]
    pub fn of(err: anyhow::Error) -> anyhow::Error {
        match err.is::<Spent>() || err.is::<Self>() {
            true => err,
            false => anyhow::Error::new(Self(format!("{err:#}"))),
        }
    }
}

impl Display for Unread {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Unread {}
