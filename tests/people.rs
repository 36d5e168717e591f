//! A person meanwhile: whatever somebody does to a bead, its branch, its worktree or its pull
//! request while the line has it, their word stands, nobody's work is lost, and the line ends.

use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::stage::{Ran, Stage, test_with, until};

/// Where the line was when the person came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum When {
    Spawned,
    Working,
    Committed,
    PrCreated,
}

use When::{Committed, PrCreated, Spawned, Working};

const ALWAYS: &[When] = &[Spawned, Working, Committed, PrCreated];
const WITH_WORK: &[When] = &[Committed, PrCreated];

/// What the line makes of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    /// It leaves the bead exactly as the person left it, and the agent's work where it is.
    Theirs,
    /// It goes on to the end.
    Merged,
    /// It gives the bead to a person, with these words in the note.
    Blocked(&'static str),
}

use End::{Blocked, Merged, Theirs};

/// An act: its name, when it can be done, how, and what comes of it. The script runs in the clone;
/// a commit that it makes is named in `$HOME/theirs`.
struct Act {
    name: &'static str,
    when: &'static [When],
    edit: fn(&Stage),
    script: &'static str,
    end: fn(When) -> End,
}

fn nothing(_: &Stage) {}

/// Commits a file in the folder `$where`, and notes the commit.
const COMMIT: &str = "echo theirs > $where/theirs.txt; git -C $where add theirs.txt
git -C $where commit --quiet -m theirs; git -C $where rev-parse HEAD > $HOME/theirs\n";

const ACTS: [Act; 17] = [
    Act { name: "closes the bead", when: ALWAYS, script: "", end: |_| Theirs,
        edit: |stage| stage.edit("t-1", &json!({"status": "closed", "assignee": ""})) },
    Act { name: "closes the bead and leaves its assignee", when: ALWAYS, script: "", end: |_| Theirs,
        edit: |stage| stage.edit("t-1", &json!({"status": "closed"})) },
    Act { name: "blocks the bead", when: ALWAYS, script: "", end: |_| Theirs,
        edit: |stage| stage.edit("t-1", &json!({"status": "blocked"})) },
    Act { name: "defers the bead", when: ALWAYS, script: "", end: |_| Theirs,
        edit: |stage| stage.edit("t-1", &json!({"status": "deferred", "assignee": ""})) },
    Act { name: "takes the bead", when: ALWAYS, script: "", end: |_| Theirs,
        edit: |stage| stage.edit("t-1", &json!({"status": "in_progress", "assignee": "alice"})) },
    Act { name: "deletes the bead", when: ALWAYS, script: "", end: |_| Theirs,
        edit: |stage| stage.beads(&[]) },
    Act { name: "reopens the bead", when: ALWAYS, script: "", end: |_| Merged,
        edit: |stage| stage.edit("t-1", &json!({"status": "open", "assignee": ""})) },
    Act { name: "pushes its head to the base", when: WITH_WORK, edit: nothing, end: |_| Merged,
        script: "git push --quiet origin agent/t-1:main" },
    Act { name: "squashes it onto the base", when: WITH_WORK, edit: nothing, end: |_| Merged,
        script: "git merge --quiet --squash agent/t-1; git commit --quiet -m squashed; git push --quiet origin main" },
    Act { name: "closes the pull request", when: &[PrCreated], edit: nothing,
        end: |_| Blocked("its pull request was closed"),
        script: "git push --quiet origin :refs/beadline/open/agent/t-1" },
    Act { name: "pushes a commit to its branch", when: WITH_WORK, edit: nothing, end: |_| Merged,
        script: "where=../theirs; git worktree add --quiet --detach $where agent/t-1; COMMIT
                 git -C $where push --quiet origin HEAD:refs/heads/agent/t-1; git worktree remove $where" },
    Act { name: "deletes the remote branch", when: &[PrCreated], edit: nothing,
        end: |_| Blocked("its branch is gone from the remote"),
        script: "git push --quiet origin :refs/heads/agent/t-1" },
    Act { name: "deletes the local branch", when: ALWAYS, edit: nothing,
        end: |when| match when {
            Spawned | PrCreated => Merged,
            // The agent's commit has no history then.
            Working => Blocked("no history in common"),
            Committed => Blocked("its branch agent/t-1 is gone"),
        },
        script: "git update-ref -d refs/heads/agent/t-1" },
    Act { name: "commits in the worktree", when: &[Spawned, Working, Committed], edit: nothing, end: |_| Merged,
        script: "where=../work.worktrees/t-1; COMMIT" },
    Act { name: "commits in the worktree of an open pull request", when: &[PrCreated], edit: nothing,
        end: |_| Merged, script: "where=../work.worktrees/t-1; COMMIT" },
    Act { name: "leaves a change in the worktree", when: &[Spawned, Working], edit: nothing, end: |_| Merged,
        script: "echo theirs > ../work.worktrees/t-1/theirs.txt" },
    Act { name: "leaves a change in the worktree of finished work", when: WITH_WORK, edit: nothing,
        end: |_| Merged, script: "echo theirs > ../work.worktrees/t-1/theirs.txt" },
];

/// Acts whose work is kept in the worktree, which `wt-clean` therefore refuses to remove.
const STAYS: [&str; 2] = [
    "commits in the worktree of an open pull request",
    "leaves a change in the worktree of finished work",
];

/// An agent that commits once `$HOME/go` is there, and takes over what others pushed.
const AGENT: &str = "echo $BEAD_ID > \"$HOME/works\"
while [ ! -e \"$HOME/go\" ]; do sleep 0.05; done
theirs=$(grep -o 'commit [0-9a-f]\\{40\\}' \"$BEAD_PROMPT\" | head -1 | cut -d' ' -f2)
[ -z \"$theirs\" ] || git merge --quiet --no-edit \"$theirs\"
echo $BEAD_ID > $BEAD_ID.txt; git add $BEAD_ID.txt; git diff --cached --quiet || git commit --quiet -m \"$BEAD_ID\"\n";

/// A stage whose line stopped at this point.
fn stopped(when: When) -> Stage {
    let mut stage = Stage::with_tasks(1);
    stage.agent(AGENT);
    stage.set("BEADLINE_NO_CHECKS", "1");
    stage.set("BEADLINE_ATTEMPTS", "1");
    let line = match when {
        Spawned => "bd-ready | wt-spawn > /dev/null",
        Working | Committed => "bd-ready | wt-spawn | agent-run > /dev/null",
        PrCreated => "bd-ready | wt-spawn | agent-run | pr-open > /dev/null",
    };
    if when != Working {
        stage.write("home/go", "");
        stage.sh(line).ok();
        return stage;
    }
    let mut line = stage.start(line);
    until("the agent works", || {
        stage.bead("t-1")["metadata"]["phase"] == "working" && stage.path("home/works").exists()
    });
    line.kill();
    let _ = line.wait(Duration::from_mins(1));
    stage
}

/// Whether a commit is in the history of any branch or pull request, here or on the remote, or at
/// a worktree's HEAD.
fn is_kept(stage: &Stage, commit: &str) -> bool {
    stage.sh(&format!(
        "git fetch --quiet origin '+refs/*:refs/seen/*'
         {{ git for-each-ref --contains {commit}; git worktree list --porcelain | sed -n 's/^HEAD //p' |
           while read head; do git merge-base --is-ancestor {commit} $head && echo $head; done || true; }} | grep -q ."
    )).code == Some(0)
}

#[track_caller]
fn assert_sound(stage: &Stage, ran: &Ran) {
    let fsck = "git fsck --no-progress --no-dangling 2>&1 | grep -v '^notice' || true";
    assert_eq!(stage.sh(fsck).stdout, "", "{}", ran.all());
    assert_eq!(stage.sh_in("remote.git", fsck).stdout, "", "{}", ran.all());
    assert_eq!(stage.processes(), Vec::<String>::new(), "{}", ran.all());
}

fn act(act: &Act, when: When) {
    let stage = stopped(when);
    let head = stage.sh("git rev-parse agent/t-1").ok().stdout;
    stage.sh(&act.script.replace("COMMIT", COMMIT)).ok();
    (act.edit)(&stage);
    let theirs: Vec<Value> = stage.stored();
    stage.write("home/go", "");
    let ran = stage.just("orchestrate");
    let end = (act.end)(when);
    let stays = STAYS.contains(&act.name);
    assert_eq!(ran.code, Some(i32::from(stays)), "{}", ran.all());
    assert_sound(&stage, &ran);
    match end {
        Theirs => {
            assert_eq!(stage.stored(), theirs, "{}", ran.all());
            assert!(is_kept(&stage, head.trim()), "{}", ran.all());
            assert!(stage.path("work.worktrees/t-1").exists());
        }
        Merged => {
            let bead = stage.bead("t-1");
            assert_eq!(bead["status"], "closed", "{bead:#}\n{}", ran.all());
            assert_eq!(bead["metadata"]["phase"], "merged");
            assert_eq!(
                stage.sh("git show origin/main:t-1.txt").ok().stdout,
                "t-1\n"
            );
            assert_eq!(
                stage.path("work.worktrees/t-1").exists(),
                stays,
                "{}",
                ran.all()
            );
        }
        Blocked(why) => {
            let bead = stage.bead("t-1");
            assert_eq!(
                (&bead["status"], &bead["assignee"]),
                (&json!("blocked"), &json!("")),
                "{bead:#}\n{}",
                ran.all()
            );
            assert!(bead["notes"].as_str().unwrap().contains(why), "{bead:#}");
            assert!(
                is_kept(&stage, head.trim())
                    || bead["notes"].as_str().unwrap().contains(head.trim())
            );
        }
    }
    if let Ok(commit) = std::fs::read_to_string(stage.path("home/theirs")) {
        let landed = stage.sh("git show origin/main:theirs.txt").code == Some(0);
        assert!(
            landed || is_kept(&stage, commit.trim()),
            "their commit is lost\n{}",
            ran.all()
        );
    } else if act.script.contains("theirs.txt") {
        let landed = stage.sh("git show origin/main:theirs.txt").code == Some(0);
        assert!(
            landed || stage.path("work.worktrees/t-1/theirs.txt").exists(),
            "their change is lost\n{}",
            ran.all()
        );
    }
    let pulls = stage
        .sh("git ls-remote origin 'refs/pull/*/head'")
        .ok()
        .stdout;
    assert!(pulls.lines().count() < 2, "{pulls}");
    // Nothing is left to do, and the next run knows it.
    let before = stage.stored();
    let again = stage.just("orchestrate");
    assert_eq!(again.code, ran.code, "{}", again.all());
    assert_eq!(stage.stored(), before, "{}", again.all());
}

/// What keeps the line from going on, and how somebody puts that right.
const CAUSES: [(&str, &str, &str, &str); 3] = [
    (
        "a set-up that fails",
        "touch $HOME/broken",
        "rm $HOME/broken",
        "set-up",
    ),
    (
        "a push that is refused",
        "printf '#!/bin/sh\\n! grep refs/heads/agent/\\n' > ../remote.git/hooks/pre-receive; chmod +x ../remote.git/hooks/pre-receive",
        "rm ../remote.git/hooks/pre-receive",
        "pre-receive hook declined",
    ),
    (
        "a worktree's folder that is taken",
        "mkdir -p ../work.worktrees/t-1; echo theirs > ../work.worktrees/t-1/theirs.txt",
        "rm -r ../work.worktrees/t-1",
        "in the way",
    ),
];

fn causes() -> Vec<Trial> {
    let cause =
        |(what, make, undo, says): &(&'static str, &'static str, &'static str, &'static str)| {
            let (make, undo, says) = (*make, *undo, *says);
            test_with(
                "just",
                "tests/parts.sh",
                &format!("{what} ends the line with 1, and the next run goes on"),
                move || {
                    let mut stage = Stage::with_tasks(2);
                    stage.simple();
                    stage.set(
                        "BEADLINE_SETUP",
                        "[ $BEAD_ID != t-1 ] || [ ! -e $HOME/broken ]",
                    );
                    stage.sh(make).ok();
                    stage.just("orchestrate").code(1).says("t-1: ").says(says);
                    let bead = stage.bead("t-1");
                    // Nothing of it exists after a failed set-up: any line may have it.
                    let given_back = says == "set-up";
                    let status = if given_back { "open" } else { "in_progress" };
                    assert_eq!(bead["status"], status);
                    assert!(
                        bead["metadata"]["error"].as_str().unwrap().contains(says),
                        "{bead:#}"
                    );
                    stage.sh(undo).ok();
                    stage.just("orchestrate").ok();
                    for id in ["t-1", "t-2"] {
                        assert_eq!(stage.bead(id)["metadata"]["phase"], "merged");
                        assert_eq!(stage.bead(id)["metadata"]["run"], 1);
                    }
                    assert_eq!(stage.bead("t-1")["metadata"]["error"], "");
                    stage.assert_clean();
                },
            )
        };
    CAUSES.iter().map(cause).collect()
}

fn words() -> Vec<Trial> {
    vec![
        test_with(
            "just",
            "tests/parts.sh",
            "an agent that is stopped by hand ends the line with 1, and the next run goes on",
            || {
                let stage = stopped(Working);
                let line = stage.start_just("orchestrate");
                // The others of the line have it in hand for a moment, too.
                let has_it = "for it in /proc/[0-9]*; do
                    [ \"$(cat $it/comm 2> /dev/null)\" = agent-run ] || continue
                    ls -l $it/fd 2> /dev/null | grep -q \"$(realpath .git)/beadline/t-1/stage.lock\" && exit
                    done; exit 1";
                until("agent-run has it in hand", || {
                    stage.sh(has_it).code == Some(0)
                });
                stage.sh("agent-stop t-1").ok();
                line.wait(Duration::from_mins(1))
                    .code(1)
                    .says("t-1: its agent was stopped");
                assert_eq!(stage.bead("t-1")["metadata"]["outcome"], "stopped");
                stage.write("home/go", "");
                stage.just("orchestrate").ok();
                let facts = &stage.bead("t-1")["metadata"];
                assert_eq!(
                    (&facts["phase"], &facts["run"], &facts["attempt"]),
                    (&json!("merged"), &json!(2), &json!(1))
                );
                stage.assert_clean();
            },
        ),
        test_with(
            "just",
            "tests/parts.sh",
            "just retry takes a blocked bead up, with a person's notes for its agent",
            || {
                let mut stage = Stage::with_tasks(1);
                stage.agent(
                    "cat > \"$HOME/prompt\"; [ -e \"$HOME/go\" ] || exit 1; echo t-1 > t-1.txt",
                );
                stage.set("BEADLINE_NO_CHECKS", "1");
                stage.set("BEADLINE_ATTEMPTS", "1");
                stage
                    .just("orchestrate")
                    .ok()
                    .says("a person has to look at it");
                assert_eq!(stage.bead("t-1")["status"], "blocked");
                stage.just("orchestrate").ok();
                assert_eq!(stage.bead("t-1")["metadata"]["run"], 1);
                let notes = format!(
                    "{}\nUse the \"other\" door.",
                    stage.bead("t-1")["notes"].as_str().unwrap()
                );
                stage.edit("t-1", &json!({"notes": notes}));
                stage.write("home/go", "");
                stage.just("retry t-1").ok();
                assert!(
                    stage
                        .read("home/prompt")
                        .contains("Use the \"other\" door.")
                );
                let facts = &stage.bead("t-1")["metadata"];
                assert_eq!(
                    (&facts["phase"], &facts["run"], &facts["attempt"]),
                    (&json!("merged"), &json!(2), &json!(1))
                );
                stage.just("worktree-clean").ok();
                stage.assert_clean();
            },
        ),
    ]
}

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials: Vec<Trial> = causes().into_iter().chain(words()).collect();
    for one in &ACTS {
        for when in one.when {
            let name = format!("a person {} while it is {when:?}", one.name);
            trials.push(test_with("just", "tests/parts.sh", &name, move || {
                act(one, *when);
            }));
        }
    }
    trials
}
