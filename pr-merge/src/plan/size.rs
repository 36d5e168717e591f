//! How big a group should be.

/// Above this rate groups cost more than they save.
const ONE_BY_ONE: f64 = 0.35;

/// A test tells most when it is as likely to be red as green; a little smaller, and a rate that was
/// thought too low costs less. Side by side on one tip, a green group that cannot land first has to be
/// tested once more, so it should be green more often.
const GREEN_IN_ONE_SLOT: f64 = 0.56;
const GREEN_SIDE_BY_SIDE: f64 = 0.62;

/// How likely red the part of a red group is that is tested next, for the same reasons.
const RED_PART: f64 = 0.36;

/// The size of a new group.
pub(super) fn fresh(rate: f64, slots: usize) -> usize {
    if rate >= ONE_BY_ONE {
        return 1;
    }
    let green = match slots {
        0 | 1 => GREEN_IN_ONE_SLOT,
        _ => GREEN_SIDE_BY_SIDE,
    };
    let size = green.ln() / (1.0 - rate.max(0.001)).ln();
    #[expect(clippy::cast_possible_truncation, reason = "at most 700")]
    #[expect(clippy::cast_sign_loss, reason = "both logarithms are negative")]
    let below = (size as usize).max(1);
    nearest(below..=below + 1, green, |size| all_green(rate, size))
}

/// How many of a red group of `size` are tested next: its part whose chance to be red is right.
pub(super) fn part(rate: f64, size: usize) -> usize {
    let red = 1.0 - all_green(rate, size);
    nearest(1..=size.saturating_sub(1).max(1), RED_PART, |part| {
        (1.0 - all_green(rate, part)) / red
    })
}

fn nearest(
    sizes: impl Iterator<Item = usize>,
    wanted: f64,
    chance: impl Fn(usize) -> f64,
) -> usize {
    let distance = |&size: &usize| (chance(size) - wanted).abs();
    sizes
        .min_by(|one, other| distance(one).total_cmp(&distance(other)))
        .unwrap_or(1)
}

fn all_green(rate: f64, size: usize) -> f64 {
    let size = i32::try_from(size).unwrap_or(i32::MAX);
    (1.0 - rate.clamp(0.001, 0.999)).powi(size)
}
