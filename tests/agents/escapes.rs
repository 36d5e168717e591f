//! Agents that write into the main checkout, and people who do.

use libtest_mimic::Trial;

use super::{LINE, WORK, assert_blocked, facts, with_agent};
use crate::stage::test;

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

fn a_persons_edit() {
    let mut stage = with_agent("");
    let main = stage.path("work").display().to_string();
    // Somebody edits a.txt while the agent only looks at it, and at the clone's git directory.
    stage.agent(&format!(
        "set -x; git rev-parse --git-common-dir; cat a.txt\n(set +x; cd '{main}'; echo his > a.txt; git commit -qam his; echo mine > a.txt; touch new.txt) 2> /dev/null\n{WORK}"
    ));
    stage.sh(LINE).ok();
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
            "agent-run: a person's edits in the main checkout are not the agent's",
            a_persons_edit,
        ),
        test(
            "agent-run: what was changed in the main checkout before a run is not its doing",
            changed_before,
        ),
    ]
}
