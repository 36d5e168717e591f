//! What is tested, and what lands.

use std::collections::HashSet;
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::json;

use super::{
    ask, assert_landed, assert_sent_back, assert_state, check, elsewhere, landed, log, main_head,
    pull, pulled,
};
use crate::forge::{again, fact, second_clone};
use crate::stage::{Stage, task, test, until};

#[expect(clippy::too_many_lines, reason = "a list of tests")]
pub(super) fn trials() -> Vec<Trial> {
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
                        "squash" => {
                            assert_eq!(
                                (history, parents),
                                ("Ada: Task t-1 (t-1)".to_owned(), base)
                            );
                        }
                        "merge" => {
                            assert_eq!(
                                (history, parents),
                                ("Ada: Task t-1 (t-1)".to_owned(), format!("{base} {head}"))
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
            "pr-merge: in the order they were opened, and red ones and conflicts hold up nobody",
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
                    ["t-1", "t-4"]
                );
                assert_eq!(landed(&stage), ["Task t-1 (t-1)", "Task t-4 (t-4)"]);
                assert_sent_back(&stage, "t-3", &["conflicts", "a.txt", "origin/main"]);
                assert_sent_back(&stage, "t-2", &["exit 1"]);
            },
        ),
        test(
            "pr-merge: a check that does not end is ended, and a bead sent back too often is a person's",
            || {
                let stage = pulled(&[("t-1", "echo 1 > 1.txt")]);
                stage.edit("t-1", &json!({"metadata": {"round": 2}}));
                let flag = check(&stage, "echo started; [ ! -e 1.txt ] || sleep 600");
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
            "pr-merge: a check that takes too long runs once more, and is then called that",
            || {
                let stage = pulled(&[("t-1", "echo 1 > 1.txt")]);
                let script = "echo \"${BEAD_ID:-base}\" >> ~/log; [ ! -e 1.txt ] || sleep 600";
                let flag = check(&stage, script);
                stage.sh(&format!("pr-merge {flag} --wait 1s t-1")).ok();
                assert_sent_back(&stage, "t-1", &["no end after 1s"]);
                assert_eq!(log(&stage), ["t-1", "t-1", "base"]);
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
        test(
            "pr-merge: a landing's title calls and closes nobody's things",
            || {
                let mut bead = task("t-1");
                bead["title"] = json!("Fixes #12: @alice, &commat;bob");
                let stage = Stage::new(&[bead]);
                pull(&stage, &[("t-1", "echo 1 > 1.txt")]);
                stage.sh("pr-merge --no-checks t-1").ok();
                assert_eq!(
                    ask(&stage, "git log -1 --format=%s main").replace('\u{200b}', "|"),
                    "Fixes #|12: @|alice, &|commat;bob (t-1)"
                );
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
