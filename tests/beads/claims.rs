//! Claims on a real database: of many that want a bead exactly one gets it, and a claim that
//! somebody took away is noticed by every later program.

use std::fmt::Write as _;
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::stage::{Dolt, Stage, scale, task, test_with_bd, until};

/// Processes that race, each in a clone of its own, and how often they do.
fn size() -> (usize, usize) {
    match scale() {
        1 => (16, 1),
        rounds => (64, rounds),
    }
}

/// Long enough for all calls of a round, one after the other on a busy machine.
const ROUND: Duration = Duration::from_mins(9);

/// Starts one `wt-spawn` a clone at once, on what `wants` says, and asserts that each bead has one
/// winner, who has a worktree, and that everybody else said so and has none.
fn race(stage: &Stage, round: usize, clones: usize, wants: impl Fn(usize) -> Vec<String>) {
    let mut script = String::from("rm -f ../go; mkfifo ../go; exec 9<>../go\n");
    for clone in 0..clones {
        let ids = wants(clone).join(" ");
        writeln!(
            script,
            "(read -r < ../go; cd ../c{clone}; exec 9<&-; code=0; wt-spawn {ids} > out 2> err || code=$?; echo $code > code) &"
        )
        .unwrap();
    }
    writeln!(
        script,
        "for n in $(seq {clones}); do echo go >&9; done; wait"
    )
    .unwrap();
    stage.start(&script).wait(ROUND).ok();
    let beads = stage.stored();
    let mut winners: Vec<(String, usize)> = Vec::new();
    for clone in 0..clones {
        let of = |file: &str| stage.read(&format!("c{clone}/{file}"));
        let (out, err) = (of("out"), of("err"));
        assert_eq!(of("code"), "0\n", "round {round}, clone {clone}: {err}");
        let won: Vec<Value> = out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        for id in wants(clone) {
            let said = err
                .lines()
                .filter(|line| line.contains(&format!(" {id}: ")));
            let said: Vec<&str> = said.collect();
            let stored = beads.iter().find(|bead| bead["id"] == *id).unwrap();
            let tree = stage.path(&format!("c{clone}.worktrees/{id}"));
            if let Some(bead) = won.iter().find(|bead| bead["id"] == *id) {
                winners.push((id.clone(), clone));
                assert_eq!(bead["assignee"], stored["assignee"], "{id}: {err}");
                assert_eq!(json!(tree), stored["metadata"]["worktree"], "{id}");
                assert!(tree.join("a.txt").exists(), "{id}: {err}");
            } else {
                assert_eq!(said.len(), 1, "{id}, clone {clone}: {err}");
                assert!(!tree.exists(), "{id}, clone {clone}: {err}");
            }
        }
    }
    let mut ids: Vec<String> = (0..clones).flat_map(wants).collect();
    ids.sort();
    ids.dedup();
    winners.sort();
    let won: Vec<&String> = winners.iter().map(|(id, _)| id).collect();
    assert_eq!(
        won,
        ids.iter().collect::<Vec<_>>(),
        "round {round}: {winners:?}"
    );
}

/// Clones `c0`, `c1`, … of the remote, all on the beads of `work`.
fn clones(stage: &Stage, count: usize, beads: &str) {
    let script = format!(
        "for n in $(seq 0 {}); do git clone --quiet remote.git c$n; {beads}; done",
        count - 1
    );
    stage.sh_in("", &script).ok();
}

fn wanted(rounds: usize, count: usize) -> Vec<Value> {
    let ids = (0..rounds).flat_map(|round| (0..=count).map(move |n| format!("t-{round}x{n}")));
    ids.map(|id| task(&id)).collect()
}

fn races(stage: &Stage, processes: usize, rounds: usize) {
    for round in 0..rounds {
        // One bead that all of them want, and others that two want each.
        let last = format!("t-{round}x{processes}");
        race(stage, round, processes, |_| vec![last.clone()]);
        race(stage, round, processes, |clone| {
            let next = (clone + 1) % processes;
            [clone, next].map(|n| format!("t-{round}x{n}")).to_vec()
        });
    }
}

fn races_on_the_embedded_store() {
    let (processes, rounds) = size();
    let mut stage = Stage::on_bd(&wanted(rounds, processes));
    clones(&stage, processes, "true");
    stage.set(
        "BEADS_DIR",
        &stage.path("work/.beads").display().to_string(),
    );
    races(&stage, processes, rounds);
}

fn races_on_a_server() {
    let (processes, rounds) = size();
    let dolt = Dolt::start();
    let stage = Stage::on_server(&dolt, &wanted(rounds, processes));
    clones(&stage, processes, "cp -R work/.beads c$n/.beads");
    races(&stage, processes, rounds);
}

/// The line as far as the step before `program`, the claim stolen, and then `program`: it says so,
/// prints nothing, and leaves everything as it is.
fn stolen_before(stage: &Stage, id: &str, line: &str, program: &str) {
    let before = stage.sh(&format!("bd-ready {id} | {line}")).ok();
    assert_eq!(before.ids(), [id], "{}", before.all());
    stage.sh(&format!("bd update {id} -a alice --force")).ok();
    let theirs = stage.bead(id);
    let refs = || stage.sh("git ls-remote origin").ok().stdout;
    let was = refs();
    let ran = stage.feed(program, &before.stdout).ok();
    assert!(ran.stdout.is_empty(), "{}", ran.all());
    ran.says_of(id, "alice");
    assert_eq!(stage.bead(id), theirs, "{}", ran.all());
    assert_eq!(refs(), was, "{}", ran.all());
    assert!(
        stage.path(&format!("work.worktrees/{id}")).exists(),
        "{}",
        ran.all()
    );
}

fn stolen(stage: &mut Stage) {
    stage.simple();
    stolen_before(stage, "t-1", "wt-spawn", "wt-spawn");
    stolen_before(stage, "t-2", "wt-spawn", "agent-run");
    stolen_before(stage, "t-3", "wt-spawn | agent-run", "pr-open");
    stolen_before(stage, "t-4", "wt-spawn | agent-run | pr-open", "pr-merge");
}

/// Somebody takes the bead while its agent works: the agent is ended, its work kept, nothing written.
fn stolen_under_an_agent() {
    let mut stage = Stage::on_bd(&[task("t-1")]);
    stage.set("BEADLINE_NO_CHECKS", "1");
    stage.agent("echo half > half.txt; exec sleep 600");
    let running = stage.start("wt-spawn t-1 | agent-run");
    let half = stage.path("work.worktrees/t-1/half.txt");
    until("the agent works", || half.exists());
    stage.sh("bd update t-1 -a alice --force").ok();
    let theirs = stage.bead("t-1");
    let ran = running.wait(Duration::from_mins(1)).ok();
    assert!(ran.stdout.is_empty(), "{}", ran.all());
    assert!(half.exists(), "{}", ran.all());
    assert_eq!(stage.bead("t-1"), theirs, "{}", ran.all());
    assert_eq!(stage.processes(), Vec::<String>::new(), "{}", ran.all());
}

fn four() -> Vec<Value> {
    (1..=4).map(|n| task(&format!("t-{n}"))).collect()
}

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test_with_bd(
            "claims: of many processes one wins each bead, on an embedded database",
            races_on_the_embedded_store,
        ),
        test_with_bd(
            "claims: of many processes one wins each bead, on a server",
            races_on_a_server,
        ),
        test_with_bd(
            "claims: every later program notices a stolen claim, on an embedded database",
            || stolen(&mut Stage::on_bd(&four())),
        ),
        test_with_bd(
            "claims: every later program notices a stolen claim, on a server",
            || {
                let dolt = Dolt::start();
                stolen(&mut Stage::on_server(&dolt, &four()));
            },
        ),
        test_with_bd(
            "claims: an agent whose bead was taken away is ended, and its work is kept",
            stolen_under_an_agent,
        ),
    ]
}
