//! Beads that mean harm: as ids, as texts, as settings that somebody wrote into the store.

use std::fs;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::stage::{Stage, task, test, test_with};

/// Ids that are paths, flags, or alike once they are made safe.
const IDS: [&str; 13] = [
    "../../x",
    "-rf",
    "--help",
    "a b",
    "a/b",
    "a_b",
    "ab",
    ".git",
    "HEAD",
    "a.lock",
    "é$(touch PWNED)",
    "\u{1b}[31mred\u{7}",
    "line\nbreak",
];

/// Texts that are commands, templates, terminal codes, or too much.
fn texts() -> Vec<String> {
    let texts = [
        "$(touch PWNED)",
        "`touch PWNED`",
        "'; touch PWNED; '",
        "\"; touch PWNED; \"",
        "a\n--exec=touch PWNED\nb",
        "nul\0nul",
        "\u{1b}[2J\u{1b}]0;title\u{7}",
        "{{ id }} {% raw %} {{ nonsense }}",
        "| touch PWNED &",
        "\u{202e}txt",
        "@everyone closes #1",
        "%s%n ~/x $HOME \\",
    ];
    texts
        .iter()
        .map(|text| (*text).to_owned())
        .chain(["x".repeat(1 << 20)])
        .collect()
}

/// Everything in the scratch folder but what the line works in.
fn surroundings(stage: &Stage) -> String {
    let listed = stage.sh_in(
        "",
        "find . \\( -path ./remote.git -o -path ./work/.git -o -path ./work/.beads/issues.jsonl -o -path ./tmp \\) \
         -prune -o -type d -print -o -exec cksum {} + | sort",
    );
    listed.ok().stdout
}

/// Asserts that no command of a bead's text has run, neither here nor in a worktree.
#[track_caller]
fn assert_no_command_ran(stage: &Stage) {
    let found = stage
        .sh("find .. -name 'PWNED*'; git log --all --name-only --format= | grep PWNED || true")
        .ok();
    assert_eq!(found.stdout, "", "a command ran");
}

#[track_caller]
fn assert_harmless(text: &str) {
    let raw = |c: char| c.is_control() && c != '\n' || ('\u{202a}'..='\u{202e}').contains(&c);
    assert!(!text.contains(raw), "{text:?}");
}

/// A stage whose clone is called `here`, with beads `t-1`, `t-2`, … of its own: one for each of
/// these facts. In texts, ROOT and CLONE stand for its paths, and HEAD for the first commit.
fn with_facts(status: &str, facts: &[Value]) -> Stage {
    let mut stage = Stage::new(&[]);
    stage.simple();
    let head = stage
        .sh("git config beadline.host here; git rev-parse HEAD")
        .ok()
        .stdout;
    let place = |path: &str| stage.path(path).to_str().unwrap().to_owned();
    let beads: Vec<Value> = facts
        .iter()
        .zip(1..)
        .map(|(facts, number)| {
            let id = format!("t-{number}");
            let mut bead = task(&id);
            bead["status"] = json!(status);
            bead["assignee"] = json!("beadline/here/1");
            bead["metadata"] = json!({
                "host": "here", "base": "main", "branch": format!("agent/{id}"), "worktree": format!("ROOT/{id}"),
                "head": "SHA", "pushed": "SHA", "merged_sha": "",
            });
            for (key, value) in facts.as_object().unwrap() {
                bead["metadata"][key] = value.clone();
            }
            let text = bead.to_string().replace("ROOT", &place("work.worktrees"));
            let text = text.replace("CLONE", &place("work")).replace("SHA", head.trim());
            serde_json::from_str(&text).unwrap()
        })
        .collect();
    stage.beads(&beads);
    stage
}

/// Runs a program on all beads: it fails each with these words, and changes nothing.
#[track_caller]
fn assert_refused(stage: &Stage, program: &str, words: &str) {
    let before = state(stage);
    let beads = stage.stored();
    let ids: Vec<&str> = beads
        .iter()
        .map(|bead| bead["id"].as_str().unwrap())
        .collect();
    let ran = stage.sh(&format!("{program} {}", ids.join(" "))).code(1);
    let name = program.split(' ').next().unwrap();
    for id in &ids {
        let said = ran
            .stderr
            .lines()
            .any(|line| line.starts_with(&format!("{name}: {id}: {words}")));
        assert!(said, "{id}: {}", ran.all());
    }
    assert_eq!(ran.stdout, "", "{}", ran.all());
    assert_eq!(state(stage), before, "{}", ran.all());
}

/// What must stay as it is: refs here and on the remote, files and worktrees.
fn state(stage: &Stage) -> String {
    let refs = stage
        .sh("git for-each-ref; git ls-remote origin; git worktree list; git status --short")
        .ok();
    refs.stdout + &surroundings(stage)
}

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test_with(
            "just",
            "tests/parts.sh",
            "hostile: ids and texts of any kind are taken to the end, and do no harm",
            || {
                let mut beads: Vec<Value> = IDS.iter().map(|id| task(id)).collect();
                for (number, (bead, text)) in beads.iter_mut().zip(texts()).enumerate() {
                    // The longest title that is shown whole would drown a failure in x.
                    bead["title"] = json!(text.chars().take(5000).collect::<String>());
                    bead["priority"] = json!(number);
                    for field in ["description", "acceptance_criteria", "design", "notes"] {
                        bead[field] = json!(text);
                    }
                }
                let mut stage = Stage::new(&beads);
                stage.simple();
                stage.agent(
                    "set -eu; name=$(printf %s \"$BEAD_ID\" | cksum | tr -d ' ')
                 cat \"$BEAD_PROMPT\" > prompt; cmp - prompt; echo work > \"$name\"; rm prompt
                 git add . && git commit --quiet -m work",
                );
                let before = surroundings(&stage);
                let outside = stage.path("..").join("x");
                let there = fs::symlink_metadata(&outside).is_ok();
                let ran = stage.just("orchestrate").ok();
                for bead in stage.stored() {
                    assert_eq!(
                        bead["metadata"]["phase"],
                        "merged",
                        "{}\n{}",
                        bead["id"],
                        ran.all()
                    );
                    assert_eq!(bead["status"], "closed");
                }
                assert_harmless(&ran.stderr);
                assert_eq!(
                    stage
                        .sh("git ls-tree --name-only origin/main")
                        .ok()
                        .stdout
                        .lines()
                        .count(),
                    IDS.len() + 2
                );
                assert_eq!(surroundings(&stage), before);
                assert_eq!(fs::symlink_metadata(&outside).is_ok(), there);
                assert_no_command_ran(&stage);
                let status = stage.sh("orch-status").ok();
                assert_eq!(
                    status.stdout.lines().count(),
                    IDS.len() + 2,
                    "{}",
                    status.all()
                );
                assert_harmless(&status.stdout);
                stage.assert_clean();
            },
        ),
        test(
            "hostile: two ids that are alike once made safe share neither worktree nor branch nor lock",
            || {
                let ids = ["a/b", "a_b", "a b", "ab", "a\\b", "A_b"];
                let stage = Stage::new(&ids.map(task));
                let ran = stage.sh("bd-ready | wt-spawn").ok();
                for fact in ["worktree", "branch"] {
                    let mut values: Vec<String> = ran
                        .beads()
                        .iter()
                        .map(|bead| bead["metadata"][fact].to_string())
                        .collect();
                    values.sort();
                    values.dedup();
                    assert_eq!(values.len(), ids.len(), "{values:?}");
                }
                assert_eq!(
                    fs::read_dir(stage.path("work.worktrees")).unwrap().count(),
                    ids.len()
                );
            },
        ),
        test(
            "hostile: an id that no command line can carry fails alone",
            || {
                let mut stage = Stage::new(&[task("nul\0id"), task("t-1")]);
                stage.simple();
                let ran = stage
                    .sh("bd-ready | wt-spawn | agent-run")
                    .code(1)
                    .says("agent-run: nul\\u{0}id: ");
                assert_eq!(ran.ids(), ["t-1"]);
            },
        ),
        test(
            "hostile: facts of other types read as unknown, and a new claim puts them right",
            || {
                let mut odd = task("odd");
                odd["metadata"] = json!({
                    "phase": 7, "worktree": [], "branch": {}, "run": "x", "host": null, "pr_number": "1", "attempt": -1,
                    "run_from": 1.5, "round": true, "not_before": "soon", "outcome": "splendid", "merged_sha": 0, "pushed": [1],
                });
                for field in ["title", "labels", "priority", "created_at", "description"] {
                    odd[field] = json!({"no": 1});
                }
                let mut stage = Stage::new(&[odd, task("t-1")]);
                stage.simple();
                let ran = stage
                    .sh("bd-ready | wt-spawn | agent-run | pr-open | pr-merge | wt-clean")
                    .ok();
                assert_eq!(ran.ids(), ["odd", "t-1"], "{}", ran.all());
                stage.sh("wt-clean --all < /dev/null").ok();
                stage.assert_clean();
            },
        ),
        test(
            "hostile: metadata that is no object is kept, and its bead fails alone",
            || {
                let mut odd = task("odd");
                odd["metadata"] = json!("text");
                let stage = Stage::new(&[odd, task("t-1")]);
                let ran = stage
                    .sh("bd-ready | wt-spawn")
                    .code(1)
                    .says("wt-spawn: odd: `metadata` is not an object");
                assert_eq!(ran.ids(), ["t-1"]);
                assert_eq!(stage.bead("odd")["metadata"], "text");
            },
        ),
        test(
            "hostile: a worktree fact that points elsewhere changes nothing there",
            || {
                let places = [
                    "/etc",
                    "../..",
                    "ROOT/..",
                    "ROOT/../home",
                    "ROOT/x/../../home",
                    "CLONE",
                    "CLONE/.git",
                    "",
                    "/",
                    "ROOT/.trash",
                    "ROOT",
                    "ROOT/t-1",
                    "ROOT/.merge-main",
                ];
                for (program, phase) in [
                    ("wt-spawn", "spawned"),
                    ("agent-run", "spawned"),
                    // A run that left no trace was interrupted, and is to run again: never there.
                    ("agent-run --attempts 1", "working"),
                ] {
                    let facts =
                        places.map(|place| json!({"worktree": place, "phase": phase, "run": 1}));
                    let stage = with_facts("in_progress", &facts);
                    assert_refused(&stage, program, "");
                }
            },
        ),
        test(
            "hostile: wt-clean removes no worktree and no branch that is not the bead's",
            || {
                let landed = |key: &str, value: &str| {
                    let mut facts = json!({"phase": "merged", "merged_sha": "SHA"});
                    facts[key] = json!(value);
                    facts
                };
                let stage = with_facts(
                    "closed",
                    &[
                        landed("worktree", "/etc"),
                        landed("worktree", "CLONE"),
                        landed("worktree", "ROOT/../home"),
                        landed("worktree", "ROOT/hers"),
                        landed("worktree", "ROOT/hers/../../home"),
                        landed("branch", "main"),
                        landed("branch", "../../HEAD"),
                        landed("branch", ""),
                        landed("branch", "--all"),
                        landed("merged_sha", "main"),
                        landed("pushed", "--all"),
                        landed("base", "../x"),
                        landed("base", "-f"),
                    ],
                );
                stage.write("work.worktrees/hers/x", "hers");
                assert_refused(&stage, "wt-clean", "");
                assert_refused(&stage, "wt-clean --all", "");
            },
        ),
        test(
            "hostile: a branch fact that is no branch, or the base, is refused by name",
            || {
                let names = [
                    "../x", "-f", "main", "HEAD", "", "a b", "a..b", "@{-1}", "x.lock", "a\nb",
                    "--detach",
                ];
                for (program, phase) in [("wt-spawn", "spawned"), ("pr-open", "committed")] {
                    let stage = with_facts(
                        "in_progress",
                        &names.map(|name| json!({"branch": name, "phase": phase})),
                    );
                    stage.sh("git checkout --quiet -b elsewhere").ok();
                    assert_refused(&stage, program, "its branch ");
                }
            },
        ),
        test(
            "hostile: a bead called like the base gets no branch that is the base",
            || {
                let mut stage = Stage::new(&[task("main")]);
                stage.simple();
                stage.set("BEADLINE_BRANCH", "{id}");
                stage.sh("git checkout --quiet -b elsewhere").ok();
                let before = state(&stage);
                let ran = stage
                    .sh("bd-ready | wt-spawn | agent-run | pr-open")
                    .code(1)
                    .says("wt-spawn: main: ");
                assert_eq!(ran.stdout, "");
                assert_eq!(state(&stage), before, "{}", ran.all());
            },
        ),
    ]
}
