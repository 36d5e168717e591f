//! Ids of new beads, in the form that Beads gives them: `<prefix>-<random>`, `<parent>.<n>`.

use std::collections::HashMap;
use std::path::Path;

use crate::record::bead::Bead;
use crate::token::random;

/// Digits of a new id, as few as Beads begins with.
const SHORTEST: usize = 3;

/// How many ids of one length are tried before the next.
const TRIES: usize = 8;

/// The next free id below `parent`.
pub(crate) fn child(beads: &[Bead], parent: &str) -> String {
    let number = |bead: &Bead| -> Option<u64> {
        let rest = bead.id().strip_prefix(parent)?.strip_prefix('.')?;
        rest.split('.').next()?.parse().ok()
    };
    let last = beads.iter().filter_map(number).max().unwrap_or_default();
    format!("{parent}.{}", last.saturating_add(1))
}

/// A free id with the prefix that most beads have; of the first bead, with the folder's name.
///
/// # Errors
/// When the kernel has no random numbers.
pub(crate) fn root(beads: &[Bead], folder: &Path) -> anyhow::Result<String> {
    let prefix = prefix(beads).map_or_else(|| named_after(folder), str::to_owned);
    let mut digits = SHORTEST;
    loop {
        for _ in 0..TRIES {
            let id = format!("{prefix}-{}", random_digits(digits)?);
            if !beads.iter().any(|bead| bead.id() == id) {
                return Ok(id);
            }
        }
        digits += 1;
    }
}

/// The commonest; of several the first in the alphabet, so that it does not change with the order.
fn prefix(beads: &[Bead]) -> Option<&str> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for bead in beads {
        let root = bead.id().split('.').next().unwrap_or_default();
        if let Some((prefix, _)) = root.rsplit_once('-')
            && !prefix.is_empty()
        {
            *counts.entry(prefix).or_default() += 1;
        }
    }
    let commonest = |(a, n): &(&str, usize), (b, m): &(&str, usize)| n.cmp(m).then(b.cmp(a));
    Some(counts.into_iter().max_by(commonest)?.0)
}

fn named_after(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let name: String = name.chars().filter(|c| plain(*c)).collect();
    match name.trim_matches('-') {
        "" => "bd".to_owned(),
        name => name.to_owned(),
    }
}

fn random_digits(count: usize) -> anyhow::Result<String> {
    let mut bits = u64::from_str_radix(&random()?, 16)?;
    let mut digits = String::with_capacity(count);
    for _ in 0..count {
        let digit = u32::try_from(bits % 36)?;
        digits.extend(char::from_digit(digit, 36));
        bits /= 36;
    }
    Ok(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beads(ids: &[&str]) -> Vec<Bead> {
        let bead = |id: &&str| Bead::parse(&format!("{{\"id\":\"{id}\"}}")).expect("a bead");
        ids.iter().map(bead).collect()
    }

    #[test]
    fn a_child_gets_the_next_free_number() {
        let beads = beads(&["a-1", "a-1.1", "a-1.7.2", "a-1.x", "a-12.9"]);
        assert_eq!(child(&beads, "a-1"), "a-1.8");
        assert_eq!(child(&beads, "a-2"), "a-2.1");
    }

    #[test]
    fn the_prefix_is_that_of_most_beads_or_the_folders_name() {
        assert_eq!(
            prefix(&beads(&["b-1", "my-app-x", "my-app-y.1"])),
            Some("my-app")
        );
        assert_eq!(prefix(&beads(&["b-1", "a-1"])), Some("a"));
        assert_eq!(prefix(&beads(&["plain"])), None);
        assert_eq!(named_after(Path::new("/x/my app")), "myapp");
        assert_eq!(named_after(Path::new("/")), "bd");
    }

    #[test]
    fn ids_that_run_out_get_longer() {
        let id = root(&[], Path::new("/x/app")).expect("an id");
        assert_eq!(id.len(), "app-".len() + SHORTEST);
    }
}
