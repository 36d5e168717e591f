//! What forges have refused to land, and when they are asked again.

use std::collections::HashMap;
use std::time::Duration;

use forge::Report;
use git::Sha;

use crate::gate::verdict::{On, Verdict};
use crate::retry::Retry;

/// The pause after a first refusal.
const FIRST: Duration = Duration::from_millis(250);

/// Refusals by head: the same reason again means a longer pause.
#[derive(Default)]
pub(crate) struct Refusals {
    counts: HashMap<(Sha, String), Retry>,
    last: HashMap<Sha, Refusal>,
}

/// Why a head was refused last.
struct Refusal {
    on: On,
    why: String,
    /// What it was refused on, and what the forge said of it then: until one of these changes, or
    /// the next run, testing it again would only be refused again. `None`: time may mend it.
    stands: Option<(Sha, Option<Report>)>,
}

impl Refusals {
    /// Notes one that time may mend.
    pub(crate) fn pass(&mut self, head: Sha, why: &str) {
        self.note(head, On::Machine, why, None);
    }

    /// Notes one that a person has to mend.
    pub(crate) fn stand(&mut self, head: Sha, why: &str, base: Sha, report: Option<Report>) {
        self.note(head, On::Person, why, Some((base, report)));
    }

    fn note(&mut self, head: Sha, on: On, why: &str, stands: Option<(Sha, Option<Report>)>) {
        let count = self.counts.entry((head, why.to_owned()));
        count.or_insert_with(|| Retry::new(FIRST)).fail();
        let why = why.to_owned();
        self.last.insert(head, Refusal { on, why, stands });
    }

    /// How long until a head may be sent again, and the wait for that.
    pub(crate) fn hold(&self, head: Sha) -> Option<(Duration, Verdict)> {
        let Refusal { on, why, .. } = self.last.get(&head)?;
        let left = self.counts.get(&(head, why.clone()))?.left();
        (!left.is_zero()).then(|| (left, Verdict::Wait(*on, why.clone())))
    }

    /// Why a head need not be sent on this base: nothing has changed since it was refused.
    pub(crate) fn standing(
        &self,
        head: Sha,
        base: Sha,
        report: Option<&Report>,
    ) -> Option<Verdict> {
        let Refusal { on, why, stands } = self.last.get(&head)?;
        let (at, then) = stands.as_ref()?;
        (*at == base && then.as_ref() == report).then(|| Verdict::Wait(*on, why.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sha(digit: char) -> Sha {
        Sha::from_hex(digit.to_string().repeat(40).as_bytes()).expect("hexadecimal")
    }

    #[test]
    fn one_reason_pauses_longer_each_time_and_another_begins_anew() {
        let mut refusals = Refusals::default();
        let mut after = |why| {
            refusals.pass(sha('a'), why);
            let (left, _) = refusals.hold(sha('a')).expect("a hold");
            left.as_secs_f64() / FIRST.as_secs_f64()
        };
        let pauses: Vec<f64> = ["x", "x", "x", "y", "x"]
            .into_iter()
            .map(&mut after)
            .collect();
        for (pause, wanted) in pauses.iter().zip([1.0, 2.0, 4.0, 1.0, 8.0]) {
            assert!(*pause <= wanted && *pause > wanted / 2.0, "{pauses:?}");
        }
        assert!(refusals.hold(sha('b')).is_none());
    }

    #[test]
    fn what_a_person_has_to_mend_stands_until_something_changes() {
        let mut refusals = Refusals::default();
        refusals.stand(sha('a'), "no", sha('b'), None);
        let wait = Some(Verdict::Wait(On::Person, "no".to_owned()));
        assert_eq!(refusals.standing(sha('a'), sha('b'), None), wait);
        assert_eq!(refusals.standing(sha('a'), sha('c'), None), None);
        refusals.pass(sha('a'), "later");
        assert_eq!(refusals.standing(sha('a'), sha('b'), None), None);
    }
}
