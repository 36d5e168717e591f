//! Edges where two meet: two lines, a hook and a landing, two remotes, a stop and a check, a person
//! who writes while a program does.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::json;

use crate::stage::{Stage, task, task_on, test, test_with, until};

/// Beads that a dead line left outside the scope take up no room in it.
fn limits_and_scope() {
    let mut stage = Stage::new(&[
        task("t-1"),
        task("t-2"),
        task("e"),
        task_on("e.1", &[("e", "parent-child")]),
    ]);
    stage.simple();
    stage.sh("bd-ready t-1 t-2 | wt-spawn > /dev/null").ok();
    let line = "bd-ready --follow --max-agents 2 --epic e | wt-spawn | agent-run | pr-open
        | pr-merge | wt-clean > /dev/null";
    stage.sh(&line.replace('\n', " ")).ok();
    assert_eq!(stage.bead("e.1")["status"], "closed");
    assert_eq!(stage.bead("t-1")["metadata"]["phase"], "spawned");
}

/// A hook of this clone that refuses a landing ends it: the check is not run again and again.
fn a_hook_that_refuses() {
    let mut stage = Stage::with_tasks(1);
    stage.simple();
    stage
        .sh("bd-ready | wt-spawn | agent-run | pr-open > /dev/null")
        .ok();
    stage.write(
        "work/.git/hooks/pre-push",
        "#!/bin/sh\nif grep -q refs/heads/main; then echo not main >&2; exit 1; fi\n",
    );
    stage.sh("chmod +x .git/hooks/pre-push").ok();
    stage.set("BEADLINE_NO_CHECKS", "");
    stage.set("BEADLINE_CHECK", "echo checked >> ../../checks");
    let ran = stage.sh("bd-ready --resume | pr-merge").code(1);
    assert!(ran.stderr.contains("t-1: git push"), "{}", ran.all());
    assert_eq!(stage.read("checks"), "checked\n");
    stage
        .sh("rm .git/hooks/pre-push; bd-ready --resume | pr-merge")
        .ok();
    assert_eq!(stage.bead("t-1")["metadata"]["phase"], "merged");
}

/// The base is the remote's that was asked for, whatever other remotes know.
fn two_remotes() {
    let mut stage = Stage::with_tasks(1);
    stage.simple();
    stage.agent("true");
    // `backup` comes first, and lacks the last commit of the base.
    stage
        .sh(
            "git init --quiet --bare ../backup.git && git remote add backup ../backup.git
             git push --quiet backup main && git fetch --quiet backup
             echo two >> a.txt && git commit --quiet -am second && git push --quiet origin main",
        )
        .ok();
    stage.sh("bd-ready | wt-spawn | agent-run").ok();
    let bead = stage.bead("t-1");
    assert_eq!(
        (&bead["status"], &bead["metadata"]["outcome"]),
        (&json!("blocked"), &json!("no_change"))
    );
}

/// What a hook leaves running, with git's own output open, keeps nobody waiting.
fn a_hook_that_leaves_something() {
    let mut stage = Stage::with_tasks(1);
    stage.simple();
    stage
        .sh("printf '#!/bin/sh\\nsleep 300 &\\n' > .git/hooks/pre-push; chmod +x .git/hooks/pre-push")
        .ok();
    let line = stage.start("bd-ready | wt-spawn | agent-run | pr-open");
    line.wait(Duration::from_mins(1)).ok();
    assert_eq!(stage.bead("t-1")["metadata"]["phase"], "pr_created");
}

/// An agent that is stopped while its work is checked stays stopped.
fn stopped_in_the_check() {
    let mut stage = Stage::with_tasks(1);
    stage.agent("echo 1 > b; git add b; git diff --cached --quiet || git commit -qm b");
    stage.set("BEADLINE_CHECK", "touch ../../checking; sleep 300");
    let line = stage.start("bd-ready | wt-spawn | agent-run");
    until("the check runs", || stage.path("checking").exists());
    stage.sh("agent-stop t-1").ok();
    let ran = line.wait(Duration::from_secs(30)).code(1);
    assert!(
        ran.stderr.contains("t-1: its agent was stopped"),
        "{}",
        ran.all()
    );
    let facts = &stage.bead("t-1")["metadata"];
    assert_eq!(
        (&facts["outcome"], &facts["attempt"]),
        (&json!("stopped"), &json!(0))
    );
    stage.set("BEADLINE_CHECK", "true");
    stage.sh("bd-ready --resume | wt-spawn | agent-run").ok();
    assert_eq!(stage.bead("t-1")["metadata"]["phase"], "committed");
}

/// Beads that a person appends under the lock while a program writes are kept.
fn appended_meanwhile() {
    let stage = Stage::with_tasks(24);
    let line = stage.start("bd-ready | wt-spawn > /dev/null");
    let mut added = 0;
    let started = Instant::now();
    while added < 40 && started.elapsed() < Duration::from_secs(20) {
        added += 1;
        let bead = json!({"id": format!("new-{added}")});
        let add = r#"flock .beads sh -c 'echo "$1" >> .beads/issues.jsonl' sh"#;
        stage.sh(&format!("{add} '{bead}'")).ok();
    }
    line.wait(Duration::from_mins(1)).ok();
    let stored = stage.stored();
    let kept = stored
        .iter()
        .filter(|bead| bead["id"].as_str().unwrap().starts_with("new-"));
    assert_eq!(kept.count(), added);
    assert_eq!(stored.len(), 24 + added);
}

/// A write that fails leaves nothing, and what a killed one left is in nobody's way.
fn a_disk_that_is_full() {
    let beads: Vec<_> = (0..100).map(|n| task(&format!("t-{n}"))).collect();
    let stage = Stage::new(&beads);
    let before = stage.read("work/.beads/issues.jsonl");
    // To a file that may not grow any further a disk is full (setrlimit(2)).
    let full = "trap '' XFSZ; ulimit -f 4; echo '{\"title\":\"x\"}' | bd-import";
    let ran = stage.sh(full).code(1);
    ran.says("cannot write");
    assert_eq!(stage.sh("ls -A .beads").ok().stdout, "issues.jsonl\n");
    assert_eq!(stage.read("work/.beads/issues.jsonl"), before);
    stage.write("work/.beads/.issues.jsonl.new", &before);
    stage.sh("echo '{\"title\":\"x\"}' | bd-import").ok();
    assert_eq!(stage.sh("ls -A .beads").ok().stdout, "issues.jsonl\n");
    assert_eq!(stage.stored().len(), 101);
}

/// Where a directory cannot be locked, as on NFS, a file in it is: of two writers none is lost.
fn a_directory_that_cannot_be_locked() {
    let stage = Stage::new(&[]);
    let import = r#"strace -f -qq -o /dev/null -P "$PWD/.beads" -e trace=flock \
        -e inject=flock:error=EBADF bd-import > /dev/null"#;
    let both = format!("for n in 1 2 3 4; do echo '{{\"title\":\"x\"}}' | {import} & done; wait");
    stage.sh(&both).ok();
    assert_eq!(stage.stored().len(), 4);
    assert!(stage.path("work/.beads/.lock").exists());
}

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test(
            "edges: beads outside the scope do not fill its limits",
            limits_and_scope,
        ),
        test(
            "edges: a hook of the clone that refuses a landing ends it",
            a_hook_that_refuses,
        ),
        test(
            "edges: what a hook of the clone leaves running keeps nobody waiting",
            a_hook_that_leaves_something,
        ),
        test(
            "edges: of two remotes the one that was asked for is the base",
            two_remotes,
        ),
        test(
            "edges: an agent that is stopped in its check stays stopped",
            stopped_in_the_check,
        ),
        test(
            "edges: a write that fails leaves no file, and one that was left is replaced",
            a_disk_that_is_full,
        ),
        test_with(
            "strace",
            "tests/parts.sh",
            "edges: where a directory cannot be locked a file in it is",
            a_directory_that_cannot_be_locked,
        ),
        test(
            "edges: what a person appends while a program writes is kept",
            appended_meanwhile,
        ),
    ]
}
