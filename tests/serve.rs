//! Beads over HTTP: the line with a running `bd serve`, and what may go wrong between them.

use std::fs;
use std::net::TcpStream;

use libtest_mimic::Trial;

use crate::stage::{Dolt, Running, Stage, free_port, task, task_on, test, test_with_bd, until};

const TOKEN: &str = "sekret-7f3a";

/// A `bd serve` beside its Dolt server, and a clone that speaks to it by HTTP only.
struct Served {
    dolt: Dolt,
    stage: Stage,
    port: u16,
    serve: Option<Running>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Served {
    fn start(beads: &[serde_json::Value]) -> Self {
        let dolt = Dolt::start();
        let stage = Stage::on_server(&dolt, beads);
        stage.write("token", &format!("{TOKEN}\n"));
        let mut served = Self {
            dolt,
            stage,
            port: free_port(),
            serve: None,
        };
        served.go_on();
        let url = format!("http://127.0.0.1:{}", served.port);
        served.stage.set("BEADLINE_BEADS_URL", &url);
        let file = served.stage.path("token").display().to_string();
        served.stage.set("BEADLINE_BEADS_TOKEN_FILE", &file);
        served
    }

    fn go_on(&mut self) {
        let port = self.port;
        let serve = format!("exec bd serve --addr 127.0.0.1:{port} --auth-token-file ../token");
        self.serve = Some(self.stage.start(&serve));
        until("bd serve answers", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
    }

    fn stop(&mut self) {
        if let Some(mut serve) = self.serve.take() {
            serve.kill();
        }
    }
}

fn the_line_runs_without_any_bd() {
    let mut served = Served::start(&[task("t-1"), task_on("t-2", &[("t-1", "blocks")])]);
    served.stage.simple();
    // Nothing but the server may be asked.
    served.stage.write(
        "shim/bd",
        "#!/bin/sh\necho \"bd $*\" >> ../called\nexit 1\n",
    );
    served
        .stage
        .sh("chmod +x ../shim/bd; mv .beads ../away")
        .ok();
    let line = "PATH=\"$PWD/../shim:$PATH\"
        bd-ready --follow | wt-spawn | agent-run | pr-open | pr-merge | wt-clean --all > /dev/null";
    served.stage.sh(line).ok();
    assert!(!served.stage.path("called").exists());
    served.stage.sh("mv ../away .beads").ok();
    for id in ["t-1", "t-2"] {
        let bead = served.stage.bead(id);
        assert_eq!(bead["status"], "closed", "{bead}");
        assert_eq!(bead["metadata"]["phase"], "merged", "{bead}");
        let note = bead["notes"].as_str().unwrap();
        assert!(note.contains("by pull request"), "{note}");
    }
    served.stage.assert_clean();
}

/// What the programs print is what `bd` prints: the same fields in the same form.
fn beads_look_as_bd_prints_them() {
    let served = Served::start(&[
        task("t-1"),
        task_on("t-2", &[("t-1", "related"), ("t-3", "blocks")]),
        task("t-3"),
    ]);
    let over_http = served.stage.sh("bd-ready").ok().stdout;
    let by_bd = served.stage.sh("env -u BEADLINE_BEADS_URL bd-ready").ok();
    assert_eq!(over_http, by_bd.stdout);
    assert_eq!(by_bd.ids(), ["t-1", "t-3"]);
    let spawned = served.stage.sh("bd-ready t-3 | wt-spawn").ok().beads();
    assert_eq!(spawned[0]["metadata"]["phase"], "spawned");
    let named = served.stage.sh("wt-spawn t-3").ok().beads();
    assert_eq!(named[0]["metadata"], spawned[0]["metadata"]);
    // An edge to what Beads keeps apart blocks there, too.
    let block = r#"bd dep add t-1 "$(bd create wisp --ephemeral --silent)""#;
    served.stage.sh(block).ok();
    let over_http = served.stage.sh("bd-ready t-1").code(1);
    let by_bd = served.stage.sh("env -u BEADLINE_BEADS_URL bd-ready t-1");
    assert_eq!(over_http.stderr, by_bd.code(1).stderr);
    over_http.says("blocked by t-wisp-");
}

fn one_of_many_claims_wins() {
    let served = Served::start(&[task("t-1")]);
    let clones = 6;
    for n in 0..clones {
        let clone = format!("git clone --quiet remote.git clone{n}");
        served.stage.sh_in("", &clone).ok();
    }
    let race = format!(
        "for n in $(seq 0 {}); do (cd clone$n && wt-spawn t-1 > ../out$n 2> ../err$n) & done; wait; cat out*",
        clones - 1
    );
    let ran = served.stage.sh_in("", &race).ok();
    assert_eq!(ran.ids(), ["t-1"], "{}", ran.all());
    let host = ran.beads()[0]["metadata"]["host"].clone();
    assert_eq!(served.stage.bead("t-1")["metadata"]["host"], host);
    let lost = served.stage.sh_in("", "grep -l 'left:' err* | wc -l").ok();
    assert_eq!(lost.stdout.trim(), (clones - 1).to_string());
}

fn a_person_stays_in_charge() {
    let served = Served::start(&[task("t-1")]);
    let spawned = served.stage.sh("wt-spawn t-1").ok().stdout;
    served.stage.sh("bd update t-1 --assignee ann --force").ok();
    let ran = served.stage.feed("pr-open", &spawned);
    ran.ok().says("left: it was taken by 'ann'");
    assert_eq!(served.stage.bead("t-1")["assignee"], "ann");
}

/// Its answers tell the time that a claim is judged by.
fn a_dead_clones_bead_is_lost() {
    let served = Served::start(&[task("t-1")]);
    let elsewhere = "wt-spawn t-1 && git config beadline.host elsewhere-1";
    served.stage.sh(elsewhere).ok();
    let lost = || served.stage.sh("bd-ready --resume").ok().ids();
    assert_eq!(lost(), [""; 0]);
    served.stage.age(&served.dolt, "t-1");
    assert_eq!(lost(), ["t-1"]);
}

fn a_server_that_is_away_is_waited_for() {
    let mut served = Served::start(&[task("t-1")]);
    served.stop();
    let line = served.stage.start("wt-spawn t-1");
    served.go_on();
    let ran = line.wait(std::time::Duration::from_mins(1)).ok();
    assert_eq!(ran.beads()[0]["metadata"]["phase"], "spawned");
}

fn a_token_is_read_anew_and_never_shown() {
    let served = Served::start(&[task("t-1")]);
    fs::write(served.stage.path("token"), "another\n").unwrap();
    until("the new token is in force", || {
        served.stage.sh("bd-ready").code == Some(0)
    });
    served.stage.write("wrong", &format!("{TOKEN}\n"));
    let wrong = served
        .stage
        .sh("BEADLINE_BEADS_TOKEN_FILE=../wrong bd-ready");
    let wrong = wrong.code(1).says("Beads answers 401").says_not(TOKEN);
    assert!(wrong.stdout.is_empty());
    let missing = served
        .stage
        .sh("BEADLINE_BEADS_TOKEN_FILE=../none bd-ready");
    missing.code(1).says("cannot read the token in '../none'");
}

fn an_import_makes_beads_over_http() {
    let served = Served::start(&[]);
    served.stage.write(
        "work/.plan/pipe/PLAN.md",
        "# Epic: The pipe\n\nAll of it.\n",
    );
    let task = |n: u32, rest: &str| {
        let path = format!("work/.plan/pipe/tasks/00{n}_part.md");
        let text = format!("# Task 00{n}: Part {n}\n\n## Objective\n\nPart {n}.\n{rest}");
        served.stage.write(&path, &text);
    };
    task(1, "");
    task(2, "\n## Dependencies\n\n- 001_part - first\n");
    let first = served.stage.sh("bd-import --plan").ok();
    let beads = served.stage.stored();
    assert_eq!(
        (first.beads().len(), beads.len()),
        (3, 3),
        "{}",
        first.all()
    );
    let second = served.stage.sh("bd-import --plan").ok();
    assert_eq!((second.beads().len(), served.stage.stored()), (0, beads));

    task(1, "\n## Success Criteria\n\n- it runs\n");
    task(2, "");
    let third = served.stage.sh("bd-import --plan").ok();
    assert_eq!(third.beads().len(), 2, "{}", third.all());
    let stored = served.stage.stored();
    let part = |title: &str| stored.iter().find(|bead| bead["title"] == title).unwrap();
    let criteria = part("Part 1")["acceptance_criteria"].as_str().unwrap();
    assert!(criteria.contains("it runs"), "{criteria}");
    let edges = part("Part 2")["dependencies"].as_array().unwrap();
    assert_eq!(edges.len(), 1, "only the parent is left: {edges:?}");
    assert_eq!(served.stage.sh("bd-ready").ok().beads().len(), 2);
}

fn what_is_no_server_is_an_error() {
    let stage = Stage::with_tasks(1);
    for (url, says) in [
        ("127.0.0.1:1", "BEADLINE_BEADS_URL is no http URL"),
        (
            "http://user:word@127.0.0.1:1",
            "BEADLINE_BEADS_URL holds a name or password",
        ),
    ] {
        let ran = stage.sh(&format!("BEADLINE_BEADS_URL={url} bd-ready"));
        ran.code(1).says(says).says_not("word@");
    }
}

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test_with_bd(
            "serve: the line runs over HTTP, without any bd",
            the_line_runs_without_any_bd,
        ),
        test_with_bd(
            "serve: beads look as bd prints them",
            beads_look_as_bd_prints_them,
        ),
        test_with_bd("serve: one of many claims wins", one_of_many_claims_wins),
        test_with_bd("serve: a person stays in charge", a_person_stays_in_charge),
        test_with_bd(
            "serve: a dead clone's bead is lost",
            a_dead_clones_bead_is_lost,
        ),
        test_with_bd(
            "serve: a server that is away is waited for",
            a_server_that_is_away_is_waited_for,
        ),
        test_with_bd(
            "serve: a token is read anew and never shown",
            a_token_is_read_anew_and_never_shown,
        ),
        test_with_bd(
            "serve: an import makes beads, and makes them once",
            an_import_makes_beads_over_http,
        ),
        test(
            "serve: what is no server is an error",
            what_is_no_server_is_an_error,
        ),
    ]
}
