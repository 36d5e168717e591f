//! `pr-merge` on the git forge: what lands is what was tested, and nothing lands twice.

mod blame;
mod checks;
mod containers;
mod crashes;
mod history;
mod landings;
mod objects;
mod people;
mod queue;
mod reviews;
mod rounds;
mod unread;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::forge::{committed, fact, on_remote};
use crate::stage::{Stage, task};

/// A stage with these beads at an open pull request; each made by shell lines on its branch.
fn pulled(work: &[(&str, &str)]) -> Stage {
    let beads: Vec<Value> = work.iter().map(|(id, _)| task(id)).collect();
    let stage = Stage::new(&beads);
    pull(&stage, work);
    stage
}

/// Brings stored beads to an open pull request, numbered in this order.
fn pull(stage: &Stage, work: &[(&str, &str)]) {
    committed(stage, work);
    let ids: Vec<&str> = work.iter().map(|(id, _)| *id).collect();
    stage.sh(&format!("pr-open {}", ids.join(" "))).ok();
}

/// Writes the check; returns the flag. It sees `$HOME`, as every check does; from here on nothing
/// lands but what it passes.
fn check(stage: &Stage, script: &str) -> String {
    format!("--check '{}'", stage.check(script))
}

/// Where main is on the remote.
fn main_head(stage: &Stage) -> String {
    on_remote(stage, "refs/heads/main")
}

/// The subjects on main, first parents only, oldest first, without the first.
fn landed(stage: &Stage) -> Vec<String> {
    let script = "git -C ../remote.git log --first-parent --reverse --format=%s main | tail -n +2";
    stage
        .sh(script)
        .ok()
        .stdout
        .lines()
        .map(str::to_owned)
        .collect()
}

/// What a check or a reviewer has written to its log: nothing if it never ran.
fn log(stage: &Stage) -> Vec<String> {
    stage
        .sh("cat ~/log 2>/dev/null || true")
        .ok()
        .stdout
        .lines()
        .map(str::to_owned)
        .collect()
}

/// The remote's answer to a question about git.
fn ask(stage: &Stage, question: &str) -> String {
    stage
        .sh_in("remote.git", question)
        .ok()
        .stdout
        .trim()
        .to_owned()
}

/// Somebody else pushes to a branch of the remote.
fn elsewhere(branch: &str, change: &str) -> String {
    format!(
        "rm -rf ~/elsewhere; git clone --quiet -b {branch} \"$HOME/../remote.git\" ~/elsewhere
         (cd ~/elsewhere; {change}; git add -A; git commit --quiet -m 'from elsewhere'; git push --quiet)\n"
    )
}

#[track_caller]
fn assert_state(stage: &Stage, id: &str, status: &str, phase: &str) {
    let bead = stage.bead(id);
    assert_eq!(
        (&bead["status"], &bead["metadata"]["phase"]),
        (&json!(status), &json!(phase)),
        "{bead}"
    );
}

/// The bead was sent back, once, with these words as feedback.
#[track_caller]
fn assert_sent_back(stage: &Stage, id: &str, words: &[&str]) {
    assert_state(stage, id, "in_progress", "spawned");
    let bead = stage.bead(id);
    assert_eq!(bead["metadata"]["round"], 1, "{bead}");
    for word in words {
        assert!(
            fact(stage, id, "feedback").contains(word),
            "no {word}: {bead}"
        );
    }
}

/// The bead has landed as main's commit that says so, which its note names.
#[track_caller]
fn assert_landed(stage: &Stage, id: &str) {
    assert_state(stage, id, "closed", "merged");
    let (bead, commit) = (stage.bead(id), fact(stage, id, "merged_sha"));
    ask(
        stage,
        &format!("git merge-base --is-ancestor {commit} main"),
    );
    let notes = bead["notes"].as_str().unwrap();
    let number = &bead["metadata"]["pr_number"];
    assert!(
        notes.contains(&commit) && notes.contains(&format!("pull request {number}")),
        "{bead}"
    );
}

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = checks::trials();
    trials.extend(blame::trials());
    trials.extend(people::trials());
    trials.extend(crashes::trials());
    trials.extend(rounds::trials());
    trials.extend(reviews::trials());
    trials.extend(history::trials());
    trials.extend(unread::trials());
    trials.extend(objects::trials());
    trials.extend(queue::trials());
    trials.push(containers::trial());
    trials.push(landings::trial());
    trials
}
