//! Repositories of every kind, remotes, bases, and where worktrees go.

use std::fs;

use libtest_mimic::Trial;
use serde_json::json;

use super::{assert_whole, commit, elsewhere, ids, lines};
use crate::stage::{Ran, Stage, test};

/// Runs `wt-spawn` on `t-1`, after a change to the repository.
fn spawn_after(change: &str, line: &str) -> (Stage, Ran) {
    let stage = Stage::with_tasks(1);
    stage.sh(change).ok();
    let ran = stage.sh(line);
    (stage, ran)
}

#[expect(clippy::too_many_lines, reason = "a list of tests")]
pub(super) fn trials() -> Vec<Trial> {
    let works = [
        (
            "a detached HEAD in the main worktree",
            "git checkout --quiet --detach",
            "wt-spawn t-1",
        ),
        (
            "a detached HEAD and no remote, given --base",
            "git checkout --quiet --detach; git remote remove origin",
            "wt-spawn --base main t-1",
        ),
        (
            "a dirty main worktree",
            "echo mine > a.txt; echo new > b.txt; git add b.txt",
            "wt-spawn t-1; grep mine a.txt; test -f b.txt",
        ),
        (
            "a call from inside a linked worktree",
            "git worktree add --quiet ../linked -b linked",
            "cd ../linked; wt-spawn t-1; git -C ../work worktree remove ../linked",
        ),
        (
            "a call from elsewhere with -C",
            "true",
            "cd /; wt-spawn -C \"$OLDPWD\" t-1",
        ),
        (
            "a call from a folder below",
            "mkdir -p ignored/deep",
            "cd ignored/deep; wt-spawn t-1",
        ),
        (
            "a remote HEAD that the clone does not know",
            "git remote set-head origin --delete",
            "wt-spawn t-1",
        ),
        (
            "an inherited GIT_DIR of another repository",
            "git init --quiet ../stranger",
            "GIT_DIR=../stranger/.git GIT_INDEX_FILE=/nowhere wt-spawn t-1",
        ),
    ];
    let fails = [
        (
            "a repository without commits",
            "rm -rf .git; git init --quiet",
            "wt-spawn t-1",
            "'main' has no commits yet",
        ),
        (
            "a detached HEAD and no remote",
            "git checkout --quiet --detach; git remote remove origin",
            "wt-spawn t-1",
            "HEAD is detached and no remote names one; give --base",
        ),
        (
            "a remote that is gone",
            "rm -rf ../remote.git",
            "wt-spawn t-1",
            "t-1: cannot fetch the base: ",
        ),
        (
            "a remote that is gone, its HEAD unknown",
            "git remote set-head origin --delete; rm -rf ../remote.git",
            "wt-spawn t-1",
            "cannot reach the remote 'origin': ",
        ),
        (
            "an empty remote",
            "rm -rf ../remote.git; git init --quiet --bare ../remote.git",
            "wt-spawn t-1",
            "t-1: the base branch 'main' is not on the remote: push it first",
        ),
        (
            "a base that the remote lacks",
            "true",
            "wt-spawn --base nowhere t-1",
            "t-1: the base branch 'nowhere' is not on the remote: push it first",
        ),
        (
            "a bead that is unknown",
            "true",
            "wt-spawn t-99",
            "t-99: no such bead",
        ),
        (
            "a disk with too little space",
            "true",
            "wt-spawn --min-free 1EiB t-1",
            "less than --min-free 1.0 EiB",
        ),
        (
            "a branch template that names the base",
            "true",
            "wt-spawn --base agent/t-1 t-1",
            "t-1: its branch would be the base",
        ),
    ];
    let mut trials: Vec<Trial> = Vec::new();
    for (name, change, line) in works {
        trials.push(test(&format!("wt-spawn: works with {name}"), move || {
            let (stage, ran) = spawn_after(change, line);
            ran.ok();
            assert_whole(&stage, &ids(1));
        }));
    }
    for (name, change, line, why) in fails {
        trials.push(test(
            &format!("wt-spawn: says in one line why not with {name}"),
            move || {
                let (stage, ran) = spawn_after(change, line);
                let ran = ran.code(1).says(why);
                assert_eq!(ran.stdout, "");
                let talk = ran
                    .stderr
                    .lines()
                    .filter(|line| !line.ends_with("t-1: claimed"))
                    .count();
                assert_eq!(talk, 1, "{}", ran.all());
                let left = stage
                    .sh("git worktree list | tail -n +2; git for-each-ref refs/heads/agent")
                    .ok();
                assert_eq!(left.stdout, "", "left behind");
                let bead = stage.bead("t-1");
                let claimed = bead["status"] == "in_progress";
                let error = bead["metadata"]["error"].as_str().unwrap_or_default();
                assert_eq!(
                    claimed,
                    !error.is_empty(),
                    "an error is kept after the claim: {bead}"
                );
            },
        ));
    }
    trials.extend([
        test("the line: a hundred packs that come meanwhile are read", || {
            let mut stage = Stage::with_tasks(2);
            stage.simple();
            // What is fetched comes as a pack, too.
            stage.sh("git config fetch.unpackLimit 1").ok();
            let feed = "bd-ready t-1
                until grep -q '\"status\":\"closed\"' .beads/issues.jsonl; do sleep 0.05; done
                mkdir ../blobs; for n in {1..100}; do echo $n > ../blobs/$n; done
                for sha in $(ls -d ../blobs/* | git hash-object -w --stdin-paths); do
                    echo $sha | git pack-objects --quiet .git/objects/pack/pack > /dev/null
                done
                git prune-packed --quiet
                git clone --quiet ../remote.git ../other
                git -C ../other commit --quiet --allow-empty -m theirs; git -C ../other push --quiet
                bd-ready t-2";
            let line = "wt-spawn | agent-run | pr-open | pr-merge | wt-clean > /dev/null";
            stage.sh(&format!("{{ {feed}; }} | {line}")).ok();
            assert_eq!(stage.bead("t-2")["status"], "closed");
        }),
        test("wt-spawn: without a remote the base is the local branch, said once", || {
            let stage = Stage::with_tasks(3);
            stage.sh("git remote remove origin").ok();
            let ran = stage.sh("bd-ready | wt-spawn").ok();
            assert_eq!(lines(&ran.stderr, "no remote 'origin': the base is the local branch"), 1);
            assert_whole(&stage, &ids(3));
        }),
        test("wt-spawn: a bead that failed with its remote goes on when the remote is back", || {
            let stage = Stage::with_tasks(1);
            stage.sh("mv ../remote.git ../away; bd-ready | wt-spawn").code(1).says("t-1: cannot fetch");
            assert_ne!(stage.bead("t-1")["metadata"]["error_at"], "");
            stage.sh("mv ../away ../remote.git; bd-ready --resume | wt-spawn").ok();
            assert_whole(&stage, &ids(1));
        }),
        test("wt-spawn: a submodule is no obstacle", || {
            let stage = Stage::with_tasks(1);
            stage.sh("git config --global protocol.file.allow always; git config submodule.recurse true
                      git init --quiet ../sub; git -C ../sub commit --quiet --allow-empty -m sub
                      git submodule --quiet add \"$PWD/../sub\" sub; git commit --quiet -m sub; git push --quiet")
                .ok();
            stage.sh("wt-spawn --setup 'git submodule --quiet update --init' t-1").ok();
            assert_whole(&stage, &ids(1));
            stage.sh("git -C ../work.worktrees/t-1/sub log -1").ok();
        }),
        test("wt-spawn: the base is the remote's, freshly fetched, never the local branch", || {
            let stage = Stage::with_tasks(2);
            stage.sh("git commit --quiet --allow-empty -m 'local, not pushed'").ok();
            stage.sh("wt-spawn t-1").ok();
            assert_eq!(commit(&stage, "agent/t-1"), commit(&stage, "origin/main"));
            elsewhere(&stage, "git commit --quiet --allow-empty -m theirs; git push --quiet");
            stage.sh("git reset --quiet --hard HEAD~1; wt-spawn t-2").ok();
            let theirs = stage.sh_in("other", "git rev-parse HEAD").ok().stdout.trim().to_owned();
            assert_eq!(commit(&stage, "agent/t-2"), theirs);
            assert_ne!(commit(&stage, "main"), theirs);
            assert_whole(&stage, &ids(2));
        }),
        test("wt-spawn: --under and --branch decide where, and a template without {id} is a usage error", || {
            let stage = Stage::with_tasks(1);
            stage.sh("wt-spawn --branch fixed t-1").code(2).says("{id}");
            let ran = stage.sh("wt-spawn --under ../trees --branch 'x/{id}/y-{id}' t-1").ok();
            let facts = &ran.beads()[0]["metadata"];
            assert_eq!(facts["branch"], "x/t-1/y-t-1");
            assert_eq!(facts["worktree"], json!(fs::canonicalize(stage.path("trees/t-1")).unwrap()));
            stage.sh("git -C ../trees/t-1 symbolic-ref HEAD | grep refs/heads/x/t-1/y-t-1").ok();
        }),
        test("wt-spawn: --dry-run changes nothing and prints what agent-run can read", || {
            let stage = Stage::with_tasks(2);
            let before = stage.read("work/.beads/issues.jsonl");
            let ran = stage.sh("bd-ready | wt-spawn --dry-run").ok().says("t-2: would get the worktree");
            assert!(!ran.stdout.contains("null"), "facts are never null: {}", ran.stdout);
            assert_eq!(ran.beads()[0]["status"], "in_progress");
            assert_eq!(stage.read("work/.beads/issues.jsonl"), before);
            let ran = stage.sh("bd-ready | wt-spawn --dry-run | agent-run --agent true --dry-run").ok();
            assert_eq!(ran.ids(), ids(2), "{}", ran.all());
            stage.sh("! ls ../work.worktrees 2>/dev/null; ! git for-each-ref refs/heads/agent | grep .").ok();
        }),
    ]);
    trials
}
