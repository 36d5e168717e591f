//! Epics and what else has children.

use std::fmt::Write as _;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::pull;
use crate::stage::{Stage, task, task_on, test};

pub(super) fn trial() -> Trial {
    test(
        "pr-merge: containers close upwards after their last child, and only if one of them landed",
        || {
            let child = |id: &str, parent: &str| task_on(id, &[(parent, "parent-child")]);
            let epic = |mut bead: Value| {
                bead["issue_type"] = json!("epic");
                bead
            };
            let with = |mut bead: Value, status: &str, phase: &str| {
                bead["status"] = json!(status);
                bead["metadata"] = json!({"phase": phase});
                bead
            };
            let stage = Stage::new(&[
                // Nested, and a plain task as a container.
                epic(task("t-top")),
                child("t-mid", "t-top"),
                child("t-1", "t-mid"),
                with(child("t-old", "t-top"), "closed", "merged"),
                // A child that is blocked.
                epic(task("t-held")),
                child("t-2", "t-held"),
                with(child("t-stuck", "t-held"), "blocked", "pr_created"),
                // Closed by hand, nothing landed.
                epic(task("t-idle")),
                with(child("t-dropped", "t-idle"), "closed", ""),
                // Waits for something that is open.
                epic(task_on("t-later", &[("t-blocker", "blocks")])),
                with(child("t-ready", "t-later"), "closed", "merged"),
                task("t-blocker"),
                // Its last child landed, and the program was killed before it closed this one.
                epic(task("t-left")),
                with(child("t-gone", "t-left"), "closed", "merged"),
            ]);
            let statuses = |wanted: &[(&str, &str)]| {
                let mut is = String::new();
                let mut should = String::new();
                for (id, status) in wanted {
                    writeln!(is, "{id} {}", stage.bead(id)["status"].as_str().unwrap()).unwrap();
                    writeln!(should, "{id} {status}").unwrap();
                }
                assert_eq!(is, should);
            };
            stage
                .sh("pr-merge --no-checks < /dev/null")
                .ok()
                .says("t-left: closed: all its children are");
            let mut wanted = [
                ("t-top", "open"),
                ("t-mid", "open"),
                ("t-held", "open"),
                ("t-idle", "open"),
                ("t-later", "open"),
                ("t-left", "closed"),
            ];
            statuses(&wanted);
            pull(
                &stage,
                &[("t-1", "echo 1 > 1.txt"), ("t-2", "echo 2 > 2.txt")],
            );
            let ran = stage.sh("pr-merge --no-checks t-1 t-2").ok();
            assert_eq!(ran.ids(), ["t-1", "t-2"]);
            wanted[0].1 = "closed";
            wanted[1].1 = "closed";
            statuses(&wanted);
            assert!(
                stage.bead("t-top")["notes"]
                    .as_str()
                    .unwrap()
                    .contains("all its children")
            );
            // The blocker is gone: the next look closes it, whoever looks.
            stage.edit("t-blocker", &json!({"status": "closed"}));
            stage.sh("pr-merge --no-checks < /dev/null").ok();
            wanted[4].1 = "closed";
            statuses(&wanted);
        },
    )
}
