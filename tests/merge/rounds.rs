//! Reviews, and what comes back to the agent and lands in its next round.

use std::time::Duration;

use libtest_mimic::Trial;

use super::{assert_landed, check, elsewhere, landed, log, pulled};
use crate::forge::{again, fact};
use crate::stage::{Stage, test, test_with};

#[expect(clippy::too_many_lines, reason = "a list of tests")]
pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "pr-merge: a reviewer gets the diff and the head, and approves that head",
            || {
                let stage = pulled(&[("t-1", "echo 1 > 1.txt")]);
                stage.sh(&elsewhere("main", "echo else > else.txt")).ok();
                stage.write(
                    "review.sh",
                    "cat > ~/diff; echo $BEAD_ID $BEAD_HEAD >> ~/log\n
                     echo '{\"verdict\":\"approve\"}' > \"$BEADLINE_VERDICT\"\n",
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
            "pr-merge: what a reviewer leaves running with the diff in hand keeps nobody waiting",
            || {
                let stage = pulled(&[("t-1", "seq 100000 > 1.txt")]);
                stage.write(
                    "review.sh",
                    "exec 3<&0; setsid sleep 600 <&3 & echo '{\"verdict\":\"approve\"}' > $BEADLINE_VERDICT",
                );
                let review = format!("--review 'sh {}'", stage.path("review.sh").display());
                stage
                    .sh(&format!("pr-merge --no-checks {review} --wait 30s t-1"))
                    .ok();
                assert_landed(&stage, "t-1");
                assert_eq!(stage.processes(), Vec::<String>::new());
            },
        ),
        test(
            "pr-merge: an undecided reviewer waits for a person, and no check runs",
            || {
                let approve = r#"echo '{"verdict":"approve"}'"#;
                let failed = format!("{approve} > $BEADLINE_VERDICT; exit 1");
                let linked = format!("{approve} > ~/said; ln -s ~/said $BEADLINE_VERDICT");
                for how in [
                    "exit 2",
                    "kill -9 $$",
                    "sleep 600",
                    "echo REQUEST CHANGES; exit 1",
                    "echo LGTM",
                    "echo LGTM > $BEADLINE_VERDICT",
                    "mkfifo $BEADLINE_VERDICT",
                    "head -c 300000 /dev/zero > $BEADLINE_VERDICT",
                    approve,
                    &failed,
                    &linked,
                    r#"echo '{"verdict":"rework","summary":"no"}' > $BEADLINE_VERDICT"#,
                ] {
                    let stage = pulled(&[("t-1", "echo 1 > 1.txt")]);
                    let flag = check(&stage, "echo ran >> ~/log");
                    stage.write("review.sh", &format!("echo asked >> ~/asked\n{how}\n"));
                    let review = format!("--review 'sh {}'", stage.path("review.sh").display());
                    let ran = stage
                        .sh(&format!("pr-merge {flag} {review} --wait 1s t-1"))
                        .ok()
                        .says("the reviewer is undecided");
                    assert_eq!((ran.stdout.as_str(), log(&stage)), ("", vec![]), "{how}");
                    assert_eq!(stage.read("home/asked"), "asked\n", "{how}");
                    assert!(
                        fact(&stage, "t-1", "waits").contains("undecided"),
                        "{}",
                        stage.bead("t-1")
                    );
                    assert_eq!(landed(&stage), Vec::<String>::new());
                }
            },
        ),
        test(
            "pr-merge: conflicts are no rounds, and have a bound of their own",
            || {
                let stage = pulled(&[
                    ("t-1", "echo 1 >> a.txt"),
                    ("t-2", "echo 2 >> a.txt"),
                    ("t-3", "echo 3 >> a.txt"),
                ]);
                let both = "git merge --quiet origin/main > /dev/null || true
                    grep -v '^[<=>]' a.txt > both; mv both a.txt; git commit --quiet -am both";
                let line = "pr-merge --no-checks --max-rounds 1";
                stage.sh(&format!("{line} t-1 t-2 t-3")).ok();
                again(&stage, "t-2", both);
                again(&stage, "t-3", both);
                let ran = stage.sh(&format!("pr-open t-2 t-3 | {line}")).ok();
                ran.says("t-3: sent back: conflicts with the base in a.txt");
                assert_eq!(
                    (
                        fact(&stage, "t-3", "round").as_str(),
                        fact(&stage, "t-3", "conflicts").as_str()
                    ),
                    ("2", "2")
                );
                again(&stage, "t-3", both);
                stage.sh(&format!("pr-open t-3 | {line}")).ok();
                for id in ["t-1", "t-2", "t-3"] {
                    assert_landed(&stage, id);
                }
                let stage = pulled(&[("t-1", "echo 1 >> a.txt"), ("t-2", "echo 2 >> a.txt")]);
                stage
                    .sh("pr-merge --no-checks --max-conflicts 0 t-1 t-2")
                    .ok()
                    .says("too often: a person has to look at it");
                assert_eq!(stage.bead("t-2")["status"], "blocked");
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
                 if [ \"$BEAD_ROUND\" -gt 0 ]; then grep -q 'must: round.txt:1: say please' \"$BEAD_PROMPT\"; echo please > please; fi
                 echo \"$BEAD_ROUND\" > round.txt; git add . && git commit --quiet -m work\n",
            );
                stage.write(
                "review.sh",
                "echo $BEAD_HEAD >> ~/log
                 if grep -q '+please'; then echo '{\"verdict\":\"approve\"}'
                 else echo '{\"verdict\":\"rework\",\"findings\":[{\"severity\":\"must\",\"body\":\"say please\",
                     \"path\":\"round.txt\",\"line\":1}]}'
                 fi > \"$BEADLINE_VERDICT\"\n",
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
            "the line: six agents that append to one file all land",
            || {
                let mut stage = Stage::with_tasks(6);
                // All that are left have merged the same base before one of them lands: the last one
                // meets a conflict five times.
                stage.agent(
                    "set -eu
                     if [ \"$BEAD_ROUND\" -gt 0 ]; then
                         grep -q origin/main \"$BEAD_PROMPT\"
                         git merge --quiet -m merge origin/main > /dev/null || true
                         grep -v '^[<=>]' a.txt > both; mv both a.txt
                     else
                         echo $BEAD_ID >> a.txt
                     fi
                     git commit --quiet -am \"$BEAD_ID $BEAD_ROUND\"
                     mkdir -p ~/ready/$BEAD_ROUND; touch ~/ready/$BEAD_ROUND/$BEAD_ID
                     until [ $(ls ~/ready/$BEAD_ROUND | wc -l) -eq $((6 - BEAD_ROUND)) ]; do sleep 0.05; done\n",
                );
                stage.set("BEADLINE_NO_CHECKS", "1");
                stage.set("BEADLINE_MAX_AGENTS", "6");
                stage
                    .start_just("orchestrate")
                    .wait(Duration::from_mins(4))
                    .ok();
                let mut conflicts = Vec::new();
                for n in 1..=6 {
                    assert_landed(&stage, &format!("t-{n}"));
                    let bead = stage.bead(&format!("t-{n}"));
                    conflicts.push(bead["metadata"]["conflicts"].as_u64().unwrap_or(0));
                }
                conflicts.sort_unstable();
                assert_eq!(conflicts, [0, 1, 2, 3, 4, 5]);
                assert_eq!(
                    stage.sh("git show origin/main:a.txt | sort").ok().stdout,
                    "one\nt-1\nt-2\nt-3\nt-4\nt-5\nt-6\n"
                );
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
