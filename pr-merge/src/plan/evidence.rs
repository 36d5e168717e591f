//! What the words say of each place in the queue.

use super::{Base, Facts, Test, Word};

/// What the words say, taken together.
pub(super) struct Evidence {
    /// Green on an earlier tip: they are tested as one with each other, or with a new group
    pub(super) good: Vec<usize>,
    /// In each of these somebody is red; none is part of another
    pub(super) suspects: Vec<Vec<usize>>,
    /// Whose test is running
    is_busy: Vec<bool>,
    /// Red alone on a tip of which nothing is known
    unsure: Vec<usize>,
    is_tip_running: bool,
}

impl Evidence {
    pub(super) fn read(facts: &Facts) -> Self {
        let mut evidence = Self {
            good: Vec::new(),
            suspects: Vec::new(),
            is_busy: vec![false; facts.queue],
            unsure: Vec::new(),
            is_tip_running: false,
        };
        // The last green test of each place: what is later than it may say more.
        let mut green_at = vec![None; facts.queue];
        for (index, test) in facts.tests.iter().enumerate() {
            match test.word {
                Word::Green => {
                    for &place in &test.members {
                        green_at[place] = Some(index);
                    }
                }
                Word::Running if test.is_tip() => evidence.is_tip_running |= test.is_current,
                Word::Red | Word::Running => {}
            }
            if test.word == Word::Red && test.is_current && test.base == Base::Unknown {
                evidence.unsure.extend(test.alone());
            }
        }
        let mut red: Vec<Vec<usize>> = Vec::new();
        for (index, test) in facts.tests.iter().enumerate() {
            if test.word == Word::Red && test.base != Base::Red {
                red.extend(suspects(test, index, &mut green_at));
            }
        }
        evidence.suspects = smallest(red);
        for set in &evidence.suspects {
            for &place in set {
                green_at[place] = None;
            }
        }
        evidence.good = (0..facts.queue)
            .filter(|&place| green_at[place].is_some())
            .collect();
        for test in facts.tests {
            if test.is_running() && !evidence.is_moot(facts, test) {
                for &place in &test.members {
                    evidence.is_busy[place] = true;
                }
            }
        }
        evidence
    }

    /// Whether somebody can be told from the tip only when the tip has been tested alone.
    pub(super) fn needs_base(&self) -> bool {
        !self.unsure.is_empty() && !self.is_tip_running
    }

    /// Whether a group may take it in: it is not under test, and waits for no test of the tip.
    pub(super) fn is_free(&self, place: usize) -> bool {
        !self.is_busy[place] && !self.is_unsure(place)
    }

    /// Whether it is red alone, and waits for the test of the tip.
    pub(super) fn is_unsure(&self, place: usize) -> bool {
        self.unsure.contains(&place)
    }

    pub(super) fn is_suspect(&self, place: usize) -> bool {
        let holds = |set: &Vec<usize>| set.binary_search(&place).is_ok();
        self.suspects.iter().any(holds)
    }

    /// Whether the answer of a running test no longer matters: it holds a red group, so that it will
    /// be red, or it cannot land, and others will say as much.
    pub(super) fn is_moot(&self, facts: &Facts, test: &Test) -> bool {
        if test.is_tip() {
            return !test.is_current;
        }
        let is_red = |set: &Vec<usize>| {
            set.len() < test.members.len() && set.iter().all(|&place| test.holds(place))
        };
        let is_smaller = |other: &&Test| {
            other.is_running() && !other.is_tip() && other.members.len() < test.members.len()
        };
        let is_known = |&place: &usize| {
            let mut smaller = facts.tests.iter().filter(is_smaller);
            self.good.binary_search(&place).is_ok() || smaller.any(|other| other.holds(place))
        };
        self.suspects.iter().any(is_red)
            || test.members.is_empty()
            || !test.is_current && test.members.iter().all(is_known)
    }
}

/// Who may have made a test red: who was not seen green. If all were, the later word counts: either
/// it was a flake, or together they are red where apart they are not.
fn suspects(test: &Test, index: usize, green_at: &mut [Option<usize>]) -> Option<Vec<usize>> {
    let mut suspects = test.members.clone();
    suspects.retain(|&place| green_at[place].is_none());
    if suspects.is_empty() {
        suspects.clone_from(&test.members);
        suspects.retain(|&place| green_at[place] < Some(index));
        for &place in &suspects {
            green_at[place] = None;
        }
    }
    (!suspects.is_empty()).then_some(suspects)
}

/// The sets that hold none of the others: a red part explains the whole.
fn smallest(mut sets: Vec<Vec<usize>>) -> Vec<Vec<usize>> {
    sets.sort_by_key(Vec::len);
    let mut smallest: Vec<Vec<usize>> = Vec::new();
    for set in sets {
        let holds = |part: &Vec<usize>| part.iter().all(|place| set.binary_search(place).is_ok());
        if !smallest.iter().any(holds) {
            smallest.push(set);
        }
    }
    smallest.sort_unstable();
    smallest
}
