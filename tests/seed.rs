//! The story that the system was asked for, word for word, on the real Beads: a plain `bd init`,
//! whose instructions tell agents to close their own beads, and whose hooks run at their commits.

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::stage::{Ran, Stage, test_with_bd};

/// Obeys everything that `bd init` writes for agents, and some more.
const OBEDIENT: &str = r#"
set -eu
bd prime > /dev/null || true
bd update "$BEAD_ID" --claim || true
echo "$BEAD_ID" > "$BEAD_ID.txt"
git add . && git commit --quiet -m "work on $BEAD_ID"
bd create "left to do after $BEAD_ID" || true
bd close "$BEAD_ID" --reason done || true
bd dolt push || true
git push --quiet -u origin HEAD || true
"#;

/// A repository with a remote, and `bd init` as its page has it.
fn plain() -> Stage {
    let mut stage = Stage::empty();
    stage
        .sh(
            "echo one > a.txt && git add . && git commit --quiet -m first
             git push --quiet -u origin main && git remote set-head origin main
             bd init > /dev/null && git push --quiet",
        )
        .ok();
    stage.on_its_bd();
    stage.agent(OBEDIENT);
    stage.set("BEADLINE_NO_CHECKS", "1");
    stage
}

fn create(stage: &Stage, words: &str) -> String {
    let ran = stage.sh(&format!("bd create {words} --silent")).ok();
    ran.stdout.trim().to_owned()
}

/// What people are promised of a bead that went through: asked of `bd` itself.
#[track_caller]
fn assert_merged(stage: &Stage, id: &str, said: &Ran) {
    let shown = stage.sh(&format!("bd show {id} --json")).ok();
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    let (bead, facts) = (&shown[0], &shown[0]["metadata"]);
    let all = said.all();
    assert_eq!(bead["status"], "closed", "{bead}\n{all}");
    assert_eq!(facts["phase"], "merged", "{bead}\n{all}");
    assert_eq!(facts["branch"], format!("agent/{id}"), "{bead}");
    let worktree = stage.path("work.worktrees").join(id);
    assert_eq!(facts["worktree"], json!(worktree), "{bead}");
    let pid = facts["agent_pid"].as_u64();
    assert!(pid.is_some_and(|pid| pid > 0), "{bead}");
    let (number, sha) = (&facts["pr_number"], facts["merged_sha"].as_str().unwrap());
    let note = format!("beadline: landed as {sha} by pull request {number}");
    assert_eq!(bead["notes"], note, "{bead}");
    let on_main = format!(
        "git fetch --quiet && git merge-base --is-ancestor {sha} origin/main && git show origin/main:{id}.txt"
    );
    assert_eq!(stage.sh(&on_main).ok().stdout, format!("{id}\n"));
}

fn the_seed_story() {
    let stage = plain();
    let epic = create(&stage, "'Epic: My Feature' -p 0");
    let first = create(&stage, &format!("'Task one' -p 1 --parent {epic}"));
    let second = create(&stage, &format!("'Task two' -p 1 --parent {epic}"));
    let apart = create(&stage, "'not of the epic' -p 0");
    stage.sh(&format!("bd dep add {second} {first}")).ok();

    let ran = stage.just(&format!("orchestrate --epic {epic}")).ok();
    let status = stage.just("orchestrate-status").ok();
    for id in [&first, &second] {
        assert_merged(&stage, id, &ran);
        let line = status
            .stdout
            .lines()
            .find(|line| line.contains(id.as_str()));
        assert!(
            line.is_some_and(|line| line.contains("merged")),
            "{}",
            status.all()
        );
    }
    let order = stage.sh("git log --format=%s origin/main").ok().stdout;
    let at = |id: &str| {
        order
            .lines()
            .position(|line| line.ends_with(&format!("({id})")))
    };
    assert!(at(&second) < at(&first), "{order}");

    let epic = stage.bead(&epic);
    assert_eq!(epic["status"], "closed", "{epic}");
    assert_eq!(epic["metadata"]["branch"], Value::Null, "{epic}");
    // Nothing else was touched, and nothing was made up by the agents.
    assert_eq!(stage.bead(&apart)["status"], "open");
    assert_eq!(stage.stored().len(), 4);
    stage.assert_clean();
    assert_eq!(stage.sh("git status --porcelain").ok().stdout, "");
}

fn one_at_a_time() {
    let stage = plain();
    let id = create(&stage, "'Task three' -p 1");
    let worker = stage.just(&format!("worker {id}")).ok();
    let bead = stage.bead(&id);
    assert_eq!(bead["metadata"]["phase"], "pr_created", "{}", worker.all());
    assert_eq!(bead["status"], "in_progress");
    assert!(stage.path(&format!("work.worktrees/{id}")).exists());

    let merger = stage.just("merger").ok();
    assert_merged(&stage, &id, &merger);
    let clean = stage.just("worktree-clean").ok();
    assert!(
        !stage.path(&format!("work.worktrees/{id}")).exists(),
        "{}",
        clean.all()
    );
    stage.assert_clean();
}

/// From inside a worktree, and by a person who has given the bead to somebody.
fn an_assigned_bead_is_left() {
    let stage = plain();
    let id = create(&stage, "'Task of Ann' -p 0 --assignee ann");
    let ran = stage.just("orchestrate").ok();
    ran.says(&format!("{id}: not done: assigned to 'ann'"));
    let named = stage.sh(&format!("bd-ready {id}"));
    named.code(1).says("assigned to 'ann'");
}

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test_with_bd(
            "seed: an epic with two tasks is done, in order, and nothing else",
            the_seed_story,
        ),
        test_with_bd(
            "seed: worker, merger, worktree-clean take one task through",
            one_at_a_time,
        ),
        test_with_bd(
            "seed: a bead that a person has is left to them",
            an_assigned_bead_is_left,
        ),
    ]
}
