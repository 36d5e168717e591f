//! What Gitea sends: the fields that are read, and what they mean here.

use std::collections::HashMap;

use anyhow::Context;
use git::Sha;
use serde::Deserialize;

use crate::http::Answer;
use crate::pull::{self, State};
use crate::report::{self, Name, Policy, Reviewed, Stand};

#[derive(Deserialize)]
pub(super) struct Repository {
    pub(super) full_name: String,
    /// Whether it looks for pull requests that a push has merged.
    #[serde(default)]
    pub(super) autodetect_manual_merge: bool,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct User {
    pub(super) login: String,
}

#[derive(Clone, Deserialize)]
pub(super) struct Pull {
    pub(super) number: u64,
    #[serde(default)]
    html_url: String,
    /// Null for an account that is gone.
    #[serde(default, deserialize_with = "or_default")]
    pub(super) user: User,
    state: String,
    #[serde(default)]
    draft: bool,
    #[serde(default)]
    pub(super) merged: bool,
    merge_commit_sha: Option<String>,
    pub(super) head: End,
    pub(super) base: End,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) updated_at: String,
}

/// Head or base of a pull request.
#[derive(Clone, Deserialize)]
pub(super) struct End {
    #[serde(rename = "label", default)]
    pub(super) name: String,
    #[serde(default)]
    sha: String,
    #[serde(default)]
    repo_id: i64,
}

#[derive(Deserialize)]
pub(super) struct Branch {
    pub(super) commit: Commit,
    #[serde(default)]
    required_approvals: u64,
    #[serde(default)]
    enable_status_check: bool,
    #[serde(default, deserialize_with = "or_default")]
    status_check_contexts: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct Commit {
    pub(super) id: String,
}

#[derive(Deserialize)]
pub(super) struct Combined {
    #[serde(default)]
    pub(super) total_count: usize,
    /// Null when there is none.
    pub(super) statuses: Option<Vec<Status>>,
}

#[derive(Deserialize)]
pub(super) struct Status {
    context: String,
    /// Called `state` where a status is posted.
    #[serde(rename = "status")]
    word: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    target_url: String,
}

#[derive(Deserialize)]
pub(super) struct Review {
    #[serde(default)]
    id: u64,
    /// Of single places.
    #[serde(default)]
    comments_count: u64,
    /// Null for a team's.
    #[serde(default, deserialize_with = "or_default")]
    user: User,
    state: String,
    #[serde(default)]
    body: String,
    #[serde(default)]
    commit_id: String,
    #[serde(default)]
    official: bool,
    #[serde(default)]
    dismissed: bool,
}

/// What a review says of a line.
#[derive(Deserialize)]
pub(super) struct Comment {
    #[serde(default, deserialize_with = "or_default")]
    body: String,
    #[serde(default, deserialize_with = "or_default")]
    path: String,
    /// Line of the head; 0: it is about what the head has no more.
    #[serde(default)]
    position: u64,
    /// Who has called it resolved.
    resolver: Option<User>,
}

impl Comment {
    /// `None`: it is resolved.
    pub(super) fn remark(self) -> Option<report::Remark> {
        let is_open = self.resolver.is_none_or(|user| user.login.is_empty());
        is_open.then(|| report::Remark {
            path: self.path,
            line: (self.position > 0).then_some(self.position),
            words: self.body,
        })
    }
}

fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl End {
    pub(super) fn sha(&self) -> Option<Sha> {
        Sha::from_hex(self.sha.as_bytes()).ok()
    }
}

impl Pull {
    /// What is answered to its number; `None`: there is no such pull request.
    ///
    /// # Errors
    /// When the answer is an error, or odd.
    pub(super) fn of(answer: &Answer) -> anyhow::Result<Option<Self>> {
        match answer.status {
            404 => Ok(None),
            _ => answer.json().map(Some),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.state == "open"
    }

    /// Whether its head is this branch, of this repository: a fork's may have the same name.
    pub(super) fn is_of(&self, branch: &str) -> bool {
        self.head.name == branch && self.head.repo_id == self.base.repo_id
    }

    /// As the programs know it, without a report.
    ///
    /// # Errors
    /// When it was merged and does not say as what.
    pub(super) fn pull(&self, base_head: Option<Sha>) -> anyhow::Result<pull::Pull> {
        let state = if self.merged {
            let commit = self.merge_commit_sha.as_deref().unwrap_or_default();
            State::Merged {
                head: self.head.sha().context("it was merged without a head")?,
                commit: Sha::from_hex(commit.as_bytes())
                    .context("it was merged without a commit")?,
            }
        } else if self.is_open() {
            State::Open
        } else {
            State::Closed
        };
        Ok(pull::Pull {
            number: self.number,
            url: self.html_url.clone(),
            state,
            draft: self.draft,
            head: self.head.sha(),
            base: self.base.name.clone(),
            base_head,
            report: None,
            busy: None,
        })
    }
}

impl Branch {
    pub(super) fn policy(&self) -> Policy {
        let names = self.status_check_contexts.iter().cloned().map(Name::Like);
        let mut required: Vec<Name> = names.collect();
        if !self.enable_status_check {
            required.clear();
        } else if required.is_empty() {
            // Checks are asked for and none is named: one at least, and all of them.
            required.push(Name::Like("*".to_owned()));
        }
        Policy {
            required,
            approvals: self.required_approvals,
            ..Policy::default()
        }
    }
}

impl Status {
    pub(super) fn check(self) -> report::Check {
        report::Check {
            stand: match self.word.as_str() {
                "success" => Stand::Passed,
                "skipped" => Stand::Skipped,
                "failure" | "error" | "warning" => Stand::Failed,
                // A word of a newer server is not passing.
                _ => Stand::Pending,
            },
            name: self.context,
            words: self.description,
            url: self.target_url,
        }
    }
}

impl Review {
    /// Its number, if this person says something of single places in it.
    pub(super) fn with_remarks_of(&self, by: &str) -> Option<u64> {
        let is_said = self.comments_count > 0 && !self.dismissed && self.state != "PENDING";
        (is_said && self.user.login == by).then_some(self.id)
    }

    /// The latest word of each person whose word counts here. Comments replace nothing, and what
    /// was dismissed is void.
    pub(super) fn latest(reviews: Vec<Self>) -> Vec<report::Review> {
        let mut latest: HashMap<String, Self> = HashMap::new();
        // Oldest first.
        for review in reviews {
            if matches!(review.state.as_str(), "APPROVED" | "REQUEST_CHANGES") {
                latest.insert(review.user.login.clone(), review);
            }
        }
        let mut latest: Vec<_> = latest
            .into_values()
            .filter(|review| review.official && !review.dismissed && !review.user.login.is_empty())
            .map(|review| report::Review {
                by: review.user.login,
                says: match review.state.as_str() {
                    "APPROVED" => Reviewed::Approved,
                    _ => Reviewed::ChangesWanted,
                },
                commit: Sha::from_hex(review.commit_id.as_bytes()).ok(),
                words: review.body,
            })
            .collect();
        latest.sort_by(|one, two| one.by.cmp(&two.by));
        latest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_of_each_person_counts() {
        let review = |who: &str, state: &str, official: bool, dismissed: bool| Review {
            id: 1,
            comments_count: 0,
            user: User {
                login: who.to_owned(),
            },
            state: state.to_owned(),
            body: String::new(),
            commit_id: "a".repeat(40),
            official,
            dismissed,
        };
        let latest = Review::latest(vec![
            review("ann", "REQUEST_CHANGES", true, false),
            review("ann", "APPROVED", true, false),
            review("ann", "COMMENT", true, false),
            review("bob", "APPROVED", true, false),
            review("bob", "REQUEST_CHANGES", true, false),
            review("cat", "APPROVED", false, false),
            review("dan", "APPROVED", true, false),
            review("dan", "APPROVED", true, true),
            review("eve", "PENDING", true, false),
        ]);
        let words: Vec<_> = latest.iter().map(|r| (r.by.as_str(), r.says)).collect();
        assert_eq!(
            words,
            [
                ("ann", Reviewed::Approved),
                ("bob", Reviewed::ChangesWanted)
            ]
        );
    }

    #[test]
    fn a_word_that_is_unknown_is_not_passing() {
        let stand = |word: &str| {
            let json = format!(r#"{{"context":"ci","status":"{word}"}}"#);
            let status: Status = serde_json::from_str(&json).expect("a status");
            status.check().stand
        };
        assert_eq!(stand("success"), Stand::Passed);
        assert_eq!(stand("warning"), Stand::Failed);
        assert_eq!(stand("bogus"), Stand::Pending);
        let none: Combined =
            serde_json::from_str(r#"{"state":"pending","statuses":null}"#).expect("none");
        assert!(none.statuses.is_none());
    }
}
