//! What the double knows: pull requests, checks, reviews, rules, a merge queue; and what it was told
//! to say instead.

use serde_json::{Value, json};

use super::git::Bare;

/// All of it, behind one lock: GitHub does one thing at a time here.
pub(crate) struct World {
    pub(super) bare: Bare,
    pub(crate) name: String,
    /// What the repository was called before.
    pub(crate) before: Option<String>,
    pub(super) pulls: Vec<Pull>,
    pub(super) runs: Vec<Run>,
    pub(super) statuses: Vec<(String, String, String)>,
    /// Commit, status and conclusion of a workflow.
    pub(super) suites: Vec<(String, String, Option<String>)>,
    pub(super) rules: Vec<Value>,
    /// Status and body of the classic protection.
    pub(super) protection: Option<(u16, Value)>,
    /// What the branch itself tells of that.
    pub(crate) shown: Value,
    pub(super) scripted: Vec<Scripted>,
    /// Pull requests of which it has to find out whether they conflict, so many looks long.
    pub(crate) computing: u32,
    /// What it cannot say of this pull request, ever.
    pub(crate) broken: Option<(u64, Broken)>,
    /// A look at more pull requests than that is too much for it.
    pub(crate) most: usize,
    /// So often something was.
    pub(crate) given_up: usize,
    /// So many requests go by until it sees what a push has merged.
    pub(crate) slow: usize,
    /// So many looks in which it cannot say where branches are.
    pub(crate) lost_branches: u32,
    /// The same of threads.
    pub(crate) lost_threads: u32,
    /// Whether the token may not read checks.
    pub(crate) no_checks: bool,
    pub(crate) has_queue: bool,
    /// What squashing does wrong.
    pub(crate) slip: Option<Slip>,
    pub(crate) quota: (u64, u64, u64),
    /// Of how many entries a page is at the most.
    pub(crate) page: usize,
}

/// What a server may do wrong with a merge.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Slip {
    /// It merges from the first commit of the base, which undoes what came since.
    WrongBase,
    /// It lands without the last commit.
    DropsLast,
}

/// How a look fails that has a certain pull request in it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Broken {
    /// All of it.
    Look,
    /// That part of it.
    Part,
    /// A gateway gives all of it up.
    Gateway,
}

/// An answer that was given to it to say, to the next requests that fit.
pub(super) struct Scripted {
    pub(super) verb: &'static str,
    pub(super) part: &'static str,
    pub(super) status: u16,
    pub(super) head: Vec<String>,
    pub(super) body: Value,
    pub(super) times: usize,
}

pub(super) struct Pull {
    pub(super) number: u64,
    pub(super) title: String,
    pub(super) body: String,
    pub(super) branch: String,
    pub(super) base: String,
    pub(super) draft: bool,
    pub(super) closed: bool,
    /// Head and commit.
    pub(super) merged: Option<(String, String)>,
    /// The head as it was seen last.
    pub(super) head: String,
    pub(super) reviews: Vec<Review>,
    pub(super) threads: Vec<Thread>,
    pub(super) comments: Vec<String>,
    pub(super) labels: Vec<String>,
    pub(super) reviewers: Vec<String>,
    /// State of its entry in the queue.
    pub(super) entry: Option<&'static str>,
    /// The last that the queue did with it.
    pub(super) event: Option<Event>,
}

pub(super) enum Event {
    Added,
    Removed {
        reason: String,
        /// The merge that was checked in the queue.
        commit: String,
    },
}

pub(super) struct Review {
    pub(super) by: String,
    pub(super) state: String,
    pub(super) commit: String,
    pub(super) body: String,
    pub(super) writes: bool,
}

/// What people say of a line.
pub(super) struct Thread {
    pub(super) path: String,
    pub(super) line: Option<u64>,
    pub(super) is_resolved: bool,
    /// By whom, and what.
    pub(super) comments: Vec<(String, String)>,
}

#[derive(Clone)]
pub(super) struct Run {
    pub(super) id: u64,
    pub(super) suite: u64,
    pub(super) commit: String,
    pub(super) name: String,
    pub(super) status: String,
    pub(super) conclusion: Option<String>,
}

impl World {
    pub(super) fn new(bare: Bare) -> Self {
        Self {
            bare,
            name: "acme/demo".to_owned(),
            before: None,
            pulls: Vec::new(),
            runs: Vec::new(),
            statuses: Vec::new(),
            suites: Vec::new(),
            rules: Vec::new(),
            protection: None,
            shown: json!({"enabled": false, "required_status_checks":
                {"enforcement_level": "off", "contexts": [], "checks": []}}),
            scripted: Vec::new(),
            computing: 0,
            broken: None,
            most: usize::MAX,
            slow: 0,
            given_up: 0,
            lost_branches: 0,
            lost_threads: 0,
            no_checks: false,
            has_queue: false,
            slip: None,
            quota: (5000, 4990, 3600),
            page: 100,
        }
    }

    /// Takes in what was pushed since. What its base holds is merged, which it sees a little later.
    pub(super) fn refresh(&mut self) {
        let mut is_slow = false;
        for pull in self.pulls.iter_mut().filter(|pull| pull.is_open()) {
            match self.bare.branch(&pull.branch) {
                Some(head) => pull.head = head,
                None => pull.closed = true,
            }
            let base = self.bare.branch(&pull.base).unwrap_or_default();
            if pull.is_open() && self.bare.is_in(&pull.head, &base) {
                match self.slow {
                    0 => pull.merged = Some((pull.head.clone(), base)),
                    _ => is_slow = true,
                }
            }
        }
        self.slow -= usize::from(is_slow);
    }

    pub(super) fn pull(&mut self, number: u64) -> Option<&mut Pull> {
        self.pulls.iter_mut().find(|pull| pull.number == number)
    }

    /// `clean`, `dirty`, `unknown` …
    pub(super) fn merge_state(&self, pull: &Pull) -> &'static str {
        let base = self.bare.branch(&pull.base).unwrap_or_default();
        if !pull.is_open() || self.computing > 0 {
            "unknown"
        } else if pull.draft {
            "draft"
        } else if self.bare.merged_tree(&base, &pull.head).is_none() {
            "dirty"
        } else if self.lacks(pull).is_some() {
            "blocked"
        } else {
            "clean"
        }
    }

    pub(super) fn mergeable(&self, pull: &Pull) -> Option<bool> {
        match self.merge_state(pull) {
            "unknown" => None,
            state => Some(state != "dirty"),
        }
    }

    /// What the base asks for that is not there, in GitHub's words.
    pub(super) fn lacks(&self, pull: &Pull) -> Option<String> {
        let mut names = Vec::new();
        let mut approvals = 0;
        let mut add = |checks: &Value, count: &Value| {
            let listed = checks.as_array().into_iter().flatten();
            names.extend(listed.filter_map(|one| one["context"].as_str().map(str::to_owned)));
            approvals = approvals.max(count.as_u64().unwrap_or_default());
        };
        for rule in &self.rules {
            let said = &rule["parameters"];
            add(
                &said["required_status_checks"],
                &said["required_approving_review_count"],
            );
        }
        if let Some((200, classic)) = &self.protection {
            add(
                &classic["required_status_checks"]["checks"],
                &classic["required_pull_request_reviews"]["required_approving_review_count"],
            );
        }
        add(
            &self.shown["required_status_checks"]["checks"],
            &Value::Null,
        );
        let passed = |name: &String| {
            let run = self
                .runs
                .iter()
                .rev()
                .find(|run| run.commit == pull.head && run.name == *name);
            let status = self
                .statuses
                .iter()
                .rev()
                .find(|(commit, context, _)| *commit == pull.head && context == name);
            run.is_some_and(|run| run.conclusion.as_deref() == Some("success"))
                || status.is_some_and(|(.., state)| state == "success")
        };
        if let Some(name) = names.iter().find(|name| !passed(name)) {
            return Some(format!("Required status check \"{name}\" is expected."));
        }
        let approved = pull
            .reviews
            .iter()
            .filter(|review| review.state == "APPROVED")
            .count();
        (u64::try_from(approved).unwrap() < approvals).then(|| {
            "At least 1 approving review is required by reviewers with write access.".to_owned()
        })
    }

    /// Lands it; `None`: it conflicts.
    pub(super) fn merge(&mut self, number: u64, how: &str, message: &str) -> Option<String> {
        let slip = self.slip;
        let pull = self.pulls.iter().find(|pull| pull.number == number)?;
        let (branch, head) = (pull.base.clone(), pull.head.clone());
        let base = self.bare.branch(&branch)?;
        let git = &self.bare;
        let commit = match (how, slip) {
            ("rebase", None) => git.rebased(&base, &head)?,
            ("rebase", Some(_)) => git.rebased(&base, &format!("{head}~1"))?,
            (_, Some(Slip::WrongBase)) => {
                let tree = git.ask(&["rev-parse", &format!("{head}^{{tree}}")])?;
                git.commit(&tree, &[&base], message)
            }
            (how, slip) => {
                let last = if slip.is_some() { "~1" } else { "" };
                let tree = git.merged_tree(&base, &format!("{head}{last}"))?;
                let parents = [base.as_str(), head.as_str()];
                let parents = if how == "merge" {
                    &parents[..]
                } else {
                    &parents[..1]
                };
                git.commit(&tree, parents, message)
            }
        };
        assert!(
            git.moves(&branch, &base, &commit),
            "the double's base moved"
        );
        let pull = self.pull(number)?;
        pull.merged = Some((head, commit.clone()));
        pull.entry = None;
        Some(commit)
    }
}

impl Pull {
    pub(super) fn is_open(&self) -> bool {
        !self.closed && self.merged.is_none()
    }

    pub(super) fn state(&self) -> &'static str {
        match (self.closed, self.merged.is_some()) {
            (_, true) => "MERGED",
            (true, false) => "CLOSED",
            (false, false) => "OPEN",
        }
    }
}
