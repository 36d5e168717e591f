//! Whatever happens between plans, each lands once or goes back for a reason, and there is an end.

use fastrand::Rng;

use super::{Base, Setting, World};

/// Runs a queue of everything that can go wrong.
fn chaos(seed: u64, is_chain: bool) {
    let mut rng = Rng::with_seed(seed);
    let count = rng.usize(1..30);
    let red = [0.0, 0.05, 0.2, 0.6][rng.usize(..4)];
    let mut setting = Setting::new((0..count).map(|_| rng.f64() < red).collect());
    setting.is_chain = is_chain;
    setting.slots = rng.usize(1..9);
    setting.batch = [None, None, Some(1), Some(2), Some(5)][rng.usize(..5)];
    setting.retries = rng.u32(..3);
    setting.flakes = [0.0, 0.0, 0.0, 0.05][rng.usize(..4)] * f64::from(setting.retries.min(1));
    setting.jitter = [0.0, 0.3, 1.6][rng.usize(..3)];
    let pair = |rng: &mut Rng| (rng.usize(..count), rng.usize(..count));
    for _ in 0..rng.usize(..4) {
        let (one, two) = pair(&mut rng);
        if one != two {
            setting.red_pairs.push((one, two));
        }
        let (one, two) = pair(&mut rng);
        if one != two {
            setting.conflicts.push((one, two));
        }
    }
    if rng.u8(..4) == 0 {
        let mender = rng.usize(..count);
        setting.is_red[mender] = false;
        let apart = |&(one, two): &(usize, usize)| one != mender && two != mender;
        setting.conflicts.retain(apart);
        setting.red_pairs.retain(apart);
        setting.mender = Some(mender);
    }
    if rng.bool() {
        let comes = |_| (rng.f64() * 30.0 - 10.0).max(0.0);
        setting.comes = (0..count).map(comes).collect();
    }
    let pushes = rng.usize(..3);
    setting.pushes = (0..pushes).map(|_| rng.f64() * 20.0).collect();
    setting.pushes.sort_by(|one, other| other.total_cmp(one));
    let world = World::run(&setting, rng);
    if setting.flakes > 0.0 && world.base() == Base::Red {
        return; // the tip, or who mends it, was red for no reason: all wait for a new tip
    }
    assert!(
        world.queue.is_empty(),
        "seed {seed}: {:?} wait",
        world.queue
    );
    let mut all = [world.landed, world.blamed, world.sent_back].concat();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..count), "seed {seed}");
}

#[test]
fn whatever_happens_each_lands_once_or_goes_back_for_a_reason() {
    for seed in 0..1000 {
        chaos(seed, false);
    }
}

#[test]
fn a_chain_lands_each_once_or_sends_it_back_for_a_reason() {
    for seed in 0..1000 {
        chaos(seed, true);
    }
}
