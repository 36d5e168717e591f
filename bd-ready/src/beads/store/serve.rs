//! Beads over HTTP: a running `bd serve`, where forking `bd` for every call is too slow.
//!
//! Follows the `OpenAPI` document of Beads 1.3 (`internal/httpapi/spec/openapi.v0.yaml`).

mod http;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use anyhow::Context;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use ureq::http::Method;

use crate::clone::lock::Lock;
use crate::record::bead::Bead;
use crate::record::change::{Change, Guard};
use crate::record::create::{New, Revision};
use crate::record::facts::{Fact, Status};
use crate::store::answer::compact;
use crate::store::{Reach, Store};
use crate::time::now;

use http::{Answer, Client, PAUSES, encoded};

/// Rows a page: beyond loopback the server refuses to answer everything at once.
const PAGE: usize = 1000;

/// A page of rows.
#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    items: Vec<&'a RawValue>,
    #[serde(default)]
    next_cursor: Option<String>,
}

/// The answer to a write.
#[derive(Deserialize)]
struct Written<'a> {
    #[serde(borrow)]
    issue: &'a RawValue,
}

/// The store behind a `bd serve`.
pub(crate) struct Serve(Client);

impl Serve {
    /// # Errors
    /// When the URL is none, or holds a secret.
    pub(crate) fn open(url: &str) -> anyhow::Result<Self> {
        Client::open(url).map(Self)
    }

    /// All rows of a listing.
    fn pages(&self, path: &str) -> anyhow::Result<Vec<Bead>> {
        let mut beads = Vec::new();
        let mut cursor = String::new();
        loop {
            let answer = self
                .0
                .get(&format!("{path}&limit={PAGE}{cursor}"))?
                .good()?;
            let page: Page = serde_json::from_str(&answer.body).context("no page of beads")?;
            for row in page.items {
                beads.push(Bead::parse(&compact(row.get()))?.listed());
            }
            let Some(next) = page.next_cursor.filter(|next| !next.is_empty()) else {
                return Ok(beads);
            };
            cursor = format!("&cursor={}", encoded(&next));
        }
    }

    fn post(&self, path: &str, body: &Value) -> anyhow::Result<()> {
        let answer = self.0.send(&Method::POST, path, Some(body))?;
        answer.good().map(drop)
    }

    fn patch(&self, id: &str, guard: &Guard, change: &Change) -> anyhow::Result<Answer> {
        let mut patch = Map::new();
        if let Some(status) = change.status {
            patch.insert("status".to_owned(), json!(status));
        }
        if let Some(assignee) = &change.assignee {
            patch.insert("assignee".to_owned(), json!(assignee));
        }
        if let Some(note) = &change.note {
            patch.insert("append_notes".to_owned(), json!(note));
        }
        if !change.facts.is_empty() {
            patch.insert("metadata".to_owned(), json!({"merge": change.facts}));
        }
        let body = json!({
            "actor": change.actor(guard),
            "expected_assignee": guard.assignee,
            "expected_status": guard.status,
            "patch": patch,
        });
        self.0.send(
            &Method::PATCH,
            &format!("issues/{}", encoded(id)),
            Some(&body),
        )
    }
}

/// In whose name an import writes.
const ACTOR: &str = "beadline";

/// The request that creates a bead: one write, with everything that it is known by.
fn creation(new: &New) -> Value {
    let edge = |(on, kind): &(String, String)| json!({"target_id": on, "type": kind});
    let mut body = json!({
        "actor": ACTOR,
        "title": new.title,
        "description": new.description,
        "acceptance_criteria": new.acceptance_criteria,
        "design": new.design,
        "priority": new.priority,
        "issue_type": new.issue_type,
        "labels": new.labels,
        "dependencies": new.edges.iter().map(edge).collect::<Value>(),
    });
    if let Some(parent) = &new.parent {
        body["parent_id"] = json!(parent);
    }
    if let Some(id) = &new.id {
        body["id"] = json!(id);
        body["force_id_prefix"] = json!(true);
    }
    if !new.metadata.is_empty() {
        body["metadata"] = json!(new.metadata);
    }
    body
}

/// The bead in the answer to a write, without its edges.
fn written(body: &str) -> anyhow::Result<Bead> {
    let Written { issue } = serde_json::from_str(body).context("no written bead")?;
    Bead::parse(&compact(issue.get()))
}

impl Store for Serve {
    fn ready(&self) -> anyhow::Result<Vec<String>> {
        // This listing has no pages; beyond loopback it has to be bounded.
        let mut answer = self.0.get("ready?limit=0&brief=true")?;
        if answer.status == 400 {
            answer = self.0.get("ready?limit=100000&brief=true")?;
        }
        let answer = answer.good()?;
        let page: Page = serde_json::from_str(&answer.body).context("no page of beads")?;
        let bead = |row: &&RawValue| Ok(Bead::parse(&compact(row.get()))?.id().to_owned());
        page.items.iter().map(bead).collect()
    }

    fn list(&self) -> anyhow::Result<Arc<Vec<Bead>>> {
        let all = "issues?all=true&include_gates=true&include_infra=true&include_templates=true";
        self.pages(all).map(Arc::new)
    }

    fn show(&self, id: &str) -> anyhow::Result<Option<Bead>> {
        let answer = self
            .0
            .get(&format!("issues/{}?brief_deps=true", encoded(id)))?;
        if answer.status == 404 {
            return Ok(None);
        }
        let line = compact(&answer.good()?.body);
        // Its edges are whole issues here; those that were read before stay.
        Bead::parse(&line)?.without("dependencies").map(Some)
    }

    fn record(
        &self,
        id: &str,
        guard: &Guard,
        change: &Change,
        _: Option<&Lock>,
    ) -> anyhow::Result<Option<Bead>> {
        let answer = self.patch(id, guard, change)?;
        let missed = answer.status == 409 && answer.problem().code == "precondition_failed";
        if answer.status == 404 || (missed && !answer.again) {
            return Ok(None);
        }
        if missed {
            // The try before this one may have written, and its answer was lost.
            let bead = self.show(id)?;
            return Ok(bead.filter(|bead| change.is_done_to(bead, guard)));
        }
        written(&answer.good()?.body)?.with_assignee().map(Some)
    }

    fn create(&self, new: &New, _: Option<&Lock>) -> anyhow::Result<Bead> {
        new.check()?;
        let body = creation(new);
        let mut pauses = PAUSES.into_iter();
        loop {
            let answer = self.0.once(&Method::POST, "issues", Some(&body));
            let failed = match answer {
                Ok(answer) if answer.status != 503 => {
                    let made = Bead::parse(&compact(&answer.good()?.body))?;
                    return new.with_edges(&made);
                }
                Ok(answer) => answer.good().err(),
                Err(err) => Some(err),
            };
            // It may be there although the answer was lost: then another would be one too many.
            if let Some(bead) = self.list()?.iter().find(|bead| new.is(bead)) {
                return Ok(bead.clone());
            }
            match (pauses.next().filter(|_| new.is_known_again()), failed) {
                (None, Some(err)) => return Err(err),
                (pause, _) => thread::sleep(pause.unwrap_or_default()),
            }
        }
    }

    fn revise(&self, id: &str, revision: &Revision) -> anyhow::Result<Bead> {
        // Edges first: the metadata of the last write says that all was done.
        for on in &revision.unblock {
            let edge = json!({"actor": ACTOR, "issue_id": id, "depends_on_id": on});
            self.post("dependencies:remove", &edge)?;
        }
        for on in &revision.block {
            let edge = json!({"issue_id": id, "depends_on_id": on, "type": "blocks"});
            self.post(
                "dependencies:add",
                &json!({"actor": ACTOR, "edges": [edge]}),
            )?;
        }
        let mut patch = Map::new();
        let texts = [
            ("title", &revision.title),
            ("description", &revision.description),
            ("acceptance_criteria", &revision.acceptance_criteria),
            ("parent_id", &revision.parent),
        ];
        for (field, text) in texts {
            if let Some(text) = text {
                patch.insert(field.to_owned(), json!(text));
            }
        }
        if let Some(priority) = revision.priority {
            patch.insert("priority".to_owned(), json!(priority));
        }
        if !revision.metadata.is_empty() {
            patch.insert("metadata".to_owned(), json!({"merge": revision.metadata}));
        }
        if !patch.is_empty() {
            let body = json!({"actor": ACTOR, "patch": patch});
            let issue = format!("issues/{}", encoded(id));
            self.0.send(&Method::PATCH, &issue, Some(&body))?.good()?;
        }
        let bead = self.list()?.iter().find(|bead| bead.id() == id).cloned();
        bead.context("no such bead")
    }

    /// There is no heartbeat over HTTP, so a claim has no lease and counts from its last write:
    /// this makes one.
    fn renew(&self, id: &str, token: &str) -> anyhow::Result<bool> {
        let guard = Guard {
            assignee: token.to_owned(),
            status: Status::InProgress,
        };
        let change = Change::default().facts([Fact::RenewedAt(now())]);
        Ok(self.record(id, &guard, &change, None)?.is_some())
    }

    /// `bd serve` stamps what is written with its own clock.
    fn clock(&self) -> anyhow::Result<Timestamp> {
        let answer = self.0.get("issues?limit=1")?.good()?;
        answer.date.context("Beads answers without a date")
    }

    fn watched(&self) -> Option<PathBuf> {
        None
    }

    fn reach(&self) -> Reach {
        Reach::Server
    }
}
