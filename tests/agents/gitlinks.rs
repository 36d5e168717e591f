//! Submodules, and other repositories that an agent leaves in its worktree.

use libtest_mimic::Trial;
use serde_json::json;

use super::{LINE, assert_blocked, facts, with_agent};
use crate::stage::{Stage, test};

/// A repository of the agent's in its worktree, with a commit.
const NESTED: &str = "git init --quiet nested; echo mine > nested/f; git -C nested add f; git -C nested commit --quiet -m n\n";

/// Two commits in the submodule.
const BUMP: &str = "git submodule --quiet update --init
    echo two > sub/f; git -C sub commit --quiet -am two; echo three > sub/f; git -C sub commit --quiet -am three\n";

/// A stage whose base has the submodule `sub`, of `sub.git` beside the remote; and this agent.
fn with_submodule(script: &str) -> Stage {
    let stage = with_agent(script);
    stage
        .sh(
            "git config --global protocol.file.allow always
             git init --quiet --bare ../sub.git; git clone --quiet ../sub.git ../sub 2>/dev/null
             cd ../sub; echo one > f; git add f; git commit --quiet -m one; git push --quiet; cd ../work
             git submodule --quiet add ../sub.git sub; git commit --quiet -m sub; git push --quiet",
        )
        .ok();
    stage
}

fn files(stage: &Stage) -> String {
    let listed = stage.sh("git ls-tree -r --name-only agent/t-1").ok();
    listed.stdout.replace('\n', " ")
}

fn no_program_ran(stage: &Stage) {
    let evil = stage.path("home/PWNED");
    assert!(!evil.exists(), "a program of the agent's ran");
}

/// Agents whose work cannot be taken, the words of the note, and the files of their branch.
const REFUSED: [(&str, &str, &str, &str); 4] = [
    (
        "commits a repository as it is",
        "git init --quiet nested; git -C nested commit --quiet --allow-empty -m n; git add nested; git commit --quiet -m n",
        "'nested' is a repository inside of the worktree, and no submodule",
        ".gitignore .gitmodules a.txt nested sub ",
    ),
    (
        "takes an entry out of .gitmodules",
        "git config --file .gitmodules --remove-section submodule.sub; git commit --quiet -am out",
        "'sub' is a repository inside of the worktree, and no submodule",
        ".gitignore .gitmodules a.txt sub ",
    ),
    (
        "names a program as a submodule's URL",
        "git config --file .gitmodules submodule.sub.url \"ext::sh -c touch% $HOME/PWNED\"; git commit --quiet -am evil",
        "that is no URL for a submodule",
        ".gitignore .gitmodules a.txt sub ",
    ),
    (
        "names a folder of its own as a submodule's URL",
        "git clone --quiet ../../sub.git ignored/sub; git config --file .gitmodules submodule.sub.url \"$PWD/ignored/sub\"
         git commit --quiet -am own",
        "that is where agents write",
        ".gitignore .gitmodules a.txt sub ",
    ),
];

fn refusals() -> impl Iterator<Item = Trial> {
    REFUSED.iter().map(|(what, script, why, left)| {
        test(
            &format!("agent-run: the work of an agent that {what} is not taken"),
            move || {
                let stage = with_submodule(script);
                stage
                    .sh("git config --global protocol.ext.allow always")
                    .ok();
                stage.sh(LINE).ok();
                assert_blocked(&stage, "failed", why);
                assert_eq!(files(&stage), *left);
                no_program_ran(&stage);
            },
        )
    })
}

pub(super) fn trials() -> Vec<Trial> {
    let mut trials: Vec<Trial> = refusals().collect();
    trials.extend([
        test(
            "agent-run: a repository that its agent leaves is named, stays, and the rest is committed",
            || {
                let stage = with_agent(&format!(
                    "{NESTED} git init --quiet empty; mkdir -p \"d [x]\"; git init --quiet \"d [x]/in\"
                     git -C \"d [x]/in\" commit --quiet --allow-empty -m n; echo work > \"d [x]/work\"",
                ));
                stage.sh(LINE).ok();
                assert_blocked(&stage, "failed", "'d [x]/in' is a repository inside of the worktree: remove its .git");
                let feedback = facts(&stage)["feedback"].to_string();
                for name in ["'nested' is", "'empty' is"] {
                    assert!(feedback.contains(name), "{feedback}");
                }
                assert_eq!(files(&stage), ".gitignore a.txt d [x]/work ");
                assert_eq!(stage.read("work.worktrees/t-1/nested/f"), "mine\n");
            },
        ),
        test(
            "agent-run: a commit of a submodule that its remote lacks is not taken, and is once it is there",
            || {
                let mut stage = with_submodule(&format!(
                    "if [ $BEAD_RUN = 1 ]; then {BUMP} else git -C sub push --quiet origin HEAD:main; fi"
                ));
                stage.set("BEADLINE_ATTEMPTS", "2");
                stage.sh(LINE).ok();
                let sub = "work.worktrees/t-1/sub";
                let head = stage.sh_in(sub, "git rev-parse HEAD").ok().stdout;
                assert_eq!(facts(&stage)["outcome"], "done");
                let base = stage.sh_in("sub", "git ls-remote origin main").ok().stdout;
                assert!(base.starts_with(head.trim()), "{base}");
                let told = stage.sh("cat .git/beadline/t-1/*.log; git log --format=%s agent/t-1").ok();
                assert!(told.stdout.contains("Left-over changes"), "{}", told.stdout);
            },
        ),
        test(
            "agent-run: a commit of a submodule that nobody pushed goes to a person",
            || {
                let stage = with_submodule(BUMP);
                stage.sh(LINE).ok();
                assert_blocked(&stage, "failed", "which its remote '../sub.git' does not have: push it there");
            },
        ),
        test(
            "agent-run: a commit of a submodule that is no tip is found, whether or not its server gives one by its name",
            || {
                for protocol in ["0", "2"] {
                    let stage = with_submodule(&format!(
                        "{BUMP} git -C sub push --quiet origin HEAD:refs/heads/topic; git -C sub checkout --quiet HEAD~1"
                    ));
                    stage.sh(&format!("git config --global protocol.version {protocol}")).ok();
                    stage.sh(LINE).ok();
                    assert_eq!(facts(&stage)["outcome"], "done", "{protocol}");
                    let at = stage.sh("git ls-tree agent/t-1 sub").ok().stdout;
                    let pushed = stage.sh("git -C ../sub.git rev-parse topic~1").ok().stdout;
                    assert!(at.contains(pushed.trim()), "{at}");
                }
            },
        ),
        test(
            "agent-run: a submodule whose remote is away is judged when it is back",
            || {
                let stage = with_submodule(&format!(
                    "{BUMP} git -C sub push --quiet origin HEAD:main; mv \"$HOME/../sub.git\" \"$HOME/../away\""
                ));
                stage.sh(LINE).code(1).says("t-1: cannot look for");
                assert_eq!((&facts(&stage)["phase"], &facts(&stage)["outcome"]), (&json!("working"), &json!("")));
                stage.sh(&format!("mv ../away ../sub.git; {LINE}")).ok();
                assert_eq!((&facts(&stage)["run"], &facts(&stage)["outcome"]), (&json!(1), &json!("done")));
            },
        ),
        test(
            "agent-run: no program runs that a submodule's own configuration names",
            || {
                let stage = with_submodule(
                    "git submodule --quiet update --init; own=$(git -C sub rev-parse --git-dir)
                     printf '#!/bin/sh\\ntouch \"$HOME/PWNED\"; cat\\n' > evil; chmod +x evil; mv evil \"$own/evil\"
                     for key in core.fsmonitor filter.x.clean filter.x.smudge core.pager core.sshCommand diff.external; do
                         git -C sub config $key \"$own/evil\"; done
                     echo '* filter=x' > \"$own/info/attributes\"; rm -f \"$HOME/PWNED\"
                     echo ONE > sub/f; echo work > work.txt",
                );
                stage.sh(LINE).ok();
                assert_eq!(facts(&stage)["outcome"], "done");
                assert_eq!(files(&stage), ".gitignore .gitmodules a.txt sub work.txt ");
                no_program_ran(&stage);
            },
        ),
    ]);
    trials
}
