//! What the line asks of `bd`: every call is counted by a script before it on the PATH.

use std::collections::HashMap;
use std::thread;
use std::time::Duration;

use libtest_mimic::Trial;

use super::{assert_all_merged, count};
use crate::kill::{LINE, prepare};
use crate::stage::{Dolt, Stage, task, task_on, test_with_bd, until};

/// Puts the counting `bd` into `shim`, which the line has first on its PATH.
pub(super) fn count_calls(stage: &Stage) {
    let bd = stage.sh("command -v bd").ok().stdout;
    let log = stage.path("calls");
    stage.write(
        "shim/bd",
        &format!(
            "#!/bin/sh
case \" $* \" in *' --id='*) what=show ;; *) what=$1 ;; esac
read -r who < \"/proc/$PPID/comm\"
echo \"$who $what\" >> '{}'
exec '{}' \"$@\"
",
            log.display(),
            bd.trim_end()
        ),
    );
    stage.write("calls", "");
    stage.sh("chmod +x ../shim/bd").ok();
}

/// How often each program made each call.
fn calls(stage: &Stage) -> HashMap<(String, String), usize> {
    let mut calls = HashMap::new();
    for line in stage.read("calls").lines() {
        let (who, what) = line.split_once(' ').unwrap();
        *calls.entry((who.to_owned(), what.to_owned())).or_default() += 1;
    }
    calls
}

/// Some beads in an epic, some after each other, the rest alone.
fn keeps_to_its_budget(mut stage: Stage) {
    let n = count(20, 6);
    let id = |n: usize| format!("t-{n}");
    let mut epic = task("t-e");
    epic["issue_type"] = "epic".into();
    let mut beads = vec![epic];
    beads.extend((1..=n).map(|number| match number % 3 {
        0 => task_on(&id(number), &[("t-e", "parent-child")]),
        1 if number > 3 => task_on(&id(number), &[(&id(number - 3), "blocks")]),
        _ => task(&id(number)),
    }));
    stage.import(&beads);
    prepare(&mut stage);
    count_calls(&stage);
    let ran = stage.sh(LINE).ok();
    let calls = calls(&stage);
    let all = format!("{calls:#?}\n{}", ran.all());
    let of = |who: &str, what: &str| {
        let call = (who.to_owned(), what.to_owned());
        calls.get(&call).copied().unwrap_or_default()
    };
    let sum = |what: &str| -> usize {
        let same = calls.iter().filter(|((_, call), _)| call == what);
        same.map(|(_, count)| count).sum()
    };

    let known = ["version", "list", "ready", "show", "update", "heartbeat"];
    let other = calls.keys().find(|(_, what)| !known.contains(&&**what));
    assert_eq!(other, None, "{all}");
    // Once a program, whatever its threads; an agent-hold may renew a lease.
    assert!(sum("version") <= 6 + of("agent-hold", "version"), "{all}");
    // One a phase, and one for the epic.
    assert!(sum("update") <= 5 * n + 1, "{all}");
    // Each claim gets its lease at once; nothing here lives long enough for another renewal of all.
    assert!(sum("heartbeat") >= n, "{all}");

    let ticks = |every: u64| usize::try_from(ran.took.as_secs() / every).unwrap() + 2;
    assert!(of("bd-ready", "list") <= ticks(2), "{all}");
    assert!(of("bd-ready", "ready") <= ticks(2), "{all}");
    assert!(of("agent-run", "list") <= ticks(10), "{all}");
    // Containers are looked for at the start and the end, after each landing, and after each closing.
    assert!(of("pr-merge", "list") <= ticks(10) + n + 3, "{all}");
    assert!(of("wt-clean", "list") <= 1, "{all}");
    // One when a bead is taken in hand, and one right before each effect; on a busy machine a look
    // may have aged before it was used.
    for (who, each) in [
        ("bd-ready", 0),
        ("wt-spawn", 1),
        ("agent-run", 4),
        ("agent-hold", 0),
        ("pr-open", 2),
        ("pr-merge", 3),
        ("wt-clean", 1),
    ] {
        assert!(of(who, "show") <= each * n, "{who}\n{all}");
    }
    let close = stage.bead("t-e");
    assert_eq!(close["status"], "closed", "{all}");
    stage.sh("bd delete t-e --force").ok();
    assert_all_merged(&stage, &all);
}

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test_with_bd(
            "bd: five writes a bead, and no more reads than looks, embedded",
            || {
                keeps_to_its_budget(Stage::on_bd(&[]));
            },
        ),
        test_with_bd(
            "bd: five writes a bead, and no more reads than looks, on a server",
            || {
                let dolt = Dolt::start();
                keeps_to_its_budget(Stage::on_server(&dolt, &[]));
            },
        ),
        test_with_bd(
            "bd: a claim between the two reads of a look does not end the line",
            || {
                let dolt = Dolt::start();
                let beads = [task("t-1"), task_on("t-2", &[("t-1", "blocks")])];
                let stage = Stage::on_server(&dolt, &beads);
                let bd = stage.sh("command -v bd").ok().stdout;
                // What is ready is the second read; what it printed is claimed right before.
                stage.write(
                    "shim/bd",
                    &format!(
                        "#!/bin/sh
if [ \"$1\" = ready ] && [ -s ../printed ]; then
    echo look >> ../looks
    [ -e ../claimed ] || wt-spawn t-1 > ../claimed
fi
exec '{}' \"$@\"
",
                        bd.trim_end()
                    ),
                );
                stage.sh("chmod +x ../shim/bd").ok();
                let line = stage.start(
                    "PATH=\"$PWD/../shim:$PATH\" bd-ready --follow --interval 200ms > ../printed",
                );
                until("it has looked again", || {
                    stage.sh("test $(wc -l < ../looks) -gt 2").code == Some(0)
                });
                assert_eq!(
                    stage.bead("t-1")["status"],
                    "in_progress",
                    "{}",
                    line.said()
                );
            },
        ),
        test_with_bd("bd: an idle line asks an embedded database nothing", || {
            let mut stage = Stage::on_bd(&[task("t-1"), task_on("t-2", &[("t-1", "blocks")])]);
            prepare(&mut stage);
            count_calls(&stage);
            let line = "PATH=\"$PWD/../shim:$PATH\" bd-ready --follow --forever --interval 200ms --limit 0";
            let running = stage.start(line);
            until("it has looked", || {
                stage.read("calls").contains("bd-ready ready")
            });
            let before = stage.read("calls");
            // Nothing can be waited for where nothing happens: fifteen intervals.
            thread::sleep(Duration::from_secs(3));
            assert_eq!(stage.read("calls"), before);
            stage.sh("bd update t-2 --title changed").ok();
            until("it looks again", || {
                stage.read("calls").len() > before.len()
            });
            drop(running);
        }),
    ]
}
