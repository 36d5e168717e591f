//! What the queue tests next, what lands, and who is to blame: a pure function of facts.
//!
//! Pull requests in the queue do not depend on each other, so their order is free, and finding the
//! red ones among them is adaptive group testing: groups are tested, a green one lands at once, a
//! red one is divided until the culprit is alone. One slot: nested groups (Sobel and Groll 1959).
//! Several: groups side by side on one tip, of which the largest green one lands.
//!
//! Nothing of a plan is kept. Whoever carries it out does first what it says of landing, blame and
//! stopping, and then asks again.

mod chain;
mod evidence;
mod groups;
mod rate;
mod size;

pub(crate) use chain::chain;
pub(crate) use rate::rate;

use std::cmp::Reverse;

use evidence::Evidence;

/// What a test of a group said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Running,
    Green,
    /// A group of one was red every time that it was run
    Red,
}

/// What is known of a tip alone. One that we landed was tested, and is green.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Base {
    Green,
    /// It was red every time that it was run, as a group of one
    Red,
    Unknown,
}

/// A group that was tested, or is being tested.
#[derive(Clone, Debug)]
pub(crate) struct Test {
    /// Those who are still in the queue, by their places, ascending
    pub(crate) members: Vec<usize>,
    /// How many it was started with; 0: the tip alone
    pub(crate) size: usize,
    /// Who should have been in it, and conflicts with its members
    pub(crate) left_out: Vec<usize>,
    pub(crate) word: Word,
    /// Whether it ran on the tip as it is now
    pub(crate) is_current: bool,
    /// What is known of the tip on which it ran
    pub(crate) base: Base,
}

/// What the planner is told.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    /// How many wait, in the order in which they should land
    pub(crate) queue: usize,
    /// In the order in which they were started, without the red ones that held somebody who was
    /// blamed for it
    pub(crate) tests: &'a [Test],
    /// What is known of the tip as it is now
    pub(crate) base: Base,
    /// How many tests may run side by side
    pub(crate) slots: usize,
    /// No group is bigger; 1: one by one
    pub(crate) batch: Option<usize>,
    /// How many of the queue are thought to be red
    pub(crate) rate: f64,
}

/// What to do now. Tests are named by their index, pull requests by their place.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// A green test on the tip as it is now: its commit lands
    pub(crate) land: Option<usize>,
    /// Red alone on a green tip
    pub(crate) blame: Vec<usize>,
    /// Red alone, and so is the tip
    pub(crate) wait_for_base: Vec<usize>,
    /// Groups to start on the tip; an empty one tests the tip alone
    pub(crate) test: Vec<Vec<usize>>,
    /// Running tests whose answer no longer matters
    pub(crate) stop: Vec<usize>,
}

impl Test {
    fn is_running(&self) -> bool {
        self.word == Word::Running
    }

    /// Whether it is a test of the tip alone.
    fn is_tip(&self) -> bool {
        self.size == 0
    }

    /// Whom it tested alone, if it did.
    fn alone(&self) -> Option<usize> {
        match (self.size, self.members.as_slice()) {
            (1, &[place]) => Some(place),
            _ => None,
        }
    }

    /// Whether its commit may land: green, on this tip, and everybody in it still wants to.
    fn may_land(&self) -> bool {
        self.word == Word::Green
            && self.is_current
            && !self.members.is_empty()
            && self.members.len() == self.size
    }

    fn holds(&self, place: usize) -> bool {
        self.members.binary_search(&place).is_ok()
    }
}

/// What to do now with a queue whose groups land as they were tested.
pub(crate) fn plan(facts: &Facts) -> Plan {
    let largest = (0..facts.tests.len())
        .filter(|&index| facts.tests[index].may_land())
        .max_by_key(|&index| {
            let members = &facts.tests[index].members;
            (members.len(), Reverse(members[0]))
        });
    let mut plan = effects(facts, largest);
    if plan.land.is_some() || !plan.blame.is_empty() {
        return plan; // the queue is another one then
    }
    let evidence = Evidence::read(facts);
    for (index, test) in facts.tests.iter().enumerate() {
        if test.is_running() && evidence.is_moot(facts, test) {
            plan.stop.push(index);
        }
    }
    let running = facts.tests.iter().filter(|test| test.is_running());
    let free = (facts.slots + plan.stop.len()).saturating_sub(running.count());
    if facts.base == Base::Red {
        plan.test = groups::alone(facts, free);
        return plan;
    }
    if evidence.needs_base() && free > 0 {
        plan.test.push(Vec::new());
    }
    let free = free - plan.test.len();
    plan.test.extend(groups::choose(facts, &evidence, free));
    plan
}

/// What the words that are there decide, before anything new is tested.
fn effects(facts: &Facts, land: Option<usize>) -> Plan {
    let mut plan = Plan {
        land,
        ..Plan::default()
    };
    for test in facts.tests {
        let Some(place) = test.alone().filter(|_| test.word == Word::Red) else {
            continue;
        };
        match test.base {
            Base::Green => plan.blame.push(place),
            Base::Red if test.is_current => plan.wait_for_base.push(place),
            Base::Red | Base::Unknown => {}
        }
    }
    for places in [&mut plan.blame, &mut plan.wait_for_base] {
        places.sort_unstable();
        places.dedup();
    }
    if let Some(index) = land {
        // Green with the others: they land together.
        plan.blame.retain(|&place| !facts.tests[index].holds(place));
    }
    plan.stop = (0..facts.tests.len())
        .filter(|&index| {
            let test = &facts.tests[index];
            let is_blamed = plan.blame.iter().any(|&place| test.holds(place));
            test.is_running() && is_blamed
        })
        .collect();
    plan
}

#[cfg(test)]
mod examples;
#[cfg(test)]
mod simulation;
