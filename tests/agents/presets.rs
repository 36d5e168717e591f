//! Agents that go by name, and which one works when none is named.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use libtest_mimic::Trial;

use super::facts;
use crate::stage::{BIN, Stage, root, test, test_with};

/// A stage on whose PATH are our programs, what they need, and these agents: scripts that show how
/// they were called.
fn with_installed(agents: &[&str]) -> Stage {
    let mut stage = Stage::with_tasks(1);
    stage.write("bin/none", "");
    for program in ["bash", "sh", "git", "cat", "env", "basename", "just"] {
        let found = stage.sh(&format!("command -v {program} || true")).ok();
        let path = found.stdout.trim();
        if !path.is_empty() {
            symlink(path, stage.path("bin").join(program)).unwrap();
        }
    }
    for agent in agents {
        let script = format!(
            "#!/bin/sh\necho \"{agent} $*\" > called.txt; env > \"$HOME/agent-env\"; cat > \"$HOME/prompt\"\n"
        );
        let path = format!("bin/{agent}");
        stage.write(&path, &script);
        fs::set_permissions(stage.path(&path), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:{}", BIN.display(), stage.path("bin").display());
    stage.set("PATH", &path);
    stage.set("BEADLINE_NO_CHECKS", "1");
    stage
}

const LINE: &str = "bd-ready | wt-spawn --quiet | agent-run";

fn called(stage: &Stage) -> String {
    stage.sh("git show agent/t-1:called.txt").ok().stdout
}

fn none_named() {
    let stage = with_installed(&["gemini", "claude"]);
    stage
        .sh(LINE)
        .ok()
        .says("no agent named: gemini works, as it is installed");
    assert_eq!(
        called(&stage),
        "gemini --skip-trust --approval-mode yolo -o stream-json\n"
    );
}

fn none_installed() {
    let stage = with_installed(&[]);
    let ran = stage
        .sh("agent-run < /dev/null")
        .code(2)
        .says("no agent: give --agent or set BEADLINE_AGENT");
    ran.says("npm install -g @openai/codex")
        .says("--list-agents");
}

fn named_but_missing() {
    let mut stage = with_installed(&["gemini"]);
    stage.set("BEADLINE_AGENT", "codex");
    let just = format!(
        "just --justfile '{}/justfile' orchestrate",
        root().display()
    );
    let before = stage.stored();
    stage
        .sh(&just)
        .code(2)
        .says("the agent 'codex' is not installed: npm install -g @openai/codex");
    assert_eq!(stage.stored(), before);
    // Behind a launcher it may be installed elsewhere.
    stage.sh("agent-run --launcher 'env' < /dev/null").ok();
}

fn listed() {
    let stage = with_installed(&["codex"]);
    let list = stage.sh_in("", "agent-run --list-agents").ok().stdout;
    let codex = list
        .lines()
        .find(|line| line.starts_with("codex "))
        .unwrap();
    let place = stage.path("bin/codex").display().to_string();
    for words in [place.as_str(), "CODEX_API_KEY", "codex exec --json"] {
        assert!(codex.contains(words), "{words} is not in\n{list}");
    }
    for name in ["opencode", "gemini", "aider", "claude", "mini"] {
        let absent = format!("{name:<9} - ");
        assert!(list.lines().any(|line| line.starts_with(&absent)), "{list}");
    }
}

fn variables() {
    let mut stage = with_installed(&["codex", "gemini"]);
    for name in [
        "CODEX_HOME",
        "GEMINI_MODEL",
        "CODEX_API_KEY",
        "GEMINI_API_KEY",
    ] {
        stage.set(name, "value");
    }
    stage.set("BEADLINE_ENV", "GEMINI_API_KEY");
    stage.sh(&format!("{LINE} --agent gemini")).ok();
    let seen = stage.read("home/agent-env");
    assert!(
        seen.contains("GEMINI_MODEL=value\n") && seen.contains("GEMINI_API_KEY=value\n"),
        "{seen}"
    );
    assert!(!seen.contains("CODEX_API_KEY"), "{seen}");
    assert!(stage.read("home/prompt").contains("Task t-1"));
    assert_eq!(facts(&stage)["outcome"], "done");
}

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "agent-run: with no agent named the first that is installed works, and is named",
            none_named,
        ),
        test(
            "agent-run: with no agent named and none installed it says what to install",
            none_installed,
        ),
        test_with(
            "just",
            "tests/parts.sh",
            "agent-run: a named agent that is missing is said before anything is claimed",
            named_but_missing,
        ),
        test(
            "agent-run: --list-agents tells names, programs, keys and command lines",
            listed,
        ),
        test(
            "agent-run: a named agent sees its own settings, and keys only by --env",
            variables,
        ),
    ]
}
