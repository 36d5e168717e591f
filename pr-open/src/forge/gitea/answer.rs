//! What Gitea's answers to a merge mean.

use anyhow::bail;

use crate::http::Answer;
use crate::pull::Landed;

/// # Errors
/// When the token is refused: no pull request is to blame.
pub(super) fn to_merge(answer: &Answer) -> anyhow::Result<Landed> {
    let message = answer.message().unwrap_or_default();
    Ok(match (answer.status, message.as_str()) {
        (200, _) => Landed::Merged,
        (401, _) => bail!("it does not take the token: {}", answer.words()),
        (403, _) => bail!("{}", answer.words()),
        (404, _) => Landed::Gone(answer.words()),
        // Closed, merged already, or another head, or another merge was faster: the next look tells
        // which.
        (405, "The PR is already merged")
        | (409, "head out of date" | "merge push out of date") => Landed::Moved,
        (409, rejected) if rejected.starts_with("PushRejected") => match rejected {
            race if race.contains("cannot lock ref") || race.contains("stale") => Landed::Moved,
            _ => Landed::Blocked(rejected.to_owned()),
        },
        // It looks for conflicts in the background, after every push and every landing.
        (405, "Please try again later") => {
            Landed::Later("the forge has not found out whether it conflicts".to_owned())
        }
        (405, behind) if behind.contains("The head branch is behind the base branch") => {
            Landed::Behind
        }
        (405, "User not allowed to merge PR") => {
            Landed::Blocked("the token's user may not merge it".to_owned())
        }
        (405 | 422 | 423, "") => Landed::Blocked(format!("the forge says {}", answer.words())),
        (405 | 422 | 423, why) => Landed::Blocked(why.to_owned()),
        // Without words: its own try at the merge conflicts.
        (409, _) => Landed::Blocked("the forge finds a conflict, where git finds none".to_owned()),
        (500, gone) if gone.contains("branch does not exist") => Landed::Moved,
        (500, behind) if behind.contains("DivergingFastForwardOnly") => Landed::Behind,
        (500.., _) => Landed::Unknown(answer.words()),
        _ => Landed::Blocked(format!("the forge says {}", answer.words())),
    })
}
