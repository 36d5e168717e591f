//! What an agent sees and may do: variables, template, launcher.

use libtest_mimic::Trial;
use serde_json::json;

use super::{LINE, WORK, assert_blocked, facts, lines, log, with_agent};
use crate::stage::{test, test_with};

#[expect(clippy::too_many_lines, reason = "a list of tests")]
pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "agent-run: an agent sees the allowed variables, those that --env names, and its bead's",
            || {
                let mut stage = with_agent(&format!("env > \"$HOME/agent-env\"; {WORK}"));
                for (name, value) in [
                    ("GH_TOKEN", "secret"),
                    ("GITHUB_TOKEN", "secret"),
                    ("GITEA_TOKEN", "secret"),
                    ("SSH_AUTH_SOCK", "/tmp/agent"),
                    ("LD_PRELOAD", ""),
                    ("MY_KEY", "given"),
                    ("MY_OTHER_KEY", "given, too"),
                    ("LC_TIME", "C"),
                    ("BEADS_ACTOR", "me"),
                    ("BEADLINE_ENV", "MY_KEY,MY_OTHER_KEY"),
                    ("BEADLINE_CHECK", "env > $HOME/check-env"),
                ] {
                    stage.set(name, value);
                }
                let beads = stage.path("work/.beads").display().to_string();
                stage.set("BEADS_DIR", &beads);
                stage.edit("t-1", &json!({"title": "$(reboot) \"it's\""}));
                stage.sh(LINE).ok();
                let agent = lines(&stage, "home/agent-env");
                for line in [
                    "MY_KEY=given",
                    "MY_OTHER_KEY=given, too",
                    "LC_TIME=C",
                    "BD_READONLY=1",
                    "BEAD_ID=t-1",
                    "BEAD_TITLE=$(reboot) \"it's\"",
                    "BEAD_RUN=1",
                    "BEAD_ATTEMPT=1",
                    "BEAD_ROUND=0",
                    "TERM=dumb",
                ] {
                    assert!(
                        agent.iter().any(|is| is == line),
                        "{line} is not in {agent:#?}"
                    );
                }
                for file in ["home/agent-env", "home/check-env"] {
                    let text = stage.read(file);
                    assert!(text.contains("BD_READONLY=1\n"), "{text}");
                    for absent in [
                        "secret",
                        "SSH_AUTH_SOCK",
                        "LD_PRELOAD",
                        "BEADS_",
                        "BEADLINE_AGENT",
                        "BEADLINE_BIN",
                        "GIT_CEILING",
                    ] {
                        assert!(!text.contains(absent), "{absent} is in {file}:\n{text}");
                    }
                }
            },
        ),
        test(
            "agent-run: who commits may be told by variables alone, as containers do",
            || {
                let mut stage = with_agent(WORK);
                stage.sh("rm -f ~/.gitconfig; git config --unset user.name || true; git config --unset user.email || true").ok();
                for (name, value) in [
                    ("GIT_AUTHOR_NAME", "Ann"),
                    ("GIT_AUTHOR_EMAIL", "ann@example.invalid"),
                    ("GIT_COMMITTER_NAME", "Ann"),
                    ("GIT_COMMITTER_EMAIL", "ann@example.invalid"),
                    ("http_proxy", "http://proxy.invalid:1"),
                ] {
                    stage.set(name, value);
                }
                stage.agent(&format!("echo \"$http_proxy\" > ~/proxy\n{WORK}"));
                stage.sh(LINE).ok();
                assert_eq!(facts(&stage)["outcome"], "done");
                assert_eq!(stage.read("home/proxy"), "http://proxy.invalid:1\n");
                let author = "git log -1 --format='%an %cn' agent/t-1";
                assert_eq!(stage.sh(author).ok().stdout, "Ann Ann\n");
            },
        ),
        test(
            "agent-run: settings are read from the environment, and flags beat them",
            || {
                let mut stage = with_agent("exit 1");
                stage.set("BEADLINE_TIMEOUT", "nonsense");
                stage.sh("bd-ready | agent-run").code(2).says("nonsense");
                stage.set("BEADLINE_TIMEOUT", "");
                stage.set("BEADLINE_ATTEMPTS", "7");
                stage
                    .sh(&format!("{LINE} --attempts 1 --agent 'exit 4'"))
                    .ok();
                assert_blocked(&stage, "failed", "the agent ended with 4");
            },
        ),
        test_with(
            "nice",
            "coreutils",
            "agent-run: --launcher starts the agent's command line",
            || {
                let mut stage = with_agent(&format!(
                    "nice > \"$HOME/nice\"; echo \"$BEAD_ID\" >> \"$HOME/nice\"; {WORK}"
                ));
                stage.set("BEADLINE_LAUNCHER", "nice -n 5");
                let own: i32 = stage.sh("nice").ok().stdout.trim().parse().unwrap();
                stage.sh(LINE).ok();
                assert_eq!(
                    stage.read("home/nice"),
                    format!("{}\nt-1\n", (own + 5).min(19))
                );
                assert_eq!(facts(&stage)["outcome"], "done");
            },
        ),
        test(
            "the line: set-up, checks and reviewer start as the agent does, or as --check-launcher says",
            || {
                for (launchers, agent, rest) in [
                    ("BEADLINE_LAUNCHER='env BY=one'", "one", "one"),
                    (
                        "BEADLINE_LAUNCHER='env BY=one' BEADLINE_CHECK_LAUNCHER='env BY=two'",
                        "one",
                        "two",
                    ),
                    (
                        "BEADLINE_LAUNCHER='env BY=one' BEADLINE_CHECK_LAUNCHER=",
                        "one",
                        "none",
                    ),
                    ("BEADLINE_CHECK_LAUNCHER='env BY=two'", "none", "two"),
                ] {
                    let mut stage = with_agent("");
                    let by = |what: &str| format!("echo {what} ${{BY-none}} >> \"$HOME/by\"");
                    stage.agent(&format!("{}\n{WORK}", by("agent")));
                    stage.set("BEADLINE_SETUP", &by("setup"));
                    stage.set("BEADLINE_CHECK", &by("check"));
                    stage.set("BEADLINE_REVIEW", &by("review"));
                    stage
                        .sh(&format!("export {launchers}; {LINE} | pr-open | pr-merge"))
                        .ok();
                    let mut seen = lines(&stage, "home/by");
                    seen.sort();
                    seen.dedup();
                    let wanted = [
                        format!("agent {agent}"),
                        format!("check {rest}"),
                        format!("review {rest}"),
                        format!("setup {rest}"),
                    ];
                    assert_eq!(seen, wanted, "{launchers}");
                }
            },
        ),
        test_with(
            "bwrap",
            "tests/parts.sh",
            "agent-run: an agent behind bubblewrap writes its worktree and nothing else",
            || {
                let mut stage = with_agent(&format!(
                    "touch \"$HOME/escaped\" ../escaped \"$(git rev-parse --git-common-dir)/../a.txt\"\n{WORK}"
                ));
                stage.set(
                "BEADLINE_LAUNCHER",
                "git=$(git rev-parse --git-common-dir); bwrap --die-with-parent --unshare-pid --ro-bind / / \
                 --dev /dev --proc /proc --bind \"$PWD\" \"$PWD\" --bind \"$git\" \"$git\"",
            );
                stage.sh(LINE).ok();
                let log = log(&stage, 1);
                assert_eq!(log.matches("Read-only file system").count(), 3, "{log}");
                assert_eq!(facts(&stage)["outcome"], "done", "{log}");
                assert_eq!(
                    stage.sh("git show agent/t-1:work.txt").ok().stdout,
                    "work\n"
                );
                assert!(
                    !stage.path("home/escaped").exists()
                        && !stage.path("work.worktrees/escaped").exists()
                );
                assert_eq!(stage.processes(), Vec::<String>::new());
            },
        ),
        test_with(
            "setpriv",
            "util-linux",
            "agent-run: an agent behind setpriv gains no privileges",
            || {
                let mut stage = with_agent(&format!(
                    "grep NoNewPrivs /proc/self/status > \"$HOME/status\"; {WORK}"
                ));
                stage.set("BEADLINE_LAUNCHER", "setpriv --no-new-privs");
                stage.sh(LINE).ok();
                assert_eq!(stage.read("home/status"), "NoNewPrivs:\t1\n");
                assert_eq!(facts(&stage)["outcome"], "done");
            },
        ),
    ]
}
