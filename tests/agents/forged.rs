//! Refs and objects of the clone that an agent has written: nothing is decided by them.

use libtest_mimic::Trial;
use serde_json::json;

use super::{LINE, WORK, assert_blocked, facts, with_agent};
use crate::stage::test;

/// Moves an object under another's name: `misname <good> <evil>`.
const MISNAME: &str = "objects=$(git rev-parse --git-common-dir)/objects
at() { echo \"$objects/$(echo $1 | cut -c1-2)/$(echo $1 | cut -c3-)\"; }
misname() { mv -f \"$(at $2)\" \"$(at $1)\"; }\n";

/// What an agent puts under another's name, after its commit: in a shell, with the work at HEAD.
const OBJECTS: [(&str, &str); 4] = [
    (
        "a file",
        "misname $(git rev-parse HEAD:sub/work.txt) $(echo evil | git hash-object -w --stdin)",
    ),
    (
        "a folder",
        "evil=$(echo evil | git hash-object -w --stdin)
         misname $(git rev-parse HEAD:sub) $(printf \"100644 blob $evil\\twork.txt\\n\" | git mktree)",
    ),
    (
        "a commit",
        "misname $(git rev-parse HEAD) $(git commit-tree -p HEAD~ -m evil HEAD~^{tree})",
    ),
    (
        // It is in the base's history, and so on the remote, but not in the base.
        "an old file",
        "old=$(git rev-parse HEAD~2:a.txt); git cat-file blob $old > a.txt; git commit -qam old
         misname $old $(echo harmless | git hash-object -w --stdin)",
    ),
];

fn misnamed() {
    for (what, script) in OBJECTS {
        let script = format!(
            "set -e; mkdir sub; echo work > sub/work.txt; git add .; git commit -qm work\n{MISNAME}{script}"
        );
        let stage = with_agent(&script);
        stage
            .sh("echo two > a.txt; git commit -qam two; git push -q")
            .ok();
        let ran = stage.sh(&format!("{LINE} | pr-open")).ok();
        assert_eq!(ran.stdout, "", "{what}\n{}", ran.all());
        assert_blocked(&stage, "failed", "is not what its name says");
        assert_eq!(stage.sh("git ls-remote origin agent/t-1").ok().stdout, "");
    }
}

/// As an agent does that writes the clone's refs.
fn moved_to_the_work() {
    let stage = with_agent(&format!(
        "{WORK}git update-ref refs/remotes/origin/main HEAD"
    ));
    assert_eq!(stage.sh(LINE).ok().ids(), ["t-1"]);
    assert_eq!(facts(&stage)["outcome"], "done");
}

fn moved_back() {
    let stage = with_agent("git update-ref refs/remotes/origin/main HEAD~");
    stage
        .sh("echo two > a.txt; git commit -qam two; git push -q")
        .ok();
    assert_eq!(stage.sh(LINE).ok().stdout, "");
    assert_blocked(&stage, "no_change", "no change");
}

/// An agent behind a launcher, with objects and refs of its own, as the README's recipe mounts
/// them. `$HOME/kill` is where it is to be killed.
const OWN_GIT: &str = "set -e; common=$(git rev-parse --path-format=absolute --git-common-dir)
export GIT_OBJECT_DIRECTORY=$BEADLINE_OWN_GIT/objects GIT_ALTERNATE_OBJECT_DIRECTORIES=$common/objects
echo work > work.txt; git add work.txt
git commit-tree -p HEAD -m work $(git write-tree) > $BEADLINE_OWN_GIT/refs/heads/agent/t-1
cp $BEADLINE_OWN_GIT/refs/heads/agent/t-1 \"$HOME/committed\"; touch \"$HOME/armed\"\n";

/// Kills whoever moves the agent's branch, before or after that.
const SHIM: &str = "#!/bin/sh
PATH=${PATH#*:}
case \" $* \" in *' update-ref refs/heads/agent/t-1 '*) if rm \"$HOME/armed\" 2>/dev/null; then
    [ $(cat \"$HOME/when\") = before ] || git \"$@\"
    kill -9 $PPID; exit 1
fi;; esac
exec git \"$@\"\n";

fn killed_while_taking_over() {
    for when in ["before", "after"] {
        let mut stage = with_agent(OWN_GIT);
        stage.set("BEADLINE_LAUNCHER", "exec");
        stage.write("home/when", when);
        stage.write("shim/git", SHIM);
        let line = format!("chmod +x ../shim/git; PATH=\"$PWD/../shim:$PATH\"\n{LINE}");
        let ran = stage.sh(&line);
        assert_ne!(ran.code, Some(0), "{}", ran.all());
        assert!(stage.path("home/committed").exists(), "{}", ran.all());
        let commit = stage.read("home/committed");
        // Its objects are the clone's; its branch has moved, or not yet.
        stage.sh(&format!("git cat-file -e {commit}")).ok();
        let at = stage.sh("git rev-parse agent/t-1").ok().stdout;
        assert_eq!(at == commit, when == "after", "{}", ran.all());
        assert_eq!(facts(&stage)["outcome"], "");
        assert_eq!(stage.sh(LINE).ok().ids(), ["t-1"]);
        let facts = facts(&stage);
        assert_eq!(
            (&facts["outcome"], &facts["run"], &facts["head"]),
            (&json!("done"), &json!(1), &json!(commit.trim()))
        );
        let show = stage.sh("git show agent/t-1:work.txt; git fsck --no-dangling 2>&1");
        assert_eq!(show.ok().stdout, "work\n");
        assert!(!stage.path("work/.git/beadline/t-1/git").exists());
    }
}

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "agent-run: an object that an agent put under another's name fails its work, and nothing is pushed",
            misnamed,
        ),
        test(
            "agent-run: work is work although its agent moved the remote's branch in the clone onto it",
            moved_to_the_work,
        ),
        test(
            "agent-run: no change is none although its agent moved the remote's branch in the clone back",
            moved_back,
        ),
        test(
            "agent-run: killed between taking over an agent's objects and its branch, the next run goes on",
            killed_while_taking_over,
        ),
    ]
}
