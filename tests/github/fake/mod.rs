//! GitHub as far as no other double goes: a small one of our own, in this process, on a real bare
//! repository. What it is asked and what it answers is held against GitHub's own descriptions.

mod answer;
mod beside;
mod git;
mod graph;
mod request;
mod rest;
mod world;

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use self::git::Bare;
use self::request::Request;
use self::world::{Event, Review, Run, Scripted, Thread};
use super::spec::{Exchange, manners, violations};

pub(crate) use self::world::{Broken, Slip, World};

/// The token it takes.
pub(crate) const TOKEN: &str = "ghp_the-secret-of-the-tests";

/// The double; its thread ends with the tests.
pub(crate) struct Fake {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    root: PathBuf,
    world: Mutex<World>,
    log: Mutex<Vec<Exchange>>,
    /// When something was to be changed.
    changes: Mutex<Vec<Instant>>,
}

impl Fake {
    /// On the bare repository `remote.git` of this folder.
    pub(crate) fn on(root: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            root: root.to_owned(),
            world: Mutex::new(World::new(Bare::new(root.join("remote.git")))),
            log: Mutex::default(),
            changes: Mutex::default(),
        });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&serving);
                // What a client breaks off is no news.
                thread::spawn(move || drop(shared.serve(&client)));
            }
        });
        Self { port, shared }
    }

    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn world(&self) -> MutexGuard<'_, World> {
        let mut world = self.shared.world();
        world.refresh();
        world
    }

    /// The next so many requests of this verb whose path has this part are answered with that, and
    /// do nothing.
    pub(crate) fn say(
        &self,
        (verb, part, times): (&'static str, &'static str, usize),
        status: u16,
        head: &[&str],
        body: Value,
    ) {
        self.world().scripted.push(Scripted {
            verb,
            part,
            status,
            head: head.iter().map(|line| (*line).to_owned()).collect(),
            body,
            times,
        });
    }

    /// Whether all that it was to say has been said.
    pub(crate) fn has_said_all(&self) -> bool {
        self.world().scripted.iter().all(|one| one.times == 0)
    }

    pub(crate) fn head(&self, number: u64) -> String {
        self.world().pull(number).unwrap().head.clone()
    }

    /// A check run of the commit; each time a new one of its suite.
    pub(crate) fn run(&self, commit: &str, suite: u64, name: &str, state: &str) {
        let mut world = self.world();
        let id = u64::try_from(world.runs.len()).unwrap() + 1;
        let is_end = !matches!(state, "queued" | "in_progress");
        world.runs.push(Run {
            id,
            suite,
            commit: commit.to_owned(),
            name: name.to_owned(),
            status: if is_end { "completed" } else { state }.to_owned(),
            conclusion: is_end.then(|| state.to_owned()),
        });
    }

    pub(crate) fn status(&self, commit: &str, name: &str, state: &str) {
        let status = (commit.to_owned(), name.to_owned(), state.to_owned());
        self.world().statuses.push(status);
    }

    /// A workflow of the commit, which has made no runs.
    pub(crate) fn workflow(&self, commit: &str, status: &str, conclusion: Option<&str>) {
        let conclusion = conclusion.map(str::to_owned);
        let mut world = self.world();
        world.suites.retain(|(sha, ..)| sha != commit);
        world
            .suites
            .push((commit.to_owned(), status.to_owned(), conclusion));
    }

    /// A person's word; whoever is called `stranger` may not write here.
    pub(crate) fn review(&self, by: &str, number: u64, state: &str, commit: &str) {
        self.world().pull(number).unwrap().reviews.push(Review {
            by: by.to_owned(),
            state: state.to_owned(),
            commit: commit.to_owned(),
            body: "as I see it".to_owned(),
            writes: by != "stranger",
        });
    }

    /// A thread about a line of the first pull request: who says what.
    pub(crate) fn thread(
        &self,
        (path, line): (&str, Option<u64>),
        is_resolved: bool,
        by: &str,
        words: &str,
    ) {
        self.world().pull(1).unwrap().threads.push(Thread {
            path: path.to_owned(),
            line,
            is_resolved,
            comments: vec![(by.to_owned(), words.to_owned())],
        });
    }

    pub(crate) fn rule(&self, kind: &str, parameters: &Value) {
        let rule = serde_json::json!({"type": kind, "parameters": parameters,
            "ruleset_source_type": "Repository", "ruleset_source": "acme/demo", "ruleset_id": 1});
        self.world().rules.push(rule);
    }

    /// The classic protection, as it is answered.
    pub(crate) fn protect(&self, status: u16, body: Value) {
        self.world().protection = Some((status, body));
    }

    /// Changes what the double does.
    pub(crate) fn set(&self, change: impl FnOnce(&mut World)) {
        change(&mut self.world());
    }

    /// Where the queue has it: a state, or out of it, for this reason and with this commit.
    pub(crate) fn entry(&self, number: u64, entry: Result<&'static str, (&str, &str)>) {
        let mut world = self.world();
        let pull = world.pull(number).unwrap();
        match entry {
            Ok(state) => pull.entry = Some(state),
            Err((reason, commit)) => {
                pull.entry = None;
                pull.event = Some(Event::Removed {
                    reason: reason.to_owned(),
                    commit: commit.to_owned(),
                });
            }
        }
    }

    pub(crate) fn is_queued(&self, number: u64) -> bool {
        self.world().pull(number).unwrap().entry.is_some()
    }

    /// The queue, or a person, lands it.
    pub(crate) fn land(&self, number: u64, how: &str) {
        let landed = self.world().merge(number, how, "landed");
        assert!(landed.is_some(), "pull request {number} conflicts");
    }

    /// A person has it land on another branch.
    pub(crate) fn retarget(&self, number: u64, base: &str) {
        base.clone_into(&mut self.world().pull(number).unwrap().base);
    }

    /// A person closes it.
    pub(crate) fn close(&self, number: u64) {
        self.world().pull(number).unwrap().closed = true;
    }

    /// What was said on it.
    pub(crate) fn comments(&self, number: u64) -> Vec<String> {
        self.world().pull(number).unwrap().comments.clone()
    }

    /// All pull requests: number, state.
    pub(crate) fn pulls(&self) -> Vec<(u64, &'static str)> {
        let world = self.world();
        world
            .pulls
            .iter()
            .map(|pull| (pull.number, pull.state()))
            .collect()
    }

    /// What a person sees of it: title, text, labels, reviewers, draft.
    pub(crate) fn seen(&self, number: u64) -> (String, String, Vec<String>, Vec<String>, bool) {
        let mut world = self.world();
        let pull = world.pull(number).unwrap();
        let (labels, reviewers) = (pull.labels.clone(), pull.reviewers.clone());
        (
            pull.title.clone(),
            pull.body.clone(),
            labels,
            reviewers,
            pull.draft,
        )
    }

    /// What was asked of its APIs, as `VERB PATH`; of GraphQL with the name of the question.
    pub(crate) fn log(&self) -> Vec<String> {
        let name = |one: &Exchange| {
            let body: Value = serde_json::from_str(&one.body).unwrap_or_default();
            let query = body["query"].as_str().unwrap_or_default();
            let word = query.split([' ', '(']).nth(1).unwrap_or_default();
            format!(" {word}")
        };
        let log = self.shared.log();
        log.iter()
            .map(|one| {
                format!("{} {}{}", one.verb, one.target, name(one))
                    .trim_end()
                    .to_owned()
            })
            .collect()
    }

    /// The shortest time between two requests that change something.
    pub(crate) fn apart(&self) -> Duration {
        let changes = self.shared.changes.lock();
        let changes = changes.unwrap_or_else(PoisonError::into_inner);
        let gaps = changes.windows(2).map(|two| two[1] - two[0]);
        gaps.min().unwrap()
    }

    /// How many requests of this verb have this in their path.
    pub(crate) fn count(&self, verb: &str, part: &str) -> usize {
        let log = self.log();
        let fits = |line: &&String| line.starts_with(verb) && line.contains(part);
        log.iter().filter(fits).count()
    }
}

impl Drop for Fake {
    /// Nothing that was said may be other than GitHub describes it.
    fn drop(&mut self) {
        if thread::panicking() {
            return;
        }
        let log = self.shared.log();
        let found = |one: &Exchange| [violations(one), manners(one)].concat();
        let found: Vec<String> = log.iter().flat_map(found).collect();
        assert!(found.is_empty(), "{}", found.join("\n"));
    }
}

impl Shared {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self) -> MutexGuard<'_, Vec<Exchange>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, mut client: &TcpStream) -> std::io::Result<()> {
        let Some(request) = Request::read(client)? else {
            return Ok(());
        };
        // What git asks goes to git.
        let (status, head, body) = match request.target.strip_prefix("/git") {
            Some(target) => {
                let Request {
                    verb, head, body, ..
                } = &request;
                git::transport(&self.root, verb, target, head, body)
            }
            None => self.answer(&request),
        };
        let mut text = format!("HTTP/1.1 {status} So\r\nConnection: close\r\n");
        for line in &head {
            text += line;
            text += "\r\n";
        }
        if status != 304 {
            text += "Content-Length: ";
            text += &body.len().to_string();
            text += "\r\n";
        }
        client.write_all(text.as_bytes())?;
        client.write_all(b"\r\n")?;
        client.write_all(&body)
    }

    /// What the APIs say, with the head that every answer has.
    fn answer(&self, request: &Request) -> (u16, Vec<String>, Vec<u8>) {
        let mut world = self.world();
        world.refresh();
        let asked = String::from_utf8(request.body.clone()).unwrap();
        let is_question = asked.contains("\"query look(") || asked.contains("\"query alive ");
        if request.verb != "GET" && !is_question {
            let changes = self.changes.lock();
            changes
                .unwrap_or_else(PoisonError::into_inner)
                .push(Instant::now());
        }
        let (status, mut head, said) = world.answer(request);
        let (limit, left, seconds) = world.quota;
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        head.push("Content-Type: application/json; charset=utf-8".to_owned());
        if !head
            .iter()
            .any(|line| line.starts_with("x-ratelimit-reset"))
        {
            head.push(format!("x-ratelimit-limit: {limit}"));
            head.push(format!("x-ratelimit-remaining: {left}"));
            head.push(format!("x-ratelimit-reset: {}", now + seconds));
        }
        let body = said.to_string();
        self.log().push(Exchange {
            verb: request.verb.clone(),
            // By its number it is not described.
            target: request
                .target
                .replace("/repositories/1", &format!("/repos/{}", world.name)),
            head: request.head.clone(),
            body: asked,
            answer: Some((status, body.clone())),
        });
        drop(world);
        if request.verb != "GET" || status != 200 {
            return (status, head, body.into_bytes());
        }
        let tag = format!("\"{:x}\"", fingerprint(&body));
        head.push(format!("ETag: {tag}"));
        match request.value("if-none-match:") {
            Some(known) if known == tag => (304, head, Vec::new()),
            _ => (status, head, body.into_bytes()),
        }
    }
}

fn fingerprint(text: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
