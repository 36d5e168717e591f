//! `orch-status`: what it shows of beads and agents, and how it draws on a terminal.

use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::forge::committed;
use crate::stage::{Ran, Stage, task, test, test_with, until};

/// Runs it on a terminal of so many columns.
fn on_terminal(stage: &Stage, columns: u16, variables: &str, flags: &str) -> Ran {
    let line = format!("stty cols {columns} rows 24; {variables} orch-status {flags}");
    stage.sh(&format!("script -qec \"{line}\" /dev/null < /dev/null"))
}

/// Beads of every kind, with titles that are too long.
fn beads() -> Vec<Value> {
    let far = |id: &str, phase: &str, host: &str| {
        let mut bead = task(id);
        bead["status"] = json!("in_progress");
        bead["assignee"] = json!(format!("beadline/{host}/1"));
        bead["metadata"] = json!({"phase": phase, "host": host, "run": 1, "branch": format!("agent/{id}"), "pr_number": 12});
        bead["title"] = json!("漢字 ".repeat(60));
        bead
    };
    let mut emoji = task("emoji");
    // Each is two columns wide, of two characters that are one and none.
    emoji["title"] = json!("\u{263a}\u{fe0f}".repeat(100));
    let mut stuck = task("stuck");
    stuck["status"] = json!("blocked");
    stuck["notes"] = json!(format!("first\nlook at {}", "this ".repeat(60)));
    vec![
        far("mine", "pr_created", "here"),
        far("theirs", "working", "there"),
        emoji,
        stuck,
        task("plain"),
    ]
}

/// The number of columns a line takes, as far as these tests need it.
fn columns(line: &str) -> usize {
    let wide = |c: char| match c {
        '\u{4e00}'..='\u{9fff}' => 2,
        _ => 1,
    };
    line.chars().map(wide).sum()
}

/// A bead's place, and with whom it is tested.
type Shown = (String, Option<u64>, Option<Value>);

fn shown(stage: &Stage) -> Vec<Shown> {
    let ran = stage.sh("orch-status --json").ok();
    let of = |bead: Value| {
        let place = bead.get("place").and_then(Value::as_u64);
        let with = bead.get("testing_with").cloned();
        (bead["id"].as_str().unwrap().to_owned(), place, with)
    };
    let mut shown: Vec<Shown> = ran.beads().into_iter().map(of).collect();
    shown.sort_by(|one, other| one.0.cmp(&other.0));
    shown
}

/// Waits until two are shown as tested together. One that came first may be tested alone: it passes.
fn pair(stage: &Stage) -> Vec<Shown> {
    let mut passed = Vec::new();
    let mut last = Vec::new();
    until("two are shown as tested together", || {
        last = shown(stage);
        let alone = last.iter().find(|one| one.2 == Some(json!([])));
        if let Some((id, ..)) = alone.filter(|(id, ..)| !passed.contains(id)) {
            passed.push(id.clone());
            stage.sh("timeout 60 sh -c ': > ~/go'").ok();
        }
        last.iter().filter(|one| one.2.is_some()).count() == 2
    });
    let queue: Vec<&Shown> = last.iter().filter(|one| one.1.is_some()).collect();
    for (place, one) in (1..).zip(&queue) {
        let with = match place {
            1 => Some(json!([queue[1].0])),
            2 => Some(json!([queue[0].0])),
            _ => None,
        };
        assert_eq!((one.1, &one.2), (Some(place), &with), "{last:?}");
    }
    last
}

fn queue() {
    let ids = ["t-0", "t-1", "t-2", "t-3", "t-4", "t-5", "t-6", "t-7"];
    let stage = Stage::new(&ids.map(task));
    let work = ids.map(|id| (id, format!("touch {id}.txt")));
    committed(
        &stage,
        &work.each_ref().map(|(id, how)| (*id, how.as_str())),
    );
    stage.sh(&format!("pr-open {}", ids.join(" "))).ok();
    stage.edit("t-7", &json!({"metadata": {"waits": "approve it"}}));
    stage.sh("mkfifo ~/go; touch ~/is-short").ok();
    let check = stage.check("[ -e ~/is-short ] || cat ~/go > /dev/null");
    // The length of one is known from then on.
    stage.sh(&format!("pr-merge --check '{check}' t-0")).ok();
    stage.sh("rm ~/is-short").ok();
    let line = format!(
        "pr-merge --check '{check}' --batch 2 {}",
        ids[1..7].join(" ")
    );
    let mut first = stage.start(&line);
    let tested = pair(&stage);
    let nothing_runs: Vec<Shown> = tested
        .iter()
        .map(|(id, place, _)| (id.clone(), *place, None))
        .collect();
    assert_eq!(tested.last().unwrap(), &("t-7".to_owned(), None, None));
    let waiting = tested.iter().filter(|one| one.1.is_some());
    let waiting: Vec<&str> = waiting.map(|one| one.0.as_str()).collect();
    let (one, other, third, count) = (waiting[0], waiting[1], waiting[2], waiting.len());
    let table = stage.sh("orch-status").ok().stdout;
    for words in [
        format!("\n{one}: place 1 of {count} on main, being checked with {other} for "),
        format!("\n{other}: place 2 of {count} on main, being checked with {one} for "),
        format!("\n{third}: place 3 of {count} on main"),
        " of about ".to_owned(),
        "\nt-7: approve it\n".to_owned(),
    ] {
        assert!(table.contains(&words), "no {words:?}: {table}");
    }

    let file = ".git/beadline/queue-main.json";
    let mode = stage.sh(&format!("stat -c %a {file}")).ok().stdout;
    assert_eq!(mode, "600\n");
    // It is for those who look on: whatever becomes of it is no error.
    for odd in ["echo '{' >", "true", "mkfifo"] {
        stage.sh(&format!("mv {file} ~/kept; {odd} {file}")).ok();
        assert_eq!(shown(&stage), nothing_runs, "{odd}");
        stage.sh(&format!("rm -f {file}; mv ~/kept {file}")).ok();
    }
    assert_eq!(shown(&stage), tested);

    first.kill();
    until("nothing is shown as tested", || {
        shown(&stage) == nothing_runs
    });
    assert!(stage.read(&format!("work/{file}")).contains(other));
    let mut second = stage.start(&line);
    pair(&stage);
    stage.sh("touch ~/is-short").ok();
    // Who waits already goes on, too.
    let mut opener = stage.start(": > ~/go");
    until("it is over", || second.is_over());
    opener.kill();
    for (id, place, with) in shown(&stage) {
        assert_eq!((place, with), (None, None), "{id}");
    }
    until("nothing runs", || stage.processes().is_empty());
}

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test_with(
            "script",
            "package bsdutils",
            "orch-status: the table fits terminals of any width",
            || {
                let stage = Stage::new(&beads());
                stage.sh("git config beadline.host here").ok();
                for width in [200, 120, 80, 60, 40, 20, 5] {
                    let ran = on_terminal(&stage, width, "NO_COLOR=1 TERM=xterm", "").ok();
                    for line in ran.stdout.lines() {
                        let line = line.trim_end_matches('\r');
                        assert!(
                            columns(line) <= width.into(),
                            "{width}: {line}\n{}",
                            ran.all()
                        );
                    }
                    assert!(ran.stdout.lines().count() >= 8, "{}", ran.all());
                }
                let ran = on_terminal(&stage, 80, "NO_COLOR=1 TERM=xterm", "").ok();
                assert!(ran.stdout.starts_with("ID "), "{}", ran.all());
                assert!(
                    ran.stdout
                        .contains("1 blocked, 1 pr_created, 2 ready, 1 working, 0 closed"),
                    "{}",
                    ran.all()
                );
                assert!(
                    ran.stdout.contains("stuck: look at this this"),
                    "{}",
                    ran.all()
                );
            },
        ),
        test_with(
            "script",
            "package bsdutils",
            "orch-status: colour only on a terminal that wants it",
            || {
                let stage = Stage::new(&beads());
                let coloured = |variables: &str| {
                    on_terminal(&stage, 80, variables, "")
                        .ok()
                        .stdout
                        .contains('\u{1b}')
                };
                assert!(coloured("TERM=xterm"));
                assert!(coloured("TERM=xterm NO_COLOR="));
                assert!(!coloured("TERM=xterm NO_COLOR=1"));
                assert!(!coloured("TERM=dumb"));
                assert!(
                    !stage
                        .sh("TERM=xterm orch-status")
                        .ok()
                        .stdout
                        .contains('\u{1b}')
                );
                assert!(
                    !on_terminal(&stage, 80, "TERM=xterm", "--json")
                        .ok()
                        .stdout
                        .contains('\u{1b}')
                );
            },
        ),
        test(
            "orch-status: control characters are harmless wherever they stand",
            || {
                let evil = "\u{1b}[2J\u{7}\r\n\u{202e}x\u{9b}1m";
                let mut bead = task(&format!("t{evil}"));
                bead["title"] = json!(evil);
                bead["status"] = json!("blocked");
                bead["assignee"] = json!(evil);
                bead["notes"] = json!(evil);
                bead["metadata"] = json!({"branch": evil, "waits": evil, "error": evil, "phase": evil, "host": evil});
                let mut other = bead.clone();
                other["id"] = json!("u");
                other["status"] = json!("in_progress");
                let stage = Stage::new(&[bead, other]);
                for line in [
                    "orch-status",
                    "orch-status --json",
                    "bd-ready --follow",
                    "bd-ready",
                ] {
                    let ran = stage.sh(line).ok();
                    let raw = |c: char| c != '\n' && c.is_control() || c == '\u{202e}';
                    let shown = ran.stderr.clone()
                        + if line.contains("json") {
                            ""
                        } else {
                            &ran.stdout
                        };
                    assert!(!shown.contains(raw), "{shown:?}");
                }
            },
        ),
        test(
            "orch-status --json: the bead, byte for byte, with agent and state",
            || {
                let stage = Stage::new(&[]);
                let line = r#"{"z":18446744073709551616,"id":"t-1","n":[1.10,1e2],"u":"\u00e9","created_at":"2026-01-01T00:00:00Z""#;
                stage.write("work/.beads/issues.jsonl", &format!("{line}}}\n"));
                let ran = stage.sh("orch-status --json").ok();
                assert_eq!(
                    ran.stdout,
                    format!("{line},\"agent\":\"\",\"state\":\"ready\"}}\n")
                );
            },
        ),
        test("orch-status: every state has its word", || {
            let mut beads = beads();
            let mut waits = task("waits");
            waits["dependencies"] =
                json!([{"issue_id": "waits", "depends_on_id": "plain", "type": "blocks"}]);
            let mut hers = task("hers");
            hers["assignee"] = json!("ada");
            let mut later = task("later");
            later["defer_until"] = json!("2099-01-01T00:00:00Z");
            let mut above = task("above");
            above["issue_type"] = json!("epic");
            beads.extend([waits, hers, later, above, task("above.1")]);
            let stage = Stage::new(&beads);
            stage.sh("git config beadline.host here").ok();
            let words = |flags: &str| {
                let ran = stage.sh(&format!("orch-status --json {flags}")).ok();
                let word = |bead: Value| {
                    format!(
                        "{} {} {}",
                        bead["id"].as_str().unwrap(),
                        bead["state"].as_str().unwrap(),
                        bead["agent"].as_str().unwrap()
                    )
                    .trim()
                    .to_owned()
                };
                let mut words: Vec<String> = ran.beads().into_iter().map(word).collect();
                words.sort();
                words
            };
            assert_eq!(
                words(""),
                [
                    "above.1 ready",
                    "emoji ready",
                    "hers assigned",
                    "later deferred",
                    "mine pr_created ended",
                    "plain ready",
                    "stuck blocked",
                    "theirs working unknown",
                    "waits waiting"
                ]
            );
            assert_eq!(words("--epic above"), ["above.1 ready"]);
            assert_eq!(words("--epic plain"), [""; 0]);
            assert!(
                stage
                    .sh("orch-status --epic above")
                    .ok()
                    .stdout
                    .ends_with("1 ready, 0 closed\n")
            );
        }),
        test(
            "orch-status: a living agent is alive, one killed with its supervisor has ended",
            || {
                let mut stage = Stage::with_tasks(1);
                stage.agent("echo $$ > pid; exec sleep 300");
                let agent = || {
                    let ran = stage.sh("orch-status --json").ok();
                    ran.beads()[0]["agent"].as_str().unwrap().to_owned()
                };
                assert_eq!(agent(), "");
                let mut line = stage.start("bd-ready | wt-spawn | agent-run");
                let pid = || fs_read(&stage, "work.worktrees/t-1/pid");
                until("the agent works", || !pid().is_empty());
                assert_eq!(agent(), "alive");
                line.kill();
                assert_eq!(agent(), "alive");
                let holder = stage.bead("t-1")["metadata"]["agent_pid"].as_i64().unwrap();
                stage.sh(&format!("kill -9 {holder} {}", pid())).ok();
                until("it is shown as ended", || agent() == "ended");
                assert_eq!(stage.processes(), Vec::<String>::new());
                // The same, seen from another clone.
                stage.sh("git config beadline.host elsewhere").ok();
                assert_eq!(agent(), "unknown");
            },
        ),
        test(
            "orch-status: places in the queue, and who is being checked with whom while that runs",
            queue,
        ),
        test(
            "orch-status --watch: shows a change of the store, and ends when its reader goes",
            || {
                let stage = Stage::with_tasks(1);
                let mut line = stage.start("orch-status --watch");
                until("it is drawn", || {
                    line.said().contains("1 ready, 0 closed\n")
                });
                stage.edit("t-1", &json!({"status": "blocked"}));
                until("it is drawn again", || {
                    line.said().contains("1 blocked, 0 closed\n")
                });
                line.kill();
                let ran = stage
                .start(
                    "mkfifo ../out; orch-status --watch > ../out & exec 9< ../out; read -r head <&9
                     t=${EPOCHREALTIME/./}; exec 9<&-; wait $!; echo $(( ${EPOCHREALTIME/./} - t ))",
                )
                .wait(Duration::from_mins(1))
                .ok();
                let micros: u64 = ran.stdout.trim().parse().unwrap();
                assert!(micros < 2_000_000, "{}", ran.all());
            },
        ),
    ]
}

fn fs_read(stage: &Stage, path: &str) -> String {
    std::fs::read_to_string(stage.path(path))
        .unwrap_or_default()
        .trim()
        .to_owned()
}
