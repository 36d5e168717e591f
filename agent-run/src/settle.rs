//! What a run has left: all of it is committed to its branch, wherever the agent made it.

use anyhow::Context;
use beads::Hand;
use git::{Git, Look, Tree, changes, worktree};

/// Commits what lies uncommitted, and brings the branch to what the agent made elsewhere.
/// Returns why the work cannot be taken as it is.
pub(crate) fn settle(look: &Look, hand: &Hand, tree: &Tree) -> anyhow::Result<Option<String>> {
    let bead = hand.bead();
    let git = Git::within(tree).holding(hand.lock());
    let full = format!("refs/heads/{}", bead.facts().branch);
    let (on, at) = worktree::head(look, tree)?;
    if let Some(at) = at
        && let Err(err) = look.require_genuine(at)
    {
        return Ok(Some(format!("what it committed cannot be taken: {err:#}")));
    }
    let is_on_it = on.as_deref() == Some(&full);
    if is_on_it && look.commit(&full)?.is_none() {
        worktree::restore_branch(look, tree, &full, hand.lock())?;
    }
    if let (false, Some(_), Some(at)) = (is_on_it, on, at) {
        // What is committed here must move no other branch.
        git.run(&["update-ref", "--no-deref", "HEAD", &at.to_string()])?;
    }
    let changes = changes::list(tree)?;
    if changes.iter().any(|line| is_unmerged(line)) {
        return Ok(Some(
            "a merge or rebase was left unfinished, with conflicts".to_owned(),
        ));
    }
    let mut kept = Vec::new();
    if !changes.is_empty() {
        kept = changes::stage(tree, &git)?;
        let message = format!(
            "Left-over changes of the agent ({})",
            bead.id().replace('\0', "")
        );
        let staged = git
            .output(&["diff", "--cached", "--quiet", "--no-ext-diff"])?
            .code
            != Some(0);
        if staged {
            git.run(&[
                "-c",
                "commit.gpgsign=false",
                "commit",
                "--quiet",
                "--no-verify",
                "-m",
                &message,
            ])
            .context("cannot commit what the agent left")?;
        }
    }
    let (on, at) = worktree::head(look, tree)?;
    let branch = look.commit(&full)?;
    let kept = (!kept.is_empty()).then(|| kept.join("\n"));
    if on.as_deref() == Some(&full) {
        return Ok(kept);
    }
    match (at, branch) {
        // Work on another branch or none, on top of ours: ours is moved there, in one step.
        (Some(at), Some(branch)) if look.contains(at, branch)? => {
            git.run(&["update-ref", &full, &at.to_string(), &branch.to_string()])?;
            git.run(&["symbolic-ref", "HEAD", &full])?;
            if tree.git_dir().join("rebase-merge").exists()
                || tree.git_dir().join("rebase-apply").exists()
            {
                // Forgets the rebase, and touches neither HEAD nor files.
                git.run(&["rebase", "--quit"])?;
            }
            Ok(kept)
        }
        _ => Ok(Some(format!(
            "HEAD is not on the branch {}, which lacks what is there",
            bead.facts().branch
        ))),
    }
}

/// The two letters of an unmerged path (git-status(1), "Short Format").
fn is_unmerged(line: &str) -> bool {
    ["DD", "AU", "UD", "UA", "DU", "AA", "UU"]
        .iter()
        .any(|state| line.starts_with(state))
}
