//! The one query that a look at many pull requests is, and what GraphQL answers to it
//! (`schema.graphql` of GitHub). Errors come inside of successes, part by part.

use std::fmt::Write as _;

use anyhow::{Context, anyhow, bail};
use git::Sha;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::checks::{self, Run};
use crate::http::{Answer, Ask, Http};
use crate::pull::{self, Busy, State, Wanted};
use crate::report::{Check, Review, Reviewed};
use crate::unread::Unread;

/// So many pull requests a query: more would take it longer than GitHub gives it.
pub(super) const MOST: usize = 50;

/// What is asked of each pull request.
const FACTS: &str = "fragment facts on PullRequest { \
    number url state isDraft headRefOid baseRefName mergeable mergeStateStatus \
    author { login } mergeCommit { oid } \
    isInMergeQueue isMergeQueueEnabled mergeQueueEntry { state position } \
    reviews(last: 100, states: [APPROVED, CHANGES_REQUESTED, DISMISSED]) { \
      pageInfo { hasPreviousPage } \
      nodes { state body author { login } authorCanPushToRepository commit { oid } } } \
    commits(last: 1) { nodes { commit { oid \
      checkSuites(first: 50) { nodes { status conclusion workflowRun { url } } } \
      statusCheckRollup { contexts(first: 100) { pageInfo { hasNextPage } nodes { __typename \
        ... on CheckRun { databaseId name status conclusion title summary detailsUrl \
          checkSuite { databaseId app { databaseId } } } \
        ... on StatusContext { context state description targetUrl } } } } } } } }";

/// The least that can be asked.
const ALIVE: &str = "query alive { rateLimit { cost } }";

/// What a query came to.
#[derive(Deserialize)]
pub(super) struct Reply {
    #[serde(default)]
    data: Option<Value>,
    #[serde(default)]
    pub(super) errors: Vec<Fault>,
}

/// What could not be answered, and where in the answer that would be.
#[derive(Debug, Deserialize)]
pub(super) struct Fault {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    pub(super) message: String,
    #[serde(default)]
    path: Vec<Value>,
}

/// What was seen of the pull requests that were asked for.
pub(super) struct Seen {
    /// In the order they were asked for; `None`: there is no such pull request.
    pub(super) pulls: Vec<anyhow::Result<Option<Facts>>>,
    /// What the query cost of the quota.
    pub(super) cost: u64,
}

/// One pull request.
pub(super) struct Facts {
    pub(super) pull: pull::Pull,
    pub(super) author: String,
    /// `CLEAN`, `BLOCKED` …
    pub(super) merge_state: String,
    /// Whether the base has a merge queue.
    pub(super) has_queue: bool,
    pub(super) reviews: Result<Vec<Review>, String>,
    /// `None`: there are more than a query tells of.
    pub(super) checks: Option<Result<Vec<Check>, String>>,
}

impl Reply {
    /// # Errors
    /// When it is no answer of GraphQL, or one that there are no more requests.
    pub(super) fn of(http: &Http, answer: &Answer) -> anyhow::Result<Self> {
        let reply: Self = answer.json()?;
        match reply
            .errors
            .iter()
            .find(|fault| fault.kind == "RATE_LIMITED")
        {
            Some(fault) => bail!(http.quota.refused(fault.message.clone())),
            None => Ok(reply),
        }
    }

    /// The first thing that went wrong, in GitHub's words.
    pub(super) fn words(&self) -> String {
        let first = self.errors.first();
        first.map_or("the answer is empty".to_owned(), |fault| {
            fault.message.clone()
        })
    }

    /// What went wrong with a part of the repository.
    fn faults(&self, part: &str) -> Vec<&Fault> {
        let is_of = |fault: &&Fault| fault.path.iter().any(|step| *step == part);
        self.errors.iter().filter(is_of).collect()
    }

    /// Whether something went wrong that names no part of the repository: what is null then may be
    /// there all the same.
    fn is_in_doubt(&self) -> bool {
        self.errors.iter().any(|fault| fault.path.len() < 2)
    }

    /// A part of the answer; null if it is not there.
    pub(super) fn at(&self, pointer: &str) -> &Value {
        let found = self.data.as_ref().and_then(|data| data.pointer(pointer));
        found.unwrap_or(&Value::Null)
    }
}

impl Fault {
    fn error(&self) -> anyhow::Error {
        let err = anyhow!("{}", self.message);
        // Asking again gives no rights.
        match self.kind.as_str() {
            "FORBIDDEN" | "INSUFFICIENT_SCOPES" => err,
            _ => Unread::of(err),
        }
    }
}

/// The query for these pull requests and the bases they land on, and its variables.
fn query(owner: &str, name: &str, wanted: &[Wanted], bases: &[&str]) -> Value {
    let mut variables = Map::new();
    variables.insert("owner".to_owned(), json!(owner));
    variables.insert("name".to_owned(), json!(name));
    let (mut declared, mut asked) = (String::new(), String::new());
    for (at, base) in bases.iter().enumerate() {
        let _ = write!(declared, ", $base{at}: String!");
        let _ = write!(
            asked,
            " base{at}: ref(qualifiedName: $base{at}) {{ target {{ oid }} }}"
        );
        variables.insert(format!("base{at}"), json!(format!("refs/heads/{base}")));
    }
    for one in wanted {
        let number = one.number;
        let _ = write!(
            asked,
            " pull{number}: pullRequest(number: {number}) {{ ...facts }}"
        );
    }
    let query = format!(
        "query look($owner: String!, $name: String!{declared}) {{ rateLimit {{ cost }} \
         repository(owner: $owner, name: $name) {{{asked} }} }} {FACTS}"
    );
    json!({"query": query, "variables": variables})
}

/// Asks for pull requests and the bases they land on.
///
/// # Errors
/// When GitHub cannot be reached.
pub(super) fn ask(
    http: &Http,
    (owner, name): (&str, &str),
    wanted: &[Wanted],
    ask: Ask,
) -> anyhow::Result<Answer> {
    http.ask(&query(owner, name, wanted, &bases(wanted)), ask)
}

/// Waits until any question is answered.
///
/// # Errors
/// When none is for long, or the answer is an error.
pub(super) fn ask_whether_alive(http: &Http) -> anyhow::Result<()> {
    let answer = http.ask(&json!({"query": ALIVE}), Ask::Patiently)?;
    Reply::of(http, &answer).map(drop)
}

/// The bases of pull requests, each once.
fn bases(wanted: &[Wanted]) -> Vec<&str> {
    let mut bases: Vec<&str> = wanted.iter().map(|one| one.base.as_str()).collect();
    bases.sort_unstable();
    bases.dedup();
    bases
}

/// Reads the answer to that question.
///
/// # Errors
/// When it is none, or leaves in doubt what it is about.
pub(super) fn read(http: &Http, answer: &Answer, wanted: &[Wanted]) -> anyhow::Result<Seen> {
    let reply = Reply::of(http, answer)?;
    let repository = reply.at("/repository");
    if !repository.is_object() || reply.is_in_doubt() {
        return Err(Unread::of(anyhow!("{}", reply.words())));
    }
    let bases = bases(wanted);
    let one = |one: &Wanted| {
        let at = bases.iter().position(|base| *base == one.base);
        let base = format!("base{}", at.unwrap_or_default());
        let base_head = head_of(&reply, &base)?;
        let alias = format!("pull{}", one.number);
        let (node, faults) = (&repository[&alias], reply.faults(&alias));
        if !node.is_null() {
            let odd = |err: anyhow::Error| Unread::of(err.context("GitHub's answer is odd"));
            return facts(node, &faults, base_head).map(Some).map_err(odd);
        }
        match faults.first() {
            Some(fault) if fault.kind == "NOT_FOUND" => Ok(None),
            Some(fault) => Err(fault.error()),
            None => Err(Unread::of(anyhow!("GitHub says nothing of it"))),
        }
    };
    Ok(Seen {
        pulls: wanted.iter().map(one).collect(),
        cost: reply.at("/rateLimit/cost").as_u64().unwrap_or(1),
    })
}

/// Where a base is; `None`: there is no such branch, and nothing went wrong with the question.
fn head_of(reply: &Reply, alias: &str) -> anyhow::Result<Option<Sha>> {
    if let Some(fault) = reply.faults(alias).first() {
        return Err(fault.error());
    }
    let node = reply.at(&format!("/repository/{alias}"));
    if node.is_null() {
        return Ok(None);
    }
    let at = sha(&node["target"]["oid"]).context("a branch without a commit");
    at.map(Some).map_err(Unread::of)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn sha(value: &Value) -> Option<Sha> {
    Sha::from_hex(value.as_str()?.as_bytes()).ok()
}

fn facts(node: &Value, faults: &[&Fault], base_head: Option<Sha>) -> anyhow::Result<Facts> {
    let head = sha(&node["headRefOid"]);
    let state = match node["state"].as_str() {
        Some("OPEN") => State::Open,
        Some("MERGED") => State::Merged {
            head: head.context("it was merged without a head")?,
            commit: sha(&node["mergeCommit"]["oid"]).context("it was merged without a commit")?,
        },
        Some("CLOSED") => State::Closed,
        _ => bail!("a pull request without a state"),
    };
    let queued = node["isInMergeQueue"].as_bool().unwrap_or_default();
    let busy = if queued {
        Some(Busy::Queued(place(&node["mergeQueueEntry"])))
    } else if state == State::Open && node["mergeable"] == "UNKNOWN" {
        Some(Busy::Settling)
    } else {
        None
    };
    // What is missing for a reason is not the same as what is not there.
    let unread = |part: &str| {
        let fault = faults
            .iter()
            .find(|f| f.path.iter().any(|step| *step == part))?;
        Some(fault.message.clone())
    };
    let has_more = node["reviews"]["pageInfo"]["hasPreviousPage"] == true;
    let reviews = match (unread("reviews"), has_more) {
        (Some(why), _) => Err(why),
        (None, true) => Err("there are more than 100".to_owned()),
        (None, false) => Ok(reviews(&node["reviews"]["nodes"])),
    };
    let commit = &node["commits"]["nodes"][0]["commit"];
    let checks = match unread("commits") {
        Some(why) => Some(Err(why)),
        // The list of commits may be older than the head.
        None if sha(&commit["oid"]) != head => Some(Ok(Vec::new())),
        None => checks(commit).map(Ok),
    };
    Ok(Facts {
        pull: pull::Pull {
            number: node["number"]
                .as_u64()
                .context("a pull request without a number")?,
            url: text(&node["url"]),
            state,
            draft: node["isDraft"].as_bool().unwrap_or_default(),
            head,
            base: text(&node["baseRefName"]),
            base_head,
            report: None,
            busy,
        },
        author: text(&node["author"]["login"]),
        merge_state: text(&node["mergeStateStatus"]),
        has_queue: node["isMergeQueueEnabled"].as_bool().unwrap_or_default(),
        reviews,
        checks,
    })
}

/// Where a merge queue has it.
fn place(entry: &Value) -> String {
    let state = text(&entry["state"]).to_ascii_lowercase().replace('_', " ");
    match entry["position"].as_u64() {
        Some(position) => format!("{state}, place {position}")
            .trim_start_matches(", ")
            .to_owned(),
        None => state,
    }
}

/// The latest word of each person who may write here: anybody may review what is public. Comments
/// replace nothing, and what was dismissed is void.
fn reviews(nodes: &Value) -> Vec<Review> {
    let mut latest: Vec<(Review, bool)> = Vec::new();
    // Oldest first.
    for node in nodes.as_array().into_iter().flatten() {
        let by = text(&node["author"]["login"]);
        if by.is_empty() || node["authorCanPushToRepository"] != true {
            continue;
        }
        latest.retain(|(review, _)| review.by != by);
        let says = match node["state"].as_str() {
            Some("APPROVED") => Reviewed::Approved,
            _ => Reviewed::ChangesWanted,
        };
        let review = Review {
            by,
            says,
            commit: sha(&node["commit"]["oid"]),
            words: text(&node["body"]),
        };
        latest.push((review, node["state"] == "DISMISSED"));
    }
    let mut latest: Vec<Review> = latest
        .into_iter()
        .filter_map(|(review, dismissed)| (!dismissed).then_some(review))
        .collect();
    latest.sort_by(|one, two| one.by.cmp(&two.by));
    latest
}

/// The checks of a commit; `None`: there are more than the answer tells of.
pub(super) fn checks(commit: &Value) -> Option<Vec<Check>> {
    let contexts = &commit["statusCheckRollup"]["contexts"];
    if contexts["pageInfo"]["hasNextPage"] == true {
        return None;
    }
    let nodes = || contexts["nodes"].as_array().into_iter().flatten();
    let runs: Vec<Run> = nodes()
        .filter(|node| node["__typename"] == "CheckRun")
        .map(run)
        .collect();
    let statuses = nodes()
        .filter(|node| node["__typename"] == "StatusContext")
        .map(|node| {
            let state = text(&node["state"]).to_ascii_lowercase();
            let (words, url) = (text(&node["description"]), text(&node["targetUrl"]));
            checks::status(text(&node["context"]), &state, words, url)
        });
    let suites = commit["checkSuites"]["nodes"]
        .as_array()
        .into_iter()
        .flatten();
    let workflows = suites
        .filter(|suite| suite["workflowRun"].is_object())
        .filter_map(|suite| {
            let word = |value: &Value| text(value).to_ascii_lowercase();
            checks::workflow(&word(&suite["status"]), &word(&suite["conclusion"]))
        });
    let mut all = checks::latest(&runs);
    all.extend(statuses);
    all.extend(workflows);
    Some(all)
}

fn run(node: &Value) -> Run {
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    let words = [text(&node["title"]), text(&node["summary"])];
    let words: Vec<String> = words.into_iter().filter(|part| !part.is_empty()).collect();
    Run {
        id: number(&node["databaseId"]),
        app: number(&node["checkSuite"]["app"]["databaseId"]),
        suite: number(&node["checkSuite"]["databaseId"]),
        name: text(&node["name"]),
        status: text(&node["status"]).to_ascii_lowercase(),
        conclusion: text(&node["conclusion"]).to_ascii_lowercase(),
        words: words.join(": "),
        url: text(&node["detailsUrl"]),
    }
}
