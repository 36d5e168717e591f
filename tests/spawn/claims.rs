//! Claims: one write, one winner, and what a claim clears and keeps.

use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::{assert_whole, commit, elsewhere, facts, ids, lines, reopen, tree};
use crate::stage::{Stage, task, test};

/// The name of this clone.
fn host(stage: &Stage) -> String {
    let name = stage.sh("git config beadline.host").ok().stdout;
    name.trim().to_owned()
}

#[expect(clippy::too_many_lines, reason = "a list of tests")]
pub(super) fn trials() -> Vec<Trial> {
    // A person was faster: between the line that was read and the claim.
    let persons = [
        json!({"assignee": "alice"}),
        json!({"status": "closed"}),
        json!({"status": "blocked"}),
        json!({"status": "deferred"}),
        json!({"status": "in_progress", "assignee": "alice"}),
        json!({"status": "in_progress", "assignee": ""}),
    ];
    vec![
        test(
            "wt-spawn: a lost claim is said and left off, and is no failure",
            move || {
                let count = persons.len() + 1;
                let stage = Stage::with_tasks(count + 1);
                stage.sh("bd-ready > ../stale").ok();
                for (id, change) in ids(count).iter().zip(&persons) {
                    stage.edit(id, change);
                }
                let gone: Vec<Value> = stage
                    .stored()
                    .into_iter()
                    .filter(|bead| bead["id"] != format!("t-{count}"))
                    .collect();
                stage.beads(&gone);
                let ran = stage.sh("wt-spawn < ../stale").ok();
                let other = format!("t-{}", count + 1);
                assert_eq!(ran.ids(), [other.as_str()]);
                for id in ids(count) {
                    assert_eq!(
                        lines(&ran.stderr, &format!(" {id}: left")),
                        1,
                        "{}",
                        ran.all()
                    );
                }
                for (id, change) in ids(count).iter().zip(&persons) {
                    let mut bead = task(id);
                    for (key, value) in change.as_object().unwrap() {
                        bead[key] = value.clone();
                    }
                    assert_eq!(stage.bead(id), bead);
                }
                assert_whole(&stage, &[other]);
            },
        ),
        test(
            "wt-spawn: a claim is one write with all facts, clears what an earlier one left, and keeps merged_sha",
            || {
                let stage = Stage::with_tasks(1);
                let old = json!({
                    "phase": "pr_created", "run": 7, "run_from": 3, "attempt": 2, "round": 3, "pr_number": 9, "outcome": "failed",
                    "feedback": "x", "error": "x", "error_at": "2026-01-01T00:00:00Z", "waits": "x",
                    "waits_at": "2026-01-01T00:00:00Z", "not_before": "2099-01-01T00:00:00Z", "host": "box-9",
                    "merged_sha": "abc", "pushed": "def", "head": "ghi", "mine": {"kept": 1.50},
                });
                stage.edit(
                    "t-1",
                    &json!({"assignee": "beadline/box-9/1", "metadata": old}),
                );
                let ran = stage.sh("wt-spawn t-1").ok();
                let bead = stage.bead("t-1");
                assert_eq!(ran.beads()[0], bead);
                let host = host(&stage);
                assert!(
                    bead["assignee"]
                        .as_str()
                        .unwrap()
                        .starts_with(&format!("beadline/{host}/")),
                    "{bead}"
                );
                let mut want = facts(&stage, "t-1", &host);
                for (key, value) in [
                    ("run", json!(7)),
                    ("run_from", json!(7)),
                    ("merged_sha", json!("abc")),
                    ("pushed", json!("def")),
                    ("head", json!("ghi")),
                    ("mine", json!({"kept": 1.50})),
                ] {
                    want[key] = value;
                }
                assert_eq!(bead["metadata"], want);
            },
        ),
        test("wt-spawn: every claim has a token of its own", || {
            let stage = Stage::with_tasks(8);
            let token = |id: &String| stage.bead(id)["assignee"].as_str().unwrap().to_owned();
            stage.sh("bd-ready | wt-spawn").ok();
            let mut tokens: Vec<String> = ids(8).iter().map(token).collect();
            reopen(&stage, "t-1");
            stage.sh("wt-spawn t-1").ok();
            tokens.push(token(&"t-1".to_owned()));
            tokens.sort();
            tokens.dedup();
            assert_eq!(tokens.len(), 9);
        }),
        test(
            "wt-spawn: --retry opens a blocked bead and claims it anew, with the notes as feedback",
            || {
                let stage = Stage::with_tasks(1);
                stage.edit("t-1", &json!({"status": "blocked", "notes": "use the other door", "metadata": {"attempt": 3, "run": 3, "error": "x"}}));
                stage
                    .sh("wt-spawn t-1")
                    .ok()
                    .says("t-1: left: it is blocked");
                stage.sh("wt-spawn --retry t-1").ok();
                assert_whole(&stage, &ids(1));
                let facts = &stage.bead("t-1")["metadata"];
                assert_eq!(
                    (&facts["feedback"], &facts["attempt"], &facts["run_from"]),
                    (&json!("use the other door"), &json!(0), &json!(3))
                );
            },
        ),
        test(
            "wt-spawn: another clone's bead is named and left; --retry takes it over with what was pushed",
            || {
                let stage = Stage::with_tasks(2);
                elsewhere(&stage, "for id in t-1 t-2; do git checkout --quiet -b agent/$id main
                git commit --quiet --allow-empty -m theirs; git push --quiet origin agent/$id; done");
                for (id, phase, round) in [("t-1", "working", 1), ("t-2", "pr_created", 2)] {
                    let mut facts = facts(&stage, id, "far-1");
                    facts["phase"] = json!(phase);
                    facts["round"] = json!(round);
                    facts["pr_number"] = json!(4);
                    facts["worktree"] = json!("/far/away");
                    stage.edit(id, &json!({"status": "in_progress", "assignee": "beadline/far-1/0", "metadata": facts}));
                }
                let ran = stage
                    .sh("wt-spawn t-1")
                    .ok()
                    .says("t-1: left: it belongs to the clone 'far-1'");
                assert_eq!(ran.stdout, "");
                assert_eq!(
                    stage.sh("wt-spawn --retry t-1 t-2").ok().ids(),
                    ["t-1", "t-2"]
                );
                let host = host(&stage);
                for (id, phase, round) in [("t-1", "spawned", 1), ("t-2", "pr_created", 2)] {
                    let bead = stage.bead(id);
                    assert!(
                        bead["assignee"]
                            .as_str()
                            .unwrap()
                            .starts_with(&format!("beadline/{host}/"))
                    );
                    let facts = &bead["metadata"];
                    assert_eq!(
                        (
                            &facts["host"],
                            &facts["phase"],
                            &facts["round"],
                            &facts["pr_number"],
                            &facts["worktree"]
                        ),
                        (
                            &json!(host),
                            &json!(phase),
                            &json!(round),
                            &json!(4),
                            &json!(tree(&stage, id))
                        ),
                        "{id}"
                    );
                }
                assert_eq!(
                    commit(&stage, "agent/t-1"),
                    commit(&stage, "origin/agent/t-1")
                );
                stage.sh("test -f ../work.worktrees/t-1/a.txt").ok();
            },
        ),
        test(
            "wt-spawn: the same file of beads twice is done once",
            || {
                let stage = Stage::with_tasks(3);
                stage.sh("bd-ready > ../beads; wt-spawn < ../beads").ok();
                let before = stage.stored();
                assert_eq!(stage.sh("wt-spawn < ../beads").ok().ids(), ids(3));
                assert_eq!(stage.stored(), before);
                assert_whole(&stage, &ids(3));
            },
        ),
    ]
}
