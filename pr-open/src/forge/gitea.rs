//! Gitea and Forgejo, by their REST API (`/api/v1`, `/swagger.v1.json` on any server; measured with
//! Gitea 1.26).
//!
//! Never used: `force_merge`, which skips the base's policy, and `merge_when_checks_succeed`, which
//! forgets the head that was looked at.

mod answer;
mod look;
mod memory;
mod opening;
mod settle;
mod wire;

use std::env;
use std::sync::atomic::AtomicUsize;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, bail, ensure};
use git::Sha;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use ureq::http::Method as Verb;

use crate::address::Address;
use crate::gitea::memory::Memory;
use crate::http::{Answer, Ask, Http, Sent, encoded};
use crate::pull::{Land, Landed, Landing, Method, NewPull, Opened, Pull, State, Wanted, alone};
use crate::push::Remote;
use crate::report::{Policy, Remark, Report};
use crate::{Forge, Seen, token};

/// The most entries of a page that a server gives by default; it may be set to give fewer.
const PAGE: usize = 50;

/// More open pull requests than any repository has.
const PAGES: usize = 200;

/// The repository of one remote.
pub(crate) struct Gitea {
    remote: Remote,
    http: Http,
    /// `/repos/OWNER/NAME`; renamed repositories are followed.
    path: Mutex<String>,
    memory: Memory,
    /// So many open pull requests are listed on a page.
    most: AtomicUsize,
}

/// What a branch is and asks for; `None`: there is no such branch.
type Base = Option<(Sha, Policy)>;

impl Gitea {
    /// Looks the repository up, so that a token that is of no use is known before anything is done.
    ///
    /// # Errors
    /// When there is no token, no such repository for it, or no server.
    pub(crate) fn connect(address: &Address, remote: Remote) -> anyhow::Result<Self> {
        let dir = &remote.common;
        let (before, owner, name) = address.repository()?;
        let said = env::var("GITEA_SERVER_URL").unwrap_or_default();
        let server = said.trim_end_matches('/');
        let (origin, before) = if server.is_empty() {
            (format!("{}://{}", address.scheme, address.host), before)
        } else {
            let (scheme, rest) = server
                .split_once("://")
                .filter(|(scheme, _)| matches!(*scheme, "http" | "https"))
                .context("GITEA_SERVER_URL is not http://HOST or https://HOST")?;
            let (host, before) = rest.split_once('/').unwrap_or((rest, ""));
            // A token goes to no host that only one of the two names.
            ensure!(
                !address.is_http || host.eq_ignore_ascii_case(&address.host),
                "GITEA_SERVER_URL names another host than the remote"
            );
            (format!("{scheme}://{}", host.to_ascii_lowercase()), before)
        };
        let known = token::find(&["GITEA_TOKEN", "FORGEJO_TOKEN"], dir, address, &origin)?;
        let authorization = known.with_context(|| {
            format!(
                "no token for {origin}: set GITEA_TOKEN or BEADLINE_TOKEN_FILE, or give git one"
            )
        })?;
        let slash = if before.is_empty() { "" } else { "/" };
        let gitea = Self {
            remote,
            http: Http::new(
                origin,
                format!("{slash}{before}/api/v1"),
                vec![
                    ("Accept", "application/json".to_owned()),
                    ("Authorization", authorization),
                ],
            ),
            path: Mutex::new(format!("/repos/{}/{}", encoded(owner), encoded(name))),
            memory: Memory::default(),
            most: AtomicUsize::new(PAGE),
        };
        gitea.find_repository()?;
        Ok(gitea)
    }

    /// Learns the repository's present name.
    fn find_repository(&self) -> anyhow::Result<()> {
        let path = self.path();
        let answer = self.http.get(&path, Ask::Patiently)?;
        match answer.status {
            401 => bail!("it does not take the token: {}", answer.words()),
            404 => bail!("there is no repository {path} that the token may read"),
            _ => {}
        }
        let found: wire::Repository = answer.json()?;
        let (owner, name) = found
            .full_name
            .split_once('/')
            .context("a repository without a name")?;
        *self.path.lock().unwrap_or_else(PoisonError::into_inner) =
            format!("/repos/{}/{}", encoded(owner), encoded(name));
        Ok(())
    }

    fn path(&self) -> String {
        let path = self.path.lock().unwrap_or_else(PoisonError::into_inner);
        path.clone()
    }

    fn get(&self, rest: &str) -> anyhow::Result<Answer> {
        self.ask(rest, Ask::Patiently)
    }

    fn ask(&self, rest: &str, ask: Ask) -> anyhow::Result<Answer> {
        self.http.get(&format!("{}{rest}", self.path()), ask)
    }

    /// Changes something; under its new name, if the repository was renamed.
    fn send(&self, verb: &Verb, rest: &str, body: &Value) -> anyhow::Result<Sent> {
        let sent = self
            .http
            .send(verb, &format!("{}{rest}", self.path()), Some(body))?;
        if !matches!(&sent, Sent::Answered(answer) if answer.is_redirect()) {
            return Ok(sent);
        }
        self.find_repository()?;
        self.http
            .send(verb, &format!("{}{rest}", self.path()), Some(body))
    }

    /// One page of a list, which has a query already.
    fn page(&self, rest: &str, page: usize) -> anyhow::Result<Answer> {
        self.get(&format!("{rest}&limit={PAGE}&page={page}"))
    }

    /// All entries of a list whose first page is there.
    fn list<T: DeserializeOwned>(&self, rest: &str, first: &Answer) -> anyhow::Result<Vec<T>> {
        let mut all: Vec<T> = first.json()?;
        let mut has_next = first.next().is_some();
        for page in 2..=PAGES {
            if !has_next {
                break;
            }
            let answer = self.page(rest, page)?;
            has_next = answer.next().is_some();
            all.extend(answer.json::<Vec<T>>()?);
        }
        Ok(all)
    }

    fn one(&self, number: u64) -> anyhow::Result<Option<wire::Pull>> {
        wire::Pull::of(&self.get(&format!("/pulls/{number}"))?)
    }

    fn base(&self, branch: &str) -> anyhow::Result<Base> {
        let answer = self.get(&format!("/branches/{}", encoded(branch)))?;
        if answer.status == 404 {
            return Ok(None);
        }
        let found: wire::Branch = answer
            .json()
            .with_context(|| format!("cannot read the branch {branch}"))?;
        let at = Sha::from_hex(found.commit.id.as_bytes()).context("a branch without a commit")?;
        Ok(Some((at, found.policy())))
    }

    /// The latest status of each name. They come in pages of their own kind.
    fn checks(&self, head: Sha) -> Result<Vec<crate::Check>, String> {
        let mut all = Vec::new();
        for page in 1..=PAGES {
            let answer = self
                .page(&format!("/commits/{head}/status?"), page)
                .map_err(|err| format!("{err:#}"))?;
            let found: wire::Combined = answer.json().map_err(|err| format!("{err:#}"))?;
            let statuses = found.statuses.unwrap_or_default();
            let is_empty = statuses.is_empty();
            all.extend(statuses.into_iter().map(wire::Status::check));
            if is_empty || all.len() >= found.total_count {
                break;
            }
        }
        Ok(all)
    }

    fn all_reviews(&self, number: u64) -> anyhow::Result<Vec<wire::Review>> {
        let rest = format!("/pulls/{number}/reviews?");
        let first = self.page(&rest, 1)?;
        self.list(&rest, &first)
    }

    fn reviews(&self, number: u64) -> Result<Vec<crate::Review>, String> {
        let all = self.all_reviews(number);
        all.map(wire::Review::latest)
            .map_err(|err| format!("{err:#}"))
    }

    /// A pull request with what is reported of it.
    fn with_report(&self, found: &wire::Pull, base: &Base, anew: bool) -> anyhow::Result<Pull> {
        let mut pull = found.pull(base.as_ref().map(|(at, _)| *at))?;
        let (State::Open, Some(head)) = (pull.state, pull.head) else {
            return Ok(pull);
        };
        let recalled = self.memory.recall(found, head, anew);
        let checks = match &recalled.checks {
            Some(checks) => checks.clone(),
            None => self.checks(head),
        };
        let reviews = match &recalled.reviews {
            Some(reviews) => reviews.clone(),
            None => self.reviews(found.number),
        };
        self.memory.keep(found, head, &checks, &reviews, &recalled);
        pull.report = Some(Report {
            author: found.user.login.clone(),
            checks,
            reviews,
            policy: match base {
                Some((_, policy)) => Ok(policy.clone()),
                None => Err("there is no such branch".to_owned()),
            },
        });
        Ok(pull)
    }
}

impl Forge for Gitea {
    fn find(&self, branch: &str, head: Sha) -> anyhow::Result<Option<Pull>> {
        let found = match self.open_one(branch)? {
            Some(open) => Some(open),
            None => self.merged_one(head)?,
        };
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
        let base = self.base(&wanted.base)?;
        self.with_report(&found, &base, true).map(Some)
    }

    fn land(&self, landings: &[Landing]) -> anyhow::Result<Landed> {
        if landings.iter().all(|landing| landing.land == Land::Push) {
            return self.remote.land(landings);
        }
        let landing = alone(landings)?;
        let how = match landing.method {
            Method::Squash => "squash",
            Method::Merge => "merge",
            Method::Rebase => "rebase",
        };
        let body = json!({
            "Do": how,
            // Without it anything may land.
            "head_commit_id": landing.head.to_string(),
            "MergeTitleField": landing.title,
            "MergeMessageField": landing.text,
            // `wt-clean` does that, with proof; a repository's default may say otherwise.
            "delete_branch_after_merge": false,
        });
        let number = landing.wanted.number;
        match self.send(&Verb::POST, &format!("/pulls/{number}/merge"), &body)? {
            Sent::Answered(answer) => answer::to_merge(&answer),
            Sent::Unknown(why) => Ok(Landed::Unknown(why)),
        }
    }

    fn settle(&self, wanted: &Wanted, head: Sha, commit: Sha) -> anyhow::Result<()> {
        self.tell_landed(wanted.number, head, commit)
    }

    fn remarks(&self, wanted: &Wanted, by: &str) -> anyhow::Result<Vec<Remark>> {
        let number = wanted.number;
        let mut remarks = Vec::new();
        for review in self.all_reviews(number)? {
            if let Some(id) = review.with_remarks_of(by) {
                let answer = self.get(&format!("/pulls/{number}/reviews/{id}/comments"))?;
                let all: Vec<wire::Comment> = answer.json()?;
                remarks.extend(all.into_iter().filter_map(wire::Comment::remark));
            }
        }
        Ok(remarks)
    }

    fn has_checks(&self) -> bool {
        true
    }
}
