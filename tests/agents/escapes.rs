//! Agents that write into the main checkout, and people who do.

use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::json;

use super::{LINE, WORK, assert_blocked, facts, with_agent};
use crate::stage::{Running, Stage, test, until};

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

/// What may be a person's: it is said, and the work goes on.
fn warned(stage: &Stage, line: Running, file: &str) {
    let what = format!("'{file}' in the main checkout");
    let ran = line.wait(Duration::from_mins(2)).ok();
    ran.says(&what).says("by you, or by the agent");
    assert_eq!(facts(stage)["outcome"], "done");
}

fn perhaps(script: &str, file: &str) {
    let mut stage = with_agent("");
    let main = stage.path("work").canonicalize().unwrap();
    stage.agent(&format!(
        "set -x\nmain='{}'\n{script}\n{WORK}",
        main.display()
    ));
    warned(&stage, stage.start(LINE), file);
}

fn told() {
    let mut stage = with_agent("");
    let main = stage.path("work").canonicalize().unwrap();
    let task = format!("Write {}/sub.txt", main.display());
    stage.edit("t-1", &json!({"description": task}));
    stage.agent(&format!(
        "f=$(grep -o '/.*/sub.txt' | head -n 1); echo work > \"$f\"\n{WORK}"
    ));
    warned(&stage, stage.start(LINE), "sub.txt");
}

/// Somebody edits a.txt; the agent looks at it there, and even takes it over.
fn a_persons_edit_that_the_agent_names() {
    let mut stage = with_agent("");
    let here = stage.path("").canonicalize().unwrap();
    let here = here.display();
    stage.agent(&format!(
        "set -x; touch '{here}/started'; until [ -e '{here}/edited' ]; do sleep 0.05; done
ls '{here}/work/a.txt'; cat '{here}/work/a.txt'; cp '{here}/work/a.txt' a.txt\n{WORK}"
    ));
    let line = stage.start(LINE);
    until("the agent works", || stage.path("started").exists());
    stage
        .sh("printf 'mine\nall mine\n' > a.txt; touch ../edited")
        .ok();
    warned(&stage, line, "a.txt");
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
    line.wait(Duration::from_mins(1))
        .ok()
        .says_not("by you, or by the agent");
    assert_eq!(facts(&stage)["outcome"], "done");
}

fn changed_before() {
    let mut stage = with_agent("");
    let main = stage.path("work").display().to_string();
    stage.sh("echo mine > a.txt; echo mine > new.txt").ok();
    stage.agent(&format!(
        "set -x; cat '{main}/a.txt' '{main}/new.txt'; ls '{main}'\n{WORK}"
    ));
    stage.sh(LINE).ok().says_not("by you, or by the agent");
    assert_eq!(facts(&stage)["outcome"], "done");
}

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "agent-run: an agent that writes its work into the main checkout, too, has escaped",
            || {
                escapes(
                    "echo same > new.txt; cp new.txt \"$main/new.txt\"",
                    "new.txt",
                );
            },
        ),
        test(
            "agent-run: an agent that commits its work in the main checkout, too, has escaped",
            || {
                escapes(
                    "echo work >> a.txt; cp a.txt \"$main/a.txt\"; git -C \"$main\" commit --quiet -am work",
                    "a.txt",
                );
            },
        ),
        test(
            "agent-run: an agent that writes into the main checkout by a call that its log tells has escaped",
            || {
                escapes(
                    "{ set +x; } 2> /dev/null
echo \"{\\\"type\\\":\\\"tool_use\\\",\\\"tool_name\\\":\\\"write_file\\\",\\\"parameters\\\":{\\\"path\\\":\\\"$main/new.txt\\\",\\\"content\\\":\\\"some work\\\"}}\"
printf 'some work' > \"$main/new.txt\"",
                    "new.txt",
                );
            },
        ),
        test(
            "agent-run: a silent agent whose script writes into the main checkout has escaped",
            || {
                let mut stage = with_agent("");
                let main = stage.path("work").canonicalize().unwrap();
                let file = main.join("sub.txt").display().to_string();
                stage.agent(&format!("cat > '{file}' <<'END'\nsome\nwork\nEND\n{WORK}"));
                assert_eq!(stage.sh(LINE).ok().stdout, "");
                assert_blocked(&stage, "escaped", "it changed 'sub.txt'");
            },
        ),
        test(
            "agent-run: a change in the main checkout that an agent names but may not have made is told",
            || perhaps("(cd \"$main\"; echo work >> a.txt; cat a.txt)", "a.txt"),
        ),
        test(
            "agent-run: a file that is gone from the main checkout, and that an agent names, is told",
            || perhaps("rm \"$main/a.txt\"", "a.txt"),
        ),
        test(
            "agent-run: a change in the main checkout that an agent was told of is told",
            told,
        ),
        test(
            "agent-run: a person's edit is not the agent's, even if that names and copies the file",
            a_persons_edit_that_the_agent_names,
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
