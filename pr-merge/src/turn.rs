//! Whose turn it is to be brought up to date with a base: one at a time, as each landing makes the
//! others' checks void.

use std::collections::HashMap;

use crate::gate::{On, Verdict};

/// So many may land before the one that waits for its checks; then they wait for it.
const PASSED: u32 = 3;

/// By base, which bead was brought up to date with it.
#[derive(Default)]
pub(crate) struct Turns(HashMap<String, Turn>);

struct Turn {
    id: String,
    /// How many have landed before it since.
    passed: u32,
}

impl Turns {
    /// Ends the turns of beads that wait for no machine any more.
    pub(crate) fn keep(&mut self, waits: impl Fn(&str) -> bool) {
        self.0.retain(|_, turn| waits(&turn.id));
    }

    /// The verdict, or a wait for one that has come before.
    pub(crate) fn admit(&mut self, base: &str, id: &str, verdict: Verdict) -> Verdict {
        let other = self.0.get_mut(base).filter(|turn| turn.id != id);
        match (&verdict, other) {
            (Verdict::Update, None) => {
                self.0.entry(base.to_owned()).or_insert(Turn {
                    id: id.to_owned(),
                    passed: 0,
                });
                verdict
            }
            (Verdict::Update, Some(turn)) => after(turn),
            (Verdict::Land(_), Some(turn)) if turn.passed >= PASSED => after(turn),
            (Verdict::Land(_), Some(turn)) => {
                turn.passed += 1;
                verdict
            }
            _ => verdict,
        }
    }
}

fn after(turn: &Turn) -> Verdict {
    Verdict::Wait(On::Machine, format!("it lands after {}", turn.id))
}

#[cfg(test)]
mod tests {
    use git::Sha;

    use super::*;

    #[test]
    fn one_at_a_time_and_passed_three_times_at_the_most() {
        let mut turns = Turns::default();
        let land = || Verdict::Land(Sha::from_hex("a".repeat(40).as_bytes()).expect("a commit"));
        assert_eq!(turns.admit("main", "t-1", Verdict::Update), Verdict::Update);
        assert_eq!(turns.admit("main", "t-1", Verdict::Update), Verdict::Update);
        assert_eq!(
            turns.admit("other", "t-2", Verdict::Update),
            Verdict::Update
        );
        let after = Verdict::Wait(On::Machine, "it lands after t-1".to_owned());
        assert_eq!(turns.admit("main", "t-3", Verdict::Update), after);
        for id in ["t-4", "t-5", "t-6"] {
            assert_eq!(turns.admit("main", id, land()), land());
        }
        assert_eq!(turns.admit("main", "t-7", land()), after);
        assert_eq!(turns.admit("main", "t-1", land()), land());
        turns.keep(|id| id != "t-1");
        assert_eq!(turns.admit("main", "t-3", Verdict::Update), Verdict::Update);
    }
}
