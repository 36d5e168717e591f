//! Agents that outlive the line that started them, and their holders.

use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::{LINE, WORK, facts, lines, lives, with_agent, works};
use crate::stage::{Running, Stage, test, test_with, until};

fn kill(pid: &str) {
    let pid = rustix::process::Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

/// An agent that says that it works, and ends well once `$HOME/go` is there.
const PATIENT: &str = "echo $BEAD_ID >> \"$HOME/starts\"; echo $$ > \"$HOME/pid-$BEAD_ID\"
mkdir \"lock-$BEAD_ID\" || echo $BEAD_ID >> \"$HOME/violations\"
touch \"$HOME/works-$BEAD_ID\"; echo some > \"$BEAD_ID.txt\"
while [ ! -e \"$HOME/go\" ]; do sleep 0.05; done
rmdir \"lock-$BEAD_ID\"; git add .; git commit -qm \"$BEAD_ID\"\n";

fn patient(tasks: usize) -> Stage {
    let mut stage = Stage::with_tasks(tasks);
    stage.agent(PATIENT);
    stage.set("BEADLINE_NO_CHECKS", "1");
    stage
}

#[track_caller]
fn until_all_work(stage: &Stage, tasks: usize) {
    until("all agents work", || {
        (1..=tasks).all(|n| {
            let bead = stage.bead(&format!("t-{n}"));
            bead["metadata"]["phase"] == "working"
                && stage.path(&format!("home/works-t-{n}")).exists()
        })
    });
}

/// Kills a line, and waits until its programs have let go of the beads.
#[track_caller]
fn kill_line(stage: &Stage, mut line: Running) {
    line.kill();
    let _ = line.wait(Duration::from_mins(1));
    until("the line is gone", || {
        (1..=3).all(|n| !stage.holds(&format!("work/.git/beadline/t-{n}/stage.lock")))
    });
}

#[track_caller]
fn assert_merged(stage: &Stage, tasks: usize) {
    for n in 1..=tasks {
        let bead = stage.bead(&format!("t-{n}"));
        assert_eq!(bead["status"], "closed", "{bead:#}");
        assert_eq!(bead["metadata"]["phase"], "merged");
        assert_eq!(
            stage
                .sh(&format!("git show origin/main:t-{n}.txt"))
                .ok()
                .stdout,
            "some\n"
        );
    }
    assert_eq!(lines(stage, "home/violations"), Vec::<String>::new());
    stage.assert_clean();
}

/// The processes of this stage's agents that are `agent-hold`.
fn holders(stage: &Stage) -> Vec<String> {
    stage
        .processes()
        .into_iter()
        .filter(|line| line.contains("agent-hold"))
        .collect()
}

#[expect(clippy::too_many_lines, reason = "a list of tests")]
pub(super) fn trials() -> Vec<Trial> {
    vec![
        test_with(
            "just",
            "tests/parts.sh",
            "the line: killed while agents work, the next run attaches to them",
            || {
                let stage = patient(3);
                let line = stage.start_just("orchestrate");
                until_all_work(&stage, 3);
                kill_line(&stage, line);
                assert_eq!(holders(&stage).len(), 3);
                let line = stage.start_just("orchestrate");
                // Heard, and still waiting.
                until("the next run has them in hand", || {
                    (1..=3).all(|n| stage.holds(&format!("work/.git/beadline/t-{n}/stage.lock")))
                });
                stage.write("home/go", "");
                line.wait(Duration::from_secs(100)).ok();
                let mut starts = lines(&stage, "home/starts");
                starts.sort();
                assert_eq!(starts, ["t-1", "t-2", "t-3"]);
                assert_merged(&stage, 3);
            },
        ),
        test_with(
            "just",
            "tests/parts.sh",
            "the line: agents that end while no line runs are judged by the next one",
            || {
                let stage = patient(2);
                let line = stage.start_just("orchestrate");
                until_all_work(&stage, 2);
                kill_line(&stage, line);
                stage.write("home/go", "");
                until("the agents have ended", || stage.processes().is_empty());
                stage.just("orchestrate").ok();
                assert_eq!(lines(&stage, "home/starts").len(), 2);
                assert_eq!(facts(&stage)["attempt"], 1);
                assert_merged(&stage, 2);
            },
        ),
        test_with(
            "just",
            "tests/parts.sh",
            "orchestrate-stop ends every agent and what it started, and keeps the work",
            || {
                let mut stage = patient(2);
                stage.agent(
                "echo $BEAD_ID >> \"$HOME/starts\"
                 [ $BEAD_RUN = 1 ] || { git add .; git commit -qm \"$BEAD_ID\"; exit 0; }
                 (setsid sh -c 'trap \"\" TERM; echo $$ >> \"$HOME/pids\"; while :; do sleep 1; done' &)
                 while [ ! -s \"$HOME/pids\" ]; do sleep 0.05; done
                 echo some > \"$BEAD_ID.txt\"; touch \"$HOME/works-$BEAD_ID\"; sleep 600",
            );
                let line = stage.start_just("orchestrate");
                until_all_work(&stage, 2);
                until("all have started theirs", || {
                    lines(&stage, "home/pids").len() == 2
                });
                stage.just("orchestrate-stop").ok();
                assert_eq!(stage.processes(), Vec::<String>::new());
                assert!(!lines(&stage, "home/pids").iter().any(|pid| lives(pid)));
                line.wait(Duration::from_mins(1))
                    .code(1)
                    .says("its agent was stopped");
                assert_eq!(facts(&stage)["outcome"], "stopped");
                assert_eq!(facts(&stage)["attempt"], 0);
                assert_eq!(stage.read("work.worktrees/t-1/t-1.txt"), "some\n");
                stage.just("orchestrate").ok();
                assert_eq!(lines(&stage, "home/starts").len(), 4);
                assert_merged(&stage, 2);
            },
        ),
        test(
            "agent-stop: one bead's agent ends, the others go on",
            || {
                let stage = patient(2);
                let line = stage.start(LINE);
                until_all_work(&stage, 2);
                assert_eq!(stage.sh("agent-stop --dry-run t-1").ok().ids(), ["t-1"]);
                assert_eq!(holders(&stage).len(), 2);
                assert_eq!(stage.sh("agent-stop t-1").ok().ids(), ["t-1"]);
                assert_eq!(holders(&stage).len(), 1);
                stage.write("home/go", "");
                let ran = line
                    .wait(Duration::from_mins(1))
                    .code(1)
                    .says("t-1: its agent was stopped");
                assert_eq!(ran.ids(), ["t-2"]);
                assert_eq!(facts(&stage)["phase"], "working");
                stage.sh("rmdir ../work.worktrees/t-1/lock-t-1").ok();
                assert_eq!(stage.sh(LINE).ok().ids(), ["t-1", "t-2"]);
                stage
                    .sh("agent-stop t-1")
                    .ok()
                    .says("no agent of it is alive here");
                stage.sh("agent-stop t-9").code(1).says("no such bead");
            },
        ),
        test_with(
            "just",
            "tests/parts.sh",
            "the line: without .git/beadline nothing but logs is lost",
            || {
                let stage = patient(2);
                let line = stage.start("bd-ready | wt-spawn --quiet | agent-run");
                until_all_work(&stage, 2);
                stage.write("home/go", "");
                line.wait(Duration::from_mins(1)).ok();
                stage.sh("rm -rf .git/beadline").ok();
                stage.just("orchestrate").ok();
                assert_eq!(lines(&stage, "home/starts").len(), 2);
                assert_merged(&stage, 2);
            },
        ),
        test_with(
            "just",
            "tests/parts.sh",
            "the line: .git/beadline deleted under living agents, never two in one worktree",
            || {
                let mut stage = patient(2);
                // Slow to end when it is asked to, and the next one would see it.
                stage.agent(
                "echo $BEAD_ID >> \"$HOME/starts\"
                 before=$(cat \"$HOME/pid-$BEAD_ID\")
                 ! grep -qs '^State:.[^ZX]' \"/proc/$before/status\" || echo $BEAD_ID >> \"$HOME/violations\"
                 echo $$ > \"$HOME/pid-$BEAD_ID\"; trap 'sleep 0.7; sleep 0.7; exit 1' TERM
                 echo some > \"$BEAD_ID.txt\"; touch \"$HOME/works-$BEAD_ID\"
                 while [ ! -e \"$HOME/go\" ]; do sleep 0.05; done",
            );
                let line = stage.start_just("orchestrate");
                until_all_work(&stage, 2);
                kill_line(&stage, line);
                stage.sh("rm -rf .git/beadline").ok();
                let line = stage.start_just("orchestrate");
                until("the agents were started anew", || {
                    lines(&stage, "home/starts").len() == 4
                });
                stage.write("home/go", "");
                let ran = line.wait(Duration::from_secs(100)).ok();
                assert_eq!(facts(&stage)["attempt"], 1, "{}", ran.all());
                assert_merged(&stage, 2);
            },
        ),
        test(
            "agent-hold: killed while its agent lives, the next run ends that agent and starts anew",
            || {
                let mut stage = patient(1);
                stage.agent(
                "echo $BEAD_RUN >> \"$HOME/starts\"; echo $PPID > \"$HOME/holder\"; echo $$ > \"$HOME/pid\"
                 [ $BEAD_RUN = 1 ] || exit 0
                 echo some > t-1.txt; touch \"$HOME/works\"; sleep 600",
            );
                let line = stage.start(LINE);
                until("the agent works", || works(&stage, "works"));
                kill_line(&stage, line);
                // The shell of the agent's command line is the holder's child.
                let holder = facts(&stage)["agent_pid"].to_string();
                let agent = stage.read("home/pid");
                kill(&holder);
                until("the holder is gone", || !lives(&holder));
                assert!(lives(&agent));
                stage.sh(LINE).ok().says("interrupted");
                assert!(!lives(&agent));
                let facts = facts(&stage);
                assert_eq!((&facts["run"], &facts["attempt"]), (&json!(2), &json!(1)));
                assert_eq!(lines(&stage, "home/starts"), ["1", "2"]);
                assert_eq!(stage.sh("git show agent/t-1:t-1.txt").ok().stdout, "some\n");
            },
        ),
        test(
            "agent-hold: killed under a running agent-run, the agent is ended and started anew",
            || {
                let mut stage = patient(1);
                stage.agent(
                    "[ $BEAD_RUN = 1 ] || exit 0
                 echo $$ > \"$HOME/pid\"; echo some > t-1.txt; touch \"$HOME/works\"; sleep 600",
                );
                let line = stage.start(LINE);
                until("the agent works", || works(&stage, "works"));
                kill(&facts(&stage)["agent_pid"].to_string());
                assert_eq!(
                    line.wait(Duration::from_mins(1))
                        .ok()
                        .says("interrupted")
                        .ids(),
                    ["t-1"]
                );
                assert!(!lives(&stage.read("home/pid")));
                assert_eq!(facts(&stage)["attempt"], 1);
            },
        ),
        test(
            "agent-hold: without a word to go it ends, and has started nothing",
            || {
                let stage = patient(1);
                stage
                    .sh("bd-ready | wt-spawn --quiet > ../beads; mkdir -p .git/beadline/slots")
                    .ok();
                // The one slot is taken: agent-run dies while its holder waits.
                let slot = stage.start("flock .git/beadline/slots/1.lock sleep 600");
                until("the slot is taken", || {
                    stage.holds("work/.git/beadline/slots/1.lock")
                });
                let line = stage.start("agent-run --max-agents 1 < ../beads");
                until("the holder waits", || holders(&stage).len() == 1);
                kill_line(&stage, line);
                until("the holder has ended", || holders(&stage).is_empty());
                kill_line(&stage, slot);
                assert_eq!(lines(&stage, "home/starts"), Vec::<String>::new());
                assert_eq!(
                    (&facts(&stage)["phase"], &facts(&stage)["run"]),
                    (&json!("spawned"), &Value::Null)
                );
                stage.write("home/go", "");
                stage.sh(LINE).ok();
                assert_eq!(
                    (&facts(&stage)["run"], &facts(&stage)["attempt"]),
                    (&json!(1), &json!(1))
                );
            },
        ),
        test(
            "agent-run: a pause outlasts the line, and a failed run is not judged twice",
            || {
                let mut stage = with_agent(&format!(
                    "date +%s.%N >> \"$HOME/starts\"; [ $BEAD_RUN != 1 ] || exit 1\n{WORK}"
                ));
                stage.set("BEADLINE_ATTEMPTS", "2");
                let line = stage.start(LINE);
                until("the first run has failed", || {
                    facts(&stage)["outcome"] == "failed"
                });
                kill_line(&stage, line);
                let not_before = facts(&stage)["not_before"].as_str().unwrap().to_owned();
                stage.sh(LINE).ok();
                let due = stage
                    .sh(&format!("date -d '{not_before}' +%s.%N"))
                    .ok()
                    .stdout;
                let second = lines(&stage, "home/starts")[1].clone();
                assert!(
                    second.trim() > due.trim(),
                    "started at {second}, not before {due}"
                );
                let facts = facts(&stage);
                assert_eq!((&facts["run"], &facts["attempt"]), (&json!(2), &json!(2)));
                assert_eq!(facts["outcome"], "done");
            },
        ),
    ]
}
