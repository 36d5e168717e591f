//! Where bases are: one word of the remote for all work that is judged at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use git::{Sha, Together};

/// What is asked of the remote, by branch.
#[derive(Default)]
pub(crate) struct Bases(Mutex<HashMap<String, Arc<Together<Option<Sha>>>>>);

impl Bases {
    pub(crate) fn of(&self, branch: &str) -> Arc<Together<Option<Sha>>> {
        let mut bases = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(bases.entry(branch.to_owned()).or_default())
    }
}
