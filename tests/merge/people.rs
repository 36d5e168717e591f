//! What people do meanwhile.

use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::json;

use super::{
    ask, assert_landed, assert_sent_back, assert_state, check, elsewhere, landed, log, main_head,
    pulled,
};
use crate::forge::{again, fact, on_remote, refuse};
use crate::stage::{test, until};

pub(super) fn trials() -> Vec<Trial> {
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
            "pr-merge: a pull request that somebody retargets, even while its check runs, waits for a person",
            || {
                let retarget = |to: &str| {
                    format!(
                        "git -C \"$HOME/../remote.git\" cat-file blob refs/beadline/pull/1 \\
                           | sed 's/\"base\":\"[a-z]*\"/\"base\":\"{to}\"/' > ~/paper
                         blob=$(git -C \"$HOME/../remote.git\" hash-object -w ~/paper)
                         git -C \"$HOME/../remote.git\" update-ref refs/beadline/pull/1 $blob\n"
                    )
                };
                let stage = pulled(&[("t-1", "echo 1 > 1.txt")]);
                stage.sh("git push --quiet origin main:release").ok();
                stage.sh(&retarget("release")).ok();
                let words = "t-1: waits for a person: it is to land on release, not on main";
                stage.sh("pr-merge --no-checks t-1").ok().says(words);
                stage.sh(&retarget("main")).ok();
                let flag = check(&stage, &retarget("release"));
                stage.sh(&format!("pr-merge {flag} t-1")).ok().says(words);
                assert_eq!(landed(&stage), Vec::<String>::new());
                stage.sh(&retarget("main")).ok();
                stage
                    .sh(&format!("pr-merge {} t-1", check(&stage, "true")))
                    .ok();
                assert_landed(&stage, "t-1");
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
                stage.write("review.sh", "[ $BEAD_ID = t-2 ] || exit 2; echo '{\"verdict\":\"approve\"}' > $BEADLINE_VERDICT");
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
