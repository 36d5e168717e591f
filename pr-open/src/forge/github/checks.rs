//! GitHub's two kinds of checks, check runs and commit statuses, as one list: the latest of each.

use git::Sha;
use serde::Deserialize;

use crate::report::{Check, Stand};

/// A check run, as both APIs send it; words in lower case.
#[derive(Clone, Debug, Default)]
pub(super) struct Run {
    pub(super) id: u64,
    pub(super) app: u64,
    pub(super) suite: u64,
    pub(super) name: String,
    pub(super) status: String,
    pub(super) conclusion: String,
    pub(super) words: String,
    pub(super) url: String,
}

impl Run {
    fn stand(&self) -> Stand {
        match (self.status.as_str(), self.conclusion.as_str()) {
            ("completed", "success" | "neutral") => Stand::Passed,
            ("completed", "skipped") => Stand::Skipped,
            (
                "completed",
                "failure" | "cancelled" | "timed_out" | "action_required" | "stale"
                | "startup_failure",
            ) => Stand::Failed,
            // A word of a newer server is not passing.
            _ => Stand::Pending,
        }
    }

    /// Whether `newer` is its next run: of one suite, or of another that was started because this
    /// one was cancelled. Suites are told apart, as a red one is not made good by another's green.
    fn gives_way_to(&self, newer: &Self) -> bool {
        newer.id > self.id
            && newer.name == self.name
            && newer.app == self.app
            && (newer.suite == self.suite || self.conclusion == "cancelled")
    }
}

/// The latest run of each.
pub(super) fn latest(runs: &[Run]) -> Vec<Check> {
    let is_latest = |run: &&Run| !runs.iter().any(|newer| run.gives_way_to(newer));
    let check = |run: &Run| Check {
        name: run.name.clone(),
        stand: run.stand(),
        words: run.words.clone(),
        url: run.url.clone(),
    };
    runs.iter().filter(is_latest).map(check).collect()
}

/// A commit status: there is one of each context.
pub(super) fn status(context: String, state: &str, words: String, url: String) -> Check {
    Check {
        name: context,
        stand: match state {
            "success" => Stand::Passed,
            "failure" | "error" => Stand::Failed,
            _ => Stand::Pending,
        },
        words,
        url,
    }
}

/// A workflow run that has made no check runs yet, or never will as its file is wrong; `None`: its
/// check runs tell all.
pub(super) fn workflow(status: &str, conclusion: &str) -> Option<Check> {
    let stand = match (status, conclusion) {
        ("completed", "startup_failure") => Stand::Failed,
        ("completed", _) => return None,
        _ => Stand::Pending,
    };
    Some(Check {
        name: "GitHub Actions".to_owned(),
        stand,
        words: format!("workflow run {status} {conclusion}")
            .trim()
            .to_owned(),
        url: String::new(),
    })
}

/// A page of check runs.
#[derive(Deserialize)]
pub(super) struct Runs {
    pub(super) check_runs: Vec<WireRun>,
}

#[derive(Deserialize)]
pub(super) struct WireRun {
    id: u64,
    name: String,
    head_sha: String,
    status: String,
    conclusion: Option<String>,
    details_url: Option<String>,
    output: Output,
    app: Option<Id>,
    check_suite: Option<Id>,
}

#[derive(Deserialize)]
struct Output {
    title: Option<String>,
    summary: Option<String>,
}

#[derive(Deserialize)]
struct Id {
    id: u64,
}

impl WireRun {
    pub(super) fn is_of(&self, head: Sha) -> bool {
        Sha::from_hex(self.head_sha.as_bytes()).is_ok_and(|at| at == head)
    }

    pub(super) fn run(self) -> Run {
        let id = |of: Option<Id>| of.map(|of| of.id).unwrap_or_default();
        let words = [self.output.title, self.output.summary];
        Run {
            id: self.id,
            app: id(self.app),
            suite: id(self.check_suite),
            name: self.name,
            status: self.status,
            conclusion: self.conclusion.unwrap_or_default(),
            words: words.into_iter().flatten().collect::<Vec<_>>().join(": "),
            url: self.details_url.unwrap_or_default(),
        }
    }
}

/// A page of check suites.
#[derive(Deserialize)]
pub(super) struct Suites {
    pub(super) check_suites: Vec<Suite>,
}

#[derive(Deserialize)]
pub(super) struct Suite {
    status: Option<String>,
    conclusion: Option<String>,
    app: Option<App>,
}

#[derive(Deserialize)]
struct App {
    slug: Option<String>,
}

impl Suite {
    /// Suites of other apps may stay without runs for ever.
    pub(super) fn workflow(self) -> Option<Check> {
        let slug = self.app.and_then(|app| app.slug);
        let ours = slug.as_deref() == Some("github-actions");
        let conclusion = self.conclusion.unwrap_or_default();
        workflow(&self.status.unwrap_or_default(), &conclusion).filter(|_| ours)
    }
}

/// A page of the latest statuses.
#[derive(Deserialize)]
pub(super) struct Combined {
    /// It says "pending" where there is none, too: the statuses tell.
    pub(super) statuses: Vec<Status>,
}

#[derive(Deserialize)]
pub(super) struct Status {
    context: String,
    state: String,
    description: Option<String>,
    target_url: Option<String>,
}

impl Status {
    pub(super) fn check(self) -> Check {
        let (words, url) = (self.description, self.target_url);
        let (words, url) = (words.unwrap_or_default(), url.unwrap_or_default());
        status(self.context, &self.state, words, url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(id: u64, suite: u64, name: &str, conclusion: &str) -> Run {
        Run {
            id,
            suite,
            name: name.to_owned(),
            status: "completed".to_owned(),
            conclusion: conclusion.to_owned(),
            ..Run::default()
        }
    }

    fn stands(runs: &[Run]) -> Vec<Stand> {
        latest(runs).into_iter().map(|check| check.stand).collect()
    }

    #[test]
    fn every_word_has_its_meaning() {
        let stand = |conclusion| stands(&[run(1, 1, "ci", conclusion)])[0];
        assert_eq!(stand("success"), Stand::Passed);
        assert_eq!(stand("neutral"), Stand::Passed);
        assert_eq!(stand("skipped"), Stand::Skipped);
        for red in [
            "failure",
            "cancelled",
            "timed_out",
            "action_required",
            "stale",
            "startup_failure",
        ] {
            assert_eq!(stand(red), Stand::Failed, "{red}");
        }
        assert_eq!(stand("bogus"), Stand::Pending);
        for word in ["queued", "in_progress", "waiting", "requested", "pending"] {
            let run = Run {
                status: word.to_owned(),
                ..run(1, 1, "ci", "success")
            };
            assert_eq!(stands(&[run]), [Stand::Pending], "{word}");
        }
        let of = |state| status(String::new(), state, String::new(), String::new()).stand;
        assert_eq!(of("success"), Stand::Passed);
        assert_eq!(of("error"), Stand::Failed);
        assert_eq!(of("expected"), Stand::Pending);
    }

    #[test]
    fn the_latest_of_a_suite_counts_and_suites_are_told_apart() {
        let again = [run(2, 1, "ci", "success"), run(1, 1, "ci", "failure")];
        assert_eq!(stands(&again), [Stand::Passed]);
        let twins = [run(1, 1, "ci", "failure"), run(2, 2, "ci", "success")];
        assert_eq!(stands(&twins), [Stand::Failed, Stand::Passed]);
        let cancelled = [run(1, 1, "ci", "cancelled"), run(2, 2, "ci", "success")];
        assert_eq!(stands(&cancelled), [Stand::Passed]);
    }

    #[test]
    fn a_workflow_without_runs_is_not_green() {
        let stand = |status, conclusion| workflow(status, conclusion).map(|check| check.stand);
        assert_eq!(stand("queued", ""), Some(Stand::Pending));
        assert_eq!(stand("completed", "startup_failure"), Some(Stand::Failed));
        assert_eq!(stand("completed", "success"), None);
    }
}
