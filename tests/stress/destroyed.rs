//! People and the line work on the same branches. Whatever anybody made is afterwards in the base,
//! on a branch, or in a worktree: of what was taken out of the base again the branch is kept.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::stage::Stage;

use super::{run, say, some};

const BEADS: [&str; 3] = ["t-1", "t-2", "t-3"];

/// Each agent makes two commits; the second one builds on the first.
const AGENT: &str = "set -eu
made() { echo \"$1\" > \"$1.made\"; git add \"$1.made\"; git commit --quiet -m \"$1\"; echo \"$1\" >> \"$HOME/made\"; }
if [ -e $BEAD_ID-a.made ]; then made $BEAD_ID-c$BEAD_RUN; else made $BEAD_ID-a; made $BEAD_ID-b; fi\n";

/// What people do to the bead `$id` before its pull request is looked at, in the clone, on main, with
/// its branch `$on`. `made` commits a file of that name where it is called.
const ACTS: [&str; 20] = [
    "git merge --quiet --no-ff -m merged $on",
    "git merge --quiet --no-ff -m merged $on; git revert --no-edit -m 1 HEAD",
    "git merge --quiet --no-ff -m merged $on; git revert --no-edit -m 1 HEAD; git revert --no-edit HEAD",
    "git merge --quiet --squash $on; git commit --quiet -m squashed",
    "git merge --quiet --squash $on; git commit --quiet -m squashed; git revert --no-edit HEAD",
    "git merge --quiet --squash $on; made $id-fixed; git commit --quiet --amend -m 'squashed, with more'",
    "git cherry-pick $on~",
    "git cherry-pick $on~ $on",
    "git cherry-pick $on~ $on; git revert --no-edit HEAD",
    "git cherry-pick $on; git revert --no-edit HEAD; made $id-between; git cherry-pick $on~",
    "git merge --quiet -s ours -m dropped $on",
    "made $id-other",
    "elsewhere $id; made $id-pushed; git push --quiet",
    "elsewhere $id; made $id-pushed; git push --quiet; git merge-base --is-ancestor $on HEAD; cd ~-; git fetch --quiet; git merge --quiet --no-ff -m merged origin/agent/$id",
    "elsewhere $id; git reset --quiet --hard HEAD~; made $id-instead; git push --quiet --force",
    "cd ../work.worktrees/$id; made $id-inside",
    "cd ../work.worktrees/$id; echo $id-loose > $id-loose.made",
    "cd ../work.worktrees/$id; git checkout --quiet --detach; made $id-detached",
    "cd ../work.worktrees/$id; git checkout --quiet -b side-$id; made $id-side",
    "git push --quiet origin :agent/$id",
];

const WORDS: &str = "set -eu
made() { echo \"$1\" > \"$1.made\"; git add \"$1.made\"; git commit --quiet -m \"$1\"; echo \"$1\" >> \"$HOME/made\"; }
elsewhere() { rm -rf \"$HOME/else\"; git clone --quiet -b agent/$1 \"$HOME/../remote.git\" \"$HOME/else\"; cd \"$HOME/else\"; }\n";

/// An act on an up-to-date main, and its end. What does not fit what was done before is undone.
const ACT: &str = "set +e; exec 2> /dev/null; git checkout --quiet main; git pull --quiet --no-rebase --no-edit
bash ../act.sh > /dev/null && echo done || { git merge --abort; git cherry-pick --abort; git revert --abort; git reset --quiet --hard; }
git push --quiet origin main; true";

/// Where each thing that was made can be found.
fn found(stage: &Stage) -> BTreeSet<String> {
    let script = "names() { sed -n 's,.*/,,; s,[.]made$,,p'; }
        for ref in $(git -C ../remote.git for-each-ref --format='%(objectname)' refs/heads); do git -C ../remote.git ls-tree -r --name-only $ref | names; done
        for ref in $(git for-each-ref --format='%(objectname)' refs/heads); do git ls-tree -r --name-only $ref | names; done
        for tree in $(ls ../work.worktrees 2>/dev/null); do
            ls ../work.worktrees/$tree | names; git -C ../work.worktrees/$tree ls-tree -r --name-only HEAD | names
        done";
    lines(&stage.sh(script).ok().stdout)
}

fn lines(text: &str) -> BTreeSet<String> {
    text.lines().map(str::to_owned).collect()
}

fn in_base(stage: &Stage) -> BTreeSet<String> {
    let script = "git -C ../remote.git ls-tree --name-only main | sed -n 's,[.]made$,,p'";
    lines(&stage.sh(script).ok().stdout)
}

pub(super) fn story(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut stage = Stage::with_tasks(BEADS.len());
    stage.agent(AGENT);
    for (name, value) in [
        ("BEADLINE_NO_CHECKS", "1"),
        ("BEADLINE_ATTEMPTS", "1"),
        ("BEADLINE_WAIT", "5s"),
    ] {
        stage.set(name, value);
    }
    stage.write("home/made", "");
    run(
        &stage,
        "bd-ready | wt-spawn | agent-run | pr-open > /dev/null",
    )
    .ok();
    let mut told = String::new();
    for id in BEADS {
        for act in some(&mut random, &ACTS, 0..=2) {
            stage.write("act.sh", &format!("{WORDS}id={id} on=agent/{id}\n{act}\n"));
            let fits = !run(&stage, ACT).ok().stdout.is_empty();
            writeln!(
                told,
                "{id}: {act}{}",
                if fits { "" } else { " (does not fit)" }
            )
            .unwrap();
        }
        // Some are looked at before people come to the next.
        if random.bool() {
            told += &run(
                &stage,
                &format!("pr-merge --once {id} | wt-clean > /dev/null || true"),
            )
            .all();
        }
    }
    say(&format!("seed {seed}:\n{told}"));
    // Beads that came back are worked on, until nothing more happens by itself.
    for _ in 0..2 {
        told += &run(&stage, &format!("{} || true", super::LINE)).all();
    }
    told += &run(&stage, "wt-clean --all < /dev/null || true").all();
    let (made, found) = (lines(&stage.read("home/made")), found(&stage));
    let lost: Vec<&String> = made.difference(&found).collect();
    assert!(lost.is_empty(), "seed {seed}: lost {lost:?}\n{told}");
    assert!(made.len() >= 2 * BEADS.len(), "{made:?}");
    let base = in_base(&stage);
    for id in BEADS {
        let bead = stage.bead(id);
        if bead["metadata"]["phase"] == "merged" && bead["status"] == "closed" {
            let has = |what: &str| base.contains(&format!("{id}-{what}"));
            assert!(
                has("a") && has("b"),
                "seed {seed}: {id} has not landed: {base:?}\n{told}"
            );
        }
    }
}
