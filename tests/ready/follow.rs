//! `--follow`: what it lets through, and when it ends.

use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::{stage, under_way, with};
use crate::stage::{Running, Stage, command, task, task_on, test, test_with, until};

/// How long a line may take to end; where a time is promised, it is asserted.
const LONG: Duration = Duration::from_mins(1);

/// A time that is later than the start of a line, and near enough to be taken for now.
fn soon() -> String {
    let date = command("date")
        .args(["-u", "-d", "30 seconds", "+%FT%TZ"])
        .output();
    String::from_utf8(date.unwrap().stdout)
        .unwrap()
        .trim()
        .to_owned()
}

/// What a line has printed so far: ids in order.
fn printed(line: &Running) -> Vec<String> {
    let said = line.said();
    let beads = said
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    beads
        .map(|bead| bead["id"].as_str().unwrap().to_owned())
        .collect()
}

/// Lets one whole look of a `--follow` pass: the bead `back` is sent back twice, and each time
/// that is seen. What the first look could have printed, it has printed before the second.
fn let_a_look_pass(stage: &Stage, line: &Running, back: &str) {
    for _ in 0..2 {
        let round = stage.bead(back)["metadata"]["round"].as_u64().unwrap_or(0) + 1;
        let times = |line: &Running| printed(line).iter().filter(|id| *id == back).count();
        let before = times(line);
        stage.edit(back, &json!({"metadata": {"round": round}}));
        until("the bead that came back is printed", || {
            times(line) > before
        });
    }
}

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "bd-ready --follow: never more new beads than --max-agents, while nobody claims or all work",
            || {
                let mut beads: Vec<Value> = (1..=6).map(|n| task(&format!("t-{n}"))).collect();
                beads.push(under_way("back", "committed", &json!({})));
                let stage = stage(&beads);
                let mut line = stage.start("bd-ready --follow --max-agents 3");
                until("three are out", || printed(&line).len() == 4);
                let_a_look_pass(&stage, &line, "back");
                assert_eq!(printed(&line)[..4], ["back", "t-1", "t-2", "t-3"]);
                assert_eq!(printed(&line).len(), 6, "{}", line.said());
                // Claimed, and so still with agents.
                for id in ["t-1", "t-2", "t-3"] {
                    stage.edit(id, &under_way(id, "working", &json!({"run": 1})));
                    let_a_look_pass(&stage, &line, "back");
                }
                assert_eq!(printed(&line).len(), 12, "{}", line.said());
                // One is through: one more.
                stage.edit("t-2", &json!({"metadata": {"phase": "committed"}}));
                until("the fourth is out", || {
                    printed(&line).contains(&"t-4".to_owned())
                });
                let_a_look_pass(&stage, &line, "back");
                assert!(
                    !printed(&line).contains(&"t-5".to_owned()),
                    "{}",
                    line.said()
                );
                line.kill();
            },
        ),
        test(
            "bd-ready --follow: no new bead while --max-prs wait to be merged",
            || {
                let stage = stage(&[
                    under_way("back", "committed", &json!({})),
                    under_way("p", "pr_created", &json!({"pr_number": 1})),
                    task("new"),
                ]);
                let mut line = stage.start("bd-ready --follow --max-prs 2");
                until("both are resumed", || printed(&line).len() == 2);
                let_a_look_pass(&stage, &line, "back");
                assert!(
                    !printed(&line).contains(&"new".to_owned()),
                    "{}",
                    line.said()
                );
                stage.edit(
                    "p",
                    &json!({"status": "closed", "metadata": {"phase": "merged"}}),
                );
                until("there is room", || {
                    printed(&line).contains(&"new".to_owned())
                });
                line.kill();
            },
        ),
        test(
            "bd-ready --follow: ends at once when nothing is left, and says what is left and why",
            || {
                let stage = stage(&[
                    with("done", &json!({"status": "closed"})),
                    with("stuck", &json!({"status": "blocked"})),
                    task_on("waits", &[("stuck", "blocks")]),
                    with("hers", &json!({"assignee": "ada"})),
                    with("put-off", &json!({"defer_until": "2099-01-01T00:00:00Z"})),
                    with(
                        "away",
                        &json!({"status": "in_progress", "assignee": "beadline/there/1", "metadata": {"phase": "working", "host": "there"}}),
                    ),
                    under_way(
                        "failed",
                        "working",
                        &json!({"error": "no network", "error_at": soon()}),
                    ),
                    under_way(
                        "unseen",
                        "pr_created",
                        &json!({"waits": "approve it", "waits_at": soon()}),
                    ),
                    with(
                        "open",
                        &json!({"metadata": {"error": "no space", "error_at": soon()}}),
                    ),
                ]);
                let ran = stage.sh("bd-ready --follow").ok();
                assert_eq!(ran.stdout, "");
                ran.says_not("bd-ready: done")
                    .says("stuck: not done: blocked, a person has to look at it")
                    .says("waits: not done: blocked by stuck")
                    .says("hers: not done: assigned to 'ada'")
                    .says("put-off: not done: deferred until 2099-01-01T00:00:00Z")
                    .says("away: under way in the clone 'there'")
                    .says("failed: not done: no network")
                    .says("unseen: not done: a person: approve it")
                    .says("open: left for the next run: no space");
                stage
                    .sh("bd-ready --follow --quiet")
                    .ok()
                    .says_not("bd-ready");
            },
        ),
        test(
            "bd-ready --follow: an error of an earlier run is no reason to leave a bead",
            || {
                let old = json!({"error": "no network", "error_at": "2026-01-01T00:00:00Z", "waits": "x", "waits_at": "2026-01-01T00:00:00Z"});
                let stage = stage(&[
                    under_way("a", "working", &old),
                    with("b", &json!({"metadata": old})),
                ]);
                let line = stage.start("bd-ready --follow");
                until("both are out", || printed(&line) == ["a", "b"]);
                stage.edit("a", &json!({"metadata": {"error_at": soon()}}));
                stage.edit("b", &json!({"metadata": {"error_at": soon()}}));
                line.wait(LONG).ok().says("a: not done: no network");
            },
        ),
        test(
            "bd-ready --follow: a time that lies ahead of now hides and ends nothing",
            || {
                let ahead = "2099-01-01T00:00:00Z";
                let stage = stage(&[
                    with(
                        "failed",
                        &json!({"metadata": {"error": "x", "error_at": ahead}}),
                    ),
                    under_way(
                        "waits",
                        "pr_created",
                        &json!({"waits": "x", "waits_at": ahead}),
                    ),
                ]);
                stage
                    .sh(&format!(
                        "mkdir -p .git/beadline; touch -d {ahead} .git/beadline/stop"
                    ))
                    .ok();
                let mut line = stage.start("bd-ready --follow --quiet");
                until("both are out", || printed(&line).len() == 2);
                line.kill();
            },
        ),
        test_with(
            "strace",
            "tests/parts.sh",
            "bd-ready --follow: where nothing can be watched it looks at every interval",
            || {
                let stage = stage(&[under_way("a", "working", &json!({}))]);
                let none = "strace -f -qq -o ../trace -e inject=inotify_init1:error=EMFILE --";
                let mut line = stage.start(&format!("{none} bd-ready --follow --interval 50ms"));
                until("it has looked", || printed(&line) == ["a"]);
                stage.edit("a", &json!({"metadata": {"round": 1}}));
                until("it has looked again", || printed(&line).len() == 2);
                assert!(line.said().contains("nothing tells of changes"));
                line.kill();
            },
        ),
        test(
            "bd-ready --follow: prints what becomes ready when a person edits the store",
            || {
                let stage = stage(&[
                    task("first"),
                    task_on("second", &[("first", "blocks")]),
                    with("hers", &json!({"assignee": "ada"})),
                ]);
                let line = stage.start("bd-ready --follow --interval 1h");
                until("the first is out", || printed(&line) == ["first"]);
                stage.edit("first", &json!({"status": "closed"}));
                until("the second is out", || {
                    printed(&line) == ["first", "second"]
                });
                stage.edit("hers", &json!({"assignee": ""}));
                until("hers is given back", || {
                    printed(&line) == ["first", "second", "hers"]
                });
                stage.edit("second", &json!({"status": "closed"}));
                stage.edit("hers", &json!({"status": "closed"}));
                line.wait(LONG).ok();
            },
        ),
        test(
            "bd-ready --follow: what comes back is printed again, and before what is new",
            || {
                let stage = stage(&[
                    under_way("back", "pr_created", &json!({"round": 1})),
                    task("a"),
                    task("b"),
                ]);
                let mut line = stage.start("bd-ready --follow --max-agents 1");
                until("both are out", || printed(&line) == ["back", "a"]);
                stage.edit(
                    "back",
                    &json!({"metadata": {"phase": "spawned", "round": 2}}),
                );
                until("it is out again", || {
                    printed(&line) == ["back", "a", "back"]
                });
                line.kill();
            },
        ),
        test(
            "bd-ready --follow: a near deferral is waited for, a far one is not",
            || {
                let soon = stage(&[])
                    .sh("date -u -d '+3 seconds' +%FT%TZ")
                    .ok()
                    .stdout
                    .trim()
                    .to_owned();
                let stage = stage(&[
                    with("soon", &json!({"defer_until": soon})),
                    with("far", &json!({"defer_until": "2099-01-01T00:00:00Z"})),
                ]);
                let line = stage.start("bd-ready --follow --interval 1h");
                until("the near one is out", || printed(&line) == ["soon"]);
                assert!(stage.sh("date -u +%FT%TZ").ok().stdout.trim() >= soon.as_str());
                stage.edit("soon", &json!({"status": "closed"}));
                line.wait(LONG)
                    .ok()
                    .says("far: not done: deferred until 2099");
            },
        ),
        test(
            "bd-ready --follow: --forever goes on, and agent-stop --all ends it",
            || {
                let stage = stage(&[]);
                let line = stage.start("bd-ready --follow --forever --interval 1h");
                stage.beads(&[task("new")]);
                until("a bead that was added is out", || printed(&line) == ["new"]);
                stage.sh("agent-stop --all").ok();
                line.wait(LONG)
                    .ok()
                    .says("stopped: nothing more is handed out");
            },
        ),
        test(
            "bd-ready --follow: agent-stop --all drains it though much is left, and the next one starts",
            || {
                let stage = stage(&[task("a"), task("b")]);
                let line = stage.start("bd-ready --follow --max-agents 1");
                until("one is out", || printed(&line) == ["a"]);
                stage.sh("agent-stop --all").ok();
                assert_eq!(line.wait(LONG).ok().ids(), ["a"]);
            },
        ),
        test(
            "bd-ready --follow: only the beads that were named, and --limit new ones",
            || {
                let stage = stage(&[task("a"), task("b"), task("c")]);
                let line = stage.start("bd-ready --follow b");
                until("it is out", || printed(&line) == ["b"]);
                stage.edit("b", &json!({"status": "closed"}));
                let two = stage.start("bd-ready --follow --limit 1");
                until("one is out", || printed(&two) == ["a"]);
                stage.edit("a", &json!({"status": "closed"}));
                assert_eq!(line.wait(LONG).ok().ids(), ["b"]);
                assert_eq!(two.wait(LONG).ok().ids(), ["a"]);
            },
        ),
    ]
}
