//! What counts as landed, and what an agent's own objects and refs hold.

use libtest_mimic::Trial;

use super::{landed, left};
use crate::stage::{Stage, test};

fn rewound() {
    let stage = landed(1);
    let before = left(&stage, "t-1");
    // Somebody has taken it back; the clone remembers otherwise.
    stage
        .sh("git -C ../remote.git update-ref refs/heads/main $(git rev-parse origin/main~)")
        .ok();
    stage
        .sh("wt-clean t-1")
        .code(1)
        .says("origin/main does not contain its");
    assert_eq!(left(&stage, "t-1"), before);
}

fn moved_back() {
    let stage = landed(2);
    stage
        .sh(
            "git update-ref refs/remotes/origin/main $(git rev-list --max-parents=0 main)
             bd-ready --phase merged | wt-clean --all",
        )
        .ok();
    stage.assert_clean();
}

/// What a run leaves that was stopped before its verdict; `new`: with a commit of its own.
fn own_git(stage: &Stage, new: bool) {
    let work = match new {
        true => "export GIT_OBJECT_DIRECTORY=$own/objects GIT_ALTERNATE_OBJECT_DIRECTORIES=$PWD/.git/objects
            git commit-tree -p agent/t-1 -m more agent/t-1^{tree}",
        false => "git rev-parse agent/t-1",
    };
    stage
        .sh(&format!(
            "own=.git/beadline/t-1/git; mkdir -p $own/objects $own/refs/heads/agent
             git rev-parse agent/t-1 > $own/head; ({work}) > $own/refs/heads/agent/t-1"
        ))
        .ok();
}

fn goes() {
    // Also where all else is gone already.
    for cleaned in [false, true] {
        let stage = landed(1);
        own_git(&stage, false);
        if cleaned {
            stage.sh("mv .git/beadline/t-1/git ../git; wt-clean t-1; mkdir -p .git/beadline/t-1; mv ../git .git/beadline/t-1/git").ok();
        }
        stage.sh("wt-clean --all < /dev/null").ok();
        assert!(!stage.path("work/.git/beadline/t-1/git").exists());
        stage.assert_clean();
    }
}

fn holds_work() {
    let stage = landed(1);
    own_git(&stage, true);
    let more = stage.read("work/.git/beadline/t-1/git/refs/heads/agent/t-1");
    stage
        .sh("wt-clean t-1")
        .code(1)
        .says("has commits that have not landed");
    let at = stage
        .sh("git rev-parse agent/t-1; git cat-file -e agent/t-1")
        .ok();
    assert_eq!(at.stdout, more);
}

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "wt-clean: what the remote's base has no more has not landed, whatever the clone remembers",
            rewound,
        ),
        test(
            "wt-clean: what the remote's base has goes, wherever the clone's ref of it is",
            moved_back,
        ),
        test(
            "wt-clean: an agent's own objects and refs go with its bead",
            goes,
        ),
        test(
            "wt-clean: a commit that only an agent's own objects hold is kept",
            holds_work,
        ),
    ]
}
