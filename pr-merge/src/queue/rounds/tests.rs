//! What is left of tests when the queue or the base is another one.

use forge::Method;

use super::*;

fn sha(digit: char) -> Sha {
    Sha::from_hex(digit.to_string().repeat(40).as_bytes()).expect("hexadecimal")
}

/// A group of these beads on the tip `0`; the head of bead `a` is `a`, and its tree there, too.
fn group(ids: &str) -> Group {
    let mut group = Group::new("main", sha('0'));
    group.members = ids
        .chars()
        .map(|id| Member {
            id: id.to_string(),
            head: sha(id),
            commit: sha(id),
            tree: sha(id),
            method: Method::Squash,
            title: String::new(),
            text: String::new(),
        })
        .collect();
    group
}

/// Tests of these groups, each with how it has ended.
fn rounds(all: &[(&str, Option<Judged>)]) -> Rounds {
    let mut rounds = Rounds::new(sha('0'));
    for (key, (ids, judged)) in (1..).zip(all) {
        let run = judged.map(|judged| Run {
            judged,
            how: String::new(),
            said: String::new(),
        });
        rounds.trials.push(Trial {
            key,
            began_with: ids.len(),
            size: ids.len(),
            group: group(ids),
            run,
            landed: Vec::new(),
            is_partial: false,
            stopped: None,
            is_void: false,
            ends: Arc::default(),
            // Nothing carries it.
            marker: Marker::from_argument("BEADLINE_HOLD=none:none"),
            begun: now(),
            lock: String::new(),
        });
    }
    rounds
}

/// The tests as the plan sees them while these wait: places, size, whether it is current.
fn seen(rounds: &Rounds, waiting: &str) -> Vec<(Vec<usize>, usize, bool)> {
    let ids: Vec<String> = waiting.chars().map(|id| id.to_string()).collect();
    let places = ids.iter().map(String::as_str).zip(0..).collect();
    let tests = rounds.tests(&places, |_| Base::Green).into_iter();
    tests
        .map(|(_, test)| (test.members, test.size, test.is_current))
        .collect()
}

const GREEN: Option<Judged> = Some(Judged::Passed);
const RED: Option<Judged> = Some(Judged::Failed);

#[test]
fn what_was_tested_on_top_of_what_has_landed_stands_on_the_base_now() {
    let mut rounds = rounds(&[
        ("a", GREEN),
        ("ab", GREEN),
        ("abc", None),
        ("ac", RED),
        ("b", RED),
    ]);
    rounds.forget(1);
    rounds.moved(sha('1'), &group("a"));
    let expected = [
        (vec![0], 1, true),
        (vec![0, 1], 2, true),
        // Red together with others is not red alone, as often as that takes.
        (vec![1], 2, true),
        (vec![0], 1, false),
    ];
    assert_eq!(seen(&rounds, "bc"), expected);
}

#[test]
fn on_a_base_that_somebody_else_has_moved_nothing_stands() {
    let mut elsewhere = rounds(&[("ab", GREEN), ("abc", None)]);
    elsewhere.stands_at(sha('1'));
    let expected = [(vec![0, 1], 2, false), (vec![0, 1, 2], 3, false)];
    assert_eq!(
        (seen(&elsewhere, "abc"), elsewhere.lost),
        (expected.to_vec(), 1)
    );
    // The same where a forge has landed one of them on top of that.
    let mut on_top = rounds(&[("ab", GREEN)]);
    let landed = Group {
        tip: sha('1'),
        ..group("a")
    };
    on_top.moved(sha('1'), &landed);
    assert_eq!(seen(&on_top, "b"), [(vec![0], 2, false)]);
    // The same where what has landed has another tree than what was tested.
    let mut other = rounds(&[("ab", GREEN)]);
    let mut landed = group("a");
    landed.members[0].tree = sha('f');
    other.moved(sha('1'), &landed);
    assert_eq!(seen(&other, "b"), [(vec![0], 2, false)]);
}

#[test]
fn who_leaves_takes_their_part_of_the_word_along() {
    let mut rounds = rounds(&[("ab", GREEN), ("ab", RED), ("ab", None), ("b", RED)]);
    let ends = Arc::clone(&rounds.trials[2].ends);
    rounds.keep(&HashMap::from([("b", sha('b'))]));
    assert_eq!(
        seen(&rounds, "b"),
        [(vec![0], 2, false), (vec![0], 1, true)]
    );
    assert!(ends.load(Ordering::Relaxed));
    // Nobody waits for the one that runs.
    let run = Run {
        judged: Judged::Passed,
        how: String::new(),
        said: String::new(),
    };
    assert!(rounds.end(3, &group("ab"), run).is_none());
    // Who is only not ready is no part of what could land.
    assert_eq!(seen(&rounds, ""), [(vec![], 2, false), (vec![], 1, false)]);
}
