//! Pull requests are opened once, whatever happened before and meanwhile.

use libtest_mimic::Trial;

use super::{assert_one_open, committed, fact, hook, on_remote, one, pulls, second_clone};
use crate::stage::{Stage, test};

/// Prints what the remote has, and appends what each push brings, pushes parted by a line.
const LOGGING: &str = "#!/bin/sh\n{ echo push; cat; } >> \"$HOME/pushes\"\n";

pub(super) fn trials() -> Vec<Trial> {
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
    ]
}
