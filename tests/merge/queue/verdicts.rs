//! Green verdicts that outlive the program: for that very commit and that very check.

use libtest_mimic::Trial;

use super::{COUNTS, assert_all_landed, many};
use crate::forge::hook;
use crate::merge::{ask, check, landed, log};
use crate::stage::{Stage, test};

/// Takes no landing of so many pull requests, and ends the program that sends it.
const KILLS: &str = "#!/bin/sh
refs=$(cat)
case $refs in *refs/heads/main*) ;; *) exit 0 ;; esac
[ \"$(echo \"$refs\" | grep -c refs/beadline/pull/)\" -ge MANY ] || exit 0
kill -9 \"$(cat \"$HOME/pid\")\"
exit 1
";

/// Counts its runs by the commits that it sees.
const COMMITS: &str = "git rev-parse HEAD >> ~/log";

/// Where green verdicts are kept.
const KEPT: &str = ".git/beadline/checked";

/// Pull requests of which so many were green together; their landing was not sent. Returns the flag,
/// too.
fn killed(count: usize, together: usize, variables: &str) -> (Stage, String) {
    let stage = many(count, &[]);
    let flag = check(&stage, COMMITS);
    hook(
        &stage,
        "pre-receive",
        &KILLS.replace("MANY", &together.to_string()),
    );
    let line = format!("echo $$ > ~/pid; {variables} exec pr-merge {flag} t-{{1..{count}}}");
    stage.sh(&line).code(128 + 9);
    stage.sh("rm ../remote.git/hooks/pre-receive").ok();
    assert!(landed(&stage).len() <= count - together);
    (stage, flag)
}

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "queue: what was green before a kill is not checked again, alone or in a group",
            || {
                for (count, together) in [(1, 1), (8, 2)] {
                    let (stage, flag) = killed(count, together, "");
                    let green = log(&stage).pop().unwrap();
                    let ran = stage.sh(&format!("pr-merge {flag} t-{{1..{count}}}")).ok();
                    assert_all_landed(&stage, count, &[], &ran);
                    let on_main = ask(&stage, "git rev-list --first-parent main");
                    assert!(on_main.contains(&green), "{}", ran.all());
                    let mut tested = log(&stage);
                    let runs = tested.len();
                    tested.sort();
                    tested.dedup();
                    assert_eq!(tested.len(), runs, "tested twice: {}", ran.all());
                }
            },
        ),
        test(
            "queue: what one check said is nothing that another one, or another set-up, has said",
            || {
                let others = [
                    ("", "--setup true"),
                    ("", "--setup 'true ' --check 'sh '$HOME'/../check.sh'"),
                    ("", "--check 'sh '$HOME'/../check.sh; true'"),
                    ("", "--check-launcher env"),
                    ("", "--launcher env"),
                    ("NEW=1", "--env NEW"),
                ];
                for (variables, more) in others {
                    let (stage, flag) = killed(1, 1, "");
                    let flag = match more.contains("--check ") {
                        true => String::new(),
                        false => flag,
                    };
                    let ran = stage
                        .sh(&format!("{variables} pr-merge {flag} {more} t-1"))
                        .ok();
                    assert_all_landed(&stage, 1, &[], &ran);
                    assert_eq!(log(&stage).len(), 2, "{more}\n{}", ran.all());
                }
                // A variable's value is a part of it.
                let (stage, flag) = killed(1, 1, "export NEW=1 BEADLINE_ENV=NEW;");
                let line = |value| format!("NEW={value} BEADLINE_ENV=NEW pr-merge {flag} t-1");
                let ran = stage.sh(&line(2)).ok();
                assert_all_landed(&stage, 1, &[], &ran);
                assert_eq!(log(&stage).len(), 2, "{}", ran.all());
            },
        ),
        test("queue: a worktree of another set-up is made anew", || {
            let stage = many(2, &[]);
            stage.sh("echo built >> .git/info/exclude").ok();
            for (id, word) in [("t-1", "one"), ("t-2", "two")] {
                let ran = stage.sh(&format!(
                    "pr-merge --check 'grep -qx {word} built' --setup 'echo {word} > built' {id}"
                ));
                assert_eq!(ran.ok().ids(), [id]);
            }
        }),
        test(
            "queue: who deletes the green verdicts, or writes nonsense there, loses time only",
            || {
                for act in [
                    "rm -r",
                    "find DIR -type f -delete; true",
                    "for file in $(find DIR -type f); do rm $file; mkdir $file; done; true",
                    "rm -r DIR; touch",
                    "chmod -R a-rwx",
                ] {
                    let (stage, flag) = killed(1, 1, "");
                    stage.sh(&format!("test -d {KEPT}")).ok();
                    stage
                        .sh(&format!("{} {KEPT}", act.replace("DIR", KEPT)))
                        .ok();
                    let ran = stage
                        .without_privileges(&format!("pr-merge {flag} t-1"))
                        .ok();
                    assert_all_landed(&stage, 1, &[], &ran);
                    assert_eq!(log(&stage).len(), 2, "{act}\n{}", ran.all());
                }
            },
        ),
        test("queue: a red check is no verdict that is kept", || {
            let stage = many(1, &[1]);
            let flag = check(&stage, COUNTS);
            stage.sh(&format!("pr-merge {flag} --retries 0 t-1")).ok();
            let kept = stage
                .sh(&format!("find {KEPT} -type f 2> /dev/null || true"))
                .ok();
            // The base has passed; the red merge of it has not.
            let head = stage.sh("git rev-parse origin/main").ok().stdout;
            for line in kept.stdout.lines() {
                assert!(line.ends_with(head.trim()), "{line}");
            }
        }),
    ]
}
