//! Networks that lose requests and answers, limits, and how much is asked of GitHub.

use std::fmt::Write as _;
use std::thread;
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::repository::{Repository, assert_landed, landed, one};
use super::test;
use crate::forge::{committed, fact};
use crate::stage::proxy::Fault;
use crate::stage::{self, Stage, scale, seed, task, until};
use crate::stress::LINE;

/// What each is done with: verb and a part of its path.
const ACTS: [(&str, &str, &str); 4] = [
    ("open", "POST", "/pulls"),
    ("facts", "POST", "/graphql"),
    ("merge", "PUT", "/merge"),
    ("delete", "POST", "git-receive-pack"),
];

/// One bead on its way while this goes wrong with that.
fn lost(act: &str, verb: &'static str, path: &'static str, fault: Fault) {
    let (repository, stage) = Repository::stage(&[task("t-1")]);
    committed(&stage, &[("t-1", "echo work > w.txt")]);
    let proxy = &repository.proxy;
    let mut said = String::new();
    let mut run = |line: &str| said += &stage.start(line).wait(Duration::from_mins(5)).all();
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
    // What gave up is done by the next run.
    if stage.bead("t-1")["status"] != "closed" {
        run("bd-ready t-1 | pr-open | pr-merge --no-checks");
    }
    run("wt-clean --all < /dev/null");
    assert_eq!(
        stage.bead("t-1")["status"],
        "closed",
        "{act}, {fault:?}\n{said}"
    );
    assert_landed(&stage, &["t-1"]);
    assert_eq!(
        repository.fake.pulls(),
        [(1, "MERGED")],
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

/// Thirty beads with open pull requests, and their names.
pub(super) fn thirty() -> (Repository, Stage, String) {
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
    let ids = ids.join(" ");
    stage
        .start(&format!("pr-open {ids}"))
        .wait(Duration::from_mins(5))
        .ok();
    (repository, stage, ids)
}

/// Refused for its rate, with this head and these words: nothing is asked meanwhile, and the bead is
/// none the worse.
fn limited(status: u16, head: &[&str], words: &str) {
    let (repository, stage) = one();
    let said = json!({"message": words, "documentation_url": ""});
    repository
        .fake
        .say(("PUT", "/merge", 1), status, head, said);
    let ran = stage.sh("pr-merge --no-checks --once t-1").ok();
    let ran = ran.says("waits for the forge").says(words);
    assert_eq!(fact(&stage, "t-1", "error"), "", "{}", ran.all());
    let log = repository.fake.log();
    assert!(log.last().unwrap().starts_with("PUT"), "{}", log.join("\n"));
    assert_eq!(landed(&stage), Vec::<String>::new());
    stage.sh("pr-merge --no-checks --once t-1").ok();
    assert_landed(&stage, &["t-1"]);
}

fn limits() -> Vec<Trial> {
    vec![
        test("limits are waited for, however they are told", || {
            let far = "x-ratelimit-reset: 9999999999";
            limited(
                403,
                &["x-ratelimit-remaining: 0", far],
                "API rate limit exceeded",
            );
            limited(429, &["Retry-After: 600"], "slow down");
            limited(403, &[], "You have exceeded a secondary rate limit.");
        }),
        test("a limit that is short is waited for within the act", || {
            let (repository, stage) = one();
            let said = json!({"message": "slow down", "documentation_url": ""});
            repository
                .fake
                .say(("PUT", "/merge", 2), 429, &["Retry-After: 1"], said);
            stage.sh("pr-merge --no-checks --once t-1").ok();
            assert_landed(&stage, &["t-1"]);
        }),
        test("what is left of the quota is for people", || {
            let (repository, stage) = one();
            repository
                .fake
                .set(|world| world.quota = (5000, 2000, 3600));
            let mut line = stage.start("pr-merge --require never t-1");
            let words = "what is left of the forge's quota is for people";
            until("it says so", || line.said().contains(words));
            let before = repository.fake.log().len();
            stage.sh("sleep 6").ok();
            assert_eq!(repository.fake.log().len(), before, "{}", line.said());
            assert!(!line.is_over());
            line.kill();
        }),
        test("a look at 30 pull requests is one request", || {
            let (repository, stage, ids) = thirty();
            let mut line = stage.start(&format!("pr-merge --require never {ids}"));
            let looks = || repository.fake.count("POST", "/graphql look");
            until("four looks", || looks() >= 4);
            let before = repository.fake.log().len();
            let seen = looks();
            until("ten more", || looks() >= seen + 10);
            line.kill();
            let log = repository.fake.log();
            // What the base asks for is read once a minute.
            let asked = log.len() - before;
            assert!(asked <= 10 + 4, "{asked}:\n{}", log[before..].join("\n"));
        }),
    ]
}

/// What is asked of GitHub and of the repository there.
const ASKED: [(&str, &str); 7] = [
    ("POST", "/graphql"),
    ("GET", "/repos/"),
    ("POST", "/pulls"),
    ("PUT", "/merge"),
    ("GET", "git-upload-pack"),
    ("GET", "git-receive-pack"),
    ("POST", "git-receive-pack"),
];

const ODD: [Fault; 7] = [
    Fault::BadGateway,
    Fault::Unavailable,
    Fault::Reset,
    Fault::Truncated,
    Fault::RateLimit,
    Fault::Garbage,
    Fault::ErrorInside,
];

/// A line whose forge gives a few answers that nobody can read, whichever: no bead is blocked for
/// it, and when it is over everything lands, once.
fn unreadable(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let ids = ["t-1", "t-2", "t-3"];
    let (repository, mut stage) = Repository::stage(&ids.map(task));
    stage.simple();
    stage.set("BEADLINE_NO_CHECKS", "1");
    let mut said = format!("seed {seed}\n");
    for _ in 0..random.usize(2..=6) {
        let (verb, path) = *random.choice(&ASKED).unwrap();
        let fault = *random.choice(&ODD).unwrap();
        writeln!(said, "{verb} {path}: {fault:?}").unwrap();
        repository.proxy.lose(verb, path, fault);
    }
    let mut run = || {
        let ran = stage.start(LINE).wait(Duration::from_mins(5));
        said += &ran.all();
        ran.code
    };
    run();
    let blocked = stage.stored();
    let blocked = blocked.iter().find(|bead| bead["status"] == "blocked");
    repository.proxy.heal();
    for _ in 0..3 {
        if run() == Some(0) {
            break;
        }
    }
    assert_eq!(blocked, None, "{said}");
    for id in ids {
        assert_eq!(stage.bead(id)["status"], "closed", "{id}\n{said}");
    }
    let mut landed = landed(&stage);
    landed.sort();
    assert_eq!(landed, ids.map(|id| format!("Task {id} ({id})")), "{said}");
    assert_eq!(repository.fake.pulls().len(), 3, "{said}");
}

pub(super) fn trials() -> Vec<Trial> {
    let mut trials = vec![
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
        test(
            "neither a redirect nor a list leads a token elsewhere",
            || {
                let (repository, stage) = one();
                repository.proxy.lose("GET", "/repos/", Fault::Elsewhere);
                let ran = stage.sh("pr-merge --once --no-checks t-1").code(1);
                ran.says("another server");
                let link = "Link: <http://127.0.0.2:9/repos/acme/demo/pulls?page=2>; rel=\"next\"";
                repository
                    .fake
                    .say(("GET", "/pulls?state=all", 1), 200, &[link], json!([]));
                stage.edit("t-1", &json!({"metadata": {"phase": "committed"}}));
                stage.sh("pr-open t-1").code(1).says("another server");
            },
        ),
        test(
            "a program that is killed once it has sent a merge lands nothing twice",
            || {
                let (repository, stage) = one();
                let line = stage.start("pr-merge --no-checks t-1");
                until("the merge is sent", || {
                    repository.fake.count("PUT", "/merge") > 0
                });
                stage.kill_all();
                drop(line);
                stage.sh("pr-merge --no-checks --once t-1").ok();
                assert_landed(&stage, &["t-1"]);
                assert_eq!(repository.fake.pulls(), [(1, "MERGED")]);
            },
        ),
        test(
            "no token is ever printed, stored or put into a command",
            || {
                let (_repository, stage) = one();
                let ran = stage.sh("pr-merge --no-checks --once t-1").ok();
                assert!(!ran.all().contains(super::fake::TOKEN), "{}", ran.all());
                let script = format!("! grep -r '{}' .git .beads", super::fake::TOKEN);
                stage.sh(&script).ok();
            },
        ),
    ];
    trials.extend(limits());
    for n in 0..scale() as u64 {
        let seed = seed() + n;
        trials.push(stage::test(
            &format!("unreadable answers: GitHub's at random, seed {seed}"),
            move || unreadable(seed),
        ));
    }
    trials
}
