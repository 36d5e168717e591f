//! Opening pull requests: one for a branch, whatever gets lost on the way.

use std::thread;
use std::time::Duration;

use anyhow::bail;
use serde_json::json;
use ureq::http::Method as Verb;

use super::{GitHub, wire};
use crate::http::{Answer, Sent, encoded};
use crate::pull::{NewPull, Opened};

/// How long after a lost answer the server may still be at work on the request.
const STILL_AT_WORK: Duration = Duration::from_secs(3);

/// How long a branch may be unknown to the API after it was pushed.
const PUSHED: Duration = Duration::from_secs(2);

/// How often opening is tried whose answer was lost.
const TRIES: u32 = 3;

impl GitHub {
    pub(super) fn find_or_create(&self, new: &NewPull) -> anyhow::Result<Opened> {
        let known = self.pulls_of(&new.branch)?;
        let open = known.iter().find(|pull| pull.is_open());
        let landed = || {
            let landed = |pull: &&wire::Pull| pull.is_merged() && pull.head.sha() == Some(new.head);
            known.iter().find(landed)
        };
        let opened = match open {
            Some(found) => self.take_up(found, new)?,
            None => match landed() {
                Some(merged) => return Ok(Opened::Existed(merged.pull(None)?)),
                None => self.create(new)?,
            },
        };
        if let Opened::Created(pull) | Opened::Existed(pull) = &opened {
            self.adorn(pull.number, new)?;
        }
        Ok(opened)
    }

    /// The pull requests of a branch of this repository, newest first, whatever their state. A
    /// filter without the owner would be ignored.
    pub(super) fn pulls_of(&self, branch: &str) -> anyhow::Result<Vec<wire::Pull>> {
        let head = encoded(&format!("{}:{branch}", self.owner()));
        let rest = format!("/pulls?state=all&head={head}&per_page=100");
        let mut listed: Vec<wire::Pull> = self.list(&rest)?;
        listed.retain(|pull| pull.is_of(branch));
        Ok(listed)
    }

    fn take_up(&self, found: &wire::Pull, new: &NewPull) -> anyhow::Result<Opened> {
        let mut pull = found.pull(None)?;
        if new.moves(found.number, &found.base.name) {
            let rest = format!("/pulls/{}", found.number);
            match self.send(&Verb::PATCH, &rest, &json!({"base": new.base}))? {
                Sent::Answered(answer) if answer.is_success() => {}
                Sent::Answered(answer) => return Ok(Opened::Denied(answer.words())),
                Sent::Unknown(why) => bail!("{why}"),
            }
            pull.base.clone_from(&new.base);
        }
        Ok(Opened::Existed(pull))
    }

    fn create(&self, new: &NewPull) -> anyhow::Result<Opened> {
        let body = json!({
            "title": new.title, "body": new.body, "head": new.branch, "base": new.base,
            "draft": new.draft,
        });
        let mut why = String::new();
        for _ in 0..TRIES {
            let answer = match self.send(&Verb::POST, "/pulls", &body)? {
                Sent::Answered(answer) => answer,
                Sent::Unknown(lost) => {
                    thread::sleep(STILL_AT_WORK);
                    if let Some(found) = self.open_one(new)? {
                        return Ok(Opened::Created(found.pull(None)?));
                    }
                    why = format!("the answer was lost {TRIES} times: {lost}");
                    continue;
                }
            };
            match answer.status {
                201 => return Ok(Opened::Created(answer.json::<wire::Pull>()?.pull(None)?)),
                422 => match Refusal::of(&answer) {
                    // Somebody was faster, or the list lacked it.
                    Refusal::Exists => match self.listed_anywhere(new)? {
                        Some(found) => return self.take_up(&found, new),
                        None => bail!("{}", answer.words()),
                    },
                    Refusal::NotSeen => {
                        thread::sleep(PUSHED);
                        why = answer.words();
                    }
                    Refusal::Final => return Ok(Opened::Denied(answer.words())),
                },
                _ => bail!("{}", answer.words()),
            }
        }
        bail!("{why}")
    }

    fn open_one(&self, new: &NewPull) -> anyhow::Result<Option<wire::Pull>> {
        let known = self.pulls_of(&new.branch)?;
        Ok(known.into_iter().find(wire::Pull::is_open))
    }

    /// Lists that are filtered by head are known to be empty on some private repositories.
    fn listed_anywhere(&self, new: &NewPull) -> anyhow::Result<Option<wire::Pull>> {
        if let Some(found) = self.open_one(new)? {
            return Ok(Some(found));
        }
        let open: Vec<wire::Pull> = self.list("/pulls?state=open&per_page=100")?;
        Ok(open.into_iter().find(|pull| pull.is_of(&new.branch)))
    }

    /// Labels and reviewers; both may be given twice. `ORG/TEAM` is a team.
    fn adorn(&self, number: u64, new: &NewPull) -> anyhow::Result<()> {
        if !new.labels.is_empty() {
            let rest = format!("/issues/{number}/labels");
            self.wish(&rest, &json!({"labels": new.labels}), "labels")?;
        }
        if !new.reviewers.is_empty() {
            let (teams, people): (Vec<_>, Vec<_>) =
                new.reviewers.iter().partition(|name| name.contains('/'));
            let slug = |name: &&String| name.rsplit('/').next().unwrap_or_default().to_owned();
            let teams: Vec<String> = teams.iter().map(slug).collect();
            let rest = format!("/pulls/{number}/requested_reviewers");
            let wish = json!({"reviewers": people, "team_reviewers": teams});
            self.wish(&rest, &wish, "reviewers")?;
        }
        Ok(())
    }

    fn wish(&self, rest: &str, wish: &serde_json::Value, what: &str) -> anyhow::Result<()> {
        match self.send(&Verb::POST, rest, wish)? {
            Sent::Answered(answer) if answer.is_success() => Ok(()),
            Sent::Answered(answer) => bail!("{what}: {}", answer.words()),
            Sent::Unknown(why) => bail!("{what}: {why}"),
        }
    }
}

/// Why a pull request is not opened.
#[derive(Debug, Eq, PartialEq)]
enum Refusal {
    /// The branch has one.
    Exists,
    /// Head or base is not there, or was pushed a moment ago.
    NotSeen,
    /// It stays so.
    Final,
}

impl Refusal {
    fn of(answer: &Answer) -> Self {
        let faults = answer.faults();
        let any = |is: &dyn Fn(&str) -> bool| faults.iter().any(|fault| is(fault));
        if any(&|fault| fault.starts_with("A pull request already exists")) {
            Self::Exists
        } else if any(&|fault| matches!(fault, "head invalid" | "base invalid")) {
            Self::NotSeen
        } else {
            Self::Final
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use ureq::http::HeaderMap;

    use super::*;

    #[test]
    fn why_it_is_refused() {
        let refusal = |errors: Value| {
            Refusal::of(&Answer {
                status: 422,
                body: json!({"message": "Validation Failed", "errors": errors}).to_string(),
                headers: HeaderMap::new(),
            })
        };
        let exists = "A pull request already exists for acme:agent/t-1.";
        assert_eq!(refusal(json!([{"message": exists}])), Refusal::Exists);
        let invalid = json!([{"resource": "PullRequest", "field": "head", "code": "invalid"}]);
        assert_eq!(refusal(invalid), Refusal::NotSeen);
        let none = "No commits between main and agent/t-1";
        assert_eq!(refusal(json!([{"message": none}])), Refusal::Final);
        assert_eq!(refusal(json!("nonsense")), Refusal::Final);
    }
}
