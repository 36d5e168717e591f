//! What is tested together, what lands, and who is sent back for it.

use libtest_mimic::Trial;

use super::{COUNTS, assert_all_landed, many};
use crate::forge::fact;
use crate::merge::{assert_landed, assert_sent_back, check, landed, log, pulled};
use crate::stage::test;

#[expect(clippy::too_many_lines, reason = "a list of tests")]
pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "queue: twenty that are green land after two checks at most",
            || {
                let stage = many(20, &[]);
                let flag = check(&stage, COUNTS);
                let ran = stage.sh(&format!("pr-merge {flag} t-{{1..20}}")).ok();
                assert_all_landed(&stage, 20, &[], &ran);
                assert!(log(&stage).len() <= 2, "{}", ran.all());
            },
        ),
        test(
            "queue: one red of twenty is sent back with what the check said of it, after few checks",
            || {
                for red in [1, 7, 20] {
                    let stage = many(20, &[red]);
                    let flag = check(&stage, COUNTS);
                    let ran = stage.sh(&format!("pr-merge {flag} t-{{1..20}}")).ok();
                    assert_all_landed(&stage, 20, &[red], &ran);
                    let said = format!("red-{red} is here");
                    assert_sent_back(&stage, &format!("t-{red}"), &["exit 7", &said]);
                    // A train needs ten.
                    assert!(log(&stage).len() < 10, "{:?}\n{}", log(&stage), ran.all());
                }
            },
        ),
        test(
            "queue: four red of twenty are sent back, each for its own",
            || {
                let reds = [3, 8, 14, 19];
                let stage = many(20, &reds);
                let flag = check(&stage, COUNTS);
                let ran = stage.sh(&format!("pr-merge {flag} t-{{1..20}}")).ok();
                assert_all_landed(&stage, 20, &reds, &ran);
                for red in reds {
                    let (id, said) = (format!("t-{red}"), format!("red-{red} is here"));
                    assert_sent_back(&stage, &id, &["exit 7", &said]);
                    // Of nobody else.
                    assert_eq!(fact(&stage, &id, "feedback").matches("red-").count(), 1);
                }
                assert!(log(&stage).len() < 28, "{:?}\n{}", log(&stage), ran.all());
            },
        ),
        test(
            "queue: of two that are red only together the second is sent back, and is told of the first",
            || {
                let stage = pulled(&[
                    ("t-1", "echo 1 > 1.txt"),
                    ("t-2", "echo 2 > use-2; echo 2 > 2.txt"),
                    ("t-3", "echo 3 > 3.txt"),
                    ("t-4", "echo 4 > 4.txt"),
                    ("t-5", "echo 5 > use-5; echo 5 > 5.txt"),
                    ("t-6", "echo 6 > 6.txt"),
                ]);
                let script = "[ $(ls use-* 2> /dev/null | wc -l) -lt 2 ] || { echo 'only one use allowed'; exit 7; }";
                let flag = check(&stage, script);
                let ran = stage.sh(&format!("pr-merge {flag} t-{{1..6}}")).ok();
                assert_all_landed(&stage, 6, &[5], &ran);
                assert_sent_back(&stage, "t-5", &["only one use allowed", "t-2"]);
                let feedback = fact(&stage, "t-5", "feedback");
                // One that was not there is not to blame.
                assert!(!feedback.contains("t-6"), "{feedback}");
            },
        ),
        test(
            "queue: a red base blames nobody; the one that mends it lands, and then the others",
            || {
                let stage = many(6, &[]);
                // Before them all: the base lacks what the fourth one brings.
                let flag = check(
                    &stage,
                    "echo ran >> ~/log; test -e 4.txt || { echo broken; exit 3; }",
                );
                let ran = stage.sh(&format!("pr-merge {flag} t-{{1..6}}")).ok();
                assert_all_landed(&stage, 6, &[], &ran);
                assert!(log(&stage).len() <= 12, "{}", ran.all());
            },
        ),
        test(
            "queue: what is red only once lands, and that is said",
            || {
                // The group, the one alone.
                for count in [1, 8] {
                    let stage = many(count, &[]);
                    let flag = check(&stage, "mkdir ~/once 2> /dev/null && exit 9; exit 0");
                    let ran = stage.sh(&format!("pr-merge {flag} t-{{1..{count}}}")).ok();
                    assert_all_landed(&stage, count, &[], &ran);
                }
                let stage = many(1, &[]);
                let flag = check(&stage, "mkdir ~/once 2> /dev/null && exit 9; exit 0");
                stage.sh(&format!("pr-merge {flag} t-1")).ok().says("flak");
                // Without a second try it is red.
                let stage = many(1, &[]);
                let once = "[ ! -e 1.txt ] || { mkdir ~/once 2> /dev/null && exit 9; }; exit 0";
                let flag = check(&stage, once);
                stage.sh(&format!("pr-merge {flag} --retries 0 t-1")).ok();
                assert_sent_back(&stage, "t-1", &["exit 9"]);
            },
        ),
        test("queue: a batch of one is one by one", || {
            let stage = many(4, &[2]);
            let script = "echo \"$BEAD_ID $(git rev-list --count origin/main..HEAD)\" >> ~/log; test ! -e red-2";
            let flag = check(&stage, script);
            let ran = stage
                .sh(&format!("pr-merge {flag} --batch 1 --retries 0 t-{{1..4}}"))
                .ok();
            assert_all_landed(&stage, 4, &[2], &ran);
            let tested: Vec<String> = log(&stage)
                .into_iter()
                .filter(|line| line.starts_with("t-"))
                .collect();
            assert_eq!(
                tested,
                ["t-1 1", "t-2 1", "t-3 1", "t-4 1"],
                "{}",
                ran.all()
            );
        }),
        test(
            "queue: a check of one is told which, one of a group is told none",
            || {
                let stage = many(8, &[3]);
                let script = "echo \"$(git rev-list --count origin/main..HEAD) ${BEAD_ID:-none}\" >> ~/log; test ! -e red-3";
                let flag = check(&stage, script);
                let ran = stage.sh(&format!("pr-merge {flag} t-{{1..8}}")).ok();
                assert_all_landed(&stage, 8, &[3], &ran);
                let (mut groups, mut alone) = (0, 0);
                for line in log(&stage) {
                    match line.split_once(' ').unwrap() {
                        // The base.
                        ("0", id) => assert_eq!(id, "none"),
                        ("1", id) => {
                            assert!(id.starts_with("t-"), "{line}\n{}", ran.all());
                            alone += 1;
                        }
                        (_, id) => {
                            assert_eq!(id, "none", "{line}\n{}", ran.all());
                            groups += 1;
                        }
                    }
                }
                assert!(groups > 0 && alone > 0, "{}", ran.all());
            },
        ),
        test(
            "queue: what conflicts with one ahead of it is left out, and lands if that one does not",
            || {
                let stage = pulled(&[
                    ("t-1", "echo 1 > a.txt; touch red-1"),
                    ("t-2", "echo 2 > a.txt; echo 2 > 2.txt"),
                    ("t-3", "echo 3 > 3.txt"),
                ]);
                let flag = check(&stage, COUNTS);
                let ran = stage.sh(&format!("pr-merge {flag} t-1 t-2 t-3")).ok();
                assert_sent_back(&stage, "t-1", &["red-1 is here"]);
                for id in ["t-2", "t-3"] {
                    assert_landed(&stage, id);
                    assert_eq!(fact(&stage, id, "round"), "0", "{}", ran.all());
                }
                // Where the one ahead of it has landed, it conflicts with the base.
                let stage = pulled(&[
                    ("t-1", "echo 1 > a.txt"),
                    ("t-2", "echo 2 > a.txt"),
                    ("t-3", "echo 3 > 3.txt"),
                ]);
                let flag = check(&stage, COUNTS);
                let ran = stage.sh(&format!("pr-merge {flag} t-1 t-2 t-3")).ok();
                assert_sent_back(&stage, "t-2", &["conflicts", "a.txt"]);
                let mut on_main = landed(&stage);
                on_main.sort();
                assert_eq!(
                    on_main,
                    ["Task t-1 (t-1)", "Task t-3 (t-3)"],
                    "{}",
                    ran.all()
                );
            },
        ),
    ]
}
