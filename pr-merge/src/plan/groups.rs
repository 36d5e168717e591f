//! Which groups are tested next.

use super::evidence::Evidence;
use super::{Facts, size};

/// Each alone, once on this tip: one of them may mend it.
pub(super) fn alone(facts: &Facts, free: usize) -> Vec<Vec<usize>> {
    let mut is_tested = vec![false; facts.queue];
    for test in facts.tests.iter().filter(|test| test.is_current) {
        if let Some(place) = test.alone() {
            is_tested[place] = true;
        }
    }
    (0..facts.queue)
        .filter(|&place| !is_tested[place])
        .take(free)
        .map(|place| vec![place])
        .collect()
}

/// Groups for the slots that are free.
pub(super) fn choose(facts: &Facts, evidence: &Evidence, free: usize) -> Vec<Vec<usize>> {
    let batch = facts.batch.unwrap_or(usize::MAX).max(1);
    let mut groups = Groups {
        groups: Vec::new(),
        rests: Vec::new(),
    };
    let mut is_fresh: Vec<bool> = (0..facts.queue)
        .map(|place| evidence.is_free(place))
        .collect();
    for &place in &evidence.good {
        is_fresh[place] = false;
    }
    groups.divide(facts, evidence, batch);
    for &place in evidence.suspects.iter().flatten() {
        is_fresh[place] = false;
    }
    let fresh: Vec<usize> = (0..facts.queue).filter(|&place| is_fresh[place]).collect();
    let size = size::fresh(facts.rate, facts.slots).min(batch);
    groups
        .groups
        .extend(fresh.chunks(size).map(<[usize]>::to_vec));
    groups.groups.sort_unstable();
    groups.groups.truncate(free);
    groups.fill(free, batch);
    if fresh.len() > size && size < batch && groups.groups.len() < free {
        // A slot would be idle: if nobody is red, all land at once.
        let all = fresh.iter().copied().take(batch);
        groups.groups.push(all.collect());
    }
    groups.with_good(evidence, free, batch);
    groups.groups
}

struct Groups {
    groups: Vec<Vec<usize>>,
    /// What is left of a red group while a part of it is tested
    rests: Vec<Vec<usize>>,
}

impl Groups {
    /// Takes a part of each red group. What is red in two groups is tested in one of them.
    fn divide(&mut self, facts: &Facts, evidence: &Evidence, batch: usize) {
        let mut is_free: Vec<bool> = (0..facts.queue)
            .map(|place| evidence.is_free(place))
            .collect();
        for set in &evidence.suspects {
            let free: Vec<usize> = set.iter().copied().filter(|&at| is_free[at]).collect();
            let part = match free.len() == set.len() {
                true => size::part(facts.rate, set.len()).min(batch),
                false => 0,
            };
            let (part, rest) = free.split_at(part);
            if !part.is_empty() {
                self.groups.push(part.to_vec());
            }
            if !rest.is_empty() {
                self.rests.push(rest.to_vec());
            }
            for &place in set {
                is_free[place] = false;
            }
        }
    }

    /// Gives slots that would be idle what is left of red groups, in small parts.
    fn fill(&mut self, free: usize, batch: usize) {
        for rest in &self.rests {
            let idle = free - self.groups.len();
            if idle == 0 {
                break;
            }
            let parts = rest.chunks(rest.len().div_ceil(idle).min(batch));
            self.groups.extend(parts.take(idle).map(<[usize]>::to_vec));
        }
    }

    /// Takes those along who were green apart: whichever group is green lands them, too. Only who is
    /// suspected alone is tested alone. Where no group can take them they are tested as one, first.
    fn with_good(&mut self, evidence: &Evidence, free: usize, batch: usize) {
        let good = evidence.good.iter().copied();
        let good = good.filter(|&place| evidence.is_free(place)).take(batch);
        let good: Vec<usize> = good.collect();
        if good.is_empty() || free == 0 {
            return;
        }
        let is_alone = |group: &[usize]| group.len() == 1 && evidence.is_suspect(group[0]);
        let mut is_taken = false;
        for group in &mut self.groups {
            if !is_alone(group) && group.len() + good.len() <= batch {
                group.extend(&good);
                group.sort_unstable();
                is_taken = true;
            }
        }
        if !is_taken {
            self.groups.insert(0, good);
            self.groups.truncate(free);
        }
    }
}
