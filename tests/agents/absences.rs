//! Beads that are not shown for a moment, and beads that are gone.

use std::fs;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;

use serde_json::{Value, json};

use crate::stage::{Stage, carried, task, task_on, test, until};

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
    odd_for_a_moment(stage, |_| String::new());
}

/// The same, with another text in its place.
fn odd_for_a_moment(stage: &Stage, odd: fn(&str) -> String) {
    let file = stage.path("work/.beads/issues.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, odd(&text)).unwrap();
    std::thread::sleep(Duration::from_millis(2500));
    let new = stage.path("work/.beads/back");
    fs::write(&new, text).unwrap();
    fs::rename(new, file).unwrap();
}

fn no_agent_is_ended(odd: fn(&str) -> String) {
    let stage = stage();
    let running = stage.start(LINE);
    begun(&stage);
    odd_for_a_moment(&stage, odd);
    assert!(!stage.processes().is_empty(), "the agents were ended");
    stage.write("home/go", "");
    // What cannot be read is complained of, and no more.
    let ran = running.wait(Duration::from_mins(2));
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
            !carried(|entry| entry == marker).is_empty()
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

/// Shows these beads alone, longer than the line takes to look.
fn partial(stage: &Stage, beads: &[Value]) {
    let lines: Vec<String> = beads.iter().map(Value::to_string).collect();
    let new = stage.path("work/.beads/part");
    fs::write(&new, lines.join("\n")).unwrap();
    fs::rename(new, stage.path("work/.beads/issues.jsonl")).unwrap();
    std::thread::sleep(Duration::from_secs(3));
}

/// Neither the look before nor the first one of all shows the blocker.
fn a_blocker_that_is_away_blocks() {
    let stage = Stage::new(&[task("t-1"), task_on("t-2", &[("t-1", "blocks")])]);
    stage.write("out", "");
    stage.sh("bd-ready | wt-spawn").ok();
    let [one, two] = [stage.bead("t-1"), stage.bead("t-2")];
    for at_first in [false, true] {
        if at_first {
            stage.beads(std::slice::from_ref(&two));
        }
        let mut line = stage.start("bd-ready --follow | tee ../out");
        if !at_first {
            until("it looks", || stage.read("out").contains("t-1"));
        }
        partial(&stage, std::slice::from_ref(&two));
        stage.beads(&[one.clone(), two.clone()]);
        until("it is seen again", || stage.read("out").contains("t-1"));
        assert!(
            !stage.read("out").contains("\"id\":\"t-2\""),
            "{}",
            line.said()
        );
        stage.edit("t-1", &json!({"status": "closed"}));
        until("the other is ready", || {
            stage.read("out").contains("\"id\":\"t-2\"")
        });
        line.kill();
        stage.write("out", "");
    }
}

fn the_line_does_not_end() {
    let stage = Stage::new(&[task("t-1"), task_on("t-2", &[("t-1", "blocks")])]);
    stage.write("out", "");
    stage.sh("bd-ready | wt-spawn").ok();
    let mut line = stage.start("bd-ready --follow | tee ../out");
    until("it looks", || stage.read("out").contains("t-1"));
    let (mut one, two) = (stage.bead("t-1"), stage.bead("t-2"));
    one["status"] = json!("closed");
    partial(&stage, std::slice::from_ref(&one));
    assert!(!line.is_over(), "it has ended: {}", line.said());
    stage.beads(&[one, two]);
    until("the other is ready", || {
        stage.read("out").contains("\"id\":\"t-2\"")
    });
    line.kill();
}

fn no_container_is_closed() {
    let child = |id| task_on(id, &[("t-9", "parent-child")]);
    let mut stage = Stage::new(&[task("t-9"), child("t-1"), child("t-2")]);
    stage.simple();
    stage
        .sh("bd-ready t-1 | wt-spawn | agent-run | pr-open")
        .ok();
    let input = "bd-ready --phase pr_created; until [ -e \"$HOME/end\" ]; do sleep 0.05; done";
    let running = stage.start(&format!("{{ {input}; }} | pr-merge --by-hand"));
    until("it waits", || running.said().contains("waits"));
    let shown = [stage.bead("t-9"), stage.bead("t-1")];
    let other = stage.bead("t-2");
    stage.beads(&shown);
    stage.sh("git push --quiet origin agent/t-1:main").ok();
    until("it has landed", || running.said().contains("landed as"));
    std::thread::sleep(Duration::from_secs(2));
    stage.write("other", &format!("{other}\n"));
    stage
        .sh("flock .beads sh -c 'cat ../other >> .beads/issues.jsonl'")
        .ok();
    stage.write("home/end", "");
    let ran = running.wait(Duration::from_mins(2)).ok();
    let status = |id: &str| stage.bead(id)["status"].clone();
    let all = ["t-1", "t-2", "t-9"].map(status);
    assert_eq!(all, ["closed", "open", "open"], "{}", ran.all());
}

fn no_budget_is_freed() {
    let mut stage = Stage::with_tasks(2);
    stage.simple();
    stage.sh("bd-ready t-1 | wt-spawn | agent-run").ok();
    let mut line = stage.start("bd-ready --follow | wt-spawn | agent-run --budget-attempts 1");
    until("the budget is reached", || {
        line.said().contains("nothing starts before")
    });
    until("all is settled", || {
        stage.bead("t-2")["metadata"]["phase"] == "spawned"
    });
    let (one, two) = (stage.bead("t-1"), stage.bead("t-2"));
    partial(&stage, std::slice::from_ref(&two));
    assert!(
        !line.said().contains("t-2: agent started"),
        "{}",
        line.said()
    );
    assert_eq!(stage.stored(), std::slice::from_ref(&two));
    stage.beads(&[one, two]);
    line.kill();
}

fn every_agent_is_ended() {
    let stage = stage();
    let mut running = stage.start(LINE);
    begun(&stage);
    let text = stage.read("work/.beads/issues.jsonl");
    let shown = [stage.bead("t-9"), stage.bead("t-2")];
    stage.beads(&shown);
    stage.sh("agent-stop --all").ok().says("t-1: agent ended");
    assert_eq!(stage.processes(), Vec::<String>::new());
    stage.write("work/.beads/issues.jsonl", &text);
    running.kill();
}

/// What a line at work locks is left alone by one that sees no beads.
fn no_lock_is_removed() {
    let stage = Stage::with_tasks(1);
    stage.sh("bd-ready | wt-spawn").ok();
    let lock = stage.path("work/.git/beadline/t-1/stage.lock");
    assert!(lock.exists());
    stage.beads(&[]);
    stage.sh("wt-clean --all < /dev/null").ok();
    assert!(lock.exists());
}

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "the line: an issues.jsonl that is empty for two seconds ends no agent",
            || no_agent_is_ended(|_| String::new()),
        ),
        test(
            "the line: statuses and assignees that cannot be read for a moment end no agent",
            || {
                no_agent_is_ended(|text| text.replace("\"status\":\"", "\"status\":7,\"was\":\""));
                no_agent_is_ended(|text| {
                    text.replace("\"assignee\":\"", "\"assignee\":[],\"was\":\"")
                });
            },
        ),
        test(
            "the line: the agent of a deleted bead is ended within 30 s, and no other",
            a_deleted_bead_is_let_go,
        ),
        test(
            "the line: an issues.jsonl that is empty for two seconds lets go of no pull request",
            no_pull_request_is_let_go,
        ),
        test(
            "the line: a blocker that is not shown for a moment blocks",
            a_blocker_that_is_away_blocks,
        ),
        test(
            "the line: it does not end while what it has shown is away for a moment",
            the_line_does_not_end,
        ),
        test(
            "the line: a child that is not shown for a moment keeps its parent open",
            no_container_is_closed,
        ),
        test(
            "the line: runs that are not shown for a moment free no budget",
            no_budget_is_freed,
        ),
        test(
            "the line: agent-stop --all ends agents whose beads are not shown",
            every_agent_is_ended,
        ),
        test(
            "the line: wt-clean --all leaves the locks of what is not shown",
            no_lock_is_removed,
        ),
    ]
}
