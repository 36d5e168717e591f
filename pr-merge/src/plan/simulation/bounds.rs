//! What the queue costs, beside one that tests one by one.

use std::fmt::Write;

use fastrand::Rng;

use super::{Setting, World};

const COUNT: u8 = 50;
const SEEDS: u32 = 100;
const RATES: [f64; 4] = [0.02, 0.05, 0.1, 0.2];
const SLOTS: [usize; 4] = [1, 2, 4, 8];

/// What a queue cost.
struct Cost {
    /// Time, where one by one takes 1
    rounds: f64,
    /// Checks for each that landed
    checks: f64,
    /// Good ones that were sent back
    wronged: usize,
}

fn cost(red: f64, slots: usize, flakes: f64) -> Cost {
    let (mut rounds, mut serial) = (0.0, 0.0);
    let (mut checks, mut landed, mut wronged) = (0.0, 0.0, 0);
    for seed in 0..SEEDS {
        let mut rng = Rng::with_seed(seed.into());
        let luck = (f64::from(seed) + 0.5) / f64::from(SEEDS);
        let mut is_red = vec![false; COUNT.into()];
        is_red[..how_many(red, luck)].fill(true);
        rng.shuffle(&mut is_red);
        let mut setting = Setting::new(is_red);
        setting.flakes = flakes;
        let one_by_one = one_by_one(&setting, rng.fork());
        setting.slots = slots;
        let world = World::run(&setting, rng);
        assert!(world.queue.is_empty());
        rounds += world.now;
        serial += one_by_one;
        checks += f64::from(world.checks);
        landed += f64::from(u32::try_from(world.landed.len()).expect("at most 50"));
        wronged += world
            .blamed
            .iter()
            .filter(|&&one| !setting.is_red[one])
            .count();
    }
    Cost {
        rounds: rounds / serial,
        checks: checks / landed,
        wronged,
    }
}

/// How many of them are red where each is with the chance `red`, and only `luck` of such queues have
/// fewer. Drawn evenly, few queues say as much as many.
fn how_many(red: f64, luck: f64) -> usize {
    let mut chance = (1.0 - red).powi(COUNT.into());
    let mut so_far = chance;
    let mut count = 0;
    while so_far < luck && count < COUNT {
        chance *= f64::from(COUNT - count) / f64::from(count + 1) * red / (1.0 - red);
        so_far += chance;
        count += 1;
    }
    count.into()
}

/// How long it takes to test one after the other, red ones as often as the queue does.
fn one_by_one(setting: &Setting, mut rng: Rng) -> f64 {
    let mut rounds = 0.0;
    for &is_red in &setting.is_red {
        for _ in 0..=setting.retries {
            rounds += 1.0;
            if !is_red && rng.f64() >= setting.flakes {
                break;
            }
        }
    }
    rounds
}

#[test]
fn the_table_of_the_page_is_what_the_simulation_says_and_within_its_bounds() {
    let mut table = String::from("| slots | flakes |");
    for red in RATES {
        write!(table, " {:.0} % red |", red * 100.0).expect("a string");
    }
    table.push_str("\n| --- | --- | --- | --- | --- | --- |\n");
    let mut missed = Vec::new();
    for slots in SLOTS {
        for flakes in [0.0, 0.02] {
            write!(table, "| {slots} | {:.0} % |", flakes * 100.0).expect("a string");
            for red in RATES {
                let cost = cost(red, slots, flakes);
                write!(table, " {:.2}, {:.2} |", cost.rounds, cost.checks).expect("a string");
                let (rounds, checks) = bound(red, slots);
                // One by one takes so much more, too.
                let checks = if flakes > 0.0 { checks * 1.02 } else { checks };
                if cost.rounds > rounds || cost.checks > checks {
                    missed.push(format!(
                        "{slots} slots, {red}: {:.3} {:.3}",
                        cost.rounds, cost.checks
                    ));
                }
                assert!(flakes > 0.0 || cost.wronged == 0, "a good one is blamed");
            }
            table.push('\n');
        }
    }
    assert_eq!(missed, [""; 0]);
    let page = include_str!("../../../README.md");
    assert!(page.contains(&table), "the page does not have:\n{table}");
}

/// What was promised: the time, and the checks for each that landed.
fn bound(red: f64, slots: usize) -> (f64, f64) {
    match (slots, (red * 100.0).round()) {
        (1, 5.0) => (0.38, 0.42),
        (1, 20.0) => (0.88, 1.3),
        (4, 5.0) => (0.15, f64::INFINITY),
        (4, 20.0) => (0.30, f64::INFINITY),
        _ => (1.0, f64::INFINITY),
    }
}

#[test]
fn a_rate_that_was_thought_too_low_costs_little() {
    let cost = cost(0.3, 1, 0.0);
    assert!(cost.rounds <= 1.15, "{}", cost.rounds);
}

/// The mean time and number of checks of a queue of twenty.
fn twenty(red: usize, slots: usize) -> (f64, f64) {
    let (mut rounds, mut checks) = (0.0, 0.0);
    for seed in 0..SEEDS {
        let mut rng = Rng::with_seed(seed.into());
        let mut is_red = vec![false; 20];
        is_red[..red].fill(true);
        rng.shuffle(&mut is_red);
        let mut setting = Setting::new(is_red);
        setting.slots = slots;
        let world = World::run(&setting, rng);
        rounds += world.now / f64::from(SEEDS);
        checks += f64::from(world.checks) / f64::from(SEEDS);
    }
    (rounds, checks)
}

#[test]
fn twenty_of_which_few_are_red_take_few_checks() {
    assert!(twenty(0, 1).1 < 2.001);
    assert!(twenty(0, 4).0 < 1.001);
    for (red, checks, share) in [(1, 9.0, 0.3), (4, 25.0, 0.5)] {
        let serial = f64::from(20 + u8::try_from(red).expect("few"));
        let (one, four) = (twenty(red, 1), twenty(red, 4));
        assert!(one.1 <= checks, "{red} red: {one:?}");
        assert!(four.0 <= share * serial, "{red} red: {four:?}");
    }
}
