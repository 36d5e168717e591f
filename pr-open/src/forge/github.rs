//! GitHub and GitHub Enterprise Server, by REST for what has to be exact (version 2022-11-28) and by
//! GraphQL for a look at many at once, for who may review, and for merge queues.
//!
//! Never used: auto-merge, which lands what nobody has tested, and merges without a head.

mod answer;
mod checks;
mod facts;
mod graph;
mod look;
mod opening;
mod place;
mod policy;
mod queue;
mod remarks;
mod settle;
mod wire;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use beads::{Repository, lock};
use git::Sha;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use ureq::http::Method as Verb;

use crate::Forge;
use crate::Seen;
use crate::address::Address;
use crate::github::facts::report;
use crate::github::place::{Api, Place};
use crate::http::{Answer, Ask, Http, Sent, encoded};
use crate::pull::{
    Busy, Land, Landed, Landing, LetGo, Method, NewPull, Opened, Pull, State, Wanted, alone,
};
use crate::push::Remote;
use crate::report::{Policy, Remark};
use crate::unread::Unread;

/// More pages than any list has that is read here.
const PAGES: usize = 100;

/// The repository of one remote.
pub(crate) struct GitHub {
    remote: Remote,
    rest: Http,
    graph: Http,
    /// Owner and name; renamed repositories are followed.
    repository: Mutex<(String, String)>,
    /// Whoever changes something holds this lock: one change at a time, and so far apart.
    turn: PathBuf,
    apart: Duration,
    /// What bases ask for, by name.
    policies: Mutex<HashMap<String, Known>>,
    /// What the last look cost of the quota.
    cost: AtomicU64,
    /// At so many pull requests it is asked to look at once.
    most: AtomicUsize,
}

/// What a base asks for, or why that cannot be read; and when it was asked.
type Known = (Instant, Result<Policy, String>);

impl GitHub {
    /// Looks the repository up, so that a token that is of no use is known before anything is done.
    ///
    /// # Errors
    /// When there is no token, no such repository for it, or no server.
    pub(crate) fn connect(
        repository: &Repository,
        address: &Address,
        remote: Remote,
    ) -> anyhow::Result<Self> {
        let place = Place::find(repository.common(), address)?;
        let http = |api: Api| {
            let headers = vec![
                ("Accept", "application/vnd.github+json".to_owned()),
                ("X-GitHub-Api-Version", "2022-11-28".to_owned()),
                ("Authorization", place.authorization.clone()),
            ];
            Http::new(api.origin, api.prefix, headers)
        };
        let github = Self {
            remote,
            rest: http(place.rest),
            graph: http(place.graph),
            repository: Mutex::new((place.owner, place.name)),
            turn: repository.state_dir().github_turn(),
            apart: place.apart,
            policies: Mutex::default(),
            cost: AtomicU64::new(1),
            most: AtomicUsize::new(graph::MOST),
        };
        github.find_repository()?;
        Ok(github)
    }

    /// Learns the repository's present name.
    fn find_repository(&self) -> anyhow::Result<()> {
        let path = self.path();
        let answer = self.rest.get(&path, Ask::Patiently)?;
        match answer.status {
            401 => bail!("it does not take the token: {}", answer.words()),
            404 => bail!("there is no repository {path} that the token may read"),
            _ => {}
        }
        let found: wire::Repository = answer.json()?;
        let Some(full_name) = found.full_name else {
            return Ok(());
        };
        let (owner, name) = full_name
            .split_once('/')
            .context("a repository without a name")?;
        *self
            .repository
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = (owner.to_owned(), name.to_owned());
        Ok(())
    }

    /// Owner and name.
    fn repository(&self) -> (String, String) {
        let known = self
            .repository
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }

    fn owner(&self) -> String {
        self.repository().0
    }

    fn path(&self) -> String {
        let (owner, name) = self.repository();
        format!("/repos/{}/{}", encoded(&owner), encoded(&name))
    }

    fn get(&self, rest: &str) -> anyhow::Result<Answer> {
        let path = format!("{}{rest}", self.path());
        self.rest.get(&path, Ask::Patiently)
    }

    /// All pages of a list.
    fn pages(&self, rest: &str) -> anyhow::Result<Vec<Answer>> {
        let mut pages = vec![self.get(rest)?];
        while let Some(last) = pages.last()
            && let Some(next) = self.rest.next(last)?
        {
            pages.push(next);
            if pages.len() > PAGES {
                bail!("a list without an end: {rest}");
            }
        }
        Ok(pages)
    }

    fn list<T: DeserializeOwned>(&self, rest: &str) -> anyhow::Result<Vec<T>> {
        let mut all: Vec<T> = Vec::new();
        for page in self.pages(rest)? {
            all.extend(page.json::<Vec<T>>()?);
        }
        Ok(all)
    }

    /// Does what changes something, when it is our turn.
    fn in_turn<T>(&self, act: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
        let turn = lock::take(&self.turn)
            .with_context(|| format!("cannot lock '{}'", self.turn.display()))?;
        thread::sleep(turn.held_back().min(self.apart));
        let done = act();
        turn.hold_back(self.apart)
            .with_context(|| format!("cannot mark '{}'", self.turn.display()))?;
        done
    }

    /// Changes something; under its new name, if the repository was renamed.
    fn send(&self, verb: &Verb, rest: &str, body: &Value) -> anyhow::Result<Sent> {
        self.in_turn(|| {
            let once = || {
                self.rest
                    .send(verb, &format!("{}{rest}", self.path()), Some(body))
            };
            let sent = once()?;
            if !matches!(&sent, Sent::Answered(answer) if answer.is_redirect()) {
                return Ok(sent);
            }
            self.find_repository()?;
            once()
        })
    }

    fn one(&self, number: u64) -> anyhow::Result<Option<wire::Pull>> {
        let answer = self.get(&format!("/pulls/{number}"))?;
        match answer.status {
            404 => Ok(None),
            _ => answer.json().map(Some),
        }
    }
}

impl Forge for GitHub {
    fn find(&self, branch: &str, head: Sha) -> anyhow::Result<Option<Pull>> {
        let known = self.pulls_of(branch)?;
        let landed = |pull: &&wire::Pull| pull.is_merged() && pull.head.sha() == Some(head);
        let found = known.iter().find(|pull| pull.is_open());
        let found = found.or_else(|| known.iter().find(landed));
        found.map(|found| found.pull(None)).transpose()
    }

    fn open(&self, new: &NewPull) -> anyhow::Result<Opened> {
        self.find_or_create(new)
    }

    fn pulls(&self, wanted: &[Wanted]) -> anyhow::Result<Vec<Seen>> {
        self.look(wanted)
    }

    fn pull(&self, wanted: &Wanted) -> anyhow::Result<Option<Pull>> {
        let Some(found) = self.one(wanted.number)? else {
            return Ok(None);
        };
        let (base_head, policy) = match self.base(&wanted.base)? {
            Some((at, policy)) => (Some(at), Ok(policy)),
            None => (None, Err("there is no such branch".to_owned())),
        };
        let mut pull = found.pull(base_head)?;
        self.settle_head(&mut pull, wanted)?;
        let (State::Open, Some(head)) = (pull.state, pull.head) else {
            return Ok(Some(pull));
        };
        // Who may review, and the merge queue: only GraphQL tells.
        let (owner, name) = self.repository();
        let one = std::slice::from_ref(wanted);
        let answer = graph::ask(&self.graph, (&owner, &name), one, Ask::Patiently)?;
        let seen = graph::read(&self.graph, &answer, one)?.pulls.pop();
        let Some(mut facts) = seen.transpose()?.flatten() else {
            return Err(Unread::of(anyhow!("GitHub knows it and does not")));
        };
        if facts.pull.head != found.head.sha() || facts.pull.state != State::Open {
            pull.busy = Some(Busy::Settling);
        }
        if let Some(queued @ Busy::Queued(_)) = facts.pull.busy.take() {
            pull.busy = Some(queued);
        }
        facts.merge_state = found.mergeable_state;
        self.note_queue(&wanted.base, facts.has_queue);
        let checks = self.checks(head).map_err(|err| format!("{err:#}"));
        pull.report = Some(report(&facts, policy, checks));
        Ok(Some(pull))
    }

    fn land(&self, landings: &[Landing]) -> anyhow::Result<Landed> {
        let queues = match landings.first() {
            Some(first) if first.queue => {
                let policy = self.policy(&first.wanted.base)?;
                policy.is_ok_and(|policy| policy.queue)
            }
            _ => false,
        };
        let is_pushed = landings.iter().all(|landing| landing.land == Land::Push);
        if is_pushed && !queues {
            return self.remote.land(landings);
        }
        let landing = alone(landings)?;
        if queues {
            return self.enqueue(landing);
        }
        let how = match landing.method {
            Method::Squash => "squash",
            Method::Merge => "merge",
            Method::Rebase => "rebase",
        };
        let body = json!({
            // Without it anything may land.
            "sha": landing.head.to_string(),
            "merge_method": how,
            "commit_title": landing.title,
            "commit_message": landing.text,
        });
        let number = landing.wanted.number;
        match self.send(&Verb::PUT, &format!("/pulls/{number}/merge"), &body)? {
            Sent::Answered(answer) if landing.queue && answer::wants_queue(&answer) => {
                self.enqueue(landing)
            }
            Sent::Answered(answer) => answer::to_merge(&answer),
            Sent::Unknown(why) => Ok(Landed::Unknown(why)),
        }
    }

    fn settle(&self, wanted: &Wanted, head: Sha, commit: Sha) -> anyhow::Result<()> {
        self.tell_landed(wanted.number, head, commit)
    }

    fn has_checks(&self) -> bool {
        true
    }

    fn remarks(&self, wanted: &Wanted, by: &str) -> anyhow::Result<Vec<Remark>> {
        self.threads(wanted, by)
    }

    fn let_go(&self, wanted: &Wanted) -> anyhow::Result<Option<LetGo>> {
        self.left_queue(wanted)
    }

    fn has_queues(&self) -> bool {
        true
    }

    fn pause(&self) -> Duration {
        let looks = self.graph.quota.pause(self.cost.load(Ordering::Relaxed));
        // A look costs nothing of it; a landing a dozen.
        looks.max(match self.rest.quota.is_the_peoples() {
            true => self.rest.quota.pause(1),
            false => Duration::ZERO,
        })
    }
}
