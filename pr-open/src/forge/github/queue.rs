//! GitHub's merge queue: putting a pull request in, and why it came out.

use anyhow::anyhow;
use serde_json::{Value, json};
use ureq::http::Method as Verb;

use super::GitHub;
use super::graph::{self, Reply};
use crate::http::{Ask, Sent};
use crate::pull::{Landed, Landing, LetGo, Wanted};
use crate::report::Stand;
use crate::unread::Unread;

const NODE: &str = "query node($owner: String!, $name: String!, $number: Int!) { \
    repository(owner: $owner, name: $name) { pullRequest(number: $number) { id } } }";

const ENQUEUE: &str = "mutation enqueue($pull: ID!, $head: GitObjectID!) { \
    enqueuePullRequest(input: {pullRequestId: $pull, expectedHeadOid: $head}) { \
      mergeQueueEntry { state position } } }";

const LEFT: &str = "query left($owner: String!, $name: String!, $number: Int!) { \
    repository(owner: $owner, name: $name) { pullRequest(number: $number) { \
      state isInMergeQueue \
      timelineItems(last: 1, \
        itemTypes: [ADDED_TO_MERGE_QUEUE_EVENT, REMOVED_FROM_MERGE_QUEUE_EVENT]) { \
        nodes { __typename ... on RemovedFromMergeQueueEvent { reason beforeCommit { \
          statusCheckRollup { contexts(first: 100) { pageInfo { hasNextPage } nodes { __typename \
            ... on CheckRun { databaseId name status conclusion title summary detailsUrl \
              checkSuite { databaseId app { databaseId } } } \
            ... on StatusContext { context state description targetUrl } } } } } } } } } } }";

impl GitHub {
    /// Puts a pull request into the queue of its base, at the head that was looked at.
    pub(super) fn enqueue(&self, landing: &Landing) -> anyhow::Result<Landed> {
        let found = self.of_pull(NODE, &landing.wanted)?;
        let Some(pull) = found["id"].as_str() else {
            return Ok(Landed::Moved);
        };
        let variables = json!({"pull": pull, "head": landing.head.to_string()});
        let body = json!({"query": ENQUEUE, "variables": variables});
        let sent = self.in_turn(|| self.graph.send(&Verb::POST, "", Some(&body)))?;
        let answer = match sent {
            Sent::Unknown(why) => return Ok(Landed::Unknown(why)),
            Sent::Answered(answer) if answer.status >= 500 => {
                return Ok(Landed::Unknown(answer.words()));
            }
            Sent::Answered(answer) => answer,
        };
        let reply = Reply::of(&self.graph, &answer)?;
        if reply.at("/enqueuePullRequest/mergeQueueEntry").is_object() {
            return Ok(Landed::Queued);
        }
        Ok(refusal(&reply.words()))
    }

    pub(super) fn left_queue(&self, wanted: &Wanted) -> anyhow::Result<Option<LetGo>> {
        let pull = self.of_pull(LEFT, wanted)?;
        let event = &pull["timelineItems"]["nodes"][0];
        let reason = event["reason"].as_str().unwrap_or_default();
        // What it has landed comes out of it, too.
        let is_out = pull["state"] == "OPEN"
            && pull["isInMergeQueue"] == false
            && event["__typename"] == "RemovedFromMergeQueueEvent"
            && !reason.eq_ignore_ascii_case("merge");
        if !is_out {
            return Ok(None);
        }
        let mut failed = graph::checks(&event["beforeCommit"]).unwrap_or_default();
        failed.retain(|check| check.stand == Stand::Failed);
        Ok(Some(LetGo {
            why: match reason {
                "" => "it gives no reason".to_owned(),
                reason => reason.to_owned(),
            },
            failed,
        }))
    }

    pub(super) fn of_pull(&self, query: &str, wanted: &Wanted) -> anyhow::Result<Value> {
        let (owner, name) = self.repository();
        let variables = json!({"owner": owner, "name": name, "number": wanted.number});
        let answer = self.graph.ask(
            &json!({"query": query, "variables": variables}),
            Ask::Patiently,
        )?;
        let reply = Reply::of(&self.graph, &answer)?;
        match reply.at("/repository/pullRequest") {
            Value::Null => Err(Unread::of(anyhow!("{}", reply.words()))),
            pull => Ok(pull.clone()),
        }
    }
}

/// What its words to an entry mean that it did not take; they are not documented.
fn refusal(words: &str) -> Landed {
    let lower = words.to_ascii_lowercase();
    let has = |part: &str| lower.contains(part);
    if has("already in") || has("already queued") {
        Landed::Queued
    } else if has("head") && (has("modified") || has("match") || has("oid")) {
        Landed::Moved
    } else {
        Landed::Blocked(words.to_owned())
    }
}
