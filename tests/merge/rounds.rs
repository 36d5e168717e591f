//! Reviews, and what comes back to the agent and lands in its next round.

use libtest_mimic::Trial;

use super::{assert_landed, check, elsewhere, landed, log, pulled};
use crate::forge::fact;
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
