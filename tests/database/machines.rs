//! Many machines on one Dolt server and one remote, and one of them dies for good.

use std::fs;
use std::path::Path;
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::Value;

use super::{assert_all_merged, count, fact};
use crate::kill::LINE;
use crate::stage::{Dolt, Running, Stage, task, task_on, test_with_bd, until};

/// Agents at a time, all machines together.
const AGENTS: usize = 3;

/// Says which machine it was, and how many agents it saw at work.
const AGENT: &str = r#"
set -eu
mkdir -p "$RUNNING/$BEAD_ID"
ls "$RUNNING" | wc -l >> "$RUNNING.log"
git log --format=%s | grep -qx "$BEAD_ID" || {
    echo "$MACHINE" > "$BEAD_ID.txt"
    git add . && git commit --quiet -m "$BEAD_ID"
}
if [ "$MACHINE" = 1 ] && ! mkdir "$RUNNING.first"; then
    touch "$TMPDIR/stuck"
    sleep 3600
fi
rmdir "$RUNNING/$BEAD_ID"
"#;

/// The first machine's checks never end, so that its pull requests stay open.
const CHECK: &str =
    r#"case "$MACHINE:$PWD" in 1:*/.merge-*) touch "$TMPDIR/checking"; sleep 3600 ;; esac"#;

fn beads() -> Vec<Value> {
    let id = |n: usize| format!("t-{n}");
    let bead = |n: usize| match n % 4 {
        0 => task_on(&id(n), &[(&id(n - 3), "blocks"), (&id(n - 2), "blocks")]),
        3 if n > 4 => task_on(&id(n), &[(&id(n - 4), "blocks")]),
        _ => task(&id(n)),
    };
    (1..=count(60, 12)).map(bead).collect()
}

fn prepare(machine: &mut Stage, number: usize, running: &Path) {
    machine.agent(AGENT);
    machine.set("BEADLINE_CHECK", CHECK);
    machine.set("BEADLINE_MAX_AGENTS", &AGENTS.to_string());
    machine.set("BEADLINE_ENV", "MACHINE,RUNNING");
    machine.set("MACHINE", &number.to_string());
    machine.set("RUNNING", &running.display().to_string());
}

/// All files of a machine's worktrees, with what is in them.
fn worktrees(machine: &Stage) -> String {
    let list = "find ../work.worktrees/t-* -type f -exec sha1sum {} + | sort -k 2; git for-each-ref refs/heads";
    machine.sh(list).ok().stdout
}

fn one_dies() {
    let dolt = Dolt::start();
    let mut first = Stage::on_server(&dolt, &beads());
    let mut others = [Stage::joining(&first), Stage::joining(&first)];
    let running = first.path("running");
    fs::create_dir(&running).unwrap();
    prepare(&mut first, 1, &running);
    for (machine, number) in others.iter_mut().zip(2..) {
        prepare(machine, number, &running);
    }

    let line = first.start(LINE);
    until("the first machine has a bead", || {
        line.said().contains("claimed")
    });
    let lines: Vec<Running> = others.iter().map(|machine| machine.start(LINE)).collect();
    until("the first machine is in the middle", || {
        first.path("tmp/stuck").exists() && first.path("tmp/checking").exists()
    });
    first.kill_all();
    let host = first.sh("git config beadline.host").ok().stdout;
    let held = |bead: &Value| fact(bead, "host") == host.trim() && bead["status"] == "in_progress";
    let lost: Vec<Value> = first.stored().into_iter().filter(held).collect();
    let before = worktrees(&first);
    let phases: Vec<&Value> = lost.iter().map(|bead| fact(bead, "phase")).collect();
    assert!(phases.iter().any(|phase| *phase == "working"), "{phases:?}");
    assert!(
        phases.iter().any(|phase| *phase == "pr_created"),
        "{phases:?}"
    );
    for bead in &lost {
        first.age(&dolt, bead["id"].as_str().unwrap());
    }

    let mut said = String::new();
    for line in lines {
        let ran = line.wait(Duration::from_mins(count(40, 10)));
        said += &ran.all();
        assert_eq!(ran.code, Some(0), "{said}");
    }
    assert_all_merged(&others[0], &said);
    for old in &lost {
        let new = first.bead(old["id"].as_str().unwrap());
        assert_ne!(fact(&new, "host"), host.trim(), "{new}\n{said}");
        assert_eq!(
            said.matches(&format!(" {}: taken over", old["id"].as_str().unwrap()))
                .count(),
            1,
            "{said}"
        );
        if fact(old, "phase") == "pr_created" {
            // What it pushed has landed, by no other run.
            for same in ["run", "pr_number", "pushed"] {
                assert_eq!(fact(old, same), fact(&new, same), "{said}");
            }
        }
    }
    // Exact within a clone, within one bead per line and tick between clones.
    let log = first.read("running.log");
    let most = log
        .lines()
        .map(|line| line.trim().parse::<usize>().unwrap())
        .max();
    assert!(most <= Some(2 * AGENTS), "{log}\n{said}");
    assert_eq!(worktrees(&first), before, "{said}");
    for machine in &others {
        machine.assert_clean();
    }

    // It comes back after all: nothing is left for it, and what it writes is refused.
    let after = others[0].stored();
    for old in &lost {
        let late = format!(
            "bd update {} --if-assignee '{}' --if-status in_progress --metadata '{{\"phase\":\"working\"}}'",
            old["id"].as_str().unwrap(),
            old["assignee"].as_str().unwrap()
        );
        let _ = first.sh(&late).code(13);
    }
    let ran = first.sh(LINE).ok();
    assert_eq!(others[0].stored(), after, "{}", ran.all());
    assert_eq!(worktrees(&first), before, "{}", ran.all());
}

pub(crate) fn trials() -> Vec<Trial> {
    vec![test_with_bd(
        "machines: three share the beads, one dies for good, and every bead is merged once",
        one_dies,
    )]
}
