//! What is printed, in which order, and why a bead is refused.

use libtest_mimic::Trial;
use serde_json::json;

use super::{stage, under_way, with};
use crate::stage::{task, task_on, test};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "bd-ready: by priority, then age; only what is ready, and no container",
            || {
                let stage = stage(&[
                    with("later", &json!({"created_at": "2026-01-03T00:00:00Z"})),
                    with("early", &json!({"created_at": "2026-01-02T00:00:00Z"})),
                    with(
                        "urgent",
                        &json!({"priority": 0, "created_at": "2026-01-04T00:00:00Z"}),
                    ),
                    with("idle", &json!({"priority": 4})),
                    with("done", &json!({"status": "closed"})),
                    with("hers", &json!({"assignee": "ada"})),
                    with("put-off", &json!({"defer_until": "2099-01-01T00:00:00Z"})),
                    with("pinned", &json!({"pinned": true})),
                    with("epic", &json!({"issue_type": "epic"})),
                    task_on("waits", &[("idle", "blocks")]),
                    task("above"),
                    task_on("above.1", &[("above", "parent-child")]),
                    under_way("mine", "committed", &json!({})),
                ]);
                let ids = |flags: &str| {
                    let ran = stage.sh(&format!("bd-ready {flags} | jq -r .id")).ok();
                    ran.stdout.lines().collect::<Vec<_>>().join(" ")
                };
                assert_eq!(ids(""), "urgent above.1 early later idle");
                assert_eq!(ids("--limit 2"), "urgent above.1");
                assert_eq!(ids("--resume --limit 1"), "mine urgent");
                assert_eq!(ids("--phase committed"), "mine");
                assert_eq!(
                    ids("--phase spawned --phase committed --phase merged"),
                    "mine"
                );
                assert_eq!(ids("--phase spawned"), "");
                assert_eq!(ids("--epic above"), "above.1");
                assert_eq!(ids("--epic idle"), "");
            },
        ),
        test("bd-ready: --label and --epic select", || {
            let stage = stage(&[
                with("a", &json!({"labels": ["x", "y"]})),
                with("b", &json!({"labels": ["y"]})),
                task("e"),
                with("e.1", &json!({"labels": ["x"]})),
                task_on("deep", &[("e.1", "parent-child")]),
            ]);
            assert_eq!(stage.sh("bd-ready --label x").ok().ids(), ["a"]);
            assert_eq!(stage.sh("bd-ready --label y").ok().ids(), ["a", "b"]);
            assert_eq!(stage.sh("bd-ready --label z").ok().ids(), [""; 0]);
            assert_eq!(stage.sh("bd-ready --epic e").ok().ids(), ["deep"]);
            assert_eq!(stage.sh("bd-ready --epic e --label y").ok().ids(), [""; 0]);
        }),
        test(
            "bd-ready: a bead that cannot be worked on is refused by name, with the reason",
            || {
                let stage = stage(&[
                    task("free"),
                    under_way("mine", "working", &json!({})),
                    with("done", &json!({"status": "closed"})),
                    task_on(
                        "waits",
                        &[("free", "blocks"), ("mine", "blocks"), ("done", "blocks")],
                    ),
                    with("stuck", &json!({"status": "blocked"})),
                    task("above"),
                    task_on("above.1", &[("waits", "blocks")]),
                    with("hers", &json!({"assignee": "ada"})),
                    with(
                        "taken",
                        &json!({"status": "in_progress", "assignee": "ada"}),
                    ),
                    with("put-off", &json!({"defer_until": "2099-01-01T00:00:00Z"})),
                    with(
                        "away",
                        &json!({"status": "in_progress", "assignee": "beadline/there/1", "metadata": {"phase": "working", "host": "there"}}),
                    ),
                    with("pinned", &json!({"pinned": true})),
                ]);
                for (id, why) in [
                    ("done", "closed"),
                    ("waits", "blocked by free, mine"),
                    (
                        "stuck",
                        "blocked: a person has to look at it, then: just retry stuck",
                    ),
                    ("above", "a container: its children are worked on"),
                    ("above.1", "blocked by waits"),
                    ("nope", "no such bead"),
                    ("hers", "assigned to 'ada'"),
                    ("taken", "ada"),
                    ("put-off", "deferred until 2099-01-01T00:00:00Z"),
                    ("away", "under way in the clone 'there'"),
                    ("pinned", "set aside"),
                ] {
                    for follow in ["", "--follow"] {
                        let ran = stage.sh(&format!("bd-ready {follow} {id}")).code(1);
                        let told = ran.stderr.lines().next().unwrap_or_default();
                        assert!(
                            told.starts_with(&format!("bd-ready: {id}: ")) && told.contains(why),
                            "{}",
                            ran.all()
                        );
                        assert_eq!(ran.stdout, "");
                    }
                }
                let some = stage.sh("bd-ready mine nope free").code(1);
                assert_eq!(some.ids(), ["free", "mine"]);
            },
        ),
    ]
}
