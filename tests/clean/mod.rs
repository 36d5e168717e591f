//! `wt-clean`: removes all of what has landed, and nothing that holds work.

mod cleanings;
mod heard;
mod nested;
mod refusals;
mod sweeps;

use libtest_mimic::Trial;

use crate::stage::Stage;

const LINE: &str = "bd-ready | wt-spawn | agent-run | pr-open | pr-merge";

/// Beads `t-1` to `t-<count>`, landed by the line, nothing cleaned.
fn landed(count: usize) -> Stage {
    let mut stage = Stage::with_tasks(count);
    stage.simple();
    let ran = stage.sh(LINE).ok();
    assert_eq!(ran.beads().len(), count, "{}", ran.all());
    // The scratch worktree of the landings is another matter.
    stage
        .sh("git worktree list | grep -c work.worktrees/t-")
        .ok();
    stage
}

/// What there is of a bead: its branches, and its worktree with what git calls changed in it.
fn left(stage: &Stage, id: &str) -> String {
    let script = format!(
        "tree=../work.worktrees/{id}
         git for-each-ref --format='%(refname) %(objectname)' refs/heads/agent/{id}
         git ls-remote origin refs/heads/agent/{id}
         git worktree list --porcelain | grep \"worktrees/{id}$\" || true
         for place in $tree ../outside/{id}; do
             find $place -name .git -prune -o -printf '%p %y %s %l\\n' 2>/dev/null | sort || true
             [ ! -e $place/.git ] || git -C $place log -1 --format=%H 2>/dev/null || true
         done"
    );
    stage.sh(&script).ok().stdout
}

fn lines(text: &str, part: &str) -> usize {
    text.lines().filter(|line| line.contains(part)).count()
}

fn ids(count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("t-{n}")).collect()
}

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = cleanings::trials();
    trials.extend(nested::trials());
    trials.push(refusals::trial());
    trials.extend(heard::trials());
    trials.extend(sweeps::trials());
    trials
}
