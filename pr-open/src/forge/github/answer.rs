//! What GitHub's answers to a merge mean.

use anyhow::bail;

use super::wire::Merge;
use crate::http::Answer;
use crate::pull::Landed;

/// Whether its base is landed on by a merge queue alone.
pub(super) fn wants_queue(answer: &Answer) -> bool {
    let message = answer.message().unwrap_or_default();
    answer.status == 405 && message.contains("merge queue")
}

/// # Errors
/// When the token is refused: no pull request is to blame.
pub(super) fn to_merge(answer: &Answer) -> anyhow::Result<Landed> {
    let message = answer.message().unwrap_or_default();
    let has = |words: &str| message.contains(words);
    Ok(match answer.status {
        200 if answer.json::<Merge>().is_ok_and(|said| said.merged) => Landed::Merged,
        // Nothing of GitHub's: the next look tells.
        200 => Landed::Unknown("the answer says nothing of a merge".to_owned()),
        401 => bail!("it does not take the token: {}", answer.words()),
        403 => bail!("{}", answer.words()),
        404 => Landed::Gone(answer.words()),
        // Closed, or another head: the next look tells which. Never the same merge with the new head.
        409 => Landed::Moved,
        // It says so while a merge before this one is still at work.
        405 if has("Base branch was modified") => Landed::Later(message),
        405 if has("is expected")
            || has("are expected")
            || has("is pending")
            || has("in progress") =>
        {
            Landed::Later(message)
        }
        405 if wants_queue(answer) => {
            Landed::Blocked(format!("{message}: `--queue` lands by its merge queue"))
        }
        405 if has("not up to date")
            || has("out of date")
            || has("out-of-date")
            || has("behind") =>
        {
            Landed::Behind
        }
        405 | 422 | 423 => Landed::Blocked(match message.is_empty() {
            true => answer.words(),
            false => message,
        }),
        500.. => Landed::Unknown(answer.words()),
        _ => Landed::Blocked(answer.words()),
    })
}
