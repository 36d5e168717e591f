//! Repositories that would go with a worktree.

use libtest_mimic::Trial;

use super::{LINE, ids, landed, left};
use crate::stage::{Stage, test};

/// Beside the remote: `sub.git`, with a branch, a commit further a tag, and `sub`, a clone of it.
const SUB: &str =
    "git config --global protocol.file.allow always; git config --global advice.detachedHead false
    git init --quiet --bare ../sub.git; git clone --quiet ../sub.git ../sub 2>/dev/null; cd ../sub
    git commit --quiet --allow-empty -m one; git push --quiet; git checkout --quiet --detach
    git commit --quiet --allow-empty -m tagged; git tag v1; git push --quiet origin v1; cd ../work";

/// What an agent leaves, in bash in its worktree with `$sub`; and what is said of it, if it stays.
const CASES: [(&str, &str); 17] = [
    ("git clone --quiet $sub ignored/c", ""),
    ("git init --quiet ignored/empty", ""),
    (
        "git clone --quiet --depth 1 --branch v1 file://$sub ignored/c 2>/dev/null",
        "",
    ),
    (
        "git clone --quiet $sub ignored/c; cd ignored/c; git commit --quiet --allow-empty -m x; git push --quiet $sub HEAD:refs/heads/other-$RANDOM",
        "",
    ),
    (
        "git -C ${sub%.git} worktree add --quiet --detach $PWD/ignored/w",
        "",
    ),
    (
        "mkdir -p ignored/x; echo 'gitdir: /nowhere' > ignored/x/.git",
        "",
    ),
    ("mkdir -p ignored; ln -s ${sub%.git} ignored/link", ""),
    (
        "git init --quiet ignored/n; git -C ignored/n commit --quiet --allow-empty -m n",
        "refs/heads/main at",
    ),
    (
        "git clone --quiet $sub ignored/c; cd ignored/c; git checkout --quiet -b mine; git commit --quiet --allow-empty -m n; git checkout --quiet main",
        "refs/heads/mine at",
    ),
    (
        "git clone --quiet $sub ignored/c; cd ignored/c; git checkout --quiet --detach; git commit --quiet --allow-empty -m n; git pack-refs --all",
        "HEAD at",
    ),
    (
        "git clone --quiet $sub ignored/c; cd ignored/c; echo 1 > f; git add f; git stash --quiet; echo 2 > f; git add f; git stash --quiet; git stash drop --quiet",
        "refs/stash at",
    ),
    (
        "git clone --quiet $sub ignored/c; git -C ignored/c worktree add --quiet --detach $PWD/ignored/w; git -C ignored/w commit --quiet --allow-empty -m n",
        "HEAD of 'w' at",
    ),
    (
        "mkdir ignored; git init --quiet --separate-git-dir ignored/store ignored/n; git -C ignored/n commit --quiet --allow-empty -m n",
        "ignored/store' has commits that are nowhere else",
    ),
    (
        "mkdir ignored; git init --quiet ignored/n; git -C ignored/n commit --quiet --allow-empty -m n; mv ignored/n/.git ignored/store; ln -s ../store ignored/n/.git",
        "ignored/store' has commits that are nowhere else",
    ),
    (
        "git clone --quiet $sub ignored/c; git -C ignored/c commit --quiet --allow-empty -m n; git -C ignored/c config remote.origin.url https://127.0.0.1:1/x",
        "as far as can be told",
    ),
    (
        "git clone --quiet $sub ignored/c; rm -r ignored/c/.git/refs; ln -s /nowhere ignored/c/.git/refs",
        "cannot tell whether",
    ),
    (
        "git clone --quiet $sub ignored/c; mkdir ignored/c/.git/reftable",
        "its refs are no files",
    ),
];

fn cases() {
    let stage = landed(CASES.len());
    stage.sh(SUB).ok();
    for (id, (script, _)) in ids(CASES.len()).iter().zip(CASES) {
        stage
            .sh(&format!(
                "sub=$(cd ../sub.git; pwd); cd ../work.worktrees/{id}; {script}"
            ))
            .ok();
    }
    let all = ids(CASES.len());
    let before: Vec<String> = all.iter().map(|id| left(&stage, id)).collect();
    let ran = stage.sh(&format!("wt-clean {}", all.join(" "))).code(1);
    for ((id, (script, why)), before) in all.iter().zip(CASES).zip(before) {
        let now = left(&stage, id);
        if why.is_empty() {
            assert_eq!(now, "", "{script}\n{}", ran.all());
            continue;
        }
        assert_eq!(now, before, "{script}\n{}", ran.all());
        ran.says_of(id, why);
    }
    // The clone that the worktree was of, and what a link leads to, are as they were.
    stage.sh("git -C ../sub log -1; git -C ../sub fsck").ok();
}

fn submodules() {
    let mut stage = Stage::with_tasks(1);
    stage.sh(&format!("{SUB}; git submodule --quiet add ../sub.git sub; git commit --quiet -m sub; git push --quiet")).ok();
    // A commit that is on no branch: it is seen nowhere, but its remote has it.
    stage.agent(
        "set -eu; git submodule --quiet update --init; git -C sub checkout --quiet v1
         git add sub; git commit --quiet -m bump",
    );
    stage.set("BEADLINE_NO_CHECKS", "1");
    assert_eq!(stage.sh(LINE).ok().ids(), ["t-1"]);
    let sub = "work.worktrees/t-1/sub";
    let at = stage.sh("git ls-tree origin/main sub").ok().stdout;
    let tag = stage.sh("git -C ../sub rev-parse v1").ok().stdout;
    assert!(at.contains(tag.trim()), "the bump has landed: {at}");

    stage
        .sh_in(sub, "git checkout --quiet -b topic; git commit --quiet --allow-empty -m more; git checkout --quiet --detach HEAD~1")
        .ok();
    let before = left(&stage, "t-1");
    let stays = |why: &str| {
        stage.sh("wt-clean t-1").code(1).says(why);
        assert_eq!(left(&stage, "t-1"), before);
    };
    stays("refs/heads/topic at");
    // Its folder goes, the submodule's repository stays.
    stage
        .sh("mv ../work.worktrees/t-1 ../away; wt-clean --all < /dev/null")
        .code(1)
        .says("modules/sub' has commits that are nowhere else: refs/heads/topic at");
    stage
        .sh("mkdir -p ../work.worktrees; mv ../away ../work.worktrees/t-1")
        .ok();
    stays("push them, or delete it");
    stage.sh_in(sub, "git push --quiet origin topic").ok();
    stage.sh("wt-clean --all t-1").ok().says("t-1: cleaned");
    stage.assert_clean();
}

fn hostile() {
    let stage = landed(1);
    stage
        .sh("git config --global protocol.ext.allow always")
        .ok();
    let evil = stage.path("home/PWNED");
    stage
        .sh_in(
            "work.worktrees/t-1",
            "git init --quiet ignored/n; cd ignored/n; git commit --quiet --allow-empty -m n
             evil='touch \"$HOME/PWNED\"'
             for key in core.fsmonitor core.pager core.sshCommand core.alternateRefsCommand core.gitProxy uploadpack.packObjectsHook; do
                 git config $key \"$evil\"; done
             git config remote.origin.url \"ext::sh -c touch% $HOME/PWNED\"; git config remote.origin.promisor true
             git config extensions.partialClone origin; git config protocol.ext.allow always
             rm .git/objects/??/*; rm -f \"$HOME/PWNED\"",
        )
        .ok();
    let before = left(&stage, "t-1");
    let ran = stage.sh("wt-clean t-1").code(1);
    ran.says_of("t-1", "cannot tell whether the commits of the repository");
    assert_eq!(left(&stage, "t-1"), before);
    assert!(!evil.exists(), "a program of the agent's ran");
}

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "wt-clean: a repository in a worktree keeps it as long as it has commits that are nowhere else",
            cases,
        ),
        test(
            "wt-clean: a worktree with commits in a submodule goes once they are pushed",
            submodules,
        ),
        test(
            "wt-clean: a repository's own configuration runs no program",
            hostile,
        ),
    ]
}
