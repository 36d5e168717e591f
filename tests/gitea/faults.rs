//! Networks that lose requests and answers, and how much is asked of a server.

use std::thread;
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::answers::assert_landed;
use super::repository::{Repository, one, pulled};
use super::server::SERVER;
use super::test;
use crate::forge::{committed, fact};
use crate::stage::proxy::{Fault, Proxy};
use crate::stage::{Stage, task, until};

/// What each is done with: verb and a part of its path.
const ACTS: [(&str, &str, &str); 4] = [
    ("open", "POST", "/pulls"),
    ("facts", "GET", "/pulls"),
    ("merge", "POST", "/merge"),
    ("delete", "POST", "git-receive-pack"),
];

/// One bead on its way while this goes wrong with that.
fn lost(act: &str, verb: &'static str, path: &'static str, fault: Fault) {
    let (repository, stage) = Repository::stage(&[task("t-1")]);
    committed(&stage, &[("t-1", "echo work > w.txt")]);
    let proxy = Proxy::to(&SERVER.host());
    repository.by_way_of(&stage, &proxy);
    let mut said = String::new();
    let mut run = |line: &str| {
        let ran = stage.start(line).wait(Duration::from_mins(5));
        said += &ran.all();
    };
    // What gave up is done by the next run.
    let land = "bd-ready t-1 | pr-open | pr-merge --no-checks";
    if act == "delete" {
        run("pr-open t-1 | pr-merge --no-checks > landed");
        proxy.lose(verb, path, fault);
        run("wt-clean < landed");
    } else {
        proxy.lose(verb, path, fault);
        run("pr-open t-1 | pr-merge --no-checks | wt-clean");
    }
    assert!(
        proxy.is_done(),
        "{act}, {fault:?}: nothing was lost\n{said}"
    );
    if stage.bead("t-1")["status"] != "closed" {
        run(land);
    }
    run("wt-clean --all < /dev/null");
    assert_eq!(
        stage.bead("t-1")["status"],
        "closed",
        "{act}, {fault:?}\n{said}"
    );
    assert_landed(&stage, &["t-1"]);
    let pulls = repository.pulls();
    assert_eq!(
        pulls,
        [(1, "closed".to_owned(), true)],
        "{act}, {fault:?}\n{said}"
    );
    let heads = stage
        .sh("git ls-remote --heads origin | cut -f2")
        .ok()
        .stdout;
    assert_eq!(heads, "refs/heads/main\n", "{act}, {fault:?}\n{said}");
}

/// All acts with these faults, side by side: most of it is waiting.
fn matrix(faults: &[Fault]) {
    thread::scope(|scope| {
        for (act, verb, path) in ACTS {
            scope.spawn(move || {
                for fault in faults {
                    lost(act, verb, path, *fault);
                }
            });
        }
    });
}

fn three() -> (Repository, Stage) {
    pulled(&[
        ("t-1", "echo 1 > 1.txt"),
        ("t-2", "echo 2 > 2.txt"),
        ("t-3", "echo 3 > 3.txt"),
    ])
}

fn thirty() -> (Repository, Stage) {
    let ids: Vec<String> = (1..=30).map(|n| format!("t-{n}")).collect();
    let beads: Vec<Value> = ids.iter().map(|id| task(id)).collect();
    let (repository, stage) = Repository::stage(&beads);
    let changes: Vec<String> = ids
        .iter()
        .map(|id| format!("echo {id} > {id}.txt"))
        .collect();
    let work: Vec<(&str, &str)> = ids
        .iter()
        .zip(&changes)
        .map(|(id, change)| (id.as_str(), change.as_str()))
        .collect();
    committed(&stage, &work);
    stage
        .start(&format!("pr-open {}", ids.join(" ")))
        .wait(Duration::from_mins(5))
        .ok();
    (repository, stage)
}

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test("whatever a gateway does to an act, it is done once", || {
            matrix(&[Fault::BadGateway, Fault::Unavailable, Fault::RateLimit]);
        }),
        test("whatever answer is lost, the act is done once", || {
            matrix(&[Fault::Reset, Fault::Truncated]);
        }),
        test(
            "a server that says nothing is given up, and every act is done once",
            || {
                matrix(&[Fault::SilentBefore, Fault::SilentAfter]);
            },
        ),
        test("a redirect to another server gets no token", || {
            let (repository, stage) = one();
            let proxy = Proxy::to(&SERVER.host());
            repository.by_way_of(&stage, &proxy);
            proxy.lose("GET", "/repos/", Fault::Elsewhere);
            stage
                .sh("pr-merge --once --no-checks t-1")
                .code(1)
                .says("redirects to another server");
            assert_eq!(fact(&stage, "t-1", "phase"), "pr_created");
        }),
        test(
            "a list that is too much for a gateway is asked for in smaller pages",
            || {
                let (repository, stage) = three();
                let proxy = Proxy::to(&SERVER.host());
                repository.by_way_of(&stage, &proxy);
                for path in ["oldest&limit=50", "oldest&limit=25"] {
                    proxy.lose_all("GET", path, Fault::BadGateway);
                }
                stage.sh("pr-merge --no-checks --once t-1 t-2 t-3").ok();
                assert_landed(&stage, &["t-1", "t-2", "t-3"]);
                let log = proxy.log();
                let pages = log.iter().filter(|line| line.contains("limit=50&page=1"));
                let pages = pages.filter(|line| line.contains("oldest"));
                assert_eq!(pages.count(), 1, "{}", log.join("\n"));
            },
        ),
        test(
            "one that keeps the server from listing is alone with that",
            || {
                let (repository, stage) = three();
                let proxy = Proxy::to(&SERVER.host());
                repository.by_way_of(&stage, &proxy);
                proxy.lose_all("GET", "/pulls?state=open", Fault::Trouble);
                proxy.lose_all("GET", "/pulls/2", Fault::Trouble);
                let line = stage.start("pr-merge --no-checks t-1 t-2 t-3");
                let ran = line.wait(Duration::from_mins(4)).code(1);
                ran.says("t-2: cannot be read: HTTP 500");
                assert_landed(&stage, &["t-1", "t-3"]);
                assert_eq!(fact(&stage, "t-2", "phase"), "pr_created");
            },
        ),
        test("a server that is away is asked a few times a look", || {
            let (repository, stage) = three();
            let proxy = Proxy::to(&SERVER.host());
            repository.by_way_of(&stage, &proxy);
            let line = stage.start("orch-status --watch --checks");
            until("it is drawn", || line.said().contains("t-3"));
            let before = proxy.log().len();
            proxy.lose_all("GET", "/", Fault::BadGateway);
            until("it gives up", || line.said().contains("HTTP 502"));
            let log = proxy.log();
            // As often as for one.
            let asked = log.len() - before;
            assert!((2..=10).contains(&asked), "{}", log.join("\n"));
        }),
        test(
            "a look at 30 pull requests is a handful of requests",
            || {
                let (repository, stage) = thirty();
                let proxy = Proxy::to(&SERVER.host());
                repository.by_way_of(&stage, &proxy);
                let ids: Vec<String> = (1..=30).map(|n| format!("t-{n}")).collect();
                let mut line = stage.start(&format!("pr-merge --require never {}", ids.join(" ")));
                let is_look = |line: &String| line.contains("/pulls?state=open");
                let looks = || proxy.log().iter().filter(|line| is_look(line)).count();
                until("four looks", || looks() >= 4);
                until("ten more", || looks() >= 14);
                line.kill();
                let log = proxy.log();
                let at: Vec<usize> = (0..log.len()).filter(|at| is_look(&log[*at])).collect();
                // The list, the base, and the statuses of ten.
                let asked = at[13] - at[3];
                assert!(
                    asked <= 10 * 12,
                    "{asked} requests in ten looks:\n{}",
                    log[at[3]..].join("\n")
                );
                assert!(asked >= 10 * 2);
                // A status is seen all the same.
                let head = repository.head(17);
                repository.ok(
                    "POST",
                    &format!("/statuses/{head}"),
                    &json!({"context": "never", "state": "failure"}),
                );
                let mut line = stage.start("pr-merge --require never t-17");
                until("the status is seen", || {
                    line.said().contains("t-17: sent back")
                });
                line.kill();
            },
        ),
    ]
}
