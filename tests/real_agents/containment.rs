//! The README's recipes for containment, as they stand there.

use std::fs;

use libtest_mimic::Trial;

use super::{each, run, told, with_agent};
use crate::stage::{Stage, parts, root, test_with};

const LINE: &str = "bd-ready --resume | wt-spawn --quiet | agent-run --attempts 1";

/// What an agent may not do, and then its work.
const TRIES: [&str; 6] = [
    "touch \"$HOME/escaped\"",
    "touch ../escaped",
    "echo escaped >> \"$(git rev-parse --git-common-dir)/../a.txt\"",
    "echo escaped >> \"$(git rev-parse --git-common-dir)/config\"",
    "touch \"$(git rev-parse --git-common-dir)/hooks/pre-push\"",
    "echo work > work.txt; git add work.txt && git commit -qm work",
];

/// The block of the README with these words.
fn recipe(words: &str) -> String {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let blocks = readme
        .split("```sh\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next());
    let found: Vec<&str> = blocks.filter(|block| block.contains(words)).collect();
    assert_eq!(found.len(), 1, "{words}");
    found[0].to_owned()
}

#[track_caller]
fn assert_contained(stage: &Stage) {
    let bead = stage.bead("t-1");
    let log = stage.sh("agent-log --raw t-1").ok().stdout;
    assert_eq!(bead["metadata"]["outcome"], "done", "{bead:#}\n{log}");
    assert_eq!(
        stage.sh("git show agent/t-1:work.txt").ok().stdout,
        "work\n"
    );
    // Committed by the agent, not for it.
    assert_eq!(
        stage.sh("git log -1 --format=%s agent/t-1").ok().stdout,
        "work\n",
        "{log}"
    );
    assert_eq!(stage.read("work/a.txt"), "one\n", "{log}");
    assert!(!stage.read("work/.git/config").contains("escaped"), "{log}");
    for path in [
        "home/escaped",
        "work.worktrees/escaped",
        "work/.git/hooks/pre-push",
    ] {
        assert!(!stage.path(path).exists(), "{path}\n{log}");
    }
    assert_eq!(stage.processes(), Vec::<String>::new());
}

fn bubblewrap() {
    for network in [true, false] {
        let mut stage = Stage::with_tasks(1);
        // As a command line: a script of the stage would lie in the folder that is hidden.
        let tries = TRIES.join("\n");
        let script = format!("tail -n +3 /proc/net/dev > net.txt; git add net.txt\n{tries}");
        stage.set("BEADLINE_AGENT", &script);
        let recipe = match network {
            true => recipe("exec bwrap"),
            false => recipe("exec bwrap").replace("--unshare-pid", "--unshare-pid --unshare-net"),
        };
        stage.sh(&format!("{recipe}\n{LINE}")).ok();
        assert_contained(&stage);
        let seen = stage.sh("git show agent/t-1:net.txt").ok().stdout;
        let own = fs::read_to_string("/proc/net/dev").unwrap();
        let expected = if network { own.lines().count() - 2 } else { 1 };
        assert_eq!(seen.lines().count(), expected, "{seen}");
    }
}

fn codex_in_bubblewrap(agent: &'static str) {
    let stage = with_agent(agent, &[told("t-1", &TRIES)]);
    // Wherever the parts are, also where the recipe hides what is there.
    let parts = parts().display().to_string();
    let seen = format!("--tmpfs /tmp --ro-bind '\\''{parts}'\\'' '\\''{parts}'\\''");
    let recipe = recipe("exec bwrap").replace("--tmpfs /tmp", &seen);
    run(&stage, "ok", &format!("{recipe}\n{LINE}")).ok();
    assert_contained(&stage);
}

fn codexs_own(agent: &'static str) {
    let stage = with_agent(agent, &[told("t-1", &TRIES)]);
    // It leaves temporary folders open, and the stage lies in one.
    let shut = "workspace-write -c sandbox_workspace_write.exclude_slash_tmp=true \
                -c sandbox_workspace_write.exclude_tmpdir_env_var=true";
    let recipe = recipe("-s workspace-write").replace("workspace-write", shut);
    run(&stage, "ok", &format!("{recipe}\n{LINE}")).ok();
    assert_contained(&stage);
}

pub(super) fn trials() -> Vec<Trial> {
    let mut trials = vec![test_with(
        "bwrap",
        "tests/parts.sh",
        "README: behind bubblewrap an agent commits, and writes nowhere else",
        bubblewrap,
    )];
    trials.extend(each(
        &["codex"],
        "behind bubblewrap it commits, and writes nowhere else",
        codex_in_bubblewrap,
    ));
    trials.extend(each(
        &["codex"],
        "in its own sandbox it commits, and configures nothing",
        codexs_own,
    ));
    trials
}
