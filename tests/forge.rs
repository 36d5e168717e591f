//! `pr-open` on the git forge: pull requests that are refs of the remote.

use std::fmt::Write as _;
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::stage::{Ran, Stage, task, test, test_with, until};

/// Prints what the remote has, and appends what each push brings, pushes parted by a line.
const LOGGING: &str = "#!/bin/sh\n{ echo push; cat; } >> \"$HOME/pushes\"\n";

/// A bead whose agent has done its work in the clone of this name: what is stored then.
fn done(host: &str, id: &str, head: &str) -> Value {
    json!({
        "status": "in_progress", "assignee": format!("beadline/{host}/1"),
        "metadata": {
            "phase": "committed", "branch": format!("agent/{id}"), "base": "main", "host": host,
            "run": 1, "attempt": 1, "round": 0, "run_from": 0, "head": head, "outcome": "done",
        },
    })
}

/// The name of a clone: markers of processes hold it, and the whole machine sees those.
fn host(stage: &Stage, clone: &str) -> String {
    let scratch = stage
        .path(clone)
        .parent()
        .unwrap()
        .file_name()
        .unwrap()
        .to_owned();
    format!("{}-{clone}", scratch.to_string_lossy())
}

/// Makes the commits of these beads in a clone; returns their heads.
fn commits(stage: &Stage, clone: &str, work: &[(&str, &str)]) -> Vec<String> {
    let mut script = format!("git config beadline.host {}\n", host(stage, clone));
    for (id, change) in work {
        write!(
            script,
            "git checkout --quiet -B agent/{id} origin/main
             {change}
             git add -A; git diff --cached --quiet || git commit --quiet -m 'work on {id}'
             git rev-parse HEAD\n"
        )
        .unwrap();
    }
    script += "git checkout --quiet main";
    stage
        .sh_in(clone, &script)
        .ok()
        .stdout
        .lines()
        .map(str::to_owned)
        .collect()
}

/// Brings stored beads to where their agents have done this: shell lines, whose changes are
/// committed on the bead's branch.
pub(crate) fn committed(stage: &Stage, work: &[(&str, &str)]) {
    for ((id, _), head) in work.iter().zip(commits(stage, "work", work)) {
        stage.edit(id, &done(&host(stage, "work"), id, &head));
    }
}

/// The same in a second clone, with a store of its own.
pub(crate) fn second_clone(stage: &Stage, work: &[(&str, &str)]) {
    stage.sh_in("", "git clone --quiet remote.git other").ok();
    let mut lines = String::new();
    for ((id, _), head) in work.iter().zip(commits(stage, "other", work)) {
        let mut bead = task(id);
        bead.as_object_mut().unwrap().extend(
            done(&host(stage, "other"), id, &head)
                .as_object()
                .unwrap()
                .clone(),
        );
        writeln!(lines, "{bead}").unwrap();
    }
    stage.write("other/.beads/issues.jsonl", &lines);
}

/// The agent has committed once more on the branch, after the bead was sent back.
pub(crate) fn again(stage: &Stage, id: &str, script: &str) {
    let line = format!(
        "git checkout --quiet agent/{id}\n{script}\ngit rev-parse HEAD; git checkout --quiet main"
    );
    let said = stage.sh(&line).ok().stdout;
    let head = said.lines().last().unwrap();
    stage.edit(
        id,
        &json!({"metadata": {"phase": "committed", "head": head}}),
    );
}

/// A fact of a stored bead.
#[track_caller]
pub(crate) fn fact(stage: &Stage, id: &str, key: &str) -> String {
    match &stage.bead(id)["metadata"][key] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Where a ref of the remote is; empty: there is none.
pub(crate) fn on_remote(stage: &Stage, name: &str) -> String {
    stage
        .sh(&format!("git ls-remote origin '{name}' | cut -f1"))
        .ok()
        .stdout
        .trim()
        .to_owned()
}

/// A hook of the remote.
pub(crate) fn hook(stage: &Stage, name: &str, script: &str) {
    stage.write(&format!("remote.git/hooks/{name}"), script);
    stage
        .sh_in("remote.git", &format!("chmod +x hooks/{name}"))
        .ok();
}

/// A hook that takes no push to refs that match.
pub(crate) fn refuse(stage: &Stage, pattern: &str) {
    let script = format!(
        "#!/bin/sh\nwhile read -r old new name; do case $name in {pattern}) echo 'not here' >&2; exit 1;; esac; done\n"
    );
    hook(stage, "pre-receive", &script);
}

/// The numbers of all pull requests, and the branches of the open ones.
fn pulls(stage: &Stage) -> (Vec<u64>, Vec<String>) {
    let names = stage.sh("git ls-remote origin | cut -f2").ok().stdout;
    let number = |name: &str| {
        name.strip_prefix("refs/beadline/pull/")?
            .parse::<u64>()
            .ok()
    };
    let mut numbers: Vec<u64> = names.lines().filter_map(number).collect();
    numbers.sort_unstable();
    let open = names
        .lines()
        .filter_map(|name| name.strip_prefix("refs/beadline/open/"));
    (numbers, open.map(str::to_owned).collect())
}

/// The stored text of pull request 1.
fn paper(stage: &Stage) -> Value {
    let script = "git fetch --quiet origin refs/beadline/pull/1 && git cat-file blob FETCH_HEAD";
    serde_json::from_str(&stage.sh(script).ok().stdout).unwrap()
}

#[track_caller]
fn assert_one_open(stage: &Stage) {
    assert_eq!(pulls(stage), (vec![1], vec!["agent/t-1".to_owned()]));
    let (bead, head) = (stage.bead("t-1"), on_remote(stage, "refs/heads/agent/t-1"));
    assert_eq!(bead["metadata"]["phase"], "pr_created");
    assert_eq!(bead["metadata"]["pr_number"], 1);
    assert_eq!(bead["metadata"]["pushed"], head);
    assert_eq!(on_remote(stage, "refs/pull/1/head"), head);
}

/// One bead with one commit.
fn one() -> Stage {
    let stage = Stage::with_tasks(1);
    committed(&stage, &[("t-1", "echo work > w.txt")]);
    stage
}

#[expect(clippy::too_many_lines, reason = "a list of tests")]
pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test(
            "pr-open: three refs in one push make the pull request, and a second run changes nothing",
            || {
                let stage = one();
                hook(&stage, "pre-receive", LOGGING);
                let ran = stage
                    .sh("pr-open t-1")
                    .ok()
                    .says("t-1: pull request 1 opened");
                assert_eq!(ran.ids(), ["t-1"]);
                assert_eq!(ran.beads()[0], stage.bead("t-1"));
                assert_one_open(&stage);
                assert_eq!(
                    on_remote(&stage, "refs/beadline/pull/1"),
                    on_remote(&stage, "refs/beadline/open/agent/t-1")
                );
                let pushes = stage.read("home/pushes");
                let of_each: Vec<usize> = pushes
                    .split("push\n")
                    .skip(1)
                    .map(|push| push.lines().count())
                    .collect();
                assert_eq!(of_each, [1, 3], "{pushes}");
                assert_eq!(stage.sh("pr-open t-1").ok().stdout, ran.stdout);
                assert_eq!(stage.read("home/pushes"), pushes);
            },
        ),
        test(
            "pr-open: what an earlier run did and did not record is found again",
            || {
                let earlier = [
                    "git push --quiet origin agent/t-1",
                    "pr-open t-1 > /dev/null",
                    "pr-open t-1 > /dev/null; git push --quiet origin :agent/t-1",
                ];
                for earlier in earlier {
                    let stage = one();
                    let before = stage.bead("t-1");
                    stage.sh(earlier).ok();
                    stage.beads(&[before]);
                    stage.sh("pr-open t-1").ok();
                    assert_one_open(&stage);
                }
            },
        ),
        test(
            "pr-open: killed by KILL while a push is answered, the next run goes on",
            || {
                for name in ["refs/heads/agent/t-1", "refs/beadline/open/agent/t-1"] {
                    let stage = one();
                    hook(
                        &stage,
                        "post-receive",
                        &format!(
                            "#!/bin/sh\ngrep -q '{name}$' && kill -9 \"$(cat \"$HOME/pid\")\"\n"
                        ),
                    );
                    stage.sh("echo $$ > ~/pid; exec pr-open t-1").code(128 + 9);
                    assert_eq!(fact(&stage, "t-1", "phase"), "committed");
                    stage.sh("rm ../remote.git/hooks/post-receive").ok();
                    stage.sh("pr-open t-1").ok();
                    assert_one_open(&stage);
                }
            },
        ),
        test(
            "pr-open: two at once on one bead open one pull request",
            || {
                let stage = one();
                stage
                    .sh("pr-open t-1 & one=$!; pr-open t-1 & wait $one; wait $!")
                    .ok();
                assert_one_open(&stage);
            },
        ),
        test(
            "pr-open: two clones open 10 pull requests each at once, and no number is lost or used twice",
            || {
                let ids: Vec<String> = (1..=20).map(|n| format!("t-{n}")).collect();
                let stage = Stage::with_tasks(10);
                let work: Vec<(&str, &str)> = ids
                    .iter()
                    .map(|id| (id.as_str(), "echo $RANDOM > w.txt"))
                    .collect();
                committed(&stage, &work[..10]);
                second_clone(&stage, &work[10..]);
                let ran = stage
                .sh("pr-open t-{1..10} & one=$!; pr-open -C ../other t-{11..20} & wait $one; wait $!")
                .ok();
                let mut numbers: Vec<u64> = ran
                    .beads()
                    .iter()
                    .map(|bead| bead["metadata"]["pr_number"].as_u64().unwrap())
                    .collect();
                numbers.sort_unstable();
                assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
                let (all, open) = pulls(&stage);
                assert_eq!((all, open.len()), (numbers, 20));
            },
        ),
        test(
            "pr-open: a pull request ref that is no pull request of ours takes no number away",
            || {
                let stage = one();
                stage
                    .sh("git push --quiet origin main:refs/pull/1/head")
                    .ok();
                stage.sh("pr-open t-1").ok().says("pull request 2 opened");
            },
        ),
        test(
            "pr-open: somebody's commits on the branch are never overwritten: the agent gets them to merge",
            || {
                let stage = one();
                second_clone(&stage, &[("t-1", "echo theirs > theirs.txt")]);
                stage
                    .sh("git -C ../other push --quiet origin agent/t-1")
                    .ok();
                let theirs = on_remote(&stage, "refs/heads/agent/t-1");
                let ran = stage
                    .sh("pr-open t-1")
                    .ok()
                    .says("t-1: sent back:")
                    .says(&theirs);
                assert_eq!(ran.stdout, "");
                let bead = stage.bead("t-1");
                assert_eq!(
                    (&bead["status"], &bead["metadata"]["phase"]),
                    (&json!("in_progress"), &json!("spawned"))
                );
                assert_eq!(
                    (&bead["metadata"]["round"], &bead["metadata"]["attempt"]),
                    (&json!(1), &json!(0))
                );
                assert!(fact(&stage, "t-1", "feedback").contains(&theirs), "{bead}");
                assert_eq!(on_remote(&stage, "refs/heads/agent/t-1"), theirs);
                // Not merged by the agent: the same again, and then it is a person's.
                again(&stage, "t-1", "git commit --quiet --allow-empty -m more");
                stage
                    .sh("pr-open --max-rounds 1 t-1")
                    .ok()
                    .says("a person has to look at it");
                let bead = stage.bead("t-1");
                assert_eq!(
                    (&bead["status"], &bead["assignee"]),
                    (&json!("blocked"), &json!(""))
                );
                assert!(bead["notes"].as_str().unwrap().contains(&theirs), "{bead}");
                assert_eq!(on_remote(&stage, "refs/heads/agent/t-1"), theirs);
                assert_eq!(pulls(&stage).0, Vec::<u64>::new());
                // The commit is in the clone: merged, it goes along.
                stage.edit("t-1", &done(&host(&stage, "work"), "t-1", ""));
                again(
                    &stage,
                    "t-1",
                    &format!("git merge --quiet -m merge {theirs}"),
                );
                stage.sh("pr-open t-1").ok();
                assert_one_open(&stage);
            },
        ),
        test(
            "pr-open: commits on top of what we pushed are somebody's, too",
            || {
                let stage = one();
                stage.sh("pr-open t-1").ok();
                stage
                    .sh_in("", "git clone --quiet -b agent/t-1 remote.git other")
                    .ok();
                stage
                    .sh("cd ../other; git commit --quiet --allow-empty -m theirs; git push --quiet")
                    .ok();
                let theirs = on_remote(&stage, "refs/heads/agent/t-1");
                again(&stage, "t-1", "git commit --quiet --amend -m rewritten");
                stage.sh("pr-open t-1").ok().says(&theirs);
                assert_eq!(fact(&stage, "t-1", "phase"), "spawned");
                assert_eq!(on_remote(&stage, "refs/heads/agent/t-1"), theirs);
            },
        ),
        test(
            "pr-open: a branch that its agent rewrote replaces what we pushed ourselves",
            || {
                let stage = one();
                stage.sh("pr-open t-1").ok();
                let before = on_remote(&stage, "refs/heads/agent/t-1");
                again(&stage, "t-1", "git commit --quiet --amend -m rewritten");
                stage
                    .sh("pr-open t-1")
                    .ok()
                    .says("pull request 1 brought up to date");
                assert_ne!(on_remote(&stage, "refs/heads/agent/t-1"), before);
                assert_one_open(&stage);
            },
        ),
        test(
            "pr-open: a bead whose branch is gone goes to a person, with the commit named",
            || {
                let stage = one();
                let head = fact(&stage, "t-1", "head");
                let ran = stage
                    .sh("git branch --quiet -D agent/t-1; pr-open t-1")
                    .ok()
                    .says("blocked");
                assert_eq!(ran.stdout, "");
                let bead = stage.bead("t-1");
                assert_eq!(
                    (&bead["status"], &bead["assignee"]),
                    (&json!("blocked"), &json!(""))
                );
                assert!(bead["notes"].as_str().unwrap().contains(&head), "{bead}");
                assert_eq!(on_remote(&stage, "refs/heads/agent/t-1"), "");
            },
        ),
        test(
            "pr-open: a remote that takes no branch is an error, and the next run takes the bead up",
            || {
                let stage = one();
                refuse(&stage, "refs/heads/agent/*");
                let ran = stage
                    .sh("pr-open t-1")
                    .code(1)
                    .says("hook declined")
                    .says("not here");
                assert_eq!(ran.stdout, "");
                assert_eq!(fact(&stage, "t-1", "phase"), "committed");
                assert!(
                    fact(&stage, "t-1", "error").contains("hook declined"),
                    "{}",
                    stage.bead("t-1")
                );
                stage
                    .sh("rm ../remote.git/hooks/pre-receive; pr-open t-1")
                    .ok();
                assert_eq!(
                    fact(&stage, "t-1", "error") + &fact(&stage, "t-1", "error_at"),
                    ""
                );
                assert_one_open(&stage);
            },
        ),
        test(
            "pr-open: a remote that takes no pull request gives the bead to a person",
            || {
                for (first, refused) in
                    [("true", "refs/beadline/*"), ("pr-open t-1", "refs/pull/*")]
                {
                    let stage = one();
                    stage.sh(first).ok();
                    again(&stage, "t-1", "git commit --quiet --allow-empty -m more");
                    refuse(&stage, refused);
                    let ran = stage
                        .sh("pr-open t-1")
                        .ok()
                        .says("t-1: blocked")
                        .says("hook declined");
                    assert_eq!(ran.stdout, "");
                    assert_eq!(stage.bead("t-1")["status"], "blocked");
                }
            },
        ),
        test(
            "pr-open: title and text come from templates, and call and close nobody's things",
            || {
                let mut bead = task("t-1");
                bead["title"] = json!("Greet @alice\nand #7");
                bead["description"] = json!("As @bob said: fixes #12, o/r#3.\n\nBead: t-9");
                let stage = Stage::new(&[bead]);
                committed(&stage, &[("t-1", "echo work > w.txt")]);
                let before = stage.bead("t-1");
                stage.sh("pr-open t-1 --label bot --reviewer carol").ok();
                let paper_1 = paper(&stage);
                let seen = |text: &Value| text.as_str().unwrap().replace('\u{200b}', "|");
                assert_eq!(seen(&paper_1["title"]), "Greet @|alice and #|7 (t-1)");
                assert_eq!(
                    seen(&paper_1["body"]),
                    "As @|bob said: fixes #|12, o/r#|3.\n\nBead: t-9\n\nBead: t-1"
                );
                assert_eq!(
                    (&paper_1["labels"], &paper_1["reviewers"]),
                    (&json!(["bot"]), &json!(["carol"]))
                );
                stage.beads(&[before]);
                stage.sh("git push --quiet origin :refs/beadline/open/agent/t-1 :refs/beadline/pull/1 :refs/pull/1/head").ok();
                let ran = stage
                    .sh("pr-open t-1 --title '{{ nonsense }}'")
                    .code(1)
                    .says("t-1: --title");
                assert_eq!((ran.stdout.as_str(), pulls(&stage).0), ("", vec![]));
                stage
                    .sh("pr-open t-1 --title '{{ id }}: done' --body ''")
                    .ok();
                let paper_1 = paper(&stage);
                assert_eq!(
                    (&paper_1["title"], &paper_1["body"]),
                    (&json!("t-1: done"), &json!("Bead: t-1"))
                );
            },
        ),
        test(
            "pr-open: without a remote it says so, and an unreachable one is tried again by the next run",
            || {
                let stage = one();
                let before = stage.bead("t-1");
                stage
                    .sh("git remote rename --no-progress origin away; pr-open t-1")
                    .code(1)
                    .says("no remote 'origin'");
                assert_eq!(stage.bead("t-1"), before);
                stage
                    .sh("git remote rename --no-progress away origin; mv ../remote.git ../gone.git")
                    .ok();
                let ran = stage.sh("pr-open t-1").code(1).says("t-1: git ");
                assert_eq!(ran.stdout, "");
                assert!(
                    !fact(&stage, "t-1", "error").is_empty()
                        && !fact(&stage, "t-1", "error_at").is_empty()
                );
                assert_eq!(fact(&stage, "t-1", "phase"), "committed");
                stage.sh("mv ../gone.git ../remote.git; pr-open t-1").ok();
                assert_eq!(fact(&stage, "t-1", "error"), "");
                assert_one_open(&stage);
            },
        ),
        test(
            "pr-open: a dry run says the title and changes nothing",
            || {
                let stage = one();
                let before = stage.bead("t-1");
                let ran = stage
                    .sh("pr-open --dry-run t-1")
                    .ok()
                    .says("would get the pull request 'Task t-1 (t-1)'");
                assert_eq!(ran.beads()[0]["metadata"]["phase"], "pr_created");
                assert_eq!(stage.bead("t-1"), before);
                assert_eq!(on_remote(&stage, "refs/heads/agent/t-1"), "");
            },
        ),
        test(
            "pr-open: a draft waits for a person, and pr-merge does not stay for it",
            || {
                let stage = one();
                stage.sh("pr-open --draft t-1").ok();
                let ran = stage.sh("pr-merge --no-checks t-1").ok();
                let ran = ran
                    .says("t-1: waits for a person: it is a draft")
                    .says("t-1: still waits: it is a draft");
                assert_eq!(ran.stdout, "");
                assert_eq!(fact(&stage, "t-1", "waits"), "it is a draft");
                assert!(!fact(&stage, "t-1", "waits_at").is_empty());
                // The gate of somebody who works alone: merging it is the word.
                stage
                    .sh("git merge --quiet -m mine agent/t-1; git push --quiet")
                    .ok();
                stage.sh("pr-merge --no-checks t-1").ok();
                assert_eq!(
                    (
                        stage.bead("t-1")["status"].clone(),
                        fact(&stage, "t-1", "waits")
                    ),
                    (json!("closed"), String::new())
                );
                assert_eq!(pulls(&stage).1, Vec::<String>::new());
            },
        ),
        test_with(
            "just",
            "tests/parts.sh",
            "the line: it ends by itself when drafts wait or the remote refuses",
            || {
                let mut stage = Stage::with_tasks(2);
                stage.simple();
                refuse(&stage, "refs/heads/agent/t-1");
                stage.set("BEADLINE_DRAFT", "1");
                let ran: Ran = stage.just("orchestrate").code(1);
                let ran = ran
                    .says("pr-open: t-1: [remote rejected] (pre-receive hook declined): git push: ")
                    .says("pr-merge: t-2: still waits: it is a draft");
                assert!(ran.took < Duration::from_mins(1), "{}", ran.all());
                // The next line takes up both, once a person has done her part.
                stage.sh("rm ../remote.git/hooks/pre-receive").ok();
                stage
                    .sh("git fetch --quiet; git merge --quiet origin/agent/t-2; git push --quiet")
                    .ok();
                stage.set("BEADLINE_DRAFT", "0");
                stage.just("orchestrate").ok();
                until("both are closed", || {
                    stage.stored().iter().all(|bead| bead["status"] == "closed")
                });
                stage.assert_clean();
            },
        ),
        test_with(
            "just",
            "tests/parts.sh",
            "the line: without a remote it ends at once, and says why",
            || {
                let mut stage = Stage::with_tasks(2);
                stage.simple();
                stage.sh("git remote remove origin").ok();
                let ran = stage
                    .just("orchestrate")
                    .code(1)
                    .says("no remote 'origin': pull requests need one");
                assert!(ran.took < Duration::from_mins(1), "{}", ran.all());
            },
        ),
    ]
}
