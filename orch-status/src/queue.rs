//! Where open pull requests stand in the queues of their bases: by Beads, and by what `pr-merge` says
//! that it tests. Pure.

use std::collections::{BTreeMap, HashMap};

use beads::{Bead, Phase, Testing};
use jiff::{SignedDuration, Timestamp};

use crate::person::person;

/// One that waits to land, and for no person.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Queued {
    pub(crate) base: String,
    /// From 1 on, of so many.
    pub(crate) place: usize,
    pub(crate) count: usize,
    /// The test that it is in.
    pub(crate) test: Option<InTest>,
    /// How long it will take to land, if all that is tested until then is green and takes as long as
    /// the last test; `None`: nobody knows.
    pub(crate) lands_in: Option<SignedDuration>,
}

/// A test that runs.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct InTest {
    /// The others in it.
    pub(crate) with: Vec<String>,
    /// How long it has run.
    pub(crate) runs: SignedDuration,
    /// How long the last one took.
    pub(crate) took: Option<SignedDuration>,
}

/// Those that wait to land, by id. Each clone has a queue of its own for each base; `testing` tells
/// what runs for that of a host and base.
pub(crate) fn queues(
    beads: &[Bead],
    testing: impl Fn(&str, &str) -> Testing,
    now: Timestamp,
) -> HashMap<&str, Queued> {
    let mut queues: BTreeMap<(&str, &str), Vec<&Bead>> = BTreeMap::new();
    let waits = |bead: &&Bead| {
        bead.phase() == Phase::PrCreated && !bead.set_aside() && person(bead).is_none()
    };
    for bead in beads.iter().filter(waits) {
        let facts = bead.facts();
        let queue = queues.entry((&facts.host, &facts.base));
        queue.or_default().push(bead);
    }
    let mut all = HashMap::new();
    for ((host, base), mut queue) in queues {
        queue.sort_by_key(|bead| (bead.place(), bead.id()));
        all.extend(stands(&queue, base, &testing(host, base), now));
    }
    all
}

fn stands<'a>(
    queue: &[&'a Bead],
    base: &str,
    testing: &Testing,
    now: Timestamp,
) -> Vec<(&'a str, Queued)> {
    let took = testing.took;
    let runs = |since| now.duration_since(since).max(SignedDuration::ZERO);
    // What takes longer than the last one may take for ever.
    let left = |since| {
        took?
            .checked_sub(runs(since))
            .filter(SignedDuration::is_positive)
    };
    let lefts: Option<Vec<SignedDuration>> =
        testing.groups.iter().map(|one| left(one.since)).collect();
    // Nothing runs: nobody knows when that begins.
    let next = lefts.and_then(|lefts| lefts.into_iter().min());
    let of = |id: &str| {
        testing
            .groups
            .iter()
            .find(|one| one.ids.iter().any(|i| i == id))
    };
    let at_once = queue.iter().filter(|bead| of(bead.id()).is_some()).count();
    let mut ahead = 0;
    let mut stands = Vec::new();
    for (place, bead) in (1..).zip(queue) {
        let id = bead.id();
        let group = of(id);
        let test = group.map(|group| InTest {
            with: group.ids.iter().filter(|i| *i != id).cloned().collect(),
            runs: runs(group.since),
            took,
        });
        let lands_in = if let Some(group) = group {
            left(group.since)
        } else {
            let tests = i32::try_from(ahead / at_once.max(1) + 1);
            ahead += 1;
            next.zip(took)
                .zip(tests.ok())
                .and_then(|((next, took), tests)| next.checked_add(took.checked_mul(tests)?))
        };
        let queued = Queued {
            base: base.to_owned(),
            place,
            count: queue.len(),
            test,
            lands_in,
        };
        stands.push((id, queued));
    }
    stands
}

#[cfg(test)]
mod tests {
    use beads::UnderTest;
    use serde_json::json;

    use super::*;

    fn bead(id: &str, priority: i64, opened: &str, more: &serde_json::Value) -> Bead {
        let mut facts =
            json!({"phase": "pr_created", "host": "here", "base": "main", "opened_at": opened});
        let more = more.as_object().expect("facts").clone();
        facts.as_object_mut().expect("facts").extend(more);
        let line = json!({"id": id, "status": "in_progress", "priority": priority,
            "assignee": "beadline/here/1", "metadata": facts});
        Bead::parse(&line.to_string()).expect("a bead")
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn seconds(queued: &Queued) -> Option<i64> {
        queued.lands_in.map(|time| time.as_secs())
    }

    #[test]
    fn by_priority_then_by_age_without_those_that_wait_for_a_person() {
        let day = |day: u8| format!("2026-01-0{day}T00:00:00Z");
        let beads = [
            bead("late", 1, &day(2), &json!({})),
            bead("person", 0, &day(1), &json!({"waits": "approve it"})),
            bead("failed", 0, &day(1), &json!({"error": "it is gone"})),
            bead("early", 1, &day(1), &json!({})),
            bead("urgent", 0, &day(3), &json!({})),
            bead("working", 0, &day(1), &json!({"phase": "working"})),
            bead("other", 1, &day(1), &json!({"base": "next"})),
            bead("theirs", 1, &day(1), &json!({"host": "there"})),
        ];
        let all = queues(&beads, |_, _| Testing::default(), at(0));
        let mut places: Vec<_> = all
            .iter()
            .map(|(id, one)| (one.base.as_str(), one.count, one.place, *id))
            .collect();
        places.sort_unstable();
        assert_eq!(
            places,
            [
                ("main", 1, 1, "theirs"),
                ("main", 3, 1, "urgent"),
                ("main", 3, 2, "early"),
                ("main", 3, 3, "late"),
                ("next", 1, 1, "other"),
            ]
        );
        assert!(
            all.values()
                .all(|one| one.test.is_none() && one.lands_in.is_none())
        );
    }

    #[test]
    fn when_each_lands_follows_from_what_runs_and_how_long_the_last_one_took() {
        let names = ["a", "b", "c", "d", "e"];
        let beads = names.map(|id| bead(id, 1, "2026-01-01T00:00:00Z", &json!({})));
        let testing = |took: Option<i64>, since: &[i64]| {
            let ids = [["a", "b"].map(str::to_owned).to_vec(), vec![]];
            let group = |(ids, since): (Vec<String>, &i64)| UnderTest {
                ids,
                since: at(*since),
                lock: String::new(),
            };
            Testing {
                groups: ids.into_iter().zip(since).map(group).collect(),
                took: took.map(SignedDuration::from_secs),
            }
        };
        let lands = |testing: &Testing| {
            let all = queues(&beads, |_, _| testing.clone(), at(100));
            names.map(|id| seconds(&all[id]))
        };
        let (some, none) = (Some, None);
        let runs = testing(Some(8), &[95]);
        assert_eq!(lands(&runs), [3, 3, 11, 11, 19].map(some));
        assert_eq!(
            lands(&testing(Some(8), &[95, 94])),
            [3, 3, 10, 10, 18].map(some)
        );
        // A clock that was set back.
        assert_eq!(
            lands(&testing(Some(8), &[200])),
            [8, 8, 16, 16, 24].map(some)
        );
        for unknown in [
            testing(None, &[95]),
            testing(Some(8), &[92]),
            testing(Some(8), &[]),
        ] {
            assert_eq!(lands(&unknown), [none; 5]);
        }
        let all = queues(&beads, |_, _| runs.clone(), at(100));
        let test = all["a"].test.as_ref().expect("it is in a test");
        assert_eq!(
            (test.with.clone(), test.runs.as_secs()),
            (vec!["b".to_owned()], 5)
        );
        assert_eq!(all["c"].test, None);
    }
}
