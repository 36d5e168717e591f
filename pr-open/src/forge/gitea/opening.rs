//! Opening pull requests: one for a branch, whatever gets lost on the way.

use std::thread;
use std::time::Duration;

use anyhow::bail;
use git::Sha;
use serde_json::json;
use ureq::http::Method as Verb;

use super::{Gitea, wire};
use crate::http::{Sent, encoded};
use crate::pull::{NewPull, Opened};

/// How long after a lost answer the server may still be at work on the request.
const STILL_AT_WORK: Duration = Duration::from_secs(3);

/// How often opening is tried whose answer was lost.
const TRIES: u32 = 3;

impl Gitea {
    pub(super) fn find_or_create(&self, new: &NewPull) -> anyhow::Result<Opened> {
        let opened = match self.open_one(&new.branch)? {
            Some(found) => {
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
                Opened::Existed(pull)
            }
            None => match self.landed_before(new)? {
                Some(merged) => return Ok(Opened::Existed(merged.pull(None)?)),
                None => self.create(new)?,
            },
        };
        if let Opened::Created(pull) | Opened::Existed(pull) = &opened {
            self.adorn(pull.number, new)?;
        }
        Ok(opened)
    }

    /// The open pull request of a branch of this repository.
    pub(super) fn open_one(&self, branch: &str) -> anyhow::Result<Option<wire::Pull>> {
        let mut open = self.open_pulls()??.into_iter();
        Ok(open.find(|pull| pull.is_of(branch)))
    }

    /// The pull request that landed this very head, if that was lately.
    pub(super) fn merged_one(&self, head: Sha) -> anyhow::Result<Option<wire::Pull>> {
        let lately = self.page("/pulls?state=closed&sort=recentupdate", 1)?;
        let closed: Vec<wire::Pull> = lately.json()?;
        Ok(closed
            .into_iter()
            .find(|pull| pull.merged && pull.head.sha() == Some(head)))
    }

    /// The pull request of this branch that landed its very head.
    fn landed_before(&self, new: &NewPull) -> anyhow::Result<Option<wire::Pull>> {
        // The oldest of the pair: where there was none at all, nothing else need be asked.
        let pair = format!("/pulls/{}/{}", encoded(&new.base), encoded(&new.branch));
        match self.get(&pair)?.status {
            404 => Ok(None),
            _ => self.merged_one(new.head),
        }
    }

    fn create(&self, new: &NewPull) -> anyhow::Result<Opened> {
        let title = match new.draft {
            // What makes a draft here; it ends when a person takes it away.
            true => format!("WIP: {}", new.title),
            false => new.title.clone(),
        };
        let body = json!({
            "head": new.branch, "base": new.base, "title": title, "body": new.body,
        });
        let mut lost = String::new();
        for _ in 0..TRIES {
            let answer = match self.send(&Verb::POST, "/pulls", &body)? {
                Sent::Answered(answer) => answer,
                Sent::Unknown(why) => {
                    thread::sleep(STILL_AT_WORK);
                    if let Some(found) = self.open_one(&new.branch)? {
                        return Ok(Opened::Created(found.pull(None)?));
                    }
                    lost = why;
                    continue;
                }
            };
            return match answer.status {
                201 => Ok(Opened::Created(answer.json::<wire::Pull>()?.pull(None)?)),
                // Somebody was faster; the number it names is another one.
                409 => match self.open_one(&new.branch)? {
                    Some(found) => Ok(Opened::Existed(found.pull(None)?)),
                    None => bail!("{}", answer.words()),
                },
                404 => Ok(Opened::HeadNotOnRemote),
                422 => Ok(Opened::Denied(answer.words())),
                _ => bail!("{}", answer.words()),
            };
        }
        bail!("the answer was lost {TRIES} times: {lost}")
    }

    /// Labels and reviewers; both may be given twice.
    fn adorn(&self, number: u64, new: &NewPull) -> anyhow::Result<()> {
        let wishes = [
            (&new.labels, format!("/issues/{number}/labels"), "labels"),
            (
                &new.reviewers,
                format!("/pulls/{number}/requested_reviewers"),
                "reviewers",
            ),
        ];
        for (wish, rest, key) in wishes {
            if wish.is_empty() {
                continue;
            }
            match self.send(&Verb::POST, &rest, &json!({key: wish}))? {
                Sent::Answered(answer) if answer.is_success() => {}
                Sent::Answered(answer) => bail!("{key} {}: {}", wish.join(", "), answer.words()),
                Sent::Unknown(why) => bail!("{key}: {why}"),
            }
        }
        Ok(())
    }
}
