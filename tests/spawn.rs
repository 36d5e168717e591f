//! `wt-spawn`: one claim, one branch, one worktree a bead, whatever happened before.

use std::fs;
use std::path::PathBuf;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::stage::{Ran, Stage, scale, task, test, until};

/// The facts that a claim of this clone writes.
fn facts(stage: &Stage, id: &str, host: &str) -> Value {
    json!({
        "phase": "spawned", "worktree": tree(stage, id), "branch": format!("agent/{id}"),
        "base": "main", "host": host, "agent_pid": 0, "pr_number": 0, "attempt": 0,
        "run_from": 0, "round": 0, "outcome": "", "feedback": "", "not_before": "", "error": "",
        "error_at": "", "waits": "", "waits_at": "",
    })
}

/// Leaves a bead as a `wt-spawn` does that is killed right after its claim.
fn claim(stage: &Stage, id: &str) {
    stage.sh("git config beadline.host box-1").ok();
    let facts = facts(stage, id, "box-1");
    stage.edit(
        id,
        &json!({"status": "in_progress", "assignee": "beadline/box-1/0", "metadata": facts}),
    );
}

fn tree(stage: &Stage, id: &str) -> PathBuf {
    fs::canonicalize(stage.path(""))
        .unwrap()
        .join("work.worktrees")
        .join(id)
}

fn commit(stage: &Stage, name: &str) -> String {
    stage
        .sh(&format!("git rev-parse --verify '{name}^{{commit}}'"))
        .ok()
        .stdout
        .trim()
        .to_owned()
}

fn lines(text: &str, part: &str) -> usize {
    text.lines().filter(|line| line.contains(part)).count()
}

/// Another person's clone, from which things are pushed.
fn elsewhere(stage: &Stage, script: &str) {
    let script = format!(
        "[ -d other ] || git clone --quiet remote.git other; cd other; git pull --quiet\n{script}"
    );
    stage.sh_in("", &script).ok();
}

/// Asserts that these beads have a complete, clean worktree on a branch of their own, and that
/// there is no other branch, worktree or left-over.
#[track_caller]
fn assert_whole(stage: &Stage, ids: &[String]) {
    let mut ids = ids.to_vec();
    ids.sort();
    let look = stage
        .sh(
            "git worktree list --porcelain | sed -n 's,^worktree .*/work.worktrees/,,p' | sort
             echo; git for-each-ref --format='%(refname:lstrip=3)' refs/heads/agent | sort
             echo; ls -A ../work.worktrees | sort",
        )
        .ok();
    let want = ids.join("\n");
    assert_eq!(
        look.stdout.trim(),
        format!("{want}\n\n{want}\n\n{want}"),
        "worktrees, branches, folders"
    );
    for id in ids {
        let made = stage
            .sh_in(
                &format!("work.worktrees/{id}"),
                "git symbolic-ref HEAD; git status --porcelain; cat a.txt; cd \"$(git rev-parse --git-dir)\"
                 ls -d beadline-[mr]* locked index.lock 2>/dev/null || true",
            )
            .ok();
        assert_eq!(
            made.stdout,
            format!("refs/heads/agent/{id}\none\nbeadline-ready\n"),
            "{id}"
        );
        let bead = stage.bead(&id);
        assert_eq!(bead["metadata"]["worktree"], json!(tree(stage, &id)));
        assert_eq!(
            (&bead["status"], &bead["metadata"]["phase"]),
            (&json!("in_progress"), &json!("spawned"))
        );
    }
}

fn ids(count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("t-{n}")).collect()
}

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = counts();
    trials.extend(repositories());
    trials.extend(branches());
    trials.extend(repairs());
    trials.extend(claims());
    trials.extend(furnishing());
    trials
}

fn counts() -> Vec<Trial> {
    vec![
        test(
            "wt-spawn: 64 beads at once get 64 worktrees and no stray branch, again and again",
            || {
                for _ in 0..2 * scale() {
                    let stage = Stage::with_tasks(64);
                    let ran = stage.sh("bd-ready | wt-spawn --jobs 16").ok();
                    assert_eq!(ran.beads().len(), 64, "{}", ran.all());
                    assert_whole(&stage, &ids(64));
                }
            },
        ),
        test(
            "wt-spawn: of 16 that race for the same beads exactly one claims each",
            || {
                let stage = Stage::with_tasks(16);
                let ran = stage
                    .sh("bd-ready > ../beads; pids=
                     for i in {1..16}; do
                         wt-spawn < ../beads > ../out.$i 2> ../err.$i & pids=\"$pids $!\"
                     done
                     for pid in $pids; do wait $pid; done
                     cat ../err.* >&2; cat ../out.*")
                    .ok();
                for id in ids(16) {
                    assert_eq!(
                        lines(&ran.stderr, &format!(" {id}: claimed")),
                        1,
                        "{}",
                        ran.all()
                    );
                    for n in 1..=16 {
                        let won = stage
                            .read(&format!("out.{n}"))
                            .contains(&format!("\"id\":\"{id}\""));
                        let lost = stage
                            .read(&format!("err.{n}"))
                            .contains(&format!(" {id}: left"));
                        assert!(won || lost, "{n} says nothing of {id}\n{}", ran.all());
                    }
                }
                assert_whole(&stage, &ids(16));
            },
        ),
        test("wt-spawn: beads that wait together share a fetch", || {
            let stage = Stage::with_tasks(16);
            // A remote that is slow to answer, and counts.
            stage.write("home/upload", "#!/bin/sh\necho fetch >> \"$HOME/fetches\"; sleep 1\nexec git-upload-pack \"$@\"\n");
            stage
                .sh("chmod +x ~/upload; git config remote.origin.uploadpack ~/upload")
                .ok();
            stage.sh("bd-ready | wt-spawn --jobs 16").ok();
            assert_whole(&stage, &ids(16));
            let fetches = lines(&stage.read("home/fetches"), "fetch");
            assert!((1..=6).contains(&fetches), "{fetches} fetches for 16 beads");
        }),
        test(
            "wt-spawn: killed at any moment, the next run makes all worktrees whole",
            || {
                let mut random = fastrand::Rng::with_seed(crate::stage::seed());
                for _ in 0..3 * scale() {
                    let stage = Stage::with_tasks(8);
                    for _ in 0..3 {
                        let mut running = stage.start("bd-ready --resume | wt-spawn");
                        std::thread::sleep(std::time::Duration::from_millis(random.u64(20..600)));
                        running.kill();
                    }
                    stage.sh("bd-ready --resume | wt-spawn").ok();
                    assert_whole(&stage, &ids(8));
                }
            },
        ),
    ]
}

/// Runs `wt-spawn` on `t-1`, after a change to the repository.
fn spawn_after(change: &str, line: &str) -> (Stage, Ran) {
    let stage = Stage::with_tasks(1);
    stage.sh(change).ok();
    let ran = stage.sh(line);
    (stage, ran)
}

#[expect(clippy::too_many_lines, reason = "a list of tests")]
fn repositories() -> Vec<Trial> {
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

/// Claims `t-1` again after a person reopened it.
fn reopen(stage: &Stage, id: &str) {
    stage.edit(id, &json!({"status": "open", "assignee": ""}));
}

#[expect(clippy::too_many_lines, reason = "a list of tests")]
fn branches() -> Vec<Trial> {
    vec![
        test(
            "wt-spawn: a local branch with commits of its own is taken up",
            || {
                let stage = Stage::with_tasks(1);
                stage
                    .sh("git branch agent/t-1 $(git commit-tree -p HEAD -m own HEAD^{tree})")
                    .ok();
                let own = commit(&stage, "agent/t-1");
                stage.sh("wt-spawn t-1").ok();
                assert_whole(&stage, &ids(1));
                assert_eq!(commit(&stage, "agent/t-1"), own);
            },
        ),
        test(
            "wt-spawn: a remote branch with commits of its own is taken up, also over an older local one",
            || {
                let stage = Stage::with_tasks(2);
                elsewhere(&stage, "for id in t-1 t-2; do
                git checkout --quiet -b agent/$id main; git commit --quiet --allow-empty -m $id; git push --quiet -u origin agent/$id; done");
                stage.sh("git branch agent/t-2; bd-ready | wt-spawn").ok();
                assert_whole(&stage, &ids(2));
                for id in ids(2) {
                    assert_eq!(
                        commit(&stage, &format!("agent/{id}")),
                        commit(&stage, &format!("origin/agent/{id}"))
                    );
                    assert_ne!(
                        commit(&stage, &format!("agent/{id}")),
                        commit(&stage, "main")
                    );
                }
            },
        ),
        test(
            "wt-spawn: a branch without commits of its own moves to the fresh base",
            || {
                let stage = Stage::with_tasks(2);
                stage
                    .sh("git branch agent/t-1; git push --quiet origin HEAD:agent/t-2")
                    .ok();
                elsewhere(
                    &stage,
                    "git commit --quiet --allow-empty -m later; git push --quiet origin main",
                );
                stage.sh("bd-ready | wt-spawn").ok();
                assert_whole(&stage, &ids(2));
                for id in ids(2) {
                    assert_eq!(
                        commit(&stage, &format!("agent/{id}")),
                        commit(&stage, "origin/main")
                    );
                }
            },
        ),
        test(
            "wt-spawn: a branch that is checked out by a person is neither moved nor taken",
            || {
                let stage = Stage::with_tasks(1);
                stage.sh("git checkout --quiet -b agent/t-1").ok();
                elsewhere(
                    &stage,
                    "git checkout --quiet -b agent/t-1; git commit --quiet --allow-empty -m more; git push --quiet -u origin agent/t-1",
                );
                let before = commit(&stage, "HEAD");
                stage
                    .sh("wt-spawn t-1")
                    .code(1)
                    .says("t-1: its branch agent/t-1 is checked out at");
                assert_eq!(commit(&stage, "HEAD"), before);
            },
        ),
        test(
            "wt-spawn: what has landed and was reopened moves to the base, its worktree kept or not",
            || {
                let mut stage = Stage::with_tasks(2);
                stage.simple();
                stage
                    .sh("bd-ready | wt-spawn | agent-run | pr-open | pr-merge")
                    .ok();
                // The one's worktree is still there; the other's is gone, its branches are not.
                stage.sh("wt-clean --keep-branch t-2").ok();
                for id in ids(2) {
                    let bead = stage.bead(&id);
                    assert_eq!(
                        bead["metadata"]["pushed"],
                        json!(commit(&stage, &format!("agent/{id}")))
                    );
                    reopen(&stage, &id);
                }
                stage.sh("bd-ready | wt-spawn").ok();
                assert_whole(&stage, &ids(2));
                for id in ids(2) {
                    assert_eq!(
                        commit(&stage, &format!("agent/{id}")),
                        commit(&stage, "origin/main")
                    );
                    stage
                        .sh(&format!("test -f ../work.worktrees/{id}/{id}.txt"))
                        .ok();
                }
            },
        ),
        test(
            "wt-spawn: work that was pushed after a landing has not landed",
            || {
                let mut stage = Stage::with_tasks(1);
                stage.simple();
                stage
                    .sh("bd-ready | wt-spawn | agent-run | pr-open | pr-merge | wt-clean")
                    .ok();
                reopen(&stage, "t-1");
                stage.agent(
                    "set -eu; echo again > again.txt; git add .; git commit --quiet -m again",
                );
                stage.sh("bd-ready | wt-spawn | agent-run | pr-open").ok();
                let work = commit(&stage, "agent/t-1");
                stage.edit("t-1", &json!({"status": "blocked", "assignee": ""}));
                stage.sh("wt-spawn --retry t-1").ok();
                assert_eq!(commit(&stage, "agent/t-1"), work);
                stage.sh("test -f ../work.worktrees/t-1/again.txt").ok();
            },
        ),
    ]
}

fn repairs() -> Vec<Trial> {
    // Run in the clone, with $id and $tree.
    let crashed = [
        "true",
        "git branch agent/$id",
        "mkdir -p .git/worktrees/$id; printf initializing > .git/worktrees/$id/locked",
        "git worktree add --quiet --no-checkout -b agent/$id $tree",
        "git worktree add --quiet --no-checkout -b agent/$id $tree; printf initializing > .git/worktrees/$id/locked",
        "git worktree add --quiet --no-checkout -b agent/$id $tree; printf initializing > .git/worktrees/$id/locked; rm -r $tree",
        "git worktree add --quiet --no-checkout -b agent/$id $tree; cd .git/worktrees/$id; printf initializing > locked; printf '%040d\\n' 0 > HEAD",
        "git worktree add --quiet --no-checkout -b agent/$id $tree; touch .git/worktrees/$id/beadline-making; echo on > $tree/a.txt",
        "git worktree add --quiet -b agent/$id $tree; touch .git/worktrees/$id/{beadline-making,index.lock}; rm $tree/.gitignore",
        "git worktree add --quiet -b agent/$id $tree; touch .git/worktrees/$id/beadline-making; echo half > $tree/set-up",
        "git worktree add --quiet -b agent/$id $tree; touch .git/worktrees/$id/beadline-ready; rm -r $tree",
        "git worktree add --quiet -b agent/$id $tree; rm -r .git/worktrees/$id; rm $tree/a.txt $tree/.gitignore",
        "mkdir -p $tree",
        "git worktree add --quiet -b agent/$id $tree; touch .git/worktrees/$id/beadline-ready",
    ];
    // The same, each with what is said of it; nothing of these may be touched.
    let foreign = [
        (
            "mkdir -p $tree; echo mine > $tree/mine",
            "in the way: no worktree of this repository",
        ),
        (
            "git worktree add --quiet -b mine $tree",
            "in the way: beadline did not make it",
        ),
        (
            "git worktree add --quiet -b agent/$id $tree",
            "in the way: beadline did not make it",
        ),
        (
            "git worktree add --quiet --no-checkout -b agent/$id $tree; git worktree lock --reason precious $tree",
            "is locked: precious",
        ),
        (
            "mkdir -p ../outside/$id ../work.worktrees; echo mine > ../outside/$id/mine; ln -s ../outside/$id $tree",
            "in the way: a symbolic link",
        ),
        (
            "mkdir -p ../outside; git worktree add --quiet -b agent/$id $tree; touch .git/worktrees/$id/beadline-ready; mv $tree ../outside/$id; ln -s ../outside/$id $tree",
            "in the way: a symbolic link",
        ),
        (
            "git clone --quiet ../remote.git $tree; echo mine > $tree/mine",
            "in the way: no worktree of this repository",
        ),
        (
            "mkdir -p ../work.worktrees; echo mine > $tree",
            "in the way: no worktree of this repository",
        ),
    ];
    vec![
        test(
            "wt-spawn: whatever a crash left of a worktree is made whole",
            move || {
                let count = crashed.len();
                let stage = Stage::with_tasks(count);
                for (id, crash) in ids(count).iter().zip(crashed) {
                    claim(&stage, id);
                    stage
                        .sh(&format!("id={id} tree=../work.worktrees/{id}\n{crash}"))
                        .ok();
                }
                stage.sh("rm -rf .git/beadline").ok();
                let ran = stage.sh("bd-ready --resume | wt-spawn").ok();
                assert_eq!(ran.beads().len(), count, "{}", ran.all());
                assert_whole(&stage, &ids(count));
                stage
                    .sh("git worktree prune --verbose 2>&1 | (! grep .)")
                    .ok();
                // A second run finds nothing to do.
                stage
                    .sh("bd-ready --resume | wt-spawn")
                    .ok()
                    .says_not("worktree");
            },
        ),
        test(
            "wt-spawn: a lock file of a git that was killed is no obstacle",
            || {
                let stage = Stage::with_tasks(1);
                stage.sh("mkdir .git/refs/heads/agent; touch -d '1 minute ago' .git/refs/heads/agent/t-1.lock").ok();
                stage.sh("wt-spawn t-1").ok();
                assert_whole(&stage, &ids(1));
            },
        ),
        test(
            "wt-spawn: what it did not make and finds in the place is never touched",
            move || {
                let count = foreign.len();
                let stage = Stage::with_tasks(count);
                for (id, (state, _)) in ids(count).iter().zip(foreign) {
                    claim(&stage, id);
                    stage
                        .sh(&format!("id={id} tree=../work.worktrees/{id}\n{state}"))
                        .ok();
                }
                // Their branches are ahead on the remote, which tempts.
                elsewhere(&stage, &format!("for n in {{1..{count}}}; do git checkout --quiet -b agent/t-$n main
                git commit --quiet --allow-empty -m ahead; git push --quiet origin agent/t-$n; done"));
                let look = "find ../work.worktrees ../outside -not -name .git -not -path '*/.git/*' -printf '%p %y %i %T@ %l\\n' | sort
                        for tree in ../work.worktrees/*/ ../outside/*/; do git -C $tree rev-parse HEAD || true; done 2>/dev/null";
                let before = stage.sh(look).ok().stdout;
                let ran = stage.sh("bd-ready --resume | wt-spawn").code(1);
                assert_eq!(ran.stdout, "", "{}", ran.all());
                for (id, (_, why)) in ids(count).iter().zip(foreign) {
                    let said: Vec<&str> = ran
                        .stderr
                        .lines()
                        .filter(|line| line.contains(&format!(" {id}: ")))
                        .collect();
                    assert!(
                        said.len() == 1 && said[0].contains(why),
                        "{id}: {why}\n{}",
                        ran.all()
                    );
                    assert!(
                        stage.bead(id)["metadata"]["error"]
                            .as_str()
                            .unwrap()
                            .contains(why)
                    );
                }
                assert_eq!(stage.sh(look).ok().stdout, before);
            },
        ),
        test("wt-spawn: nothing is repaired under a living agent", || {
            let stage = Stage::with_tasks(2);
            for id in ids(2) {
                claim(&stage, &id);
                stage.edit(&id, &json!({"metadata": {"phase": "working", "run": 1}}));
            }
            stage.sh("mkdir -p .git/beadline/t-1; setsid flock .git/beadline/t-1/hold.lock sleep 300 > /dev/null 2>&1 < /dev/null &
                      BEADLINE_HOLD=box-1:t-2 setsid sleep 300 > /dev/null 2>&1 < /dev/null &").ok();
            until("the holder of a lock", || {
                stage
                    .sh("flock --nonblock .git/beadline/t-1/hold.lock true")
                    .code
                    == Some(1)
            });
            assert_eq!(stage.sh("bd-ready --resume | wt-spawn").ok().ids(), ids(2));
            stage.sh("! ls ../work.worktrees 2>/dev/null").ok();
            assert_eq!(stage.processes().len(), 1);
        }),
        test(
            "wt-spawn: a complete worktree that a person locked passes as it is",
            || {
                let stage = Stage::with_tasks(1);
                stage.sh("wt-spawn t-1; git worktree lock ../work.worktrees/t-1; echo mine > ../work.worktrees/t-1/mine").ok();
                assert_eq!(stage.sh("bd-ready --resume | wt-spawn").ok().ids(), ["t-1"]);
                assert_eq!(stage.read("work.worktrees/t-1/mine"), "mine\n");
            },
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "a list of tests")]
fn claims() -> Vec<Trial> {
    // A person was faster: between the line that was read and the claim.
    let persons = [
        json!({"assignee": "alice"}),
        json!({"status": "closed"}),
        json!({"status": "blocked"}),
        json!({"status": "deferred"}),
        json!({"status": "in_progress", "assignee": "alice"}),
        json!({"status": "in_progress", "assignee": ""}),
    ];
    vec![
        test(
            "wt-spawn: a lost claim is said and left off, and is no failure",
            move || {
                let count = persons.len() + 1;
                let stage = Stage::with_tasks(count + 1);
                stage.sh("bd-ready > ../stale").ok();
                for (id, change) in ids(count).iter().zip(&persons) {
                    stage.edit(id, change);
                }
                let gone: Vec<Value> = stage
                    .stored()
                    .into_iter()
                    .filter(|bead| bead["id"] != format!("t-{count}"))
                    .collect();
                stage.beads(&gone);
                let ran = stage.sh("wt-spawn < ../stale").ok();
                let other = format!("t-{}", count + 1);
                assert_eq!(ran.ids(), [other.as_str()]);
                for id in ids(count) {
                    assert_eq!(
                        lines(&ran.stderr, &format!(" {id}: left")),
                        1,
                        "{}",
                        ran.all()
                    );
                }
                for (id, change) in ids(count).iter().zip(&persons) {
                    let mut bead = task(id);
                    for (key, value) in change.as_object().unwrap() {
                        bead[key] = value.clone();
                    }
                    assert_eq!(stage.bead(id), bead);
                }
                assert_whole(&stage, &[other]);
            },
        ),
        test(
            "wt-spawn: a claim is one write with all facts, clears what an earlier one left, and keeps merged_sha",
            || {
                let stage = Stage::with_tasks(1);
                let old = json!({
                    "phase": "pr_created", "run": 7, "run_from": 3, "attempt": 2, "round": 3, "pr_number": 9, "outcome": "failed",
                    "feedback": "x", "error": "x", "error_at": "2026-01-01T00:00:00Z", "waits": "x",
                    "waits_at": "2026-01-01T00:00:00Z", "not_before": "2099-01-01T00:00:00Z", "host": "box-9",
                    "merged_sha": "abc", "pushed": "def", "head": "ghi", "mine": {"kept": 1.50},
                });
                stage.edit(
                    "t-1",
                    &json!({"assignee": "beadline/box-9/1", "metadata": old}),
                );
                let ran = stage.sh("wt-spawn t-1").ok();
                let bead = stage.bead("t-1");
                assert_eq!(ran.beads()[0], bead);
                let host = stage
                    .sh("git config beadline.host")
                    .ok()
                    .stdout
                    .trim()
                    .to_owned();
                assert!(
                    bead["assignee"]
                        .as_str()
                        .unwrap()
                        .starts_with(&format!("beadline/{host}/")),
                    "{bead}"
                );
                let mut want = facts(&stage, "t-1", &host);
                for (key, value) in [
                    ("run", json!(7)),
                    ("run_from", json!(7)),
                    ("merged_sha", json!("abc")),
                    ("pushed", json!("def")),
                    ("head", json!("ghi")),
                    ("mine", json!({"kept": 1.50})),
                ] {
                    want[key] = value;
                }
                assert_eq!(bead["metadata"], want);
            },
        ),
        test("wt-spawn: every claim has a token of its own", || {
            let stage = Stage::with_tasks(8);
            let token = |id: &String| stage.bead(id)["assignee"].as_str().unwrap().to_owned();
            stage.sh("bd-ready | wt-spawn").ok();
            let mut tokens: Vec<String> = ids(8).iter().map(token).collect();
            reopen(&stage, "t-1");
            stage.sh("wt-spawn t-1").ok();
            tokens.push(token(&"t-1".to_owned()));
            tokens.sort();
            tokens.dedup();
            assert_eq!(tokens.len(), 9);
        }),
        test(
            "wt-spawn: --retry opens a blocked bead and claims it anew, with the notes as feedback",
            || {
                let stage = Stage::with_tasks(1);
                stage.edit("t-1", &json!({"status": "blocked", "notes": "use the other door", "metadata": {"attempt": 3, "run": 3, "error": "x"}}));
                stage
                    .sh("wt-spawn t-1")
                    .ok()
                    .says("t-1: left: it is blocked");
                stage.sh("wt-spawn --retry t-1").ok();
                assert_whole(&stage, &ids(1));
                let facts = &stage.bead("t-1")["metadata"];
                assert_eq!(
                    (&facts["feedback"], &facts["attempt"], &facts["run_from"]),
                    (&json!("use the other door"), &json!(0), &json!(3))
                );
            },
        ),
        test(
            "wt-spawn: another clone's bead is named and left; --retry takes it over with what was pushed",
            || {
                let stage = Stage::with_tasks(2);
                elsewhere(&stage, "for id in t-1 t-2; do git checkout --quiet -b agent/$id main
                git commit --quiet --allow-empty -m theirs; git push --quiet origin agent/$id; done");
                for (id, phase, round) in [("t-1", "working", 1), ("t-2", "pr_created", 2)] {
                    let mut facts = facts(&stage, id, "far-1");
                    facts["phase"] = json!(phase);
                    facts["round"] = json!(round);
                    facts["pr_number"] = json!(4);
                    facts["worktree"] = json!("/far/away");
                    stage.edit(id, &json!({"status": "in_progress", "assignee": "beadline/far-1/0", "metadata": facts}));
                }
                let ran = stage
                    .sh("wt-spawn t-1")
                    .ok()
                    .says("t-1: left: it belongs to the clone 'far-1'");
                assert_eq!(ran.stdout, "");
                assert_eq!(
                    stage.sh("wt-spawn --retry t-1 t-2").ok().ids(),
                    ["t-1", "t-2"]
                );
                let host = stage
                    .sh("git config beadline.host")
                    .ok()
                    .stdout
                    .trim()
                    .to_owned();
                for (id, phase, round) in [("t-1", "spawned", 1), ("t-2", "pr_created", 2)] {
                    let bead = stage.bead(id);
                    assert!(
                        bead["assignee"]
                            .as_str()
                            .unwrap()
                            .starts_with(&format!("beadline/{host}/"))
                    );
                    let facts = &bead["metadata"];
                    assert_eq!(
                        (
                            &facts["host"],
                            &facts["phase"],
                            &facts["round"],
                            &facts["pr_number"],
                            &facts["worktree"]
                        ),
                        (
                            &json!(host),
                            &json!(phase),
                            &json!(round),
                            &json!(4),
                            &json!(tree(&stage, id))
                        ),
                        "{id}"
                    );
                }
                assert_eq!(
                    commit(&stage, "agent/t-1"),
                    commit(&stage, "origin/agent/t-1")
                );
                stage.sh("test -f ../work.worktrees/t-1/a.txt").ok();
            },
        ),
        test(
            "wt-spawn: the same file of beads twice is done once",
            || {
                let stage = Stage::with_tasks(3);
                stage.sh("bd-ready > ../beads; wt-spawn < ../beads").ok();
                let before = stage.stored();
                assert_eq!(stage.sh("wt-spawn < ../beads").ok().ids(), ids(3));
                assert_eq!(stage.stored(), before);
                assert_whole(&stage, &ids(3));
            },
        ),
    ]
}

fn furnishing() -> Vec<Trial> {
    vec![
        test(
            "wt-spawn: .worktreeinclude brings ignored files along, and only those",
            || {
                let stage = Stage::with_tasks(1);
                stage.sh("printf '.env\\n/cache/\\n/deep/\\n*.key\\n' >> .gitignore; git commit --quiet -am ignore; git push --quiet
                      mkdir -p cache/in deep/er
                      for file in .env cache/a cache/b cache/in/c deep/er/d no.key free.txt; do echo main > $file; done
                      ln -s /etc/passwd cache/link; chmod +x cache/a; echo changed > a.txt
                      printf '# what to bring\\n.env\\ncache/*\\n!cache/b\\ndeep/\\nfree.txt\\na.txt\\n' > .worktreeinclude").ok();
                stage.sh("wt-spawn t-1").ok();
                let there = stage.sh("cd ../work.worktrees/t-1; find . -not -type d -not -name .git | sort; test -x cache/a; readlink cache/link; cat a.txt").ok();
                assert_eq!(
                    there.stdout,
                    "./.env\n./.gitignore\n./a.txt\n./cache/a\n./cache/in/c\n./cache/link\n./deep/er/d\n/etc/passwd\none\n"
                );
            },
        ),
        test(
            "wt-spawn: an include replaces nothing, and follows no symbolic link of the branch",
            || {
                let stage = Stage::with_tasks(1);
                stage.sh("printf '.env\\n/out/\\n' >> .gitignore; git commit --quiet -am ignore; git push --quiet
                      mkdir -p out/a/b; echo mine > out/a/b/c; echo mine > .env; printf '.env\\nout/\\n' > .worktreeinclude").ok();
                elsewhere(&stage, "mkdir ../outside; ln -s ../../outside out; echo theirs > .env; git add -f out .env
                git commit --quiet -m tempting; git push --quiet");
                stage
                    .sh("wt-spawn t-1")
                    .code(1)
                    .says("t-1: cannot bring along 'out/a/b/c': it would land outside");
                stage.sh("test -z \"$(ls -A ../outside)\"").ok();
                stage
                    .sh("echo .env > .worktreeinclude; bd-ready --resume | wt-spawn")
                    .ok();
                assert_eq!(stage.read("work.worktrees/t-1/.env"), "theirs\n");
            },
        ),
        test(
            "wt-spawn: the set-up sees the allowed variables and no token",
            || {
                let mut stage = Stage::with_tasks(1);
                for name in [
                    "GH_TOKEN",
                    "GITHUB_TOKEN",
                    "GITEA_TOKEN",
                    "SECRET",
                    "BEADS_DIR_X",
                    "KEPT",
                    "LC_TIME",
                ] {
                    stage.set(name, "value");
                }
                stage
                    .sh("wt-spawn --env KEPT --setup 'env > ../seen; pwd >> ../seen' t-1")
                    .ok();
                let seen = stage.read("work.worktrees/seen");
                for has in [
                    "KEPT=value",
                    "LC_TIME=value",
                    "PATH=",
                    "HOME=",
                    "BD_READONLY=1",
                    "BEAD_ID=t-1",
                    "BEADLINE_HOLD=",
                ] {
                    assert!(
                        seen.lines().any(|line| line.starts_with(has)),
                        "{has}\n{seen}"
                    );
                }
                for lacks in ["_TOKEN", "SECRET", "BEADS_", "GIT_DIR", "BEADLINE_BIN"] {
                    assert!(!seen.contains(lacks), "{lacks}\n{seen}");
                }
                assert!(
                    seen.ends_with(&format!("{}\n", tree(&stage, "t-1").display())),
                    "{seen}"
                );
            },
        ),
        test(
            "wt-spawn: a set-up that fails is kept as error; the next run starts afresh and succeeds",
            || {
                let stage = Stage::with_tasks(2);
                let ran = stage
                .sh("bd-ready | wt-spawn --setup 'echo junk > junk; echo out; echo boom >&2; [ $BEAD_ID != t-1 ]'")
                .code(1)
                .says("t-1: set-up failed: exit 1: ");
                assert_eq!(ran.ids(), ["t-2"]);
                let bead = stage.bead("t-1");
                let facts = &bead["metadata"];
                assert_eq!(
                    (&bead["status"], &facts["phase"]),
                    (&json!("in_progress"), &json!("spawned"))
                );
                assert!(facts["error"].as_str().unwrap().contains("boom"), "{facts}");
                assert!(
                    facts["error_at"].as_str().unwrap().starts_with("20"),
                    "{facts}"
                );
                stage.sh("rm ../work.worktrees/t-2/junk; bd-ready --resume | wt-spawn --setup 'test ! -e junk'").ok();
                assert_whole(&stage, &ids(2));
            },
        ),
        test("wt-spawn: what a set-up leaves running is ended", || {
            let stage = Stage::with_tasks(1);
            stage.sh("wt-spawn --setup 'sleep 300 & setsid sleep 300 & trap \"\" TERM; (sleep 300) & true' t-1").ok();
            assert_eq!(stage.processes(), Vec::<String>::new());
            assert_whole(&stage, &ids(1));
        }),
        test(
            "wt-spawn: a set-up reads nothing of the pipe and writes nothing into it",
            || {
                let stage = Stage::with_tasks(4);
                let ran = stage
                    .sh("bd-ready | wt-spawn --jobs 1 --setup 'cat; echo chatter'")
                    .ok();
                assert_eq!(ran.ids(), ids(4));
            },
        ),
    ]
}
