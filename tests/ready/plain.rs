//! What is printed, in which order, and why a bead is refused.

use libtest_mimic::Trial;
use serde_json::json;

use super::{stage, under_way, with};
use crate::stage::{task, task_on, test, until};

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
            "bd-ready: what blocks or defers a bead is read in every form, and what cannot be read is no work",
            || {
                let stage = stage(&[
                    task("a"),
                    with("plain", &json!({"dependencies": ["a"]})),
                    with(
                        "untyped",
                        &json!({"dependencies": [{"depends_on_id": "a", "type": null}]}),
                    ),
                    with(
                        "shown",
                        &json!({"dependencies": [{"id": "a", "dependency_type": "blocks"}]}),
                    ),
                    with("dated", &json!({"defer_until": "2099-01-01"})),
                    with(
                        "odd",
                        &json!({"dependencies": [{"depends_on_id": "done", "type": "blocks"}, 7]}),
                    ),
                    with("never", &json!({"status": null})),
                    with("soon", &json!({"defer_until": "soon"})),
                    task_on("behind", &[("odd", "blocks")]),
                    task_on("below", &[("soon", "parent-child")]),
                    with("done", &json!({"status": "closed"})),
                    task_on("free", &[("done", "blocks")]),
                ]);
                let faults = [
                    "bd-ready: odd: `dependencies`: row 2 is neither an id nor an edge\n",
                    "bd-ready: never: `status`: null is no status\n",
                    "bd-ready: soon: `defer_until`: \"soon\" is no time\n",
                ];
                for follow in ["", "--follow"] {
                    let line = stage.start(&format!("bd-ready --quiet {follow}"));
                    until("the free ones are printed", || line.said().contains("free"));
                    // It waits for the beads that it printed.
                    if !follow.is_empty() {
                        stage.edit("a", &json!({"status": "closed"}));
                        until("they are freed", || line.said().contains("shown"));
                        for id in ["a", "free", "plain", "untyped", "shown"] {
                            stage.edit(id, &json!({"status": "closed"}));
                        }
                    }
                    let ran = line.wait(std::time::Duration::from_secs(20)).code(1);
                    match follow {
                        "" => assert_eq!(ran.ids(), ["a", "free"]),
                        _ => assert_eq!(ran.ids(), ["a", "free", "plain", "shown", "untyped"]),
                    }
                    assert_eq!(ran.stderr, faults.concat());
                }
                for (id, why) in [
                    ("behind", "blocked by odd"),
                    ("below", "blocked by soon"),
                    ("never", "`status`: null is no status"),
                ] {
                    let ran = stage.sh(&format!("bd-ready {id}")).code(1);
                    assert_eq!(ran.stderr, format!("bd-ready: {id}: {why}\n"));
                }
                // Named by hand, it is not claimed either.
                let ran = stage.sh("wt-spawn soon odd").code(1);
                assert_eq!(ran.ids(), [""; 0]);
                ran.says("wt-spawn: odd: `dependencies`");
                assert_eq!(stage.bead("odd")["status"], "open");
            },
        ),
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
