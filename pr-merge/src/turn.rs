//! Whose turn it is to be brought up to date with a base: one at a time, as each landing makes the
//! others' checks void. A part of the gate, as pure as that: branches tell who was brought up to
//! date, and how often, so that every run and every machine comes to the same.

use std::collections::HashMap;

use crate::gate::verdict::{On, Verdict};

/// So often one is brought up to date before others wait for it to land.
const PASSED: usize = 3;

/// What decides about one pull request's turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) id: &'a str,
    pub(crate) base: &'a str,
    /// How often it was brought up to date.
    pub(crate) updates: usize,
    pub(crate) stand: Stand,
}

/// Where a pull request stands on its way to the base.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stand {
    /// It lacks commits of the base, and nothing else.
    Behind,
    /// It holds the base, and waits for a machine: for its checks.
    Checked,
    /// Anything else.
    Apart,
}

/// Whose turn it is on a base: whoever was brought up to date and waits for its checks, else whoever
/// has to be. The most often passed one comes first, then the first in order.
fn holder<'a>(base: &str, places: &[Place<'a>]) -> Option<Place<'a>> {
    let of = |stand: Stand| {
        let fits = |place: &&Place| {
            place.base == base
                && place.stand == stand
                && (stand == Stand::Behind || place.updates > 0)
        };
        let mut first: Option<Place> = None;
        for place in places.iter().filter(fits) {
            if first.is_none_or(|first| place.updates > first.updates) {
                first = Some(*place);
            }
        }
        first
    };
    of(Stand::Checked).or_else(|| of(Stand::Behind))
}

/// By base, whose turn it is.
pub(crate) fn turns(places: &[Place]) -> HashMap<String, String> {
    places
        .iter()
        .filter_map(|place| holder(place.base, places))
        .map(|holder| (holder.base.to_owned(), holder.id.to_owned()))
        .collect()
}

/// A wait for whose turn it is.
pub(crate) fn after(id: &str) -> Verdict {
    Verdict::Wait(On::Machine, format!("it lands after {id}"))
}

/// The verdict on `id`, or a wait for one that has come before.
pub(crate) fn admit(base: &str, id: &str, verdict: Verdict, places: &[Place]) -> Verdict {
    let Some(holder) = holder(base, places).filter(|holder| holder.id != id) else {
        return verdict;
    };
    let comes_after = match verdict {
        Verdict::Update => true,
        Verdict::Land(_) => holder.stand == Stand::Checked && holder.updates > PASSED,
        _ => false,
    };
    match comes_after {
        true => after(holder.id),
        false => verdict,
    }
}

#[cfg(test)]
mod tests {
    use git::Sha;

    use super::*;

    fn place(id: &str, updates: usize, stand: Stand) -> Place<'_> {
        Place {
            id,
            base: "main",
            updates,
            stand,
        }
    }

    #[test]
    fn one_at_a_time_whoever_asks_and_whenever() {
        let all_behind = [
            place("t-1", 0, Stand::Behind),
            place("t-2", 0, Stand::Behind),
        ];
        let update = |base, id, places: &[Place]| admit(base, id, Verdict::Update, places);
        assert_eq!(update("main", "t-1", &all_behind), Verdict::Update);
        assert_eq!(update("main", "t-2", &all_behind), after("t-1"));
        assert_eq!(update("other", "t-3", &all_behind), Verdict::Update);
        // The next run sees the same from what the first one has pushed.
        let updated = [
            place("t-0", 0, Stand::Behind),
            place("t-1", 1, Stand::Checked),
        ];
        assert_eq!(update("main", "t-0", &updated), after("t-1"));
        // Checks of one that came up to date by itself hold up nobody.
        let fresh = [
            place("t-0", 0, Stand::Checked),
            place("t-1", 0, Stand::Behind),
        ];
        assert_eq!(update("main", "t-1", &fresh), Verdict::Update);
        // It waits for a person now.
        let apart = [
            place("t-1", 1, Stand::Apart),
            place("t-2", 0, Stand::Behind),
        ];
        assert_eq!(update("main", "t-2", &apart), Verdict::Update);
    }

    #[test]
    fn passed_three_times_at_the_most() {
        let land = || Verdict::Land(Sha::from_hex("a".repeat(40).as_bytes()).expect("a commit"));
        for updates in 1..=4 {
            let places = [place("t-1", updates, Stand::Checked)];
            let verdict = admit("main", "t-2", land(), &places);
            assert_eq!(verdict, if updates > 3 { after("t-1") } else { land() });
            assert_eq!(admit("main", "t-1", land(), &places), land());
        }
        // Passed, it is the first to be brought up to date again.
        let passed = [
            place("t-0", 0, Stand::Behind),
            place("t-1", 1, Stand::Behind),
        ];
        let update = |id| admit("main", id, Verdict::Update, &passed);
        assert_eq!(
            (update("t-0"), update("t-1")),
            (after("t-1"), Verdict::Update)
        );
    }
}
