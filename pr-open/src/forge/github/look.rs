//! A look at many pull requests in as few questions as it can be. A question that GitHub does not
//! answer, or answers with an error, is halved: it was too much at once, or what cannot be read is
//! alone with that. It is halved while GitHub answers other questions: one that is away is asked no
//! more for many than for one.

use std::sync::atomic::Ordering;

use super::GitHub;
use super::facts::report;
use super::graph::{self, Facts};
use crate::Seen;
use crate::http::{Answer, Ask, Spent};
use crate::pull::{Pull, State, Wanted};

/// So many that cannot be read by themselves, while none can be, are GitHub's doing.
const ALONE: usize = 3;

/// What a look has come to so far.
#[derive(Default)]
struct Looked {
    /// In the order they are asked for.
    pulls: Vec<anyhow::Result<Option<Facts>>>,
    /// Questions that were answered, and those about a single one that were not.
    answered: usize,
    alone: usize,
    cost: u64,
}

impl GitHub {
    /// # Errors
    /// When GitHub cannot be reached, or answers nothing at all.
    pub(super) fn look(&self, wanted: &[Wanted]) -> anyhow::Result<Vec<Seen>> {
        let mut looked = Looked::default();
        let mut rest = wanted;
        while !rest.is_empty() {
            let most = self.most.load(Ordering::Relaxed).min(rest.len());
            let (some, others) = rest.split_at(most);
            self.look_at(some, &mut looked)?;
            rest = others;
        }
        self.cost.store(looked.cost, Ordering::Relaxed);
        let mut seen = Vec::new();
        for (one, facts) in wanted.iter().zip(looked.pulls) {
            let pull = facts.and_then(|facts| {
                let pull = facts.map(|facts| self.with_report(one, &facts));
                pull.transpose()
            });
            match pull {
                Err(err) if err.is::<Spent>() => return Err(err),
                pull => seen.push(pull),
            }
        }
        Ok(seen)
    }

    fn look_at(&self, some: &[Wanted], looked: &mut Looked) -> anyhow::Result<()> {
        let answer = match self.ask_about(some)? {
            Ok(answer) => answer,
            Err(_) if some.len() > 1 => {
                self.most.store(some.len().div_ceil(2), Ordering::Relaxed);
                return self.halve(some, looked);
            }
            // That may have been a moment's trouble.
            Err(_) => match self.ask_about(some)? {
                Ok(answer) => answer,
                Err(err) => {
                    looked.pulls.push(Err(err));
                    return Ok(());
                }
            },
        };
        match graph::read(&self.graph, &answer, some) {
            Ok(seen) => {
                looked.answered += 1;
                looked.cost += seen.cost;
                looked.pulls.extend(seen.pulls);
                // Step by step to what it can do again.
                let most = self.most.load(Ordering::Relaxed);
                if (most..graph::MOST).contains(&some.len()) {
                    self.most.store(some.len() + 1, Ordering::Relaxed);
                }
            }
            Err(err) if err.is::<Spent>() => return Err(err),
            Err(err) if some.len() == 1 => {
                looked.alone += 1;
                if looked.answered == 0 && looked.alone >= ALONE {
                    return Err(err);
                }
                looked.pulls.push(Err(err));
            }
            Err(_) => return self.halve(some, looked),
        }
        Ok(())
    }

    /// One question, and why it was not answered: nothing else is wrong with GitHub.
    ///
    /// # Errors
    /// When GitHub answers no question.
    fn ask_about(&self, some: &[Wanted]) -> anyhow::Result<anyhow::Result<Answer>> {
        let (owner, name) = self.repository();
        let asked = graph::ask(&self.graph, (&owner, &name), some, Ask::Once);
        match &asked {
            Err(err) if err.is::<Spent>() => return asked.map(Ok),
            Err(_) => graph::ask_whether_alive(&self.graph)?,
            Ok(_) => {}
        }
        Ok(asked)
    }

    fn halve(&self, some: &[Wanted], looked: &mut Looked) -> anyhow::Result<()> {
        let (one, other) = some.split_at(some.len().div_ceil(2));
        self.look_at(one, looked)?;
        self.look_at(other, looked)
    }

    fn with_report(&self, one: &Wanted, facts: &Facts) -> anyhow::Result<Pull> {
        let mut pull = facts.pull.clone();
        self.settle_head(&mut pull, one)?;
        if let (State::Open, Some(head)) = (pull.state, pull.head) {
            let checks = match &facts.checks {
                // Those of the head before the push that it has not taken in yet.
                _ if pull.head != facts.pull.head => Ok(Vec::new()),
                Some(checks) => checks.clone(),
                None => self.checks(head).map_err(|err| format!("{err:#}")),
            };
            pull.report = Some(report(facts, self.policy(&one.base)?, checks));
        }
        Ok(pull)
    }
}
