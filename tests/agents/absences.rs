//! Beads that are not shown for a moment, and beads that are gone.

use std::fs;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;

use crate::stage::{Stage, task, task_on, test, until};

const LINE: &str = "bd-ready --follow --epic t-9 | wt-spawn | agent-run | pr-open | pr-merge | wt-clean --all > /dev/null";

/// An epic and two agents, which say when they have begun, and end when they are told to.
fn stage() -> Stage {
    let child = |id| task_on(id, &[("t-9", "parent-child")]);
    let mut stage = Stage::new(&[task("t-9"), child("t-1"), child("t-2")]);
    stage.agent(
        "set -eu; touch \"$HOME/$BEAD_ID.begun\"
while [ ! -e \"$HOME/go\" ]; do sleep 0.05; done
echo $BEAD_ID > $BEAD_ID.txt; git add .; git commit --quiet -m $BEAD_ID\n",
    );
    stage.set("BEADLINE_NO_CHECKS", "1");
    stage
}

fn begun(stage: &Stage) {
    until("both agents have begun", || {
        ["t-1", "t-2"]
            .iter()
            .all(|id| stage.path(&format!("home/{id}.begun")).exists())
    });
}

/// Takes the text of all beads away for longer than the line takes to look.
fn empty_for_a_moment(stage: &Stage) {
    let file = stage.path("work/.beads/issues.jsonl");
    let text = fs::read(&file).unwrap();
    fs::write(&file, "").unwrap();
    std::thread::sleep(Duration::from_millis(2500));
    let new = stage.path("work/.beads/back");
    fs::write(&new, text).unwrap();
    fs::rename(new, file).unwrap();
}

fn no_agent_is_ended() {
    let stage = stage();
    let running = stage.start(LINE);
    begun(&stage);
    empty_for_a_moment(&stage);
    assert!(!stage.processes().is_empty(), "the agents were ended");
    stage.write("home/go", "");
    let ran = running.wait(Duration::from_mins(1)).ok();
    for id in ["t-1", "t-2"] {
        let bead = stage.bead(id);
        assert_eq!(bead["status"], "closed", "{bead}\n{}", ran.all());
        assert_eq!(bead["metadata"]["run"], 1, "{bead}\n{}", ran.all());
    }
    stage.assert_clean();
}

fn a_deleted_bead_is_let_go() {
    let stage = stage();
    let running = stage.start(LINE);
    begun(&stage);
    let left = [stage.bead("t-9"), stage.bead("t-2")];
    let deleted = Instant::now();
    stage.beads(&left);
    let agents = || {
        let host = stage.sh("git config beadline.host").ok().stdout;
        let carries = |id: &str| {
            let marker = format!("BEADLINE_HOLD={}:{id}", host.trim());
            fs::read_dir("/proc").unwrap().flatten().any(|process| {
                let environ = fs::read(process.path().join("environ")).unwrap_or_default();
                String::from_utf8_lossy(&environ)
                    .split('\0')
                    .any(|entry| entry == marker)
            })
        };
        (carries("t-1"), carries("t-2"))
    };
    until("the agent of the deleted bead is ended", || !agents().0);
    assert!(deleted.elapsed() < Duration::from_secs(30));
    assert!(agents().1, "the other one works on");
    stage.write("home/go", "");
    let ran = running.wait(Duration::from_mins(1)).ok();
    assert_eq!(stage.bead("t-2")["status"], "closed", "{}", ran.all());
    assert_eq!(stage.stored().len(), 2);
}

/// A pull request that waits for a person is not let go of, either.
fn no_pull_request_is_let_go() {
    let mut stage = Stage::with_tasks(1);
    stage.simple();
    stage.sh("bd-ready | wt-spawn | agent-run | pr-open").ok();
    let input = "bd-ready --resume; until [ -e \"$HOME/end\" ]; do sleep 0.05; done";
    let running = stage.start(&format!("{{ {input}; }} | pr-merge --by-hand"));
    until("it waits", || running.said().contains("waits"));
    empty_for_a_moment(&stage);
    stage.sh("git push --quiet origin agent/t-1:main").ok();
    until("it has landed", || {
        let said = running.said();
        said.contains("landed as") || said.contains("left: ")
    });
    stage.write("home/end", "");
    let ran = running.wait(Duration::from_mins(1)).ok();
    assert_eq!(stage.bead("t-1")["status"], "closed", "{}", ran.all());
}

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "the line: an issues.jsonl that is empty for two seconds ends no agent",
            no_agent_is_ended,
        ),
        test(
            "the line: the agent of a deleted bead is ended within 30 s, and no other",
            a_deleted_bead_is_let_go,
        ),
        test(
            "the line: an issues.jsonl that is empty for two seconds lets go of no pull request",
            no_pull_request_is_let_go,
        ),
    ]
}
