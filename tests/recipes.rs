//! The recipes of the justfile, as a user calls them: from anywhere in a repository, with settings
//! in its `.env`.

use libtest_mimic::Trial;
use serde_json::json;

use crate::stage::{Ran, Stage, root, test_with};

/// Calls the alias that `just install` prints, in a folder of the clone.
fn beadline(stage: &Stage, dir: &str, recipe: &str) -> Ran {
    let justfile = root().join("justfile");
    stage.sh_in(
        dir,
        &format!("just -f '{}' -d . {recipe}", justfile.display()),
    )
}

const SETTINGS: &str = "BEADLINE_AGENT='echo \"$BEAD_TITLE\" > \"$BEAD_ID.txt\"; echo done'
BEADLINE_NO_CHECKS=1
";

fn missing_settings() {
    let stage = Stage::with_tasks(2);
    let before = stage.stored();
    for (settings, words) in [
        ("BEADLINE_AGENT=\nBEADLINE_TIMEOUT=soon\n", "'soon'"),
        (
            "BEADLINE_AGENT=true\n",
            "pr-merge: nothing vouches for the work",
        ),
    ] {
        stage.write("work/.env", settings);
        beadline(&stage, "work", "orchestrate").code(2).says(words);
        assert_eq!(stage.stored(), before);
    }
}

fn settings_from_env_file() {
    let stage = Stage::with_tasks(1);
    stage.write("work/.env", SETTINGS);
    stage.write("work/src/deep/file", "");
    beadline(&stage, "work/src/deep", "orchestrate").ok();
    assert_eq!(stage.bead("t-1")["metadata"]["phase"], "merged");
    assert_eq!(
        stage.sh("git show origin/main:t-1.txt").ok().stdout,
        "Task t-1\n"
    );
    assert_eq!(
        beadline(&stage, "work/src", "log t-1").ok().stdout,
        "done\n"
    );
    beadline(&stage, "work", "log t-9")
        .code(1)
        .says("t-9: no such bead");
}

fn one_step_after_the_other() {
    let stage = Stage::with_tasks(2);
    stage.write("work/.env", SETTINGS);
    let phase = || stage.bead("t-1")["metadata"]["phase"].clone();
    beadline(&stage, "work", "orchestrate-preview")
        .ok()
        .says("t-2: would be landed");
    assert_eq!(phase(), json!(null));
    beadline(&stage, "work", "worker t-1").ok();
    assert_eq!(phase(), "pr_created");
    let board = beadline(&stage, "work", "orchestrate-status").ok().stdout;
    assert!(board.contains("1 pr_created, 1 ready"), "{board}");
    beadline(&stage, "work", "merger").ok();
    assert_eq!(phase(), "merged");
    beadline(&stage, "work", "worktree-clean").ok();
    stage.assert_clean();
    beadline(&stage, "work", "worker t-1")
        .code(1)
        .says("t-1: closed");
    assert_eq!(stage.bead("t-2")["status"], "open");
}

fn retry() {
    let mut stage = Stage::with_tasks(1);
    stage.set("BEADLINE_NO_CHECKS", "1");
    stage.agent("if grep -q 'use blue' \"$BEAD_PROMPT\"; then echo blue > colour; fi");
    beadline(&stage, "work", "orchestrate")
        .ok()
        .says("no change");
    assert_eq!(stage.bead("t-1")["status"], "blocked");
    let note = stage.bead("t-1")["notes"].as_str().unwrap().to_owned();
    assert!(note.ends_with("To go on: just retry t-1"), "{note}");
    stage.edit("t-1", &json!({"notes": "use blue"}));
    beadline(&stage, "work", "retry t-1").ok();
    assert_eq!(
        stage.sh("git show origin/main:colour").ok().stdout,
        "blue\n"
    );
    stage.assert_clean();
}

/// A copy of the demo, with this agent if it is not to be its own; run where a variable names a
/// file that is not the demo's.
fn demo(agent: Option<&str>) -> Ran {
    let mut stage = Stage::empty();
    stage.write("settings", "[user]\n name = Mine\n");
    let settings = stage.path("settings").display().to_string();
    stage.set("GIT_CONFIG_GLOBAL", &settings);
    let copy = format!(
        "mkdir -p ../copy/tests && cd ../copy && cp '{top}/justfile' . && cp '{top}'/tests/demo*.sh tests/",
        top = root().display()
    );
    stage.sh(&copy).ok();
    if let Some(agent) = agent {
        stage.write("copy/tests/demo-agent.sh", agent);
    }
    let ran = stage.sh_in("copy", "tests/demo.sh");
    assert_eq!(stage.read("settings"), "[user]\n name = Mine\n");
    ran
}

fn demo_story() {
    let ran = demo(None).ok();
    assert!(ran.stdout.contains("1 blocked, 5 closed"), "{}", ran.all());
}

/// Nobody does anything: every bead goes to a person.
fn demo_without_a_story() {
    demo(Some("true\n"))
        .code(1)
        .says("demo: expected 5 beads landed, found 0")
        .says("demo: expected 1 bead sent back for a conflict, found 0");
}

pub(crate) fn trials() -> Vec<Trial> {
    let with = |name: &str, run: fn()| test_with("just", "tests/parts.sh", name, run);
    vec![
        with(
            "recipes: what is missing is said before anything is claimed",
            missing_settings,
        ),
        with(
            "recipes: a repository's .env serves them, from any of its folders",
            settings_from_env_file,
        ),
        with(
            "recipes: preview, worker, merger and worktree-clean, one after the other",
            one_step_after_the_other,
        ),
        with(
            "recipes: a blocked bead goes on with what a person noted",
            retry,
        ),
        with(
            "recipes: the demo tells its story, and writes into nobody's settings",
            demo_story,
        ),
        with(
            "recipes: a demo whose story does not happen fails",
            demo_without_a_story,
        ),
    ]
}
