//! When to stop trying: what stands in the way of every bead alike must not use them all up.

/// So many failures in a row of one cause are enough.
const ENOUGH: u32 = 3;

/// Counts failures in a row that have the same cause.
#[derive(Debug)]
pub struct Breaker<O> {
    last: Option<O>,
    met: u32,
}

impl<O> Default for Breaker<O> {
    fn default() -> Self {
        Self { last: None, met: 0 }
    }
}

impl<O: Copy + Eq> Breaker<O> {
    /// Notes how a try has ended: what it met, or `None` when nothing stood in its way.
    pub fn note(&mut self, obstacle: Option<O>) {
        if self.is_open().is_some() {
            return;
        }
        self.met = match obstacle {
            None => 0,
            Some(_) if obstacle == self.last => self.met + 1,
            Some(_) => 1,
        };
        self.last = obstacle;
    }

    /// The obstacle, if nothing further is to be tried because of it.
    #[must_use]
    pub fn is_open(&self) -> Option<O> {
        self.last.filter(|_| self.met >= ENOUGH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_in_a_row_with_the_same_obstacle_are_enough() {
        let (bad, missing) = (Some("bad key"), Some("missing"));
        let mut breaker = Breaker::default();
        for met in [bad, bad, None, missing, bad, bad] {
            breaker.note(met);
            assert_eq!(breaker.is_open(), None);
        }
        breaker.note(bad);
        breaker.note(None);
        assert_eq!(breaker.is_open(), bad);
    }
}
