//! Claim tokens, and the random numbers that make each of them unique.

use anyhow::Context;
use rustix::rand::{GetRandomFlags, getrandom};

/// The prefix of every claim token, and so of the assignee of a bead that a line works on.
pub const CLAIM: &str = "beadline/";

/// The token of a new claim: `beadline/<host>/<64 random bits>`.
pub(crate) fn token(host: &str) -> anyhow::Result<String> {
    Ok(format!("{CLAIM}{host}/{}", random()?))
}

/// 64 random bits from the kernel, as hexadecimal digits.
///
/// # Errors
/// When the kernel has none.
pub fn random() -> anyhow::Result<String> {
    let mut bits = [0; 8];
    getrandom(&mut bits, GetRandomFlags::empty()).context("no random numbers")?;
    Ok(format!("{:016x}", u64::from_ne_bytes(bits)))
}
