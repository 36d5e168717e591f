//! Agents: what they may do to their worktree, what is left of them, and what is made of their work.

use std::fs;
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::stage::{Running, Stage, test, test_with, until};

/// Beads to their agents, and no further.
const LINE: &str = "bd-ready --resume | wt-spawn --quiet | agent-run";

/// The one file of work that most agents here commit.
const WORK: &str = "echo work > work.txt; git add work.txt; git commit --quiet -m work\n";

/// A stage with one bead and this agent, whose first failed run is its last.
fn with_agent(script: &str) -> Stage {
    let mut stage = Stage::with_tasks(1);
    stage.agent(script);
    stage.set("BEADLINE_ATTEMPTS", "1");
    stage.set("BEADLINE_NO_CHECKS", "1");
    stage
}

/// The facts of `t-1`.
fn facts(stage: &Stage) -> Value {
    stage.bead("t-1")["metadata"].clone()
}

fn log(stage: &Stage, run: u64) -> String {
    let bytes = fs::read(stage.path(&format!("work/.git/beadline/t-1/{run}.log"))).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether the bead is in this phase, and its agent has said so by a file in its home.
fn works(stage: &Stage, sign: &str) -> bool {
    facts(stage)["phase"] == "working" && stage.path(&format!("home/{sign}")).exists()
}

fn lines(stage: &Stage, path: &str) -> Vec<String> {
    let text = fs::read_to_string(stage.path(path)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Whether a process lives; a zombie does not.
fn lives(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit_once(')')
        .is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

fn kill(pid: &str) {
    let pid = rustix::process::Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

#[track_caller]
fn assert_blocked(stage: &Stage, outcome: &str, note: &str) {
    let bead = stage.bead("t-1");
    let notes = bead["notes"].as_str().unwrap_or_default();
    assert_eq!(bead["status"], "blocked", "{bead:#}");
    assert_eq!(bead["assignee"], "");
    assert_eq!(bead["metadata"]["outcome"], outcome);
    assert!(notes.contains(note), "{notes}");
    assert!(notes.contains("just retry t-1"), "{notes}");
}

/// Agent, outcome, and words of the note. All are blocked at once, as one attempt is allowed.
const FAILURES: [(&str, &str, &str); 9] = [
    ("exit 3", "failed", "the agent ended with 3"),
    ("kill -9 $$", "failed", "the agent ended with 137"),
    ("exit 0", "no_change", "no change"),
    (
        "git commit --quiet --allow-empty -m nothing",
        "no_change",
        "no change",
    ),
    (
        "echo x >> a.txt; git commit --quiet -am there; git revert --no-edit HEAD",
        "no_change",
        "no change",
    ),
    (
        "mkdir .beads; echo '{}' > .beads/issues.jsonl; git add -f .beads; git reset -q",
        "no_change",
        "no change",
    ),
    ("sleep 600", "timeout", "the agent's time was up"),
    (
        "git checkout --quiet --orphan other; git commit --quiet -m root",
        "failed",
        "HEAD is not on the branch",
    ),
    (
        "git checkout --quiet --orphan other; git branch -qD agent/t-1; git checkout --quiet --orphan agent/t-1; git commit -qm root",
        "failed",
        "no history in common",
    ),
];

fn failures() -> Vec<Trial> {
    let failure = |(script, outcome, note): &(&'static str, &'static str, &'static str)| {
        let (script, outcome, note) = (*script, *outcome, *note);
        test(
            &format!("agent-run: an agent that runs '{script}' is {outcome}"),
            move || {
                let mut stage = with_agent(script);
                stage.set(
                    "BEADLINE_TIMEOUT",
                    if outcome == "timeout" { "1s" } else { "5m" },
                );
                let ran = stage.sh(LINE).ok();
                assert_eq!(ran.stdout, "");
                assert_blocked(&stage, outcome, note);
                let log = stage
                    .path("work/.git/beadline/t-1/1.log")
                    .display()
                    .to_string();
                assert_blocked(&stage, outcome, &log);
                assert_eq!(
                    stage.sh("git ls-remote origin 'refs/pull/*'").ok().stdout,
                    ""
                );
                assert_eq!(stage.processes(), Vec::<String>::new());
            },
        )
    };
    FAILURES.iter().map(failure).collect()
}

/// Agents whose work is good, whatever they did to the repository on the way: work.txt holds
/// "work" on the branch at the end.
const SUCCESSES: [(&str, &str); 9] = [
    ("commits", WORK),
    ("leaves its work uncommitted", "echo work > work.txt"),
    ("leaves its work staged", "echo work > work.txt; git add work.txt"),
    (
        "commits on a branch of its own",
        "git checkout --quiet -b mine; echo work > work.txt; git add work.txt; git commit --quiet -m work",
    ),
    (
        "commits on a detached HEAD",
        "git checkout --quiet --detach; echo work > work.txt; git add work.txt; git commit --quiet -m work",
    ),
    (
        "leaves a merge half-done",
        "git checkout --quiet -b side; echo work > work.txt; git add work.txt; git commit --quiet -m side
         git checkout --quiet \"agent/$BEAD_ID\"; echo two > b.txt; git add b.txt; git commit --quiet -m b
         git merge --quiet --no-commit side",
    ),
    (
        "leaves a rebase half-done",
        "echo work > work.txt; git add work.txt; git commit --quiet -m work
         GIT_SEQUENCE_EDITOR='sed -i s/^pick/edit/' git rebase --quiet -i HEAD~1",
    ),
    (
        "deletes its branch",
        "echo one > b.txt; git add b.txt; git commit --quiet -m one; echo work > work.txt; git update-ref -d HEAD",
    ),
    (
        "is killed in the middle of a commit",
        "echo work > work.txt; git add work.txt; touch \"$(git rev-parse --git-dir)/index.lock\"",
    ),
];

fn successes() -> Vec<Trial> {
    let success = |(what, script): &(&'static str, &'static str)| {
        let (what, script) = (*what, *script);
        test(
            &format!("agent-run: the work of an agent that {what} is taken"),
            move || {
                let stage = with_agent(script);
                let ran = stage.sh(LINE).ok();
                assert_eq!(ran.ids(), ["t-1"]);
                let facts = facts(&stage);
                assert_eq!(
                    (&facts["phase"], &facts["outcome"]),
                    (&json!("committed"), &json!("done"))
                );
                assert_eq!((&facts["run"], &facts["attempt"]), (&json!(1), &json!(1)));
                let head = stage.sh("git rev-parse agent/t-1").ok().stdout;
                assert_eq!(facts["head"], head.trim());
                assert_eq!(
                    stage.sh("git show agent/t-1:work.txt").ok().stdout,
                    "work\n"
                );
                // The next run of an agent would start on its branch, with nothing left over.
                let tree =
                    "git symbolic-ref HEAD; git status --porcelain; git fsck --no-dangling 2>&1";
                assert_eq!(
                    stage.sh_in("work.worktrees/t-1", tree).ok().stdout,
                    "refs/heads/agent/t-1\n"
                );
            },
        )
    };
    SUCCESSES.iter().map(success).collect()
}

fn worktree() -> Vec<Trial> {
    vec![
        test(
            "agent-run: left-over changes are committed past hooks, signing and Beads' own files",
            || {
                let stage = with_agent(
                    "mkdir -p .beads sub; echo mine > .beads/issues.jsonl; echo work > sub/work.txt; rm a.txt",
                );
                stage.sh("printf '#!/bin/sh\\nexit 1\\n' > .git/hooks/pre-commit; chmod +x .git/hooks/pre-commit
                      git config --global commit.gpgsign true; git config --global gpg.program false
                      : > .gitignore; git add .gitignore; git commit -qnm ignore --no-gpg-sign; git push -q").ok();
                stage.sh(LINE).ok();
                assert_eq!(facts(&stage)["outcome"], "done");
                let changed = "git diff --name-status origin/main agent/t-1";
                assert_eq!(stage.sh(changed).ok().stdout, "D\ta.txt\nA\tsub/work.txt\n");
                assert_eq!(
                    stage.read("work.worktrees/t-1/.beads/issues.jsonl"),
                    "mine\n"
                );
            },
        ),
        test(
            "agent-run: conflicts left in the worktree stay there, and no commit is made of them",
            || {
                let stage = with_agent(
                "git checkout -q -b side; echo side > a.txt; git commit -qam side
                 git checkout -q \"agent/$BEAD_ID\"; echo ours > a.txt; git commit -qam ours; git merge -q side; exit 0",
            );
                stage.sh(LINE).ok();
                assert_blocked(&stage, "failed", "a merge or rebase was left unfinished");
                assert!(stage.read("work.worktrees/t-1/a.txt").contains("<<<<<<<"));
                assert_eq!(
                    stage.sh("git log -1 --format=%s agent/t-1").ok().stdout,
                    "ours\n"
                );
            },
        ),
        test(
            "agent-run: a worktree that its agent deletes is made anew by the next run, with its commits",
            || {
                let mut stage = with_agent(&format!(
                    "if [ $BEAD_RUN = 1 ]; then {WORK} cd /; rm -rf \"$OLDPWD\"; fi"
                ));
                stage.set("BEADLINE_ATTEMPTS", "2");
                stage.sh(LINE).code(1).says("run wt-spawn first");
                assert_eq!(
                    facts(&stage)["feedback"],
                    "the agent has removed its worktree"
                );
                stage.sh(LINE).ok();
                assert_eq!(facts(&stage)["outcome"], "done");
                assert_eq!(stage.read("work.worktrees/t-1/work.txt"), "work\n");
            },
        ),
        test(
            "agent-run: a lock that a killed git left goes, though other gits work in the clone",
            || {
                let mut stage = Stage::with_tasks(2);
                // t-2 keeps a git busy for as long as t-1 is judged.
                stage.agent(
                "echo work > work.txt
                 if [ $BEAD_ID = t-1 ]; then touch \"$(git rev-parse --git-dir)/index.lock\"; exit 0; fi
                 while [ ! -e \"$HOME/enough\" ]; do git cat-file --batch < \"$HOME/open\" & wait $!; done",
            );
                stage.sh("mkfifo $HOME/open").ok();
                let mut line = stage.start(&format!("exec 9<>$HOME/open; {LINE}"));
                until("t-1 is judged", || {
                    facts(&stage)["outcome"] == "done"
                        || !stage.bead("t-1")["metadata"]["error"]
                            .as_str()
                            .unwrap_or("")
                            .is_empty()
                });
                line.kill();
                assert_eq!(facts(&stage)["outcome"], "done", "{}", line.said());
            },
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "a list of tests")]
fn runs() -> Vec<Trial> {
    vec![
        test(
            "agent-run: a failed check goes to the next run as feedback, after a pause",
            || {
                let mut stage = with_agent(
                "echo \"$BEAD_RUN $BEAD_ATTEMPT $BEAD_ROUND\" >> \"$HOME/runs\"; cat > \"$HOME/prompt-$BEAD_RUN\"
                 echo $BEAD_RUN >> work.txt; git add .; git commit -qm $BEAD_RUN",
            );
                stage.set("BEADLINE_ATTEMPTS", "2");
                stage.set(
                    "BEADLINE_CHECK",
                    "grep 2 work.txt || { echo it lacks a two; exit 7; }",
                );
                let ran = stage.sh(LINE).ok().says("runs again in 10 s");
                assert_eq!(ran.ids(), ["t-1"]);
                assert_eq!(lines(&stage, "home/runs"), ["1 1 0", "2 2 0"]);
                assert!(!stage.read("home/prompt-1").contains("it lacks a two"));
                let prompt = stage.read("home/prompt-2");
                assert!(
                    prompt.contains("the check failed: exit 7\nit lacks a two"),
                    "{prompt}"
                );
                assert!(ran.took > Duration::from_secs(10));
                // The work of the first run is still there.
                assert_eq!(
                    stage.sh("git show agent/t-1:work.txt").ok().stdout,
                    "1\n2\n"
                );
            },
        ),
        test(
            "agent-run: exit status 75 waits, and costs no attempt",
            || {
                let stage = with_agent(&format!("[ $BEAD_RUN != 1 ] || exit 75\n{WORK}"));
                let ran = stage.sh(LINE).ok().says("rate limited");
                assert!(ran.took > Duration::from_secs(10));
                let facts = facts(&stage);
                assert_eq!((&facts["run"], &facts["attempt"]), (&json!(2), &json!(1)));
                assert_eq!(facts["outcome"], "done");
            },
        ),
        test(
            "agent-run: an agent that neither prints nor changes anything is stalled",
            || {
                let mut stage =
                    with_agent("echo some > work.txt; touch -d 2099-01-01 work.txt; sleep 600");
                stage.set("BEADLINE_STALL", "1s");
                let ran = stage.sh(LINE).ok();
                assert_blocked(&stage, "stalled", "neither printed nor changed");
                assert!(ran.took < Duration::from_mins(1));
                // Its work is kept.
                assert_eq!(
                    stage.sh("git show agent/t-1:work.txt").ok().stdout,
                    "some\n"
                );
            },
        ),
        test(
            "agent-run: a silent agent that changes files, or one that prints, is not stalled",
            || {
                let mut stage = Stage::with_tasks(2);
                stage.agent(
                "mkdir deep; for n in 1 2 3 4 5 6 7 8 9 10 11 12; do
                   if [ $BEAD_ID = t-1 ]; then echo $n > deep/work.txt; else echo $n; fi; sleep 0.4; done
                 echo end > deep/end.txt",
            );
                stage.set("BEADLINE_STALL", "3s");
                stage.set("BEADLINE_ATTEMPTS", "1");
                assert_eq!(stage.sh(LINE).ok().ids(), ["t-1", "t-2"]);
            },
        ),
        test(
            "agent-run: a daemon left by the check is ended, and does not hold the line up",
            || {
                let mut stage = with_agent(WORK);
                stage.set(
                    "BEADLINE_CHECK",
                    "setsid sleep 600 & echo $! > $HOME/daemon; true",
                );
                let ran = stage.sh(LINE).ok();
                assert!(ran.took < Duration::from_mins(1));
                assert!(!lives(&stage.read("home/daemon")));
                assert_eq!(facts(&stage)["outcome"], "done");
            },
        ),
        test("agent-run: a check is held to the time limit", || {
            let mut stage = with_agent(WORK);
            stage.set("BEADLINE_CHECK", "sleep 600");
            stage.set("BEADLINE_TIMEOUT", "2s");
            stage.sh(LINE).ok();
            assert_blocked(&stage, "failed", "the check failed: ");
        }),
        test(
            "agent-run: nothing that an agent started outlives it",
            || {
                let stage = with_agent(&format!(
                "P=\"$HOME/pids\"; export P
                 sleep 600 & echo $! >> \"$P\"
                 setsid sh -c 'echo $$ >> \"$P\"; exec sleep 600' &
                 (sh -c 'echo $$ >> \"$P\"; exec sleep 600' &)
                 (setsid sh -c '(sh -c \"echo \\$\\$ >> $P; exec sleep 600\" &)' &)
                 sh -c 'trap \"\" TERM HUP INT; echo $$ >> \"$P\"; while :; do sleep 1; done' &
                 env -i P=\"$P\" PATH=\"$PATH\" setsid sh -c 'trap \"\" TERM; echo $$ >> \"$P\"; while :; do sleep 1; done' &
                 while [ $(wc -l < \"$P\") -lt 6 ]; do sleep 0.05; done
                 {WORK}"
            ));
                stage.sh(LINE).ok();
                assert_eq!(facts(&stage)["outcome"], "done");
                let left: Vec<String> = lines(&stage, "home/pids");
                assert_eq!(left.len(), 6);
                assert_eq!(
                    left.into_iter()
                        .filter(|pid| lives(pid))
                        .collect::<Vec<_>>(),
                    Vec::<String>::new()
                );
                assert_eq!(stage.processes(), Vec::<String>::new());
            },
        ),
        test(
            "agent-run: an agent reads its prompt from stdin, to the end, and from $BEAD_PROMPT",
            || {
                let stage = with_agent(&format!(
                    "cat > \"$HOME/stdin\"; cp \"$BEAD_PROMPT\" \"$HOME/file\"; {WORK}"
                ));
                stage.edit(
                    "t-1",
                    &json!({
                        "description": "Do {{ this }}.", "acceptance_criteria": "It is $(done).",
                        "design": "As `drawn`.", "notes": "Mind 'the' gap.",
                    }),
                );
                stage.sh(LINE).ok();
                let prompt = stage.read("home/stdin");
                assert_eq!(prompt, stage.read("home/file"));
                for text in [
                    "t-1",
                    "Task t-1",
                    "Do {{ this }}.",
                    "It is $(done).",
                    "As `drawn`.",
                    "Mind 'the' gap.",
                    "agent/t-1",
                ] {
                    assert!(prompt.contains(text), "{text} is not in\n{prompt}");
                }
            },
        ),
        test(
            "agent-run: a flood of output leaves a log of at most 8 MiB, with its head and its tail",
            || {
                let stage = with_agent(&format!(
                    "echo first; head -c 40000000 /dev/zero | tr '\\0' x; echo; echo last; {WORK}"
                ));
                stage.sh(LINE).ok();
                let log = log(&stage, 1);
                assert!(log.len() <= (8 << 20) + (1 << 17), "{}", log.len());
                assert!(log.len() > 4 << 20, "{}", log.len());
                assert!(log.starts_with("first\nxxx"));
                assert!(log.ends_with("xxx\nlast\n"));
                assert!(log.contains("bytes left out]"));
            },
        ),
        test(
            "agent-run: an agent that cannot be started spends an attempt, and the log says why",
            || {
                let mut stage = with_agent("");
                stage.set("BEADLINE_AGENT", "no-such-agent --at all");
                stage.sh(LINE).ok();
                assert_blocked(&stage, "failed", "the agent ended with 127");
                assert!(log(&stage, 1).contains("no-such-agent"));
            },
        ),
        test(
            "agent-run: a bead whose runs are interrupted for ever goes to a person after 20 of them",
            || {
                let mut stage = with_agent("");
                stage.set("BEADLINE_AGENT", "kill -9 $PPID; sleep 600");
                stage.sh(LINE).ok();
                assert_blocked(&stage, "interrupted", "see ");
                assert_eq!(
                    (&facts(&stage)["run"], &facts(&stage)["attempt"]),
                    (&json!(20), &json!(0))
                );
                assert_eq!(stage.processes(), Vec::<String>::new());
            },
        ),
        test("agent-run: no agent named is a usage error", || {
            let stage = Stage::with_tasks(1);
            stage.sh("bd-ready | agent-run").code(2).says("--agent");
        }),
    ]
}

#[expect(clippy::too_many_lines, reason = "a list of tests")]
fn environment() -> Vec<Trial> {
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
            "agent-run: --prompt is a template, and an unknown variable in it an error",
            || {
                let stage = with_agent(&format!("cat > \"$HOME/stdin\"; {WORK}"));
                stage.write(
                    "good.md",
                    "Do {{ id }} ({{ title }}) on {{ branch }}{% if feedback %} again{% endif %}.",
                );
                stage.write("bad.md", "Do {{ id }} for {{ money }}");
                stage
                    .sh(&format!("{LINE} --prompt ../bad.md"))
                    .code(1)
                    .says("t-1: cannot fill the prompt's template");
                assert_eq!(facts(&stage)["phase"], "spawned");
                assert_eq!(facts(&stage)["run"], Value::Null);
                stage
                    .sh(&format!("{LINE} --prompt ../none.md"))
                    .code(1)
                    .says("none.md");
                stage.sh(&format!("{LINE} --prompt ../good.md")).ok();
                assert_eq!(
                    stage.read("home/stdin"),
                    "Do t-1 (Task t-1) on agent/t-1.\n"
                );
                assert_eq!(facts(&stage)["outcome"], "done");
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

/// Agents that write down how many are alive; `$HOME/counts` gets a line each.
const COUNTED: &str =
    "mkdir -p \"$HOME/alive/$BEAD_ID\"; sleep 0.3; ls \"$HOME/alive\" | wc -l >> \"$HOME/counts\"
sleep 0.3; rmdir \"$HOME/alive/$BEAD_ID\"; echo $BEAD_ID > $BEAD_ID.txt";

#[track_caller]
fn assert_counts(stage: &Stage, agents: usize, most: usize) {
    let counts: Vec<usize> = lines(stage, "home/counts")
        .iter()
        .map(|n| n.trim().parse().unwrap())
        .collect();
    assert_eq!(counts.len(), agents);
    assert!(counts.iter().all(|count| *count <= most), "{counts:?}");
    assert!(
        counts.iter().any(|count| *count > 1),
        "they worked one after the other: {counts:?}"
    );
}

fn slots() -> Vec<Trial> {
    vec![
        test(
            "agent-run: never more agents alive than --max-agents",
            || {
                let mut stage = Stage::with_tasks(12);
                stage.agent(COUNTED);
                let ran = stage.sh(&format!("{LINE} --max-agents 3")).ok();
                assert_eq!(ran.ids().len(), 12);
                assert_counts(&stage, 12, 3);
            },
        ),
        test(
            "agent-run: three at once in one clone share the slots",
            || {
                let mut stage = Stage::with_tasks(9);
                stage.agent(COUNTED);
                stage.set("BEADLINE_MAX_AGENTS", "2");
                let ran = stage.sh("bd-ready | wt-spawn --quiet > ../all
                 for n in 1 4 7; do sed -n \"$n,$((n + 2))p\" ../all | agent-run & done; wait");
                assert_eq!(ran.ok().ids().len(), 9);
                assert_counts(&stage, 9, 2);
            },
        ),
    ]
}

/// A person's word on a bead whose agent works.
fn words() -> Vec<Trial> {
    let acts = [
        ("closed", Some(json!({"status": "closed", "assignee": ""}))),
        (
            "blocked",
            Some(json!({"status": "blocked", "assignee": ""})),
        ),
        ("reassigned", Some(json!({"assignee": "alice"}))),
        ("deleted", None),
    ];
    let word = |(act, change): (&'static str, Option<Value>)| {
        test(
            &format!("agent-run: the agent of a bead that is {act} ends, and its work stays"),
            move || {
                let stage = with_agent("echo some > work.txt; touch \"$HOME/works\"; sleep 600");
                let line = stage.start(LINE);
                until("the agent works", || works(&stage, "works"));
                match &change {
                    Some(change) => stage.edit("t-1", change),
                    None => stage.beads(&[]),
                }
                let stands = stage.stored();
                let asked = std::time::Instant::now();
                let ran = line.wait(Duration::from_mins(1)).ok().says("t-1: left: ");
                assert!(asked.elapsed() < Duration::from_secs(30));
                assert_eq!(ran.stdout, "");
                assert_eq!(stage.processes(), Vec::<String>::new());
                assert_eq!(stage.stored(), stands);
                assert_eq!(stage.read("work.worktrees/t-1/work.txt"), "some\n");
            },
        )
    };
    let mut trials: Vec<Trial> = acts.into_iter().map(word).collect();
    trials.push(test("agent-run: a bead that is closed while it waits for a slot gets no agent", || {
        let mut stage = Stage::with_tasks(2);
        stage.agent("touch \"$HOME/$BEAD_ID\"; while [ ! -e \"$HOME/go\" ]; do sleep 0.05; done; echo x > x.txt");
        stage.sh("bd-ready | wt-spawn --quiet > /dev/null").ok();
        // Two programs, so that one waits for the other's slot.
        let first = stage.start("agent-run --max-agents 1 t-1");
        until("the first agent works", || stage.path("home/t-1").exists());
        let second = stage.start("agent-run --max-agents 1 t-2");
        until("the second holder waits", || stage.processes().iter().any(|line| line.ends_with("-- t-2 ")));
        stage.edit("t-2", &json!({"status": "closed"}));
        second.wait(Duration::from_secs(30)).ok().says("t-2: left: it is closed");
        stage.write("home/go", "");
        first.wait(Duration::from_mins(1)).ok();
        assert!(!stage.path("home/t-2").exists());
    }));
    trials
}

/// An agent that says that it works, and ends well once `$HOME/go` is there.
const PATIENT: &str = "echo $BEAD_ID >> \"$HOME/starts\"; echo $$ > \"$HOME/pid-$BEAD_ID\"
mkdir \"lock-$BEAD_ID\" || echo $BEAD_ID >> \"$HOME/violations\"
touch \"$HOME/works-$BEAD_ID\"; echo some > \"$BEAD_ID.txt\"
while [ ! -e \"$HOME/go\" ]; do sleep 0.05; done
rmdir \"lock-$BEAD_ID\"; git add .; git commit -qm \"$BEAD_ID\"\n";

fn patient(tasks: usize) -> Stage {
    let mut stage = Stage::with_tasks(tasks);
    stage.agent(PATIENT);
    stage.set("BEADLINE_NO_CHECKS", "1");
    stage
}

#[track_caller]
fn until_all_work(stage: &Stage, tasks: usize) {
    until("all agents work", || {
        (1..=tasks).all(|n| {
            let bead = stage.bead(&format!("t-{n}"));
            bead["metadata"]["phase"] == "working"
                && stage.path(&format!("home/works-t-{n}")).exists()
        })
    });
}

/// Kills a line, and waits until its programs have let go of the beads.
#[track_caller]
fn kill_line(stage: &Stage, mut line: Running) {
    line.kill();
    let _ = line.wait(Duration::from_mins(1));
    until("the line is gone", || {
        (1..=3).all(|n| !stage.holds(&format!("work/.git/beadline/t-{n}/stage.lock")))
    });
}

#[track_caller]
fn assert_merged(stage: &Stage, tasks: usize) {
    for n in 1..=tasks {
        let bead = stage.bead(&format!("t-{n}"));
        assert_eq!(bead["status"], "closed", "{bead:#}");
        assert_eq!(bead["metadata"]["phase"], "merged");
        assert_eq!(
            stage
                .sh(&format!("git show origin/main:t-{n}.txt"))
                .ok()
                .stdout,
            "some\n"
        );
    }
    assert_eq!(lines(stage, "home/violations"), Vec::<String>::new());
    stage.assert_clean();
}

/// The processes of this stage's agents that are `agent-hold`.
fn holders(stage: &Stage) -> Vec<String> {
    stage
        .processes()
        .into_iter()
        .filter(|line| line.contains("agent-hold"))
        .collect()
}

#[expect(clippy::too_many_lines, reason = "a list of tests")]
fn outliving() -> Vec<Trial> {
    vec![
        test_with(
            "just",
            "tests/parts.sh",
            "the line: killed while agents work, the next run attaches to them",
            || {
                let stage = patient(3);
                let line = stage.start_just("orchestrate");
                until_all_work(&stage, 3);
                kill_line(&stage, line);
                assert_eq!(holders(&stage).len(), 3);
                let line = stage.start_just("orchestrate");
                // Heard, and still waiting.
                until("the next run has them in hand", || {
                    (1..=3).all(|n| stage.holds(&format!("work/.git/beadline/t-{n}/stage.lock")))
                });
                stage.write("home/go", "");
                line.wait(Duration::from_secs(100)).ok();
                let mut starts = lines(&stage, "home/starts");
                starts.sort();
                assert_eq!(starts, ["t-1", "t-2", "t-3"]);
                assert_merged(&stage, 3);
            },
        ),
        test_with(
            "just",
            "tests/parts.sh",
            "the line: agents that end while no line runs are judged by the next one",
            || {
                let stage = patient(2);
                let line = stage.start_just("orchestrate");
                until_all_work(&stage, 2);
                kill_line(&stage, line);
                stage.write("home/go", "");
                until("the agents have ended", || stage.processes().is_empty());
                stage.just("orchestrate").ok();
                assert_eq!(lines(&stage, "home/starts").len(), 2);
                assert_eq!(facts(&stage)["attempt"], 1);
                assert_merged(&stage, 2);
            },
        ),
        test_with(
            "just",
            "tests/parts.sh",
            "orchestrate-stop ends every agent and what it started, and keeps the work",
            || {
                let mut stage = patient(2);
                stage.agent(
                "echo $BEAD_ID >> \"$HOME/starts\"
                 [ $BEAD_RUN = 1 ] || { git add .; git commit -qm \"$BEAD_ID\"; exit 0; }
                 (setsid sh -c 'trap \"\" TERM; echo $$ >> \"$HOME/pids\"; while :; do sleep 1; done' &)
                 while [ ! -s \"$HOME/pids\" ]; do sleep 0.05; done
                 echo some > \"$BEAD_ID.txt\"; touch \"$HOME/works-$BEAD_ID\"; sleep 600",
            );
                let line = stage.start_just("orchestrate");
                until_all_work(&stage, 2);
                until("all have started theirs", || {
                    lines(&stage, "home/pids").len() == 2
                });
                stage.just("orchestrate-stop").ok();
                assert_eq!(stage.processes(), Vec::<String>::new());
                assert!(!lines(&stage, "home/pids").iter().any(|pid| lives(pid)));
                line.wait(Duration::from_mins(1))
                    .code(1)
                    .says("its agent was stopped");
                assert_eq!(facts(&stage)["outcome"], "stopped");
                assert_eq!(facts(&stage)["attempt"], 0);
                assert_eq!(stage.read("work.worktrees/t-1/t-1.txt"), "some\n");
                stage.just("orchestrate").ok();
                assert_eq!(lines(&stage, "home/starts").len(), 4);
                assert_merged(&stage, 2);
            },
        ),
        test(
            "agent-stop: one bead's agent ends, the others go on",
            || {
                let stage = patient(2);
                let line = stage.start(LINE);
                until_all_work(&stage, 2);
                assert_eq!(stage.sh("agent-stop --dry-run t-1").ok().ids(), ["t-1"]);
                assert_eq!(holders(&stage).len(), 2);
                assert_eq!(stage.sh("agent-stop t-1").ok().ids(), ["t-1"]);
                assert_eq!(holders(&stage).len(), 1);
                stage.write("home/go", "");
                let ran = line
                    .wait(Duration::from_mins(1))
                    .code(1)
                    .says("t-1: its agent was stopped");
                assert_eq!(ran.ids(), ["t-2"]);
                assert_eq!(facts(&stage)["phase"], "working");
                stage.sh("rmdir ../work.worktrees/t-1/lock-t-1").ok();
                assert_eq!(stage.sh(LINE).ok().ids(), ["t-1", "t-2"]);
                stage
                    .sh("agent-stop t-1")
                    .ok()
                    .says("no agent of it is alive here");
                stage.sh("agent-stop t-9").code(1).says("no such bead");
            },
        ),
        test_with(
            "just",
            "tests/parts.sh",
            "the line: without .git/beadline nothing but logs is lost",
            || {
                let stage = patient(2);
                let line = stage.start("bd-ready | wt-spawn --quiet | agent-run");
                until_all_work(&stage, 2);
                stage.write("home/go", "");
                line.wait(Duration::from_mins(1)).ok();
                stage.sh("rm -rf .git/beadline").ok();
                stage.just("orchestrate").ok();
                assert_eq!(lines(&stage, "home/starts").len(), 2);
                assert_merged(&stage, 2);
            },
        ),
        test_with(
            "just",
            "tests/parts.sh",
            "the line: .git/beadline deleted under living agents, never two in one worktree",
            || {
                let mut stage = patient(2);
                // Slow to end when it is asked to, and the next one would see it.
                stage.agent(
                "echo $BEAD_ID >> \"$HOME/starts\"
                 before=$(cat \"$HOME/pid-$BEAD_ID\")
                 ! grep -qs '^State:.[^ZX]' \"/proc/$before/status\" || echo $BEAD_ID >> \"$HOME/violations\"
                 echo $$ > \"$HOME/pid-$BEAD_ID\"; trap 'sleep 0.7; sleep 0.7; exit 1' TERM
                 echo some > \"$BEAD_ID.txt\"; touch \"$HOME/works-$BEAD_ID\"
                 while [ ! -e \"$HOME/go\" ]; do sleep 0.05; done",
            );
                let line = stage.start_just("orchestrate");
                until_all_work(&stage, 2);
                kill_line(&stage, line);
                stage.sh("rm -rf .git/beadline").ok();
                let line = stage.start_just("orchestrate");
                until("the agents were started anew", || {
                    lines(&stage, "home/starts").len() == 4
                });
                stage.write("home/go", "");
                let ran = line.wait(Duration::from_secs(100)).ok();
                assert_eq!(facts(&stage)["attempt"], 1, "{}", ran.all());
                assert_merged(&stage, 2);
            },
        ),
        test(
            "agent-hold: killed while its agent lives, the next run ends that agent and starts anew",
            || {
                let mut stage = patient(1);
                stage.agent(
                "echo $BEAD_RUN >> \"$HOME/starts\"; echo $PPID > \"$HOME/holder\"; echo $$ > \"$HOME/pid\"
                 [ $BEAD_RUN = 1 ] || exit 0
                 echo some > t-1.txt; touch \"$HOME/works\"; sleep 600",
            );
                let line = stage.start(LINE);
                until("the agent works", || works(&stage, "works"));
                kill_line(&stage, line);
                // The shell of the agent's command line is the holder's child.
                let holder = facts(&stage)["agent_pid"].to_string();
                let agent = stage.read("home/pid");
                kill(&holder);
                until("the holder is gone", || !lives(&holder));
                assert!(lives(&agent));
                stage.sh(LINE).ok().says("interrupted");
                assert!(!lives(&agent));
                let facts = facts(&stage);
                assert_eq!((&facts["run"], &facts["attempt"]), (&json!(2), &json!(1)));
                assert_eq!(lines(&stage, "home/starts"), ["1", "2"]);
                assert_eq!(stage.sh("git show agent/t-1:t-1.txt").ok().stdout, "some\n");
            },
        ),
        test(
            "agent-hold: killed under a running agent-run, the agent is ended and started anew",
            || {
                let mut stage = patient(1);
                stage.agent(
                    "[ $BEAD_RUN = 1 ] || exit 0
                 echo $$ > \"$HOME/pid\"; echo some > t-1.txt; touch \"$HOME/works\"; sleep 600",
                );
                let line = stage.start(LINE);
                until("the agent works", || works(&stage, "works"));
                kill(&facts(&stage)["agent_pid"].to_string());
                assert_eq!(
                    line.wait(Duration::from_mins(1))
                        .ok()
                        .says("interrupted")
                        .ids(),
                    ["t-1"]
                );
                assert!(!lives(&stage.read("home/pid")));
                assert_eq!(facts(&stage)["attempt"], 1);
            },
        ),
        test(
            "agent-hold: without a word to go it ends, and has started nothing",
            || {
                let stage = patient(1);
                stage
                    .sh("bd-ready | wt-spawn --quiet > ../beads; mkdir -p .git/beadline/slots")
                    .ok();
                // The one slot is taken: agent-run dies while its holder waits.
                let slot = stage.start("flock .git/beadline/slots/1.lock sleep 600");
                until("the slot is taken", || {
                    stage.holds("work/.git/beadline/slots/1.lock")
                });
                let line = stage.start("agent-run --max-agents 1 < ../beads");
                until("the holder waits", || holders(&stage).len() == 1);
                kill_line(&stage, line);
                until("the holder has ended", || holders(&stage).is_empty());
                kill_line(&stage, slot);
                assert_eq!(lines(&stage, "home/starts"), Vec::<String>::new());
                assert_eq!(
                    (&facts(&stage)["phase"], &facts(&stage)["run"]),
                    (&json!("spawned"), &Value::Null)
                );
                stage.write("home/go", "");
                stage.sh(LINE).ok();
                assert_eq!(
                    (&facts(&stage)["run"], &facts(&stage)["attempt"]),
                    (&json!(1), &json!(1))
                );
            },
        ),
        test(
            "agent-run: a pause outlasts the line, and a failed run is not judged twice",
            || {
                let mut stage = with_agent(&format!(
                    "date +%s.%N >> \"$HOME/starts\"; [ $BEAD_RUN != 1 ] || exit 1\n{WORK}"
                ));
                stage.set("BEADLINE_ATTEMPTS", "2");
                let line = stage.start(LINE);
                until("the first run has failed", || {
                    facts(&stage)["outcome"] == "failed"
                });
                kill_line(&stage, line);
                let not_before = facts(&stage)["not_before"].as_str().unwrap().to_owned();
                stage.sh(LINE).ok();
                let due = stage
                    .sh(&format!("date -d '{not_before}' +%s.%N"))
                    .ok()
                    .stdout;
                let second = lines(&stage, "home/starts")[1].clone();
                assert!(
                    second.trim() > due.trim(),
                    "started at {second}, not before {due}"
                );
                let facts = facts(&stage);
                assert_eq!((&facts["run"], &facts["attempt"]), (&json!(2), &json!(2)));
                assert_eq!(facts["outcome"], "done");
            },
        ),
    ]
}

pub(crate) fn trials() -> Vec<Trial> {
    [
        failures(),
        successes(),
        worktree(),
        runs(),
        environment(),
        slots(),
        words(),
        outliving(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
