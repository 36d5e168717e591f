//! The recipes for containment of agent-run's README, as they stand there.

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

/// The block of that README with these words.
pub(crate) fn recipe(words: &str) -> String {
    let readme = fs::read_to_string(root().join("agent-run/README.md")).unwrap();
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

/// The worktree of the review can be read and written, the main checkout cannot.
fn reviewer() {
    let mut stage = Stage::with_tasks(1);
    let work = "echo work > work.txt; git add work.txt; git commit --quiet -m work";
    stage.set("BEADLINE_AGENT", work);
    stage.set(
        "BEADLINE_REVIEW",
        "set -eu; test \"$(git rev-parse HEAD)\" = \"$BEAD_HEAD\"; grep -q work work.txt; touch here
         touch \"$(git rev-parse --path-format=absolute --git-common-dir)/../escaped\" ../escaped || true
         echo '{\"verdict\":\"approve\"}' > \"$BEADLINE_VERDICT\"",
    );
    let line = "bd-ready | wt-spawn | agent-run | pr-open | pr-merge --no-checks";
    let ran = stage.sh(&format!("{}\n{line}", recipe("exec bwrap"))).ok();
    assert_eq!(ran.ids(), ["t-1"], "{}", ran.all());
    for escaped in ["work/escaped", "work.worktrees/escaped"] {
        assert!(!stage.path(escaped).exists(), "{escaped}");
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

/// What an agent does to the git that runs after it, and whether that is an escape. Each is a
/// program that leaves `$HOME/ran` if it is run outside, or writes `$HOME/precious`.
const ATTACKS: [(&str, bool); 12] = [
    (
        "rm .git; git init -q .; git config core.fsmonitor \"touch $HOME/ran; true\"; git add -A; git commit -qm mine",
        true,
    ),
    ("echo 'gitdir: /nowhere' > .git", true),
    (
        "mkdir evil; cp -r $(git rev-parse --git-common-dir)/HEAD evil; echo \"$PWD/evil\" > $own/commondir",
        true,
    ),
    ("echo /elsewhere/.git > $own/gitdir", true),
    (
        "printf '[core]\\n\\tfsmonitor = \"touch %s/ran; true\"\\n' \"$HOME\" > $own/config.worktree",
        true,
    ),
    ("echo 'ref: refs/../../x' > $own/HEAD", true),
    (
        "ln -sf \"$HOME/precious\" $own/COMMIT_EDITMSG; echo more > more.txt",
        true,
    ),
    ("ln -sf \"$HOME/precious\" $own/logs/HEAD", true),
    ("mv $own/index $own/other; ln -s other $own/index", true),
    ("ln -sf \"$HOME/precious\" $own/beadline-prompt", true),
    ("mv $own/beadline-ready $own/beadline-making", true),
    (
        "git branch -f side; git update-ref refs/heads/main HEAD; git update-ref refs/remotes/origin/main HEAD; git replace HEAD HEAD~",
        false,
    ),
];

fn attacks() {
    let mut stage = Stage::with_tasks(ATTACKS.len());
    stage.write("home/precious", "precious\n");
    let cases = (1..).zip(ATTACKS);
    let cases = cases.map(|(n, (attack, _))| format!("t-{n}) {attack};;\n"));
    let script = format!(
        "own=$(git rev-parse --absolute-git-dir); HOME='{}'
         echo \"$BEAD_ID\" > \"$BEAD_ID.txt\"; git add . && git commit -qm work
         case $BEAD_ID in {} esac; true",
        stage.path("home").display(),
        cases.collect::<String>()
    );
    // As a command line: a script of the stage would lie in the folder that is hidden.
    stage.set("BEADLINE_AGENT", &script);
    let main = stage.sh("git rev-parse main").ok().stdout;
    stage
        .sh(&format!("{}\n{LINE}", recipe("exec bwrap")))
        .code(0);
    assert!(!stage.path("home/ran").exists());
    assert_eq!(stage.read("home/precious"), "precious\n");
    assert_eq!(stage.sh("git rev-parse main").ok().stdout, main);
    assert_eq!(stage.sh("git rev-parse origin/main").ok().stdout, main);
    stage
        .sh("! git show-ref side; git for-each-ref refs/replace | (! grep .)")
        .ok();
    for (n, (attack, escapes)) in (1..).zip(ATTACKS) {
        let bead = stage.bead(&format!("t-{n}"));
        let outcome = if escapes { "escaped" } else { "done" };
        assert_eq!(bead["metadata"]["outcome"], outcome, "{attack}\n{bead:#}");
        // What it committed before is there all the same.
        let work = stage.sh(&format!("git show agent/t-{n}:t-{n}.txt")).ok();
        assert_eq!(work.stdout, format!("t-{n}\n"));
        stage
            .sh(&format!("git -C ../work.worktrees/t-{n} status"))
            .ok();
    }
}

/// An object under another's name never gets into the clone, and the next run begins anew.
fn misnamed() {
    let mut stage = Stage::with_tasks(1);
    let script = "objects=$(git rev-parse --git-common-dir)/objects
        at() { echo \"$objects/$(echo $1 | cut -c1-2)/$(echo $1 | cut -c3-)\"; }
        echo good > work.txt; git add work.txt; git commit -qm work
        if [ $BEAD_RUN = 1 ]; then
            good=$(git rev-parse HEAD:work.txt) evil=$(echo evil | git hash-object -w --stdin)
            mv -f \"$(at $evil)\" \"$(at $good)\"
        fi";
    stage.set("BEADLINE_AGENT", script);
    let line = LINE.replace("--attempts 1", "--attempts 2");
    stage.sh(&format!("{}\n{line}", recipe("exec bwrap"))).ok();
    let bead = stage.bead("t-1");
    assert_eq!(bead["metadata"]["outcome"], "done", "{bead:#}");
    assert_eq!(bead["metadata"]["run"], 2);
    assert_eq!(
        stage.sh("git show agent/t-1:work.txt").ok().stdout,
        "good\n"
    );
    // The log of HEAD tells of the commit that was refused.
    let fsck = "git fsck --no-progress --no-dangling --no-reflogs";
    stage.sh(fsck).ok();
}

pub(super) fn trials() -> Vec<Trial> {
    let mut trials = vec![test_with(
        "bwrap",
        "tests/parts.sh",
        "README: behind bubblewrap an agent commits, and writes nowhere else",
        bubblewrap,
    )];
    let with_bwrap = |name, run: fn()| test_with("bwrap", "tests/parts.sh", name, run);
    trials.push(with_bwrap(
        "README: behind bubblewrap an agent runs nothing outside, whatever it makes of git's files",
        attacks,
    ));
    trials.push(with_bwrap(
        "README: behind bubblewrap a reviewer sees the head, says its word, and writes nowhere else",
        reviewer,
    ));
    trials.push(with_bwrap(
        "README: behind bubblewrap an object under another's name is refused",
        misnamed,
    ));
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
