//! `pr-merge` on the git forge: what lands is what was tested, and nothing lands twice.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::forge::{again, committed, fact, on_remote, refuse, second_clone};
use crate::stage::{Stage, task, task_on, test, test_with, until};

/// A stage with these beads at an open pull request; each made by shell lines on its branch.
fn pulled(work: &[(&str, &str)]) -> Stage {
    let beads: Vec<Value> = work.iter().map(|(id, _)| task(id)).collect();
    let stage = Stage::new(&beads);
    pull(&stage, work);
    stage
}

/// Brings stored beads to an open pull request, numbered in this order.
fn pull(stage: &Stage, work: &[(&str, &str)]) {
    committed(stage, work);
    let ids: Vec<&str> = work.iter().map(|(id, _)| *id).collect();
    stage.sh(&format!("pr-open {}", ids.join(" "))).ok();
}

/// Writes the check; returns the flag. It sees `$HOME`, as every check does.
fn check(stage: &Stage, script: &str) -> String {
    stage.write("check.sh", &format!("set -eu\n{script}\n"));
    format!("--check 'sh {}'", stage.path("check.sh").display())
}

/// Where main is on the remote.
fn main_head(stage: &Stage) -> String {
    on_remote(stage, "refs/heads/main")
}

/// The subjects on main, first parents only, oldest first, without the first.
fn landed(stage: &Stage) -> Vec<String> {
    let script = "git -C ../remote.git log --first-parent --reverse --format=%s main | tail -n +2";
    stage
        .sh(script)
        .ok()
        .stdout
        .lines()
        .map(str::to_owned)
        .collect()
}

/// What a check or a reviewer has written to its log: nothing if it never ran.
fn log(stage: &Stage) -> Vec<String> {
    stage
        .sh("cat ~/log 2>/dev/null || true")
        .ok()
        .stdout
        .lines()
        .map(str::to_owned)
        .collect()
}

/// The remote's answer to a question about git.
fn ask(stage: &Stage, question: &str) -> String {
    stage
        .sh_in("remote.git", question)
        .ok()
        .stdout
        .trim()
        .to_owned()
}

/// Somebody else pushes to a branch of the remote.
fn elsewhere(branch: &str, change: &str) -> String {
    format!(
        "rm -rf ~/elsewhere; git clone --quiet -b {branch} \"$HOME/../remote.git\" ~/elsewhere
         (cd ~/elsewhere; {change}; git add -A; git commit --quiet -m 'from elsewhere'; git push --quiet)\n"
    )
}

#[track_caller]
fn assert_state(stage: &Stage, id: &str, status: &str, phase: &str) {
    let bead = stage.bead(id);
    assert_eq!(
        (&bead["status"], &bead["metadata"]["phase"]),
        (&json!(status), &json!(phase)),
        "{bead}"
    );
}

/// The bead was sent back, once, with these words as feedback.
#[track_caller]
fn assert_sent_back(stage: &Stage, id: &str, words: &[&str]) {
    assert_state(stage, id, "in_progress", "spawned");
    let bead = stage.bead(id);
    assert_eq!(bead["metadata"]["round"], 1, "{bead}");
    for word in words {
        assert!(
            fact(stage, id, "feedback").contains(word),
            "no {word}: {bead}"
        );
    }
}

/// The bead has landed as main's commit that says so, which its note names.
#[track_caller]
fn assert_landed(stage: &Stage, id: &str) {
    assert_state(stage, id, "closed", "merged");
    let (bead, commit) = (stage.bead(id), fact(stage, id, "merged_sha"));
    ask(
        stage,
        &format!("git merge-base --is-ancestor {commit} main"),
    );
    let notes = bead["notes"].as_str().unwrap();
    let number = &bead["metadata"]["pr_number"];
    assert!(
        notes.contains(&commit) && notes.contains(&format!("pull request {number}")),
        "{bead}"
    );
}

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = checks();
    trials.extend(people());
    trials.extend(crashes());
    trials.extend(rounds());
    trials.push(containers());
    trials
}

/// What is tested, and what lands.
#[expect(clippy::too_many_lines, reason = "a list of tests")]
fn checks() -> Vec<Trial> {
    vec![
        test(
            "pr-merge: nothing that vouches, or a contradiction, is a usage error, and nothing lands",
            || {
                let stage = pulled(&[("t-1", "echo 1 > 1.txt")]);
                let (bead, head) = (stage.bead("t-1"), main_head(&stage));
                for flags in ["", "--method squash", "--check true --no-checks"] {
                    stage.sh(&format!("pr-merge {flags} t-1")).code(2);
                    stage
                        .sh(&format!(
                            "BEADLINE_NO_CHECKS= BEADLINE_CHECK= pr-merge {flags} t-1"
                        ))
                        .code(2);
                }
                assert_eq!((stage.bead("t-1"), main_head(&stage)), (bead, head));
            },
        ),
        test(
            "pr-merge: the tree that was tested is the tree that lands, by every method",
            || {
                for method in ["squash", "merge", "rebase"] {
                    let stage = pulled(&[(
                        "t-1",
                        "export GIT_AUTHOR_NAME=Ada; echo 1 > 1.txt; git add .; git commit --quiet -m one; echo 2 > 2.txt",
                    )]);
                    stage.sh("echo else > else.txt; git add .; git commit --quiet -m else; git push --quiet").ok();
                    let flag = check(
                        &stage,
                        "git rev-parse HEAD^{tree} >> ~/log; test -f else.txt; test -f 2.txt",
                    );
                    let (base, head) = (main_head(&stage), fact(&stage, "t-1", "pushed"));
                    stage
                        .sh(&format!("pr-merge {flag} --method {method} t-1"))
                        .ok()
                        .says("t-1: landed as");
                    assert_landed(&stage, "t-1");
                    assert_eq!(log(&stage), [ask(&stage, "git rev-parse main^{tree}")]);
                    assert_eq!(fact(&stage, "t-1", "merged_sha"), main_head(&stage));
                    let history = ask(
                        &stage,
                        &format!("git log --format='%an: %s' --first-parent {base}..main"),
                    );
                    let parents = ask(&stage, "git log -1 --format=%P main");
                    match method {
                        "squash" => assert_eq!(
                            (history, parents),
                            ("Tester: Task t-1 (t-1)".to_owned(), base)
                        ),
                        "merge" => {
                            assert_eq!(
                                (history, parents),
                                (
                                    "Tester: Task t-1 (t-1)".to_owned(),
                                    format!("{base} {head}")
                                )
                            );
                        }
                        _ => assert_eq!(history, "Ada: work on t-1\nAda: one"),
                    }
                }
            },
        ),
        test(
            "pr-merge: work that can only be put on the base as one commit lands as one, tested",
            || {
                // The agent has resolved a conflict by a merge, as it was told to.
                let stage = pulled(&[("t-1", "echo mine > a.txt")]);
                stage
                    .sh("echo theirs > a.txt; git commit --quiet -am theirs; git push --quiet")
                    .ok();
                stage
                    .sh("pr-merge --no-checks --method rebase t-1")
                    .ok()
                    .says("conflicts");
                again(
                    &stage,
                    "t-1",
                    "git merge --quiet origin/main || { echo both > a.txt; git commit --quiet -am both; }",
                );
                let flag = check(
                    &stage,
                    "git rev-parse HEAD^{tree} >> ~/log; grep -q both a.txt",
                );
                stage
                    .sh(&format!("pr-open t-1 | pr-merge {flag} --method rebase"))
                    .ok();
                assert_landed(&stage, "t-1");
                assert_eq!(log(&stage), [ask(&stage, "git rev-parse main^{tree}")]);
                assert_eq!(ask(&stage, "git rev-list --merges --count main"), "0");
            },
        ),
        test(
            "pr-merge: two that merge cleanly and break the check together leave main green",
            || {
                let stage = pulled(&[
                    ("t-1", "echo 1 > use-1"),
                    ("t-2", "echo 2 > use-2"),
                    ("t-3", "echo 3 > 3.txt"),
                ]);
                let flag = check(
                    &stage,
                    "[ $(ls use-* | wc -l) -lt 2 ] || { echo 'only one use allowed'; exit 7; }",
                );
                let ran = stage.sh(&format!("pr-merge {flag} t-1 t-2 t-3")).ok();
                let ran = ran.says("t-2: sent back: the check failed");
                assert_eq!(ran.ids(), ["t-1", "t-3"]);
                assert_sent_back(
                    &stage,
                    "t-2",
                    &["exit 7", "only one use allowed", "origin/main"],
                );
                assert_eq!(landed(&stage), ["Task t-1 (t-1)", "Task t-3 (t-3)"]);
                stage.sh("git pull --quiet; sh ../check.sh").ok();
            },
        ),
        test(
            "pr-merge: a base that moves while the check runs is tested again",
            || {
                let stage = pulled(&[("t-1", "echo 1 > 1.txt")]);
                let push = elsewhere("main", "echo else > else.txt");
                let script = format!(
                    "git rev-parse HEAD^{{tree}} >> ~/log\nif mkdir ~/once 2>/dev/null; then\n{push}fi"
                );
                let flag = check(&stage, &script);
                stage.sh(&format!("pr-merge {flag} t-1")).ok();
                assert_landed(&stage, "t-1");
                let tested = log(&stage);
                assert_eq!(tested.len(), 2);
                assert_eq!(tested[1], ask(&stage, "git rev-parse main^{tree}"));
                assert_eq!(landed(&stage), ["from elsewhere", "Task t-1 (t-1)"]);
            },
        ),
        test(
            "pr-merge: in the order they became ready, and red ones and conflicts hold up nobody",
            || {
                let stage = pulled(&[
                    ("t-1", "echo 1 > a.txt"),
                    ("t-2", "echo 2 > bad"),
                    ("t-3", "echo 3 > a.txt"),
                    ("t-4", "echo 4 > 4.txt"),
                ]);
                let flag = check(&stage, "test ! -e bad");
                let ran = stage.sh(&format!("pr-merge {flag} t-2 t-3 t-1 t-4")).ok();
                assert_eq!(
                    ran.beads()
                        .iter()
                        .map(|bead| bead["id"].clone())
                        .collect::<Vec<_>>(),
                    ["t-3", "t-4"]
                );
                assert_eq!(landed(&stage), ["Task t-3 (t-3)", "Task t-4 (t-4)"]);
                assert_sent_back(&stage, "t-1", &["conflicts", "a.txt", "origin/main"]);
                assert_sent_back(&stage, "t-2", &["exit 1"]);
            },
        ),
        test(
            "pr-merge: a check that does not end is ended, and a bead sent back too often is a person's",
            || {
                let stage = pulled(&[("t-1", "echo 1 > 1.txt")]);
                stage.edit("t-1", &json!({"metadata": {"round": 2}}));
                let flag = check(&stage, "echo started; sleep 600");
                let ran = stage
                    .sh(&format!("pr-merge {flag} --wait 1s --max-rounds 2 t-1"))
                    .ok();
                let ran = ran
                    .says("t-1: sent back: the check failed")
                    .says("a person has to look at it");
                assert!(ran.took < Duration::from_mins(1), "{}", ran.all());
                let bead = stage.bead("t-1");
                assert_eq!(
                    (&bead["status"], &bead["assignee"]),
                    (&json!("blocked"), &json!(""))
                );
                assert!(
                    bead["notes"]
                        .as_str()
                        .unwrap()
                        .contains("sent back 2 times"),
                    "{bead}"
                );
                assert_eq!(stage.processes(), Vec::<String>::new());
                assert_eq!(landed(&stage), Vec::<String>::new());
            },
        ),
        test(
            "pr-merge: a check that took too long is called that",
            || {
                let stage = pulled(&[("t-1", "echo 1 > 1.txt")]);
                let flag = check(&stage, "sleep 600");
                stage.sh(&format!("pr-merge {flag} --wait 1s t-1")).ok();
                assert_sent_back(&stage, "t-1", &["no end after 1s"]);
            },
        ),
        test("pr-merge: what a check leaves running is ended", || {
            let stage = pulled(&[("t-1", "echo 1 > 1.txt")]);
            let flag = check(
                &stage,
                "sleep 601 & setsid sleep 602 & (trap '' TERM; exec sleep 603) &",
            );
            let ran = stage.sh(&format!("pr-merge {flag} t-1")).ok();
            assert!(ran.took < Duration::from_mins(1), "{}", ran.all());
            assert_landed(&stage, "t-1");
            assert_eq!(stage.processes(), Vec::<String>::new());
        }),
        test(
            "pr-merge: what an earlier check left vouches for nothing, and ignored files stay warm",
            || {
                let stage = pulled(&[("t-1", "echo 1 > 1.txt"), ("t-2", "echo 2 > 2.txt")]);
                let script = "echo $(stat -c %i .) $(ls -A) ignored: $(ls ignored 2>/dev/null) $(cat a.txt) >> ~/log
                mkdir -p ignored new && touch ignored/warm new/file file; echo changed > a.txt
                git init --quiet nested && touch nested/file";
                let flag = check(&stage, script);
                stage
                    .sh(&format!("pr-merge {flag} t-1 && pr-merge {flag} t-2"))
                    .ok();
                assert_landed(&stage, "t-2");
                let (seen, inode) = (log(&stage), |line: &str| {
                    line.split(' ').next().unwrap().to_owned()
                });
                assert!(
                    seen[0].ends_with(".git .gitignore 1.txt a.txt ignored: one"),
                    "{seen:?}"
                );
                assert!(
                    seen[1]
                        .ends_with(".git .gitignore 1.txt 2.txt a.txt ignored ignored: warm one"),
                    "{seen:?}"
                );
                assert_eq!(
                    inode(&seen[0]),
                    inode(&seen[1]),
                    "the worktree was made anew"
                );
            },
        ),
        test(
            "pr-merge: while a check runs, beads that are past it go through",
            || {
                let stage = pulled(&[("t-1", "echo 1 > 1.txt")]);
                let flag = check(
                    &stage,
                    "touch ~/started; until [ -e ~/go ]; do sleep 0.05; done",
                );
                let past = r#"{"id":"t-9","status":"closed","metadata":{"phase":"merged"}}"#;
                let line = format!(
                    "(cat .beads/issues.jsonl; until [ -e ~/started ]; do sleep 0.05; done; echo '{past}') | pr-merge {flag}"
                );
                let running = stage.start(&line);
                until("the other bead is through", || {
                    running.said().contains("t-9")
                });
                assert_state(&stage, "t-1", "in_progress", "pr_created");
                stage.write("home/go", "");
                let ran = running.wait(Duration::from_mins(1)).ok();
                assert_eq!(ran.stdout.lines().next(), Some(past));
                assert_eq!(ran.ids(), ["t-1", "t-9"]);
            },
        ),
        test("pr-merge: a title is text, whatever it says", || {
            let mut bead = task("t-1");
            bead["title"] =
                json!("--amend $(touch ~/pwned)\u{0}\nBead: t-9\n\n`touch ~/pwned` 'x\"");
            let stage = Stage::new(&[bead]);
            pull(&stage, &[("t-1", "echo 1 > 1.txt")]);
            stage.sh("pr-merge --no-checks t-1").ok();
            assert_landed(&stage, "t-1");
            let wanted = "--amend $(touch ~/pwned)  Bead: t-9  `touch ~/pwned` 'x\" (t-1)\n\nPull request: 1\nBead: t-1";
            assert_eq!(ask(&stage, "git log -1 --format=%B main"), wanted);
            assert!(!stage.path("home/pwned").exists());
        }),
        test(
            "pr-merge: two clones land 10 pull requests each at once, and no landing is lost",
            || {
                let ids: Vec<String> = (1..=20).map(|n| format!("t-{n}")).collect();
                let changes: Vec<String> = ids
                    .iter()
                    .map(|id| format!("echo {id} > {id}.txt"))
                    .collect();
                let work: Vec<(&str, &str)> = ids
                    .iter()
                    .zip(&changes)
                    .map(|(id, change)| (id.as_str(), change.as_str()))
                    .collect();
                let stage = pulled(&work[..10]);
                second_clone(&stage, &work[10..]);
                stage.sh("pr-open -C ../other t-{11..20}").ok();
                let both = "pr-merge --no-checks t-{1..10} & one=$!
                pr-merge --no-checks -C ../other t-{11..20} & wait $one; wait $!";
                let ran = stage.sh(both).ok();
                let commits = ask(&stage, "git rev-list --first-parent main");
                let commits: HashSet<&str> = commits.lines().collect();
                assert_eq!((ran.ids().len(), commits.len()), (20, 21), "{}", ran.all());
                for bead in ran.beads() {
                    assert!(
                        commits.contains(bead["metadata"]["merged_sha"].as_str().unwrap()),
                        "{bead}"
                    );
                }
                assert_eq!(
                    ask(&stage, "git ls-tree --name-only main | grep -c ^t-"),
                    "20"
                );
            },
        ),
        test(
            "pr-merge: several at once in one clone land one at a time, and each bead once",
            || {
                let work: Vec<(String, String)> = (1..=6)
                    .map(|n| (format!("t-{n}"), format!("echo {n} > {n}.txt")))
                    .collect();
                let work: Vec<(&str, &str)> = work
                    .iter()
                    .map(|(id, change)| (id.as_str(), change.as_str()))
                    .collect();
                let stage = pulled(&work);
                let script = "mkdir ~/busy || echo overlap >> ~/log\n                    for i in 1 2 3 4 5 6 7 8 9; do git status > /dev/null; done; rmdir ~/busy";
                let flag = check(&stage, script);
                let line = |ids: &str| format!("pr-merge {flag} {ids} & pids+=($!)\n");
                // Each has some of its own, and one wants them all.
                let all = line("t-1 t-2") + &line("t-3 t-4") + &line("t-{6..1}") + &line("t-5 t-6");
                stage
                    .sh(&format!(
                        "pids=()\n{all}for pid in ${{pids[@]}}; do wait $pid; done"
                    ))
                    .ok();
                // One that another had in hand was left to it.
                for n in 1..=6 {
                    assert_landed(&stage, &format!("t-{n}"));
                }
                assert_eq!(log(&stage), Vec::<String>::new());
                let mut subjects = landed(&stage);
                subjects.sort();
                let wanted: Vec<String> = (1..=6).map(|n| format!("Task t-{n} (t-{n})")).collect();
                assert_eq!(subjects, wanted);
            },
        ),
    ]
}

/// What people do meanwhile.
fn people() -> Vec<Trial> {
    vec![
        test(
            "pr-merge: a person who takes the bead while its check runs is heeded",
            || {
                let stage = pulled(&[("t-1", "echo 1 > 1.txt")]);
                let store = stage.path("work/.beads/issues.jsonl");
                let flag = check(
                    &stage,
                    &format!("sed -i s/in_progress/blocked/ {}", store.display()),
                );
                let ran = stage
                    .sh(&format!("pr-merge {flag} t-1"))
                    .ok()
                    .says("t-1: left: it is blocked");
                assert_eq!((ran.stdout.as_str(), landed(&stage)), ("", vec![]));
                assert_state(&stage, "t-1", "blocked", "pr_created");
            },
        ),
        test(
            "pr-merge: by hand, it never lands, and closes the bead once a person has",
            || {
                let by_hand = [
                    ("its head", "git merge --quiet --ff-only agent/t-1"),
                    ("a merge", "git merge --quiet --no-ff -m merged agent/t-1"),
                    (
                        "a squash",
                        "git merge --quiet --squash agent/t-1; git commit --quiet -m squashed",
                    ),
                    (
                        "a squash, changed since",
                        "git merge --quiet --squash agent/t-1; git commit --quiet -m squashed
                     echo three > a.txt; git commit --quiet -am more",
                    ),
                    (
                        "picked, changed since",
                        "git cherry-pick agent/t-1~ agent/t-1 > /dev/null; echo three > a.txt; git commit --quiet -am more",
                    ),
                ];
                for (how, merge) in by_hand {
                    let stage = pulled(&[(
                        "t-1",
                        "echo 1 > 1.txt; git add .; git commit --quiet -m 1; echo two > a.txt",
                    )]);
                    stage
                        .sh("echo else > else.txt; git add .; git commit --quiet -m else")
                        .ok();
                    // Without the commit beside it, for a fast-forward.
                    if how == "its head" {
                        stage.sh("git reset --quiet --hard origin/main").ok();
                    }
                    stage.sh("git push --quiet").ok();
                    let before = main_head(&stage);
                    let ran = stage.sh("pr-merge --by-hand t-1").ok();
                    assert_eq!(
                        ran.says("waits for a person: it is to be merged by hand")
                            .stdout,
                        ""
                    );
                    assert_eq!(main_head(&stage), before);
                    assert_eq!(fact(&stage, "t-1", "waits"), "it is to be merged by hand");
                    stage.sh(&format!("{merge}; git push --quiet")).ok();
                    let after = main_head(&stage);
                    let ran = stage.sh("pr-merge --by-hand t-1").ok();
                    assert_eq!(ran.ids(), ["t-1"], "{how}");
                    assert_landed(&stage, "t-1");
                    assert_eq!(fact(&stage, "t-1", "waits"), "");
                    assert_eq!(
                        (main_head(&stage), on_remote(&stage, "refs/beadline/open/*")),
                        (after, String::new())
                    );
                }
            },
        ),
        test(
            "pr-merge: a person merges while it watches, and the bead is closed",
            || {
                let stage = pulled(&[("t-1", "echo 1 > 1.txt")]);
                let line = "(cat .beads/issues.jsonl; until [ -e ~/end ]; do sleep 0.05; done) | pr-merge --by-hand";
                let running = stage.start(line);
                until("it waits for a person", || {
                    stage.bead("t-1")["metadata"]["waits_at"].is_string()
                });
                stage
                    .sh("git merge --quiet --ff-only agent/t-1; git push --quiet")
                    .ok();
                until("it is closed", || stage.bead("t-1")["status"] == "closed");
                stage.write("home/end", "");
                assert_eq!(running.wait(Duration::from_mins(1)).ok().ids(), ["t-1"]);
            },
        ),
        test(
            "pr-merge: --once leaves what waits off stdout, and ends",
            || {
                let stage = pulled(&[("t-1", "echo 1 > 1.txt"), ("t-2", "echo 2 > 2.txt")]);
                stage.write("review.sh", "[ $BEAD_ID = t-2 ] || exit 2");
                let review = format!("--review 'sh {}'", stage.path("review.sh").display());
                let ran = stage
                    .sh(&format!("pr-merge --once --no-checks {review} t-1 t-2"))
                    .ok();
                assert_eq!(
                    ran.says("t-1: still waits: the reviewer is undecided (exit 2)")
                        .ids(),
                    ["t-2"]
                );
                assert_state(&stage, "t-1", "in_progress", "pr_created");
            },
        ),
        test(
            "pr-merge: pull requests that a person closed or took apart are a person's",
            || {
                let cases = [
                    (
                        "git push --quiet origin :refs/beadline/open/agent/t-1",
                        "its pull request was closed",
                    ),
                    (
                        "git push --quiet origin :refs/heads/agent/t-1",
                        "its branch is gone",
                    ),
                    (
                        "git push --quiet origin :refs/beadline/pull/1",
                        "knows no such pull request",
                    ),
                    (
                        "git push --quiet origin main:base; git push --quiet origin :refs/heads/base",
                        "its base branch is gone",
                    ),
                ];
                for (done, why) in cases {
                    let stage = pulled(&[("t-1", "echo 1 > 1.txt")]);
                    if done.contains("base") {
                        stage.edit("t-1", &json!({"metadata": {"base": "base"}}));
                    }
                    stage.sh(done).ok();
                    let ran = stage
                        .sh("pr-merge --no-checks t-1")
                        .ok()
                        .says("t-1: blocked, a person has to look at it: ");
                    assert_eq!(ran.says(why).stdout, "");
                    let bead = stage.bead("t-1");
                    assert_eq!(
                        (&bead["status"], &bead["assignee"]),
                        (&json!("blocked"), &json!(""))
                    );
                    assert!(bead["notes"].as_str().unwrap().contains(why), "{bead}");
                    assert_eq!(landed(&stage), Vec::<String>::new());
                }
            },
        ),
        test(
            "pr-merge: a commit that somebody pushed to the branch goes to the agent, which finds it",
            || {
                let stage = pulled(&[("t-1", "echo 1 > 1.txt")]);
                stage
                    .sh(&elsewhere("agent/t-1", "echo more > more.txt"))
                    .ok();
                let theirs = on_remote(&stage, "refs/heads/agent/t-1");
                stage
                    .sh("pr-merge --no-checks t-1")
                    .ok()
                    .says("t-1: sent back: somebody pushed");
                assert_sent_back(&stage, "t-1", &[&theirs]);
                again(
                    &stage,
                    "t-1",
                    &format!("git merge --quiet -m theirs {theirs}"),
                );
                stage.sh("pr-open t-1 | pr-merge --no-checks").ok();
                assert_landed(&stage, "t-1");
                ask(&stage, "git cat-file -e main:more.txt");
            },
        ),
        test(
            "pr-merge: a base that takes no push waits for a person, and is not tested over and over",
            || {
                let stage = pulled(&[("t-1", "echo 1 > 1.txt"), ("t-2", "echo 2 > 2.txt")]);
                refuse(&stage, "refs/heads/main");
                let flag = check(&stage, "echo ran >> ~/log");
                let waits = |id: &str| {
                    stage.bead(id)["metadata"]["waits"]
                        .as_str()
                        .unwrap_or_default()
                        .to_owned()
                };
                let line = format!(
                    "(sed -n 1p .beads/issues.jsonl; until [ -e ~/go ]; do sleep 0.05; done; sed -n 2p .beads/issues.jsonl) \\
                   | pr-merge {flag}"
                );
                let running = stage.start(&line);
                until("the first one waits", || {
                    waits("t-1").contains("hook declined")
                });
                stage.write("home/go", "");
                let ran = running
                    .wait(Duration::from_mins(1))
                    .ok()
                    .says("t-2: still waits: the remote refuses the push");
                assert_eq!(
                    (ran.stdout.as_str(), log(&stage).len()),
                    ("", 2),
                    "{}",
                    ran.all()
                );
                assert_eq!(landed(&stage), Vec::<String>::new());
                stage.sh("rm ../remote.git/hooks/pre-receive").ok();
                stage.sh(&format!("pr-merge {flag} t-1 t-2")).ok();
                assert_landed(&stage, "t-1");
                assert_landed(&stage, "t-2");
                assert_eq!(waits("t-1"), "");
            },
        ),
        test(
            "pr-merge: an unreachable remote is an error, and the next run takes the bead up",
            || {
                let stage = pulled(&[("t-1", "echo 1 > 1.txt")]);
                stage
                    .sh("mv ../remote.git ../gone.git; pr-merge --no-checks t-1")
                    .code(1)
                    .says("cannot reach the remote");
                assert_state(&stage, "t-1", "in_progress", "pr_created");
                assert!(
                    fact(&stage, "t-1", "error").contains("cannot reach"),
                    "{}",
                    stage.bead("t-1")
                );
                stage
                    .sh("mv ../gone.git ../remote.git; pr-merge --no-checks t-1")
                    .ok();
                assert_landed(&stage, "t-1");
                assert_eq!(fact(&stage, "t-1", "error"), "");
            },
        ),
        test(
            "pr-merge: a dry run says what would be, and changes nothing",
            || {
                let stage = pulled(&[("t-1", "echo 1 > a.txt"), ("t-2", "echo 2 > 2.txt")]);
                stage
                    .sh("echo theirs > a.txt; git commit --quiet -am theirs; git push --quiet")
                    .ok();
                let before = (stage.stored(), main_head(&stage));
                let flag = check(&stage, "echo ran >> ~/log");
                let ran = stage.sh(&format!("pr-merge {flag} --dry-run t-1 t-2")).ok();
                let ran = ran
                    .says("t-1: would be sent back: conflicts with the base in a.txt")
                    .says("t-2: would be landed");
                assert_eq!(ran.ids(), ["t-2"]);
                assert_eq!((stage.stored(), main_head(&stage)), before);
                assert_eq!(log(&stage), Vec::<String>::new());
            },
        ),
    ]
}

/// What a kill leaves.
fn crashes() -> Vec<Trial> {
    vec![
        test(
            "pr-merge: what landed while not even its opening was recorded is found by its head",
            || {
                let stage = pulled(&[("t-1", "echo 1 > 1.txt")]);
                let mut before = stage.bead("t-1");
                before["metadata"]["phase"] = json!("committed");
                before["metadata"]["pr_number"] = json!(0);
                before["metadata"]["pushed"] = json!("");
                stage.sh("pr-merge --no-checks t-1").ok();
                let head = main_head(&stage);
                stage.beads(&[before]);
                stage.sh("pr-open t-1 | pr-merge --no-checks").ok();
                assert_landed(&stage, "t-1");
                assert_eq!(
                    (main_head(&stage), fact(&stage, "t-1", "pr_number")),
                    (head, "1".to_owned())
                );
                assert_eq!(on_remote(&stage, "refs/beadline/pull/2"), "");
            },
        ),
        test(
            "pr-merge: what landed and was not recorded is closed by the next run, and lands once",
            || {
                for method in ["squash", "merge", "rebase"] {
                    let stage = pulled(&[("t-1", "echo 1 > 1.txt")]);
                    let before = stage.bead("t-1");
                    stage
                        .sh(&format!("pr-merge --no-checks --method {method} t-1"))
                        .ok();
                    let (head, commit) = (main_head(&stage), fact(&stage, "t-1", "merged_sha"));
                    stage.beads(&[before]);
                    // The base has gone on.
                    stage.sh(&elsewhere("main", "echo else > else.txt")).ok();
                    let flag = check(&stage, "echo ran >> ~/log");
                    let ran = stage.sh(&format!("pr-merge {flag} t-1")).ok();
                    assert_eq!((ran.ids(), log(&stage)), (vec!["t-1".to_owned()], vec![]));
                    assert_landed(&stage, "t-1");
                    assert_eq!(fact(&stage, "t-1", "merged_sha"), commit);
                    assert_eq!(ask(&stage, "git rev-parse main~"), head);
                }
            },
        ),
        test(
            "pr-merge: killed by KILL while its landing is answered, the next run closes the bead",
            || {
                let stage = pulled(&[("t-1", "echo 1 > 1.txt")]);
                crate::forge::hook(
                    &stage,
                    "post-receive",
                    "#!/bin/sh\nkill -9 \"$(cat \"$HOME/pid\")\"\n",
                );
                stage
                    .sh("echo $$ > ~/pid; exec pr-merge --no-checks t-1")
                    .code(128 + 9);
                assert_state(&stage, "t-1", "in_progress", "pr_created");
                stage
                    .sh("rm ../remote.git/hooks/post-receive; pr-merge --no-checks t-1")
                    .ok();
                assert_landed(&stage, "t-1");
                assert_eq!(landed(&stage), ["Task t-1 (t-1)"]);
            },
        ),
        test(
            "pr-merge: killed in the middle of a check, the next run ends that check and lands the bead",
            || {
                let stage = pulled(&[("t-1", "echo 1 > 1.txt")]);
                let flag = check(
                    &stage,
                    "if mkdir ~/once 2>/dev/null; then echo $$ > ~/orphan; sleep 600; fi; if grep -q sh /proc/$(cat ~/orphan)/cmdline; then exit 1; fi; echo ran >> ~/log",
                );
                let mut running = stage.start(&format!("exec pr-merge {flag} t-1"));
                until("the check runs", || stage.path("home/orphan").exists());
                running.kill();
                assert_eq!(running.wait(Duration::from_mins(1)).code, Some(128 + 9));
                let alive = || !stage.processes().is_empty();
                assert!(
                    alive(),
                    "the check went with its program: nothing is tested here"
                );
                stage.sh(&format!("pr-merge {flag} t-1")).ok();
                assert_landed(&stage, "t-1");
                assert!(!alive());
                assert_eq!(log(&stage), ["ran"]);
            },
        ),
        test(
            "pr-merge: when its reader goes away it ends within a moment, and its check with it",
            || {
                let stage = pulled(&[("t-1", "echo 1 > 1.txt")]);
                let flag = check(&stage, "touch ~/started; sleep 600");
                let line =
                    format!("pr-merge {flag} t-1 | until [ -e ~/started ]; do sleep 0.05; done");
                let ran = stage.sh(&line).ok();
                assert!(ran.took < Duration::from_mins(1), "{}", ran.all());
                assert_eq!(stage.processes(), Vec::<String>::new());
                assert_state(&stage, "t-1", "in_progress", "pr_created");
            },
        ),
    ]
}

/// Reviews, and what comes back to the agent and lands in its next round.
#[expect(clippy::too_many_lines, reason = "a list of tests")]
fn rounds() -> Vec<Trial> {
    vec![
        test(
            "pr-merge: a reviewer gets the diff and the head, and approves that head",
            || {
                let stage = pulled(&[("t-1", "echo 1 > 1.txt")]);
                stage.sh(&elsewhere("main", "echo else > else.txt")).ok();
                stage.write(
                    "review.sh",
                    "cat > ~/diff; echo $BEAD_ID $BEAD_HEAD >> ~/log\n",
                );
                let review = format!("--review 'sh {}'", stage.path("review.sh").display());
                stage.sh(&format!("pr-merge --no-checks {review} t-1")).ok();
                assert_landed(&stage, "t-1");
                assert_eq!(
                    log(&stage),
                    [format!("t-1 {}", fact(&stage, "t-1", "pushed"))]
                );
                let diff = stage.read("home/diff");
                assert!(
                    diff.contains("+++ b/1.txt") && !diff.contains("else.txt"),
                    "{diff}"
                );
            },
        ),
        test(
            "pr-merge: an undecided reviewer waits for a person, and no check runs",
            || {
                for how in ["exit 2", "kill -9 $$", "sleep 600"] {
                    let stage = pulled(&[("t-1", "echo 1 > 1.txt")]);
                    let flag = check(&stage, "echo ran >> ~/log");
                    stage.write("review.sh", how);
                    let review = format!("--review 'sh {}'", stage.path("review.sh").display());
                    let ran = stage
                        .sh(&format!("pr-merge {flag} {review} --wait 1s t-1"))
                        .ok()
                        .says("the reviewer is undecided");
                    assert_eq!((ran.stdout.as_str(), log(&stage)), ("", vec![]));
                    assert!(
                        fact(&stage, "t-1", "waits").contains("undecided"),
                        "{}",
                        stage.bead("t-1")
                    );
                    assert_eq!(landed(&stage), Vec::<String>::new());
                }
            },
        ),
        test_with(
            "just",
            "tests/parts.sh",
            "the line: a reviewer's words reach the agent, and its next head is reviewed anew",
            || {
                let mut stage = Stage::with_tasks(1);
                stage.simple();
                stage.agent(
                "set -eu
                 if [ \"$BEAD_ROUND\" -gt 0 ]; then grep -q 'say please' \"$BEAD_PROMPT\"; echo please > please; fi
                 echo \"$BEAD_ROUND\" > round.txt; git add . && git commit --quiet -m work\n",
            );
                stage.write(
                "review.sh",
                "echo $BEAD_HEAD >> ~/log; grep -q '+please' || { echo 'say please'; exit 1; }\n",
            );
                let review = format!("sh {}", stage.path("review.sh").display());
                stage.set("BEADLINE_REVIEW", &review);
                stage
                    .just("orchestrate")
                    .ok()
                    .says("t-1: sent back: the reviewer sent it back");
                assert_landed(&stage, "t-1");
                let heads = log(&stage);
                assert_eq!(
                    (heads.len(), heads[1].clone()),
                    (2, fact(&stage, "t-1", "pushed"))
                );
                assert_ne!(heads[0], heads[1]);
                stage.assert_clean();
            },
        ),
        test_with(
            "just",
            "tests/parts.sh",
            "the line: a conflict and a broken pair are put right by their agents and land",
            || {
                let mut stage = Stage::with_tasks(3);
                stage.agent(
                "set -eu
                 if [ \"$BEAD_ROUND\" -gt 0 ]; then
                     grep -q origin/main \"$BEAD_PROMPT\"
                     git merge --quiet -m merge origin/main || { sort -u a.txt | grep -v '^[<=>]' > both; mv both a.txt; }
                     rm -f use-$BEAD_ID
                 else
                     [ $BEAD_ID = t-3 ] || echo $BEAD_ID >> a.txt
                     [ $BEAD_ID = t-1 ] || touch use-$BEAD_ID
                     touch $BEAD_ID.txt
                 fi
                 git add . && git commit --quiet -m \"$BEAD_ID $BEAD_ROUND\"\n",
            );
                // Each alone is green: together t-2 and t-3 are not, and t-1 and t-2 conflict.
                stage.write(
                    "check.sh",
                    "! grep -q '^[<=>]' a.txt && ! { test -e use-t-2 && test -e use-t-3; }\n",
                );
                let line = format!("sh {}", stage.path("check.sh").display());
                stage.set("BEADLINE_CHECK", &line);
                stage.just("orchestrate").ok();
                for id in ["t-1", "t-2", "t-3"] {
                    assert_landed(&stage, id);
                }
                let rounds: u64 = stage
                    .stored()
                    .iter()
                    .map(|bead| bead["metadata"]["round"].as_u64().unwrap_or(0))
                    .sum();
                assert!((1..=3).contains(&rounds), "{rounds} rounds");
                assert_eq!(
                    stage.sh("git show origin/main:a.txt | sort").ok().stdout,
                    "one\nt-1\nt-2\n"
                );
                stage.sh("git pull --quiet; sh ../check.sh").ok();
                stage.assert_clean();
            },
        ),
    ]
}

/// Epics and what else has children.
fn containers() -> Trial {
    test(
        "pr-merge: containers close upwards after their last child, and only if one of them landed",
        || {
            let child = |id: &str, parent: &str| task_on(id, &[(parent, "parent-child")]);
            let epic = |mut bead: Value| {
                bead["issue_type"] = json!("epic");
                bead
            };
            let with = |mut bead: Value, status: &str, phase: &str| {
                bead["status"] = json!(status);
                bead["metadata"] = json!({"phase": phase});
                bead
            };
            let stage = Stage::new(&[
                // Nested, and a plain task as a container.
                epic(task("top")),
                child("mid", "top"),
                child("t-1", "mid"),
                with(child("old", "top"), "closed", "merged"),
                // A child that is blocked.
                epic(task("held")),
                child("t-2", "held"),
                with(child("stuck", "held"), "blocked", "pr_created"),
                // Closed by hand, nothing landed.
                epic(task("idle")),
                with(child("dropped", "idle"), "closed", ""),
                // Waits for something that is open.
                epic(task_on("later", &[("blocker", "blocks")])),
                with(child("ready", "later"), "closed", "merged"),
                task("blocker"),
                // Its last child landed, and the program was killed before it closed this one.
                epic(task("left")),
                with(child("gone", "left"), "closed", "merged"),
            ]);
            let statuses = |wanted: &[(&str, &str)]| {
                let mut is = String::new();
                let mut should = String::new();
                for (id, status) in wanted {
                    writeln!(is, "{id} {}", stage.bead(id)["status"].as_str().unwrap()).unwrap();
                    writeln!(should, "{id} {status}").unwrap();
                }
                assert_eq!(is, should);
            };
            stage
                .sh("pr-merge --no-checks < /dev/null")
                .ok()
                .says("left: closed: all its children are");
            let mut wanted = [
                ("top", "open"),
                ("mid", "open"),
                ("held", "open"),
                ("idle", "open"),
                ("later", "open"),
                ("left", "closed"),
            ];
            statuses(&wanted);
            pull(
                &stage,
                &[("t-1", "echo 1 > 1.txt"), ("t-2", "echo 2 > 2.txt")],
            );
            let ran = stage.sh("pr-merge --no-checks t-1 t-2").ok();
            assert_eq!(ran.ids(), ["t-1", "t-2"]);
            wanted[0].1 = "closed";
            wanted[1].1 = "closed";
            statuses(&wanted);
            assert!(
                stage.bead("top")["notes"]
                    .as_str()
                    .unwrap()
                    .contains("all its children")
            );
            // The blocker is gone: the next look closes it, whoever looks.
            stage.edit("blocker", &json!({"status": "closed"}));
            stage.sh("pr-merge --no-checks < /dev/null").ok();
            wanted[4].1 = "closed";
            statuses(&wanted);
        },
    )
}
