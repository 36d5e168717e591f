//! One run of an agent: its prompt, its log, its limits, and the check after it.

use std::fs;
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::{LINE, WORK, assert_blocked, facts, lines, lives, log, with_agent};
use crate::stage::{Stage, test, until};

/// How many children of a process have ended and are not collected.
fn zombies(parent: &str) -> usize {
    let ended = format!(" Z {parent} ");
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let stats =
        processes.filter_map(|process| fs::read_to_string(process.path().join("stat")).ok());
    stats.filter(|stat| stat.contains(&ended)).count()
}

#[expect(clippy::too_many_lines, reason = "a list of tests")]
pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "agent-run: a failed check goes to the next run as feedback, after a pause",
            || {
                let mut stage = with_agent(
                "echo \"$BEAD_RUN $BEAD_ATTEMPT $BEAD_ROUND\" >> \"$HOME/runs\"; cat > \"$HOME/prompt-$BEAD_RUN\"
                 echo $BEAD_RUN >> work.txt; git add .; git commit -qm $BEAD_RUN",
            );
                stage.set("BEADLINE_ATTEMPTS", "2");
                stage.set(
                    "BEADLINE_CHECK",
                    "grep 2 work.txt || { echo it lacks a two; exit 7; }",
                );
                let ran = stage.sh(LINE).ok().says("runs again in 10 s");
                assert_eq!(ran.ids(), ["t-1"]);
                assert_eq!(lines(&stage, "home/runs"), ["1 1 0", "2 2 0"]);
                assert!(!stage.read("home/prompt-1").contains("it lacks a two"));
                let prompt = stage.read("home/prompt-2");
                assert!(
                    prompt.contains("the check failed: exit 7\nit lacks a two"),
                    "{prompt}"
                );
                assert!(ran.took > Duration::from_secs(10));
                // The work of the first run is still there.
                assert_eq!(
                    stage.sh("git show agent/t-1:work.txt").ok().stdout,
                    "1\n2\n"
                );
            },
        ),
        test(
            "agent-run: exit status 75 waits, and costs no attempt",
            || {
                let stage = with_agent(&format!("[ $BEAD_RUN != 1 ] || exit 75\n{WORK}"));
                let ran = stage.sh(LINE).ok().says("rate limited");
                assert!(ran.took > Duration::from_secs(10));
                let facts = facts(&stage);
                assert_eq!((&facts["run"], &facts["attempt"]), (&json!(2), &json!(1)));
                assert_eq!(facts["outcome"], "done");
            },
        ),
        test(
            "agent-run: a not_before further ahead than a day holds nothing back",
            || {
                let stage = with_agent(WORK);
                stage.sh("bd-ready | wt-spawn").ok();
                let put_off = json!({"not_before": "2099-01-01T00:00:00Z"});
                stage.edit("t-1", &json!({"metadata": put_off}));
                let line = stage.start("bd-ready --resume | agent-run");
                line.wait(Duration::from_mins(1)).ok();
                assert_eq!(facts(&stage)["outcome"], "done");
            },
        ),
        test(
            "agent-run: an agent that neither prints nor changes anything is stalled",
            || {
                let mut stage =
                    with_agent("echo some > work.txt; touch -d 2099-01-01 work.txt; sleep 600");
                stage.set("BEADLINE_STALL", "1s");
                let ran = stage.sh(LINE).ok();
                assert_blocked(&stage, "stalled", "neither printed nor changed");
                assert!(ran.took < Duration::from_mins(1));
                // Its work is kept.
                assert_eq!(
                    stage.sh("git show agent/t-1:work.txt").ok().stdout,
                    "some\n"
                );
            },
        ),
        test(
            "agent-run: a silent agent that changes files, or one that prints, is not stalled",
            || {
                let mut stage = Stage::with_tasks(2);
                stage.agent(
                "mkdir deep; for n in 1 2 3 4 5 6 7 8 9 10 11 12; do
                   if [ $BEAD_ID = t-1 ]; then echo $n > deep/work.txt; else echo $n; fi; sleep 0.4; done
                 echo end > deep/end.txt",
            );
                stage.set("BEADLINE_STALL", "3s");
                stage.set("BEADLINE_ATTEMPTS", "1");
                assert_eq!(stage.sh(LINE).ok().ids(), ["t-1", "t-2"]);
            },
        ),
        test(
            "agent-run: a daemon left by the check is ended, and does not hold the line up",
            || {
                let mut stage = with_agent(WORK);
                stage.set(
                    "BEADLINE_CHECK",
                    "setsid sleep 600 & echo $! > $HOME/daemon; true",
                );
                let ran = stage.sh(LINE).ok();
                assert!(ran.took < Duration::from_mins(1));
                assert!(!lives(&stage.read("home/daemon")));
                assert_eq!(facts(&stage)["outcome"], "done");
            },
        ),
        test(
            "agent-run: a flood of a check fills no disk, and its end is the feedback",
            || {
                let mut stage = with_agent(WORK);
                stage.write(
                    "check.sh",
                    "head -c 300000000 /dev/zero | tr '\\0' x; echo; echo the end of it
                     for file in /proc/$PPID/fd/* /proc/$$/fd/*; do
                       [ ! -f \"$file\" ] || stat -L -c %s \"$file\"; done > ~/sizes; exit 1",
                );
                stage.set("BEADLINE_CHECK", "sh ../../check.sh");
                stage.sh(LINE).ok();
                let sizes = lines(&stage, "home/sizes");
                let sizes: u64 = sizes.iter().map(|size| size.parse::<u64>().unwrap()).sum();
                assert!(sizes < 8 << 20, "{sizes}");
                let feedback = facts(&stage)["feedback"].to_string();
                assert!(feedback.contains("the end of it"), "{feedback}");
            },
        ),
        test("agent-run: a check is held to the time limit", || {
            let mut stage = with_agent(WORK);
            stage.set("BEADLINE_CHECK", "sleep 600");
            stage.set("BEADLINE_TIMEOUT", "2s");
            stage.sh(LINE).ok();
            assert_blocked(&stage, "failed", "the check failed: ");
        }),
        test(
            "agent-run: nothing that an agent started outlives it",
            || {
                let stage = with_agent(&format!(
                "P=\"$HOME/pids\"; export P
                 sleep 600 & echo $! >> \"$P\"
                 setsid sh -c 'echo $$ >> \"$P\"; exec sleep 600' &
                 (sh -c 'echo $$ >> \"$P\"; exec sleep 600' &)
                 (setsid sh -c '(sh -c \"echo \\$\\$ >> $P; exec sleep 600\" &)' &)
                 sh -c 'trap \"\" TERM HUP INT; echo $$ >> \"$P\"; while :; do sleep 1; done' &
                 env -i P=\"$P\" PATH=\"$PATH\" setsid sh -c 'trap \"\" TERM; echo $$ >> \"$P\"; while :; do sleep 1; done' &
                 while [ $(wc -l < \"$P\") -lt 6 ]; do sleep 0.05; done
                 {WORK}"
            ));
                stage.sh(LINE).ok();
                assert_eq!(facts(&stage)["outcome"], "done");
                let left: Vec<String> = lines(&stage, "home/pids");
                assert_eq!(left.len(), 6);
                assert_eq!(
                    left.into_iter()
                        .filter(|pid| lives(pid))
                        .collect::<Vec<_>>(),
                    Vec::<String>::new()
                );
                assert_eq!(stage.processes(), Vec::<String>::new());
            },
        ),
        test(
            "agent-run: orphans of an agent are collected, and its own status is its own",
            || {
                let stage = with_agent(
                    "n=0; while [ $n -lt 200 ]; do (sh -c : &); n=$((n + 1)); done
                     touch ~/made; until [ -e ~/go ]; do sleep 0.05; done; exit 7",
                );
                let line = stage.start(LINE);
                until("all are made", || stage.path("home/made").exists());
                let holder = facts(&stage)["agent_pid"].to_string();
                until("no zombie is left", || zombies(&holder) == 0);
                stage.write("home/go", "");
                line.wait(Duration::from_mins(1)).ok();
                assert_blocked(&stage, "failed", "the agent ended with 7");
            },
        ),
        test(
            "agent-run: an agent reads its prompt from stdin, to the end, and from $BEAD_PROMPT",
            || {
                let stage = with_agent(&format!(
                    "cat > \"$HOME/stdin\"; cp \"$BEAD_PROMPT\" \"$HOME/file\"; {WORK}"
                ));
                stage.edit(
                    "t-1",
                    &json!({
                        "description": "Do {{ this }}.", "acceptance_criteria": "It is $(done).",
                        "design": "As `drawn`.", "notes": "Mind 'the' gap.",
                    }),
                );
                stage.sh(LINE).ok();
                let prompt = stage.read("home/stdin");
                assert_eq!(prompt, stage.read("home/file"));
                for text in [
                    "t-1",
                    "Task t-1",
                    "Do {{ this }}.",
                    "It is $(done).",
                    "As `drawn`.",
                    "Mind 'the' gap.",
                    "agent/t-1",
                ] {
                    assert!(prompt.contains(text), "{text} is not in\n{prompt}");
                }
            },
        ),
        test(
            "agent-run: a flood of output leaves a log of at most 8 MiB, with its head and its tail",
            || {
                let stage = with_agent(&format!(
                    "echo first; head -c 40000000 /dev/zero | tr '\\0' x; echo; echo last; {WORK}"
                ));
                stage.sh(LINE).ok();
                let log = log(&stage, 1);
                assert!(log.len() <= (8 << 20) + (1 << 17), "{}", log.len());
                assert!(log.len() > 4 << 20, "{}", log.len());
                assert!(log.starts_with("first\nxxx"));
                assert!(log.ends_with("xxx\nlast\n"));
                assert!(log.contains("bytes left out]"));
            },
        ),
        test(
            "agent-run: an agent that is not there stops the line after three runs, at no bead's cost",
            || {
                let mut stage = Stage::with_tasks(9);
                stage.set("BEADLINE_AGENT", "no-such-agent --at all");
                stage.set("BEADLINE_ATTEMPTS", "1");
                let ran = stage.sh(&format!("{LINE} --max-agents 3")).code(1);
                let why = "no further agent is started: the agent's program is missing";
                assert_eq!(ran.stderr.matches(why).count(), 1, "{}", ran.all());
                let runs = |bead: &Value| bead["metadata"]["run"].as_u64().unwrap_or(0);
                let beads = stage.stored();
                // Two more may be under way when the third has ended.
                let started: u64 = beads.iter().map(runs).sum();
                assert!((3..=5).contains(&started), "{}", ran.all());
                for bead in beads {
                    assert_eq!(bead["status"], "in_progress");
                    assert_eq!(bead["metadata"]["attempt"].as_u64().unwrap_or(0), 0);
                    assert_eq!(bead["metadata"]["error"].as_str().unwrap_or(""), "");
                }
                let logs = stage.sh("cat .git/beadline/*/1.log").ok().stdout;
                assert!(logs.contains("no-such-agent"), "{logs}");
            },
        ),
        test(
            "agent-run: a bead whose runs are interrupted for ever goes to a person after 20 of them",
            || {
                let mut stage = with_agent("");
                stage.set("BEADLINE_AGENT", "kill -9 $PPID; sleep 600");
                stage.sh(LINE).ok();
                assert_blocked(&stage, "interrupted", "see ");
                assert_eq!(
                    (&facts(&stage)["run"], &facts(&stage)["attempt"]),
                    (&json!(20), &json!(0))
                );
                assert_eq!(stage.processes(), Vec::<String>::new());
            },
        ),
    ]
}
