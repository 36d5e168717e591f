//! `wt-spawn`: one claim, one branch, one worktree a bead, whatever happened before.

mod brakes;
mod branches;
mod claims;
mod counts;
mod furnishing;
mod heard;
mod locks;
mod repairs;
mod repositories;

use std::fs;
use std::path::PathBuf;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::stage::Stage;

/// The facts that a claim of this clone writes.
fn facts(stage: &Stage, id: &str, host: &str) -> Value {
    json!({
        "phase": "spawned", "worktree": tree(stage, id), "branch": format!("agent/{id}"),
        "base": "main", "host": host, "agent_pid": 0, "pr_number": 0, "attempt": 0,
        "run_from": 0, "round": 0, "outcome": "", "feedback": "", "not_before": "", "error": "",
        "error_at": "", "waits": "", "waits_at": "", "conflicts": 0, "opened_at": "",
    })
}

fn tree(stage: &Stage, id: &str) -> PathBuf {
    fs::canonicalize(stage.path(""))
        .unwrap()
        .join("work.worktrees")
        .join(id)
}

fn commit(stage: &Stage, name: &str) -> String {
    stage
        .sh(&format!("git rev-parse --verify '{name}^{{commit}}'"))
        .ok()
        .stdout
        .trim()
        .to_owned()
}

fn lines(text: &str, part: &str) -> usize {
    text.lines().filter(|line| line.contains(part)).count()
}

/// Another person's clone, from which things are pushed.
fn elsewhere(stage: &Stage, script: &str) {
    let script = format!(
        "[ -d other ] || git clone --quiet remote.git other; cd other; git pull --quiet\n{script}"
    );
    stage.sh_in("", &script).ok();
}

/// Asserts that these beads have a complete, clean worktree on a branch of their own, and that
/// there is no other branch, worktree or left-over.
#[track_caller]
fn assert_whole(stage: &Stage, ids: &[String]) {
    let mut ids = ids.to_vec();
    ids.sort();
    let look = stage
        .sh(
            "git worktree list --porcelain | sed -n 's,^worktree .*/work.worktrees/,,p' | sort
             echo; git for-each-ref --format='%(refname:lstrip=3)' refs/heads/agent | sort
             echo; ls -A ../work.worktrees | sort",
        )
        .ok();
    let want = ids.join("\n");
    assert_eq!(
        look.stdout.trim(),
        format!("{want}\n\n{want}\n\n{want}"),
        "worktrees, branches, folders"
    );
    for id in ids {
        let made = stage
            .sh_in(
                &format!("work.worktrees/{id}"),
                "git symbolic-ref HEAD; git status --porcelain; cat a.txt; cd \"$(git rev-parse --git-dir)\"
                 ls -d beadline-[mr]* locked index.lock 2>/dev/null || true",
            )
            .ok();
        assert_eq!(
            made.stdout,
            format!("refs/heads/agent/{id}\none\nbeadline-ready\n"),
            "{id}"
        );
        let bead = stage.bead(&id);
        assert_eq!(bead["metadata"]["worktree"], json!(tree(stage, &id)));
        assert_eq!(
            (&bead["status"], &bead["metadata"]["phase"]),
            (&json!("in_progress"), &json!("spawned"))
        );
    }
}

fn ids(count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("t-{n}")).collect()
}

/// Claims `t-1` again after a person reopened it.
fn reopen(stage: &Stage, id: &str) {
    stage.edit(id, &json!({"status": "open", "assignee": ""}));
}

pub(crate) fn trials() -> Vec<Trial> {
    [
        brakes::trials(),
        counts::trials(),
        repositories::trials(),
        branches::trials(),
        repairs::trials(),
        claims::trials(),
        heard::trials(),
        furnishing::trials(),
        locks::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
