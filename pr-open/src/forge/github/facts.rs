//! What decides about a pull request, read one by one: its base, what that asks for, its checks.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use anyhow::Context;
use git::Sha;

use super::graph::Facts;
use super::{GitHub, checks, policy, wire};
use crate::http::{Spent, encoded};
use crate::pull::{Busy, Pull, State, Wanted};
use crate::report::{Check, Policy, Report};
use crate::unread::Unread;

/// For looks, what a base asks for is read so often; before a landing it is read anew.
const POLICY: Duration = Duration::from_mins(1);

impl GitHub {
    /// Where a base is and what it asks for; `None`: there is no such branch.
    pub(super) fn base(&self, branch: &str) -> anyhow::Result<Option<(Sha, Policy)>> {
        let path = format!("/branches/{}", encoded(branch));
        let answer = self.get(&path)?;
        if answer.status == 404 {
            return Ok(None);
        }
        let found: wire::Branch = answer
            .json()
            .with_context(|| format!("cannot read the branch {branch}"))?;
        let at = Sha::from_hex(found.commit.sha.as_bytes()).context("a branch without a commit")?;
        let mut policy = Policy::default();
        for page in self.pages(&format!("/rules{path}?per_page=100"))? {
            if policy::is_beyond_the_plan(&page) {
                break;
            }
            let rules: Vec<policy::Rule> = page
                .json()
                .with_context(|| format!("cannot read the rules of {branch}"))?;
            for rule in &rules {
                rule.add_to(&mut policy);
            }
        }
        if found.protected {
            let answer = self.get(&format!("{path}/protection"))?;
            policy::add_protection(&mut policy, &found, &answer);
        }
        self.note_policy(branch, Ok(policy.clone()));
        Ok(Some((at, policy)))
    }

    /// What a base asks for, as read lately; or why it cannot be read, which stays so.
    ///
    /// # Errors
    /// When it was not read, and may be the next time.
    pub(super) fn policy(&self, branch: &str) -> anyhow::Result<Result<Policy, String>> {
        let known = {
            let policies = self.policies.lock().unwrap_or_else(PoisonError::into_inner);
            policies.get(branch).cloned()
        };
        if let Some((at, policy)) = known
            && at.elapsed() < POLICY
        {
            return Ok(policy);
        }
        let policy = match self.base(branch) {
            Ok(Some((_, policy))) => return Ok(Ok(policy)),
            Ok(None) => Err("there is no such branch".to_owned()),
            Err(err) if err.is::<Unread>() || err.is::<Spent>() => return Err(err),
            Err(err) => Err(format!("{err:#}")),
        };
        self.note_policy(branch, policy.clone());
        Ok(policy)
    }

    fn note_policy(&self, branch: &str, policy: Result<Policy, String>) {
        let mut policies = self.policies.lock().unwrap_or_else(PoisonError::into_inner);
        policies.insert(branch.to_owned(), (Instant::now(), policy));
    }

    /// Classic protection does not tell of a queue: a pull request does.
    pub(super) fn note_queue(&self, base: &str, has_queue: bool) {
        let mut policies = self.policies.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, Ok(policy))) = policies.get_mut(base) {
            policy.queue |= has_queue;
        }
    }

    /// The latest check runs, statuses and workflows of a commit.
    pub(super) fn checks(&self, head: Sha) -> anyhow::Result<Vec<Check>> {
        let of = format!("/commits/{head}");
        let mut runs = Vec::new();
        for page in self.pages(&format!("{of}/check-runs?filter=latest&per_page=100"))? {
            let page: checks::Runs = page.json()?;
            let ours = page.check_runs.into_iter().filter(|run| run.is_of(head));
            runs.extend(ours.map(checks::WireRun::run));
        }
        let mut all = checks::latest(&runs);
        for page in self.pages(&format!("{of}/status?per_page=100"))? {
            let page: checks::Combined = page.json()?;
            all.extend(page.statuses.into_iter().map(checks::Status::check));
        }
        for page in self.pages(&format!("{of}/check-suites?per_page=100"))? {
            let page: checks::Suites = page.json()?;
            all.extend(
                page.check_suites
                    .into_iter()
                    .filter_map(checks::Suite::workflow),
            );
        }
        Ok(all)
    }

    /// A pull request that lags behind a push of ours is busy; whose branch is elsewhere has that
    /// head.
    pub(super) fn settle_head(&self, pull: &mut Pull, wanted: &Wanted) -> anyhow::Result<()> {
        if pull.state != State::Open || pull.head == Some(wanted.head) {
            return Ok(());
        }
        let answer = self.get(&format!("/git/ref/heads%2F{}", encoded(&wanted.branch)))?;
        if answer.status == 404 {
            pull.head = None;
            return Ok(());
        }
        let found: wire::Ref = answer.json()?;
        pull.head = Sha::from_hex(found.object.sha.as_bytes()).ok();
        pull.busy = Some(Busy::Settling);
        Ok(())
    }
}

/// A report on an open pull request.
pub(super) fn report(
    facts: &Facts,
    policy: Result<Policy, String>,
    checks: Result<Vec<Check>, String>,
) -> Report {
    Report {
        author: facts.author.clone(),
        checks,
        reviews: facts.reviews.clone(),
        policy: policy.map(|mut policy| {
            policy.queue |= facts.has_queue;
            if policy::is_met(&facts.merge_state) {
                policy.unread = None;
            }
            policy
        }),
    }
}
