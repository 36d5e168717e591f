//! What an agent leaves in its worktree, and what of it is committed.

use libtest_mimic::Trial;

use super::{LINE, WORK, assert_blocked, facts, with_agent};
use crate::stage::{Stage, test, until};

pub(super) fn trials() -> Vec<Trial> {
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
            "agent-run: in a sparse clone what lies outside of the cone is committed, too, and only named repositories are trusted",
            || {
                let stage = with_agent("mkdir out; echo work > out/work.txt");
                stage
                    .sh(
                        "mkdir in; echo 1 > in/x; git add .; git commit -qm in; git push -q
                         git sparse-checkout set --cone in
                         git config --global safe.bareRepository explicit",
                    )
                    .ok();
                stage.sh(LINE).ok();
                assert_eq!(facts(&stage)["outcome"], "done");
                let work = stage.sh("git show agent/t-1:out/work.txt").ok();
                assert_eq!(work.stdout, "work\n");
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
            "agent-run: what is committed in submodules of a worktree that its agent deletes stays",
            || {
                let mut stage = with_agent(&format!(
                    "if [ $BEAD_RUN = 1 ]; then git -c protocol.file.allow=always submodule --quiet add \"$HOME/../remote.git\" sub
                     git -C sub commit --quiet --allow-empty -m precious; cd /; rm -rf \"$OLDPWD\"; else {WORK} fi"
                ));
                stage.set("BEADLINE_ATTEMPTS", "2");
                stage.sh(LINE).code(1).says("run wt-spawn first");
                stage.sh(LINE).ok();
                let kept = stage
                    .sh("git --work-tree . --git-dir .git/beadline/t-1/aside/modules-*/sub log -1 --format=%s")
                    .ok();
                assert_eq!(kept.stdout, "precious\n");
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
        test(
            "agent-run: what an agent's killed git has locked of its worktree and branch is free again",
            || {
                let mut stage = Stage::with_tasks(1);
                stage.agent(
                    "echo work > work.txt; own=$(git rev-parse --git-dir)
                     touch $own/HEAD.lock $own/index.lock $own/../../refs/heads/agent/t-1.lock",
                );
                stage.sh(LINE).ok();
                assert_eq!(facts(&stage)["outcome"], "done");
                stage.sh("git show --format= --name-only agent/t-1 | grep work.txt; ! find .git -name '*.lock' -not -path '*/beadline/*' | grep .").ok();
            },
        ),
        test(
            "agent-run: a lock in its worktree that is older than its agent is not its agent's",
            || {
                let mut stage = Stage::with_tasks(1);
                stage.agent("echo work > work.txt");
                stage.sh("bd-ready | wt-spawn").ok();
                let lock = ".git/worktrees/t-1/index.lock";
                stage.sh(&format!("touch -d '1 minute ago' {lock}")).ok();
                let ran = stage.sh("bd-ready --resume | agent-run").code(1);
                assert!(ran.stderr.contains("t-1/index.lock"), "{}", ran.all());
                assert!(stage.path("work").join(lock).exists());
                // Whoever made it is done.
                stage.sh(&format!("rm {lock}; {LINE}")).ok();
                assert_eq!(facts(&stage)["outcome"], "done");
            },
        ),
    ]
}
