//! The plan for a forge that lands one pull request a call: every prefix of the queue is tested.

use super::{Base, Evidence, Facts, Plan, Test, Word, effects, groups};

/// What to do now with a queue that lands one by one: the first is tested, the first two, the
/// first three …
///
/// A test is current here, too, while all that has left it is on the tip as it was tested.
pub(crate) fn chain(facts: &Facts) -> Plan {
    let lands = |test: &Test| {
        test.word == Word::Green && test.is_current && test.members.len() == 1 && test.size > 0
    };
    let first = (0..facts.tests.len())
        .filter(|&index| lands(&facts.tests[index]))
        .min_by_key(|&index| facts.tests[index].members[0]);
    let mut plan = effects(facts, first);
    if plan.land.is_some() || !plan.blame.is_empty() {
        return plan;
    }
    let evidence = Evidence::read(facts);
    let wanted = match facts.base {
        Base::Red => groups::alone(facts, facts.queue),
        Base::Green | Base::Unknown => prefixes(facts, &evidence),
    };
    let is_wanted = |test: &Test| match test.size {
        0 => test.is_current,
        1 => !test.members.is_empty(),
        _ => test.is_current && wanted.contains(&test.members),
    };
    let running = |&index: &usize| facts.tests[index].is_running();
    plan.stop = (0..facts.tests.len())
        .filter(running)
        .filter(|&index| !is_wanted(&facts.tests[index]))
        .collect();
    let kept = (0..facts.tests.len()).filter(running).count() - plan.stop.len();
    let free = facts.slots.saturating_sub(kept);
    plan.test = wanted;
    plan.test.retain(|group| !is_tested(facts, group));
    if evidence.needs_base() {
        plan.test.insert(0, Vec::new());
    }
    plan.test.truncate(free);
    plan
}

/// The groups that are worth a test, in the order in which they are. Who made a prefix red is left
/// out of those behind it, and tested alone.
fn prefixes(facts: &Facts, evidence: &Evidence) -> Vec<Vec<usize>> {
    let mut wanted = Vec::new();
    let mut chain: Vec<usize> = Vec::new();
    let mut is_green = true;
    for place in 0..facts.queue {
        if wanted.len() >= facts.slots || chain.len() >= facts.batch.unwrap_or(usize::MAX) {
            break;
        }
        if evidence.is_unsure(place) || conflicts(facts, &chain, place) {
            continue;
        }
        chain.push(place);
        match last(facts, &chain) {
            Some(Word::Red) if is_green => {
                chain.pop();
                wanted.push(vec![place]);
            }
            Some(Word::Green | Word::Red) => {}
            Some(Word::Running) | None => {
                is_green = false;
                wanted.push(chain.clone());
            }
        }
    }
    wanted
}

/// The last word of a group. A red one is taken back when its last was green alone after it.
fn last(facts: &Facts, group: &[usize]) -> Option<Word> {
    let is_group = |test: &Test| test.is_current && test.members == group;
    let index = facts.tests.iter().rposition(is_group)?;
    let word = facts.tests[index].word;
    let is_green = |test: &Test| test.word == Word::Green && test.alone() == group.last().copied();
    let is_taken_back = word == Word::Red && facts.tests[index..].iter().any(is_green);
    (!is_taken_back).then_some(word)
}

/// Whether it was left out of a test whose members before it are all in the chain.
fn conflicts(facts: &Facts, chain: &[usize], place: usize) -> bool {
    facts.tests.iter().any(|test| {
        let mut before = test.members.iter().filter(|&&member| member < place);
        test.is_current
            && test.left_out.contains(&place)
            && before.all(|member| chain.contains(member))
    })
}

/// Whether a group has been tested, or is. Alone: on whatever tip, while it runs.
fn is_tested(facts: &Facts, group: &[usize]) -> bool {
    facts.tests.iter().any(|test| match group {
        &[place] if test.size == 1 => {
            test.alone() == Some(place) && (test.is_current || test.is_running())
        }
        [_] => test.is_current && test.is_running() && test.members == group,
        _ => test.is_current && test.members == group && test.word != Word::Red,
    })
}
