//! Small queues, and what is planned for them.

use super::{Base, Facts, Plan, Test, Word, chain, plan};

/// A test on this tip, which is green.
fn test(members: &[usize], word: Word) -> Test {
    Test {
        members: members.to_vec(),
        size: members.len(),
        left_out: Vec::new(),
        word,
        is_current: true,
        base: Base::Green,
    }
}

/// A test on an earlier tip.
fn earlier(members: &[usize], word: Word) -> Test {
    Test {
        is_current: false,
        ..test(members, word)
    }
}

fn facts(queue: usize, slots: usize, tests: &[Test]) -> Facts<'_> {
    Facts {
        queue,
        tests,
        base: Base::Green,
        slots,
        batch: None,
        rate: 0.05,
    }
}

fn tests(test: &[&[usize]]) -> Plan {
    Plan {
        test: test.iter().map(|group| group.to_vec()).collect(),
        ..Plan::default()
    }
}

#[test]
fn the_largest_green_group_lands_and_the_rest_goes_along_with_the_next() {
    let words = [test(&[0], Word::Green), test(&[1, 2], Word::Green)];
    let lands = Plan {
        land: Some(1),
        ..Plan::default()
    };
    assert_eq!(plan(&facts(4, 2, &words)), lands);
    let words = [earlier(&[0], Word::Green)];
    assert_eq!(plan(&facts(2, 1, &words)), tests(&[&[0, 1]]));
}

#[test]
fn a_group_of_which_one_has_left_does_not_land() {
    let mut green = test(&[0], Word::Green);
    green.size = 2;
    assert_eq!(plan(&facts(1, 1, &[green])), tests(&[&[0]]));
}

#[test]
fn a_red_group_is_divided_and_takes_in_no_newcomers() {
    let words = [test(&[0, 1, 2, 3], Word::Red)];
    assert_eq!(plan(&facts(5, 1, &words)), tests(&[&[0]]));
    let words = [earlier(&[2, 3], Word::Red), test(&[0, 1], Word::Running)];
    assert_eq!(plan(&facts(5, 2, &words)), tests(&[&[2]]));
    assert_eq!(plan(&facts(5, 4, &words)), tests(&[&[2], &[4], &[3]]));
}

#[test]
fn who_is_red_alone_is_to_blame_where_the_tip_is_green() {
    let mut red = test(&[1], Word::Red);
    let running = test(&[1, 2], Word::Running);
    let blames = Plan {
        blame: vec![1],
        stop: vec![1],
        ..Plan::default()
    };
    let words = [red.clone(), running];
    assert_eq!(plan(&facts(3, 2, &words)), blames);

    red.base = Base::Unknown;
    let words = [red.clone()];
    let mut facts = facts(2, 1, &words);
    facts.base = Base::Unknown;
    assert_eq!(plan(&facts), tests(&[&[]]));

    red.base = Base::Red;
    let words = [red];
    facts.tests = &words;
    facts.base = Base::Red;
    let waits = Plan {
        wait_for_base: vec![1],
        ..tests(&[&[0]])
    };
    assert_eq!(plan(&facts), waits);
    assert_eq!(chain(&facts), waits);
}

#[test]
fn what_was_red_on_a_red_tip_is_tested_again_when_it_is_mended() {
    let mut red = earlier(&[0, 1], Word::Red);
    red.base = Base::Red;
    assert_eq!(plan(&facts(2, 1, &[red])), tests(&[&[0, 1]]));
}

#[test]
fn who_is_red_only_together_with_what_has_landed_is_tested_alone() {
    let mut red = earlier(&[0], Word::Red);
    red.size = 2;
    assert_eq!(plan(&facts(1, 1, &[red.clone()])), tests(&[&[0]]));
    // It was green before the other one landed.
    let words = [earlier(&[0, 1], Word::Green), test(&[0, 1], Word::Red)];
    assert_eq!(plan(&facts(2, 1, &words)), tests(&[&[0]]));
}

#[test]
fn no_group_is_larger_than_it_may_be() {
    let words = [earlier(&[0, 1, 2], Word::Green)];
    let mut facts = facts(9, 3, &words);
    facts.batch = Some(2);
    assert_eq!(plan(&facts), tests(&[&[0, 1], &[3, 4], &[5, 6]]));
}

#[test]
fn a_running_test_that_can_say_nothing_new_is_stopped() {
    let words = [
        earlier(&[0], Word::Green),
        earlier(&[0], Word::Running),
        earlier(&[1], Word::Running),
    ];
    let stops = Plan {
        stop: vec![1],
        ..tests(&[&[0]])
    };
    assert_eq!(plan(&facts(2, 2, &words)), stops);
}

#[test]
fn a_running_test_that_will_be_red_is_stopped() {
    let words = [test(&[0, 1], Word::Red), test(&[0, 1, 2], Word::Running)];
    let stops = Plan {
        stop: vec![1],
        ..tests(&[&[0]])
    };
    assert_eq!(plan(&facts(3, 1, &words)), stops);
}

#[test]
fn who_is_good_does_not_wait_for_a_test_that_cannot_land() {
    let words = [
        earlier(&[0], Word::Green),
        earlier(&[1], Word::Running),
        earlier(&[0, 1], Word::Running),
    ];
    let stops = Plan {
        stop: vec![2],
        ..tests(&[&[0]])
    };
    assert_eq!(plan(&facts(2, 3, &words)), stops);
}

#[test]
fn a_slot_that_would_be_idle_tests_all_as_one() {
    let all: Vec<usize> = (0..20).collect();
    let wanted = tests(&[&all[..9], &all[9..18], &all[18..], &all]);
    assert_eq!(plan(&facts(20, 4, &[])), wanted);
}

#[test]
fn a_chain_tests_each_prefix_and_lands_the_first() {
    let first = tests(&[&[0], &[0, 1], &[0, 1, 2]]);
    assert_eq!(chain(&facts(5, 3, &[])), first);
    let mut words = vec![
        test(&[0], Word::Running),
        test(&[0, 1], Word::Red),
        test(&[0, 1, 2], Word::Running),
    ];
    assert_eq!(chain(&facts(5, 3, &words)), tests(&[&[0, 1, 2, 3]]));
    words[0].word = Word::Green;
    let lands = Plan {
        land: Some(0),
        ..Plan::default()
    };
    assert_eq!(chain(&facts(5, 3, &words)), lands);
}

#[test]
fn who_makes_a_prefix_red_is_tested_alone_and_left_out_behind() {
    let mut red = test(&[0], Word::Red);
    red.size = 2;
    let words = [red, test(&[0, 1], Word::Running)];
    let skips = Plan {
        stop: vec![1],
        ..tests(&[&[0], &[1], &[1, 2]])
    };
    assert_eq!(chain(&facts(4, 3, &words)), skips);
}

#[test]
fn who_conflicts_with_a_chain_is_left_out_of_it() {
    let mut words = vec![test(&[0], Word::Running), test(&[0, 2], Word::Running)];
    words[1].left_out = vec![1];
    assert_eq!(chain(&facts(4, 3, &words)), tests(&[&[0, 2, 3]]));
}
