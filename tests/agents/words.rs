//! A person's word on a bead whose agent works.

use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::{LINE, with_agent, works};
use crate::stage::{Stage, test, until};

pub(super) fn trials() -> Vec<Trial> {
    let acts = [
        ("closed", Some(json!({"status": "closed", "assignee": ""}))),
        (
            "blocked",
            Some(json!({"status": "blocked", "assignee": ""})),
        ),
        ("reassigned", Some(json!({"assignee": "alice"}))),
        ("deleted", None),
    ];
    let word = |(act, change): (&'static str, Option<Value>)| {
        test(
            &format!("agent-run: the agent of a bead that is {act} ends, and its work stays"),
            move || {
                let stage = with_agent("echo some > work.txt; touch \"$HOME/works\"; sleep 600");
                let line = stage.start(LINE);
                until("the agent works", || works(&stage, "works"));
                match &change {
                    Some(change) => stage.edit("t-1", change),
                    None => stage.beads(&[]),
                }
                let stands = stage.stored();
                let asked = std::time::Instant::now();
                let ran = line.wait(Duration::from_mins(1)).ok().says("t-1: left: ");
                assert!(asked.elapsed() < Duration::from_secs(30));
                assert_eq!(ran.stdout, "");
                assert_eq!(stage.processes(), Vec::<String>::new());
                assert_eq!(stage.stored(), stands);
                assert_eq!(stage.read("work.worktrees/t-1/work.txt"), "some\n");
            },
        )
    };
    let mut trials: Vec<Trial> = acts.into_iter().map(word).collect();
    trials.push(test("agent-run: a bead that is closed while it waits for a slot gets no agent", || {
        let mut stage = Stage::with_tasks(2);
        stage.agent("touch \"$HOME/$BEAD_ID\"; while [ ! -e \"$HOME/go\" ]; do sleep 0.05; done; echo x > x.txt");
        stage.sh("bd-ready | wt-spawn --quiet > /dev/null").ok();
        // Two programs, so that one waits for the other's slot.
        let first = stage.start("agent-run --max-agents 1 t-1");
        until("the first agent works", || stage.path("home/t-1").exists());
        let second = stage.start("agent-run --max-agents 1 t-2");
        until("the second holder waits", || stage.processes().iter().any(|line| line.ends_with("-- t-2 ")));
        stage.edit("t-2", &json!({"status": "closed"}));
        second.wait(Duration::from_secs(30)).ok().says("t-2: left: it is closed");
        stage.write("home/go", "");
        first.wait(Duration::from_mins(1)).ok();
        assert!(!stage.path("home/t-2").exists());
    }));
    trials
}
