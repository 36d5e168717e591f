//! Turns on bases, as refs of the remote.

use std::collections::HashMap;
use std::sync::PoisonError;

use git::Sha;

use super::Plain;
use crate::pull::Wanted;
use crate::push::Pushed;
use crate::turn::{Turn, turn_ref};

impl Plain {
    /// One that cannot be understood is nobody's, and never over: only its blob counts.
    pub(super) fn note_turns(&self, wanted: &[Wanted], refs: &HashMap<String, Sha>) {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        for Wanted { base, .. } in wanted {
            let name = turn_ref(base);
            let known = turns.remove(base);
            let Some(blob) = refs.get(&name).copied() else {
                continue;
            };
            let read = || -> anyhow::Result<Turn> {
                if !self.remote.look.has(blob) {
                    self.fetch(&name)?;
                }
                Ok(serde_json::from_slice(&self.remote.look.blob(blob)?)?)
            };
            let known = known.filter(|(at, _)| *at == blob);
            turns.insert(base.clone(), known.unwrap_or_else(|| (blob, read().ok())));
        }
    }

    /// The turn on a base as it was seen last, and its blob.
    pub(super) fn seen_turn(&self, base: &str) -> Option<(Sha, Option<Turn>)> {
        let turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.get(base).cloned()
    }

    /// Puts a turn in the place of the one that was seen. `false`: that is another one by now.
    pub(super) fn put_turn(&self, base: &str, turn: Option<&Turn>) -> anyhow::Result<bool> {
        let seen = self.seen_turn(base).map(|(blob, _)| blob);
        let new = turn.map(|turn| self.store(turn)).transpose()?;
        let changes = [(turn_ref(base), seen, new)];
        if seen != new && !matches!(self.remote.push(&changes)?, Pushed::Done) {
            return Ok(false);
        }
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        match new {
            Some(blob) => turns.insert(base.to_owned(), (blob, turn.cloned())),
            None => turns.remove(base),
        };
        Ok(true)
    }
}
