//! What the remote says counts, not the clone's refs, which an agent may write at any moment.

use libtest_mimic::Trial;

use super::{assert_whole, commit, ids, lines};
use crate::stage::{Stage, test};

/// A `git` after each of whose fetches this is done, as by an agent that only waits for it.
fn after_fetches(stage: &Stage, script: &str) -> String {
    let shim = format!(
        "#!/bin/sh\nPATH=${{PATH#*:}}\ngit \"$@\" || exit\ncase \" $* \" in *' fetch '*) unset GIT_DIR GIT_COMMON_DIR GIT_WORK_TREE; cd '{}'; {script};; esac\n",
        stage.path("work").display()
    );
    stage.write("shim/git", &shim);
    stage.sh("chmod +x ../shim/git").ok();
    "PATH=\"$PWD/../shim:$PATH\"\n".to_owned()
}

/// A commit that nobody has asked for.
const EVIL: &str = "evil=$(git commit-tree -p main -m evil main^{tree})";

fn moved() {
    let stage = Stage::with_tasks(2);
    let main = commit(&stage, "main");
    let path = after_fetches(
        &stage,
        &format!(
            "{EVIL}; for name in main agent/t-1 agent/t-2; do git update-ref refs/remotes/origin/$name $evil; done"
        ),
    );
    stage.sh(&format!("{path}bd-ready | wt-spawn")).ok();
    assert_ne!(commit(&stage, "origin/main"), main);
    assert_whole(&stage, &ids(2));
    for id in ids(2) {
        assert_eq!(commit(&stage, &format!("agent/{id}")), main);
    }
}

fn head() {
    let stage = Stage::with_tasks(1);
    stage
        .sh("git push --quiet origin main:side; git fetch --quiet
             git symbolic-ref refs/remotes/origin/HEAD refs/remotes/origin/side")
        .ok();
    stage.sh("wt-spawn t-1").ok();
    assert_eq!(stage.bead("t-1")["metadata"]["base"], "main");
}

/// Several that wait, and what is asked of the remote meanwhile.
fn requests() {
    let stage = Stage::with_tasks(12);
    let path = after_fetches(&stage, "echo fetched >> ../fetches");
    stage.sh(&format!("{path}bd-ready | wt-spawn")).ok();
    assert_whole(&stage, &ids(12));
    let fetches = lines(&stage.read("fetches"), "fetched");
    assert!((1..12).contains(&fetches), "{fetches}");
    // What is whole asks nothing.
    stage
        .sh(&format!("{path}bd-ready --resume | wt-spawn"))
        .ok();
    assert_eq!(lines(&stage.read("fetches"), "fetched"), fetches);
}

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "wt-spawn: work starts where the remote says, whatever becomes of the clone's refs meanwhile",
            moved,
        ),
        test(
            "wt-spawn: the base is what the remote's HEAD names, not what the clone remembers",
            head,
        ),
        test(
            "wt-spawn: beads that wait together ask the remote once, and whole ones do not",
            requests,
        ),
    ]
}
