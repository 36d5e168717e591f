//! Agents that write into the main checkout, and people who do.

use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::json;

use super::{LINE, WORK, assert_blocked, facts, with_agent};
use crate::stage::{test, until};

fn escapes(script: &'static str, file: &'static str) {
    let mut stage = with_agent("");
    let main = stage.path("work").canonicalize().unwrap();
    // The shell says what it runs, as every agent does.
    stage.agent(&format!(
        "set -x\nmain='{}'\n{script}\n{WORK}",
        main.display()
    ));
    let ran = stage.sh(LINE).ok();
    assert_eq!(ran.stdout, "");
    let note = format!(
        "it changed '{file}' in the main checkout '{}'",
        main.display()
    );
    assert_blocked(&stage, "escaped", &note);
    // Its work is kept on its branch, and nothing of it lands.
    assert_eq!(
        stage.sh("git show agent/t-1:work.txt").ok().stdout,
        "work\n"
    );
    assert_eq!(stage.sh("git ls-remote origin agent/t-1").ok().stdout, "");
}

/// One that says nothing at all: its script names the checkout, or its task does.
fn silent(task: bool) {
    let mut stage = with_agent("");
    let main = stage.path("work").canonicalize().unwrap();
    let file = format!("{}/sub.txt", main.display());
    let script = if task {
        stage.edit("t-1", &json!({"description": format!("Write {file}")}));
        format!("f=$(grep -o '/.*/sub.txt' | head -n 1); echo work > \"$f\"\n{WORK}")
    } else {
        format!("echo work > '{file}'\n{WORK}")
    };
    stage.agent(&script);
    let ran = stage.sh(LINE).ok();
    assert_eq!(ran.stdout, "");
    assert_blocked(&stage, "escaped", "it changed 'sub.txt'");
}

fn a_persons_edit() {
    let mut stage = with_agent("");
    let here = stage.path("").display().to_string();
    // Somebody edits a.txt while the agent only looks at it, and at the clone's git directory.
    stage.agent(&format!(
        "set -x; git rev-parse --git-common-dir; cat a.txt; touch '{here}/started'
until [ -e '{here}/edited' ]; do sleep 0.05; done\n{WORK}"
    ));
    let line = stage.start(LINE);
    until("the agent works", || stage.path("started").exists());
    stage.sh("echo mine > a.txt; touch new.txt ../edited").ok();
    line.wait(Duration::from_mins(1)).ok();
    assert_eq!(facts(&stage)["outcome"], "done");
}

fn changed_before() {
    let mut stage = with_agent("");
    let main = stage.path("work").display().to_string();
    stage.sh("echo mine > a.txt; echo mine > new.txt").ok();
    stage.agent(&format!(
        "set -x; cat '{main}/a.txt' '{main}/new.txt'; ls '{main}'\n{WORK}"
    ));
    stage.sh(LINE).ok();
    assert_eq!(facts(&stage)["outcome"], "done");
}

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "agent-run: an agent that writes into the main checkout by its path has escaped",
            || {
                escapes(
                    "mkdir \"$main/sub\"; cp a.txt \"$main/sub/new.txt\"",
                    "sub/new.txt",
                );
            },
        ),
        test(
            "agent-run: an agent that goes into the main checkout and edits there has escaped",
            || {
                escapes("(cd \"$main\"; echo work >> a.txt; cat a.txt)", "a.txt");
            },
        ),
        test(
            "agent-run: an agent that deletes in the main checkout has escaped",
            || {
                escapes("rm \"$main/a.txt\"", "a.txt");
            },
        ),
        test(
            "agent-run: an agent that commits in the main checkout has escaped",
            || {
                escapes(
                    "(cd \"$main\"; echo work >> a.txt; cat a.txt; git commit --quiet -am work)",
                    "a.txt",
                );
            },
        ),
        test(
            "agent-run: a silent agent whose script names the main checkout has escaped",
            || silent(false),
        ),
        test(
            "agent-run: a silent agent that was told a path of the main checkout has escaped",
            || silent(true),
        ),
        test(
            "agent-run: a person's edits in the main checkout are not the agent's",
            a_persons_edit,
        ),
        test(
            "agent-run: what was changed in the main checkout before a run is not its doing",
            changed_before,
        ),
    ]
}
