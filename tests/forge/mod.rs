//! `pr-open` on the git forge: pull requests that are refs of the remote.

mod branches;
mod opening;
mod papers;
mod remotes;

use std::fmt::Write as _;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::stage::{Stage, task};

/// A bead whose agent has done its work in the clone of this name: what is stored then.
fn done(host: &str, id: &str, head: &str) -> Value {
    json!({
        "status": "in_progress", "assignee": format!("beadline/{host}/1"),
        "metadata": {
            "phase": "committed", "branch": format!("agent/{id}"), "base": "main", "host": host,
            "run": 1, "attempt": 1, "round": 0, "run_from": 0, "head": head, "outcome": "done",
        },
    })
}

/// The name of a clone: markers of processes hold it, and the whole machine sees those.
fn host(stage: &Stage, clone: &str) -> String {
    let scratch = stage
        .path(clone)
        .parent()
        .unwrap()
        .file_name()
        .unwrap()
        .to_owned();
    format!("{}-{clone}", scratch.to_string_lossy())
}

/// Makes the commits of these beads in a clone; returns their heads.
fn commits(stage: &Stage, clone: &str, work: &[(&str, &str)]) -> Vec<String> {
    let mut script = format!("git config beadline.host {}\n", host(stage, clone));
    for (id, change) in work {
        write!(
            script,
            "git checkout --quiet -B agent/{id} origin/main
             {change}
             git add -A; git diff --cached --quiet || git commit --quiet -m 'work on {id}'
             git rev-parse HEAD\n"
        )
        .unwrap();
    }
    script += "git checkout --quiet main";
    stage
        .sh_in(clone, &script)
        .ok()
        .stdout
        .lines()
        .map(str::to_owned)
        .collect()
}

/// Brings stored beads to where their agents have done this: shell lines, whose changes are
/// committed on the bead's branch.
pub(crate) fn committed(stage: &Stage, work: &[(&str, &str)]) {
    for ((id, _), head) in work.iter().zip(commits(stage, "work", work)) {
        stage.edit(id, &done(&host(stage, "work"), id, &head));
    }
}

/// The same in a second clone, with a store of its own.
pub(crate) fn second_clone(stage: &Stage, work: &[(&str, &str)]) {
    stage.sh_in("", "git clone --quiet remote.git other").ok();
    let mut lines = String::new();
    for ((id, _), head) in work.iter().zip(commits(stage, "other", work)) {
        let mut bead = task(id);
        bead.as_object_mut().unwrap().extend(
            done(&host(stage, "other"), id, &head)
                .as_object()
                .unwrap()
                .clone(),
        );
        writeln!(lines, "{bead}").unwrap();
    }
    stage.write("other/.beads/issues.jsonl", &lines);
}

/// The agent has committed once more on the branch, after the bead was sent back.
pub(crate) fn again(stage: &Stage, id: &str, script: &str) {
    let line = format!(
        "git checkout --quiet agent/{id}\n{script}\ngit rev-parse HEAD; git checkout --quiet main"
    );
    let said = stage.sh(&line).ok().stdout;
    let head = said.lines().last().unwrap();
    stage.edit(
        id,
        &json!({"metadata": {"phase": "committed", "head": head}}),
    );
}

/// A fact of a stored bead.
#[track_caller]
pub(crate) fn fact(stage: &Stage, id: &str, key: &str) -> String {
    match &stage.bead(id)["metadata"][key] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Where a ref of the remote is; empty: there is none.
pub(crate) fn on_remote(stage: &Stage, name: &str) -> String {
    stage
        .sh(&format!("git ls-remote origin '{name}' | cut -f1"))
        .ok()
        .stdout
        .trim()
        .to_owned()
}

/// A hook of the remote.
pub(crate) fn hook(stage: &Stage, name: &str, script: &str) {
    stage.write(&format!("remote.git/hooks/{name}"), script);
    stage
        .sh_in("remote.git", &format!("chmod +x hooks/{name}"))
        .ok();
}

/// A hook that takes no push to refs that match.
pub(crate) fn refuse(stage: &Stage, pattern: &str) {
    let script = format!(
        "#!/bin/sh\nwhile read -r old new name; do case $name in {pattern}) echo 'not here' >&2; exit 1;; esac; done\n"
    );
    hook(stage, "pre-receive", &script);
}

/// The numbers of all pull requests, and the branches of the open ones.
fn pulls(stage: &Stage) -> (Vec<u64>, Vec<String>) {
    let names = stage.sh("git ls-remote origin | cut -f2").ok().stdout;
    let number = |name: &str| {
        name.strip_prefix("refs/beadline/pull/")?
            .parse::<u64>()
            .ok()
    };
    let mut numbers: Vec<u64> = names.lines().filter_map(number).collect();
    numbers.sort_unstable();
    let open = names
        .lines()
        .filter_map(|name| name.strip_prefix("refs/beadline/open/"));
    (numbers, open.map(str::to_owned).collect())
}

#[track_caller]
fn assert_one_open(stage: &Stage) {
    assert_eq!(pulls(stage), (vec![1], vec!["agent/t-1".to_owned()]));
    let (bead, head) = (stage.bead("t-1"), on_remote(stage, "refs/heads/agent/t-1"));
    assert_eq!(bead["metadata"]["phase"], "pr_created");
    assert_eq!(bead["metadata"]["pr_number"], 1);
    assert_eq!(bead["metadata"]["pushed"], head);
    assert_eq!(on_remote(stage, "refs/pull/1/head"), head);
}

/// One bead with one commit.
fn one() -> Stage {
    let stage = Stage::with_tasks(1);
    committed(&stage, &[("t-1", "echo work > w.txt")]);
    stage
}

pub(crate) fn trials() -> Vec<Trial> {
    [
        opening::trials(),
        branches::trials(),
        papers::trials(),
        remotes::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
