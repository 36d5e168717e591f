//! Which store is found: a database means `bd`, a file alone means the file, and nothing falls back.

use libtest_mimic::Trial;
use serde_json::json;

use super::{as_fake, fake};
use crate::stage::{Dolt, Stage, task, test, test_with_bd};

/// A `bd` of this version, which notes what it is asked.
fn of_version(stage: &Stage, version: &str) {
    fake(
        stage,
        &format!("echo \"$*\" >> \"${{0%/*}}/asked\"\necho '{{\"version\":\"{version}\"}}'"),
    );
}

fn database_beats_file() {
    let stage = Stage::on_bd(&[task("t-1")]);
    stage.beads(&[task("t-2")]);
    assert_eq!(stage.sh("bd-ready").ok().ids(), ["t-1"]);
    stage
        .sh("git worktree add --quiet ../tree && mkdir ../tree/deep")
        .ok();
    assert_eq!(stage.sh_in("tree/deep", "bd-ready").ok().ids(), ["t-1"]);
    assert_eq!(stage.sh_in("", "bd-ready -C tree").ok().ids(), ["t-1"]);
}

fn by_variable() {
    let mut stage = Stage::on_bd(&[task("t-1")]);
    stage.sh("mv .beads ../elsewhere").ok();
    stage.sh("bd-ready").code(1).says("no beads at");
    for dir in [
        "../elsewhere".to_owned(),
        stage.path("elsewhere").display().to_string(),
    ] {
        assert_eq!(
            stage.sh(&format!("BEADS_DIR={dir} bd-ready")).ok().ids(),
            ["t-1"]
        );
    }
    // What another repository's tools leave in the environment decides nothing.
    stage.set("BEADS_DIR", &stage.path("elsewhere").display().to_string());
    let elsewhere = "git init --quiet ../other && GIT_DIR=$(cd ../other && pwd)/.git";
    assert_eq!(
        stage.sh(&format!("{elsewhere} bd-ready -C . || true")).code,
        Some(0)
    );
    let spawned = stage.sh("wt-spawn t-1").ok().beads();
    assert_eq!(spawned[0]["metadata"]["phase"], "spawned");
    let ran = stage
        .sh("bd show t-1 --json | grep -c '\"phase\": \"spawned\"'")
        .ok();
    assert_eq!(ran.stdout, "1\n");
}

fn on_a_server() {
    let dolt = Dolt::start();
    let stage = Stage::on_server(&dolt, &[task("t-1")]);
    stage.beads(&[task("t-2")]);
    assert_eq!(stage.sh("bd-ready").ok().ids(), ["t-1"]);
    stage.sh("git worktree add --quiet ../tree").ok();
    assert_eq!(stage.sh_in("tree", "bd-ready").ok().ids(), ["t-1"]);
    assert_eq!(stage.sh("BD_JSON_ENVELOPE=1 bd-ready").ok().ids(), ["t-1"]);
}

fn file_alone() {
    let stage = Stage::new(&[task("t-1")]);
    of_version(&stage, "9.0.0");
    assert_eq!(stage.sh(&as_fake("bd-ready")).ok().ids(), ["t-1"]);
    assert_eq!(stage.sh(&as_fake("wt-spawn t-1")).ok().ids(), ["t-1"]);
    assert!(!stage.path("fake/asked").exists(), "bd was called");
}

/// What marks a database is enough: nobody has to be able to open it.
fn a_database_without_bd() {
    for mark in ["metadata.json", "redirect"] {
        let stage = Stage::new(&[task("t-1")]);
        stage.write(&format!("work/.beads/{mark}"), "{}");
        for program in ["bd-ready", "wt-spawn t-1", "orch-status"] {
            let ran = stage.sh(&format!("PATH=$BEADLINE_BIN:/usr/bin:/bin {program}"));
            ran.code(1)
                .says("work/.beads' holds a Beads database, but bd cannot be run")
                .says("install bd 1.3 or newer");
        }
        assert_eq!(stage.stored(), [task("t-1")]);
    }
}

fn too_old() {
    let stage = Stage::new(&[task("t-1")]);
    stage.write("work/.beads/metadata.json", "{}");
    for version in ["1.2.9", "0.63.3", "1"] {
        of_version(&stage, version);
        let ran = stage.sh(&as_fake("bd-ready"));
        ran.code(1).says(&format!(
            "bd is version {version}: version 1.3 or newer is needed"
        ));
    }
    let asked = stage.read("fake/asked");
    assert!(
        asked.lines().all(|line| line.starts_with("version")),
        "{asked}"
    );
}

/// With `BD_JSON_ENVELOPE=1` every answer has another form, and the line is none the wiser.
fn in_an_envelope() {
    let mut stage = Stage::on_bd(&[task("t-1")]);
    stage.set("BD_JSON_ENVELOPE", "1");
    let ran = stage.sh("bd ready --json").ok();
    assert!(ran.stdout.contains("\"schema_version\""), "{}", ran.all());
    stage.simple();
    let line = "bd-ready | wt-spawn | agent-run | pr-open | pr-merge | wt-clean --all";
    let merged = stage.sh(line).ok().beads();
    assert_eq!(merged[0]["status"], json!("closed"));
    stage.set("BD_JSON_ENVELOPE", "0");
    assert_eq!(stage.bead("t-1")["metadata"]["phase"], "merged");
    stage.assert_clean();
}

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test_with_bd(
            "detection: a database beats the file beside it, in worktrees, too",
            database_beats_file,
        ),
        test_with_bd(
            "detection: BEADS_DIR names the database, absolute or not",
            by_variable,
        ),
        test_with_bd(
            "detection: a database on a server is found, in worktrees, too",
            on_a_server,
        ),
        test(
            "detection: with the file alone bd is never called",
            file_alone,
        ),
        test(
            "detection: a database without bd is an error, and the file is left alone",
            a_database_without_bd,
        ),
        test(
            "detection: a bd that is too old is named with its version",
            too_old,
        ),
        test_with_bd(
            "detection: the whole line reads answers in an envelope",
            in_an_envelope,
        ),
    ]
}
