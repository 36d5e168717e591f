//! Lock files of git: those that our own killed gits left go, everybody else's stay.

use libtest_mimic::Trial;

use super::{assert_whole, ids};
use crate::forge::{committed, fact, hook, on_remote};
use crate::stage::{Ran, Running, Stage, test, until};

/// What a git that makes a worktree has locked when it is killed.
const LOCKS: &str = ".git/refs/heads/agent/t-1.lock .git/packed-refs.lock .git/packed-refs.new";

/// Runs the line with a git that, when it is to make a worktree, does this instead.
fn with_git(stage: &Stage, instead: &str, line: &str) -> Ran {
    let git = format!(
        "#!/bin/sh\ncase \"$*\" in *'worktree add'*) cd '{}'; {instead};; esac\nPATH=${{PATH#*:}} exec git \"$@\"\n",
        stage.path("work").display()
    );
    stage.write("shim/git", &git);
    stage
        .sh("chmod +x ../shim/git; mkdir -p .git/refs/heads/agent")
        .ok();
    stage.sh(&format!("PATH=\"$PWD/../shim:$PATH\"; {line}"))
}

/// A program that is no git, and works elsewhere, makes a lock file and lives on.
fn foreign(stage: &Stage, make: &str) -> Running {
    let running = stage.start(&format!("{make}; cd /; touch ~/made; exec sleep 600"));
    until("the lock file is there", || {
        stage.path("home/made").exists()
    });
    running
}

#[track_caller]
fn assert_stays(stage: &Stage, lock: &str) {
    let ran = stage.sh("wt-spawn t-1").code(1);
    ran.says_of("t-1", lock.trim_start_matches(".git/"));
    ran.says_of("t-1", "remove the file manually");
    assert!(stage.path("work").join(lock).exists(), "{}", ran.all());
}

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "locks: what our own killed git left goes, its note with it",
            || {
                let nothing = format!("! ls {LOCKS} .git/beadline/gits/* 2>/dev/null | grep .");
                // The git alone: its program goes on, and meets what it left.
                let stage = Stage::with_tasks(1);
                let instead = format!("touch {LOCKS}; kill -9 $$");
                let ran = with_git(&stage, &instead, "wt-spawn t-1").code(1);
                assert!(ran.stderr.contains("git worktree: killed"), "{}", ran.all());
                stage.sh("wt-spawn t-1").ok();
                assert_whole(&stage, &ids(1));
                stage.sh(&nothing).ok();
                // Our program as well.
                let stage = Stage::with_tasks(1);
                let instead = format!("touch {LOCKS}; kill -9 $PPID $$");
                with_git(&stage, &instead, "wt-spawn t-1 || true").ok();
                stage.sh(&format!("ls {LOCKS} .git/beadline/gits/*")).ok();
                stage.sh("wt-spawn t-1").ok();
                assert_whole(&stage, &ids(1));
                stage.sh(&nothing).ok();
            },
        ),
        test("locks: a git that ended by itself leaves no note", || {
            let stage = Stage::with_tasks(2);
            stage.sh("wt-spawn t-1").ok();
            with_git(&stage, "exit 1", "wt-spawn t-2").code(1);
            stage.sh("! ls .git/beadline/gits/*").ok();
        }),
        test(
            "locks: an old one of a living program that is no git stays, and is named",
            || {
                let stage = Stage::with_tasks(1);
                let lock = ".git/refs/heads/agent/t-1.lock";
                let make =
                    format!("mkdir -p .git/refs/heads/agent; touch -d '1 minute ago' {lock}");
                let _other = foreign(&stage, &make);
                // Ours was killed, too, but later.
                with_git(&stage, "kill -9 $PPID $$", "wt-spawn t-1 || true").ok();
                assert_stays(&stage, lock);
            },
        ),
        test(
            "locks: of somebody else's none goes beside ours, however new the main index's is",
            || {
                let stage = Stage::with_tasks(1);
                let old = ".git/HEAD.lock .git/shallow.lock .git/refs/heads/x.lock";
                let _other = foreign(&stage, &format!("touch -d '1 minute ago' {old}"));
                let instead = format!("touch {LOCKS} .git/index.lock; kill -9 $PPID $$");
                with_git(&stage, &instead, "wt-spawn t-1 || true").ok();
                stage.sh("wt-spawn t-1").ok();
                assert_whole(&stage, &ids(1));
                stage
                    .sh(&format!("ls {old} .git/index.lock; ! ls {LOCKS}"))
                    .ok();
            },
        ),
        test(
            "locks: one that a living program has open stays, though ours was killed at its time",
            || {
                let stage = Stage::with_tasks(1);
                with_git(&stage, "kill -9 $PPID $$", "wt-spawn t-1 || true").ok();
                let _other = foreign(&stage, "exec 9> .git/refs/heads/agent/t-1.lock");
                assert_stays(&stage, ".git/refs/heads/agent/t-1.lock");
            },
        ),
        test(
            "locks: what a push left whose other end on this machine was killed goes at once",
            || {
                let stage = Stage::with_tasks(1);
                committed(&stage, &[("t-1", "echo 1 > 1.txt")]);
                hook(
                    &stage,
                    "update",
                    "#!/bin/sh\nmkdir once || exit 0\ntouch refs/heads/agent/t-1.lock HEAD.lock packed-refs.lock packed-refs.new 2>/dev/null\nmkdir -p refs/heads/agent; touch refs/heads/agent/t-1.lock; kill -9 $PPID\n",
                );
                stage.sh("pr-open t-1").ok();
                assert_eq!(
                    on_remote(&stage, "refs/heads/agent/t-1"),
                    fact(&stage, "t-1", "head")
                );
                stage.sh("ls -d ../remote.git/once; ! find ../remote.git -name '*.lock' | grep .; ! ls ../remote.git/packed-refs.new .git/beadline/gits/*").ok();
            },
        ),
        test(
            "locks: an old one of somebody else in a remote on this machine stays, and is named",
            || {
                let stage = Stage::with_tasks(1);
                committed(&stage, &[("t-1", "echo 1 > 1.txt")]);
                let lock = "remote.git/refs/heads/agent/t-1.lock";
                let _other = foreign(
                    &stage,
                    &format!(
                        "mkdir -p ../remote.git/refs/heads/agent; touch -d '1 minute ago' ../{lock}"
                    ),
                );
                stage
                    .sh("pr-open t-1")
                    .code(1)
                    .says_of("t-1", "refs/heads/agent/t-1.lock");
                assert!(stage.path(lock).exists());
            },
        ),
    ]
}
