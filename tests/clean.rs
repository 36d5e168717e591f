//! `wt-clean`: removes all of what has landed, and nothing that holds work.

use libtest_mimic::Trial;
use serde_json::json;

use crate::stage::{Stage, test};

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
    let mut trials = cleanings();
    trials.push(test(
        "wt-clean: what it must never delete stays, is named with the reason, and the rest goes on",
        refusals,
    ));
    trials.push(test(
        "wt-clean: --all sweeps what a crash left at any step",
        sweeps,
    ));
    trials
}

fn cleanings() -> Vec<Trial> {
    vec![
        test(
            "wt-clean: after a landing nothing is left, and a second run finds nothing to do",
            || {
                let stage = landed(2);
                let ran = stage
                    .sh("bd-ready --phase merged | wt-clean")
                    .ok()
                    .says("t-1: cleaned")
                    .says("t-2: cleaned");
                assert_eq!(ran.ids(), ["t-1", "t-2"]);
                for id in ids(2) {
                    assert_eq!(left(&stage, &id), "");
                }
                stage
                    .sh("! find .git/beadline/t-* -name '*.lock' | grep .")
                    .ok();
                let before = stage.stored();
                let again = stage
                    .sh("bd-ready --phase merged | wt-clean")
                    .ok()
                    .says_not("t-");
                assert_eq!(again.ids(), ["t-1", "t-2"]);
                assert_eq!(stage.stored(), before);
                stage.sh("wt-clean --all < /dev/null").ok();
                stage.assert_clean();
            },
        ),
        test(
            "wt-clean: --keep-branch keeps both branches, --dry-run everything",
            || {
                let stage = landed(1);
                let before = left(&stage, "t-1");
                stage
                    .sh("wt-clean --dry-run t-1")
                    .ok()
                    .says("t-1: would be cleaned");
                stage
                    .sh("bd-ready --phase merged | wt-clean --all --dry-run")
                    .ok();
                assert_eq!(left(&stage, "t-1"), before);
                for flags in ["", "--all"] {
                    stage
                        .sh(&format!("wt-clean --keep-branch {flags} t-1"))
                        .ok();
                    let left = left(&stage, "t-1");
                    assert_eq!(
                        (lines(&left, "refs/heads/agent/t-1"), left.lines().count()),
                        (2, 2),
                        "{left}"
                    );
                }
                stage.sh("wt-clean --all t-1").ok();
                stage.assert_clean();
            },
        ),
        test(
            "wt-clean: a bead whose remote is out of reach stays whole, and goes when it is back",
            || {
                let stage = landed(1);
                stage
                    .sh("mv ../remote.git ../away; wt-clean t-1")
                    .code(1)
                    .says("t-1: ");
                stage.sh("git rev-parse agent/t-1; test -f ../work.worktrees/t-1/t-1.txt; mv ../away ../remote.git; wt-clean --all t-1").ok();
                stage.assert_clean();
            },
        ),
        test(
            "wt-clean: what another program has in hand is left to it",
            || {
                let stage = landed(1);
                let before = left(&stage, "t-1");
                let ran = stage
                    .sh("flock .git/beadline/t-1/stage.lock wt-clean t-1")
                    .ok();
                assert_eq!(ran.says("t-1: left to another program").stdout, "");
                assert_eq!(left(&stage, "t-1"), before);
            },
        ),
        test(
            "wt-clean: a worktree with folders that forbid it is removed",
            || {
                let stage = landed(1);
                stage.sh("cd ../work.worktrees/t-1; mkdir -p ignored/ro; touch ignored/ro/x; chmod 500 ignored/ro
                      cd ../../work; wt-clean --all t-1").ok();
                stage.assert_clean();
            },
        ),
    ]
}

/// One bead a row: the temptation, in bash with `$id`, `$tree`, `$host`; and what is said of it.
const REFUSALS: [(&str, &str); 17] = [
    (
        "git worktree lock --reason precious $tree",
        "is locked: precious",
    ),
    (
        "echo more >> $tree/$id.txt",
        "has changes that are nowhere else:  M",
    ),
    (
        "echo new > $tree/new.txt",
        "has changes that are nowhere else: ?? new.txt",
    ),
    (
        "rm $tree/a.txt; git -C $tree rm --quiet --cached a.txt",
        "has changes that are nowhere else: D  a.txt",
    ),
    (
        "mkdir -p ../outside; git worktree move $tree ../outside/$id",
        "lies outside",
    ),
    (
        "mkdir -p ../outside; mv $tree ../outside/$id; ln -s ../outside/$id $tree",
        "behind a symbolic link",
    ),
    (
        "rm $tree/.git",
        "is not the worktree any more that git knows there",
    ),
    (
        "rm -r $tree; git clone --quiet ../remote.git $tree; git -C $tree commit --quiet --allow-empty -m mine",
        "is not the worktree any more that git knows there",
    ),
    (
        "rm -r .git/worktrees/$id",
        "is no worktree of this repository",
    ),
    (
        "git -C $tree commit --quiet --allow-empty -m more",
        "has commits that have not landed",
    ),
    (
        "git -C $tree checkout --quiet --detach; git -C $tree commit --quiet --allow-empty -m more",
        "which has not landed",
    ),
    (
        "git -C $tree checkout --quiet --detach; git update-ref refs/heads/agent/$id $(git commit-tree -p agent/$id -m own HEAD^{tree})",
        "has commits that have not landed",
    ),
    (
        "git push --quiet origin $(git commit-tree -p agent/$id -m theirs HEAD^{tree}):refs/heads/agent/$id",
        "its remote branch has moved to",
    ),
    (
        "BEADLINE_HOLD=$host:$id setsid sleep 300 > /dev/null 2>&1 < /dev/null &",
        "its agent is alive",
    ),
    (
        "mkdir -p .git/beadline/$id; setsid flock .git/beadline/$id/hold.lock sleep 300 > /dev/null 2>&1 < /dev/null &",
        "its agent is alive",
    ),
    (
        "git worktree remove $tree; git checkout --quiet agent/$id",
        "is checked out at",
    ),
    (
        "git -C $tree submodule --quiet add \"$PWD/../sub\" sub",
        "has changes that are nowhere else",
    ),
];

#[expect(clippy::too_many_lines, reason = "one stage with a table of refusals")]
fn refusals() {
    let count = REFUSALS.len();
    let facts = [
        (
            "main worktree",
            json!({"metadata": {"worktree": "MAIN"}}),
            "is the main worktree",
        ),
        (
            "main worktree by another name",
            json!({"metadata": {"worktree": "MAIN/ignored/.."}}),
            "is no worktree of this repository",
        ),
        (
            "a stranger's folder",
            json!({"metadata": {"worktree": "STRANGE"}}),
            "is no worktree of this repository",
        ),
        (
            "base as its branch",
            json!({"metadata": {"branch": "main"}}),
            "its branch main is the base",
        ),
        (
            "no landing",
            json!({"metadata": {"merged_sha": "0123456789012345678901234567890123456789"}}),
            "does not contain its",
        ),
        (
            "no landing known",
            json!({"metadata": {"merged_sha": ""}}),
            "`merged_sha` is no commit",
        ),
        (
            "not merged",
            json!({"status": "in_progress", "assignee": "beadline/x/0", "metadata": {"phase": "pr_created"}}),
            "is not merged yet: run pr-merge first",
        ),
        (
            "reopened",
            json!({"status": "open", "assignee": ""}),
            "is not merged yet: run pr-merge first",
        ),
        (
            "closed by hand",
            json!({"metadata": {"phase": "committed"}}),
            "closed without a landing",
        ),
    ];
    let all = count + facts.len();
    // Two more: one is cleaned, and one is another clone's.
    let stage = landed(all + 2);
    stage.sh("git config --global protocol.file.allow always; git init --quiet ../sub; git -C ../sub commit --quiet --allow-empty -m sub; mkdir ignored").ok();
    stage.write("strange/file", "theirs");
    for (id, (tempt, _)) in ids(count).iter().zip(REFUSALS) {
        let script = format!(
            "id={id} tree=../work.worktrees/{id} host=$(git config beadline.host)\n{tempt}"
        );
        stage.sh(&script).ok();
    }
    stage.edit(
        "t-5",
        &json!({"metadata": {"worktree": stage.path("outside/t-5").canonicalize().unwrap()}}),
    );
    let main = stage.sh("pwd -P").ok().stdout.trim().to_owned();
    let all_ids = ids(all + 2);
    for (id, (_, change, _)) in all_ids[count..].iter().zip(&facts) {
        let text = change
            .to_string()
            .replace("MAIN", &main)
            .replace("STRANGE", stage.path("strange").to_str().unwrap());
        stage.edit(id, &serde_json::from_str(&text).unwrap());
    }
    let (cleaned, foreign) = (&all_ids[all], &all_ids[all + 1]);
    stage.edit(
        foreign,
        &json!({"metadata": {"host": "far-1", "worktree": "/far/away"}}),
    );
    // Its branch and worktree here only look like the other clone's.
    let here = left(&stage, foreign);
    let before: Vec<String> = all_ids[..all].iter().map(|id| left(&stage, id)).collect();
    crate::stage::until("the holder of a lock", || {
        stage
            .sh("! flock --nonblock .git/beadline/t-15/hold.lock true")
            .code
            == Some(0)
    });

    let named = all_ids.join(" ");
    let ran = stage.sh(&format!("wt-clean --all {named}")).code(1);
    assert_eq!(
        ran.ids(),
        {
            let mut ids = [cleaned.clone(), foreign.clone()];
            ids.sort();
            ids
        },
        "{}",
        ran.all()
    );
    let whys = REFUSALS
        .iter()
        .map(|(_, why)| *why)
        .chain(facts.iter().map(|(_, _, why)| *why));
    for ((id, why), before) in all_ids.iter().zip(whys).zip(&before) {
        let said: Vec<&str> = ran
            .stderr
            .lines()
            .filter(|line| line.contains(&format!(" {id}: ")))
            .collect();
        assert!(
            said.len() == 1 && said[0].contains(why),
            "{id}: {why}\n{}",
            ran.all()
        );
        assert_eq!(left(&stage, id), *before, "{id}: {why}");
    }
    assert_eq!(left(&stage, cleaned), "");
    let here: String = here
        .split_inclusive('\n')
        .filter(|line| !line.contains('\t'))
        .collect();
    assert_eq!(
        left(&stage, foreign),
        here,
        "of another clone's bead only the remote branch goes"
    );
    assert_eq!(stage.read("strange/file"), "theirs");
    stage
        .sh("git ls-remote --exit-code origin main; git status --porcelain; test -f a.txt")
        .ok();
}

fn sweeps() {
    // Run in the clone, with $id and $tree.
    let crashed = [
        "true",
        "git push --quiet origin :agent/$id",
        "git push --quiet origin :agent/$id; git -C $tree checkout --quiet --detach",
        "git push --quiet origin :agent/$id; git -C $tree checkout --quiet --detach; git branch --quiet -D agent/$id",
        "mkdir -p $root/.trash; mv $tree $root/.trash/$id-0",
        "git push --quiet origin :agent/$id; git update-ref -d refs/heads/agent/$id; mkdir -p $root/.trash; mv $tree $root/.trash/$id-0; rm -r $root/.trash/$id-0/.git",
        "git worktree remove $tree",
        "git worktree remove $tree; git branch --quiet -D agent/$id",
        "git worktree remove $tree; git push --quiet origin :agent/$id",
        "rm -r $tree",
    ];
    let count = crashed.len();
    let stage = landed(count);
    for (id, crash) in ids(count).iter().zip(crashed) {
        stage
            .sh(&format!(
                "id={id} root=../work.worktrees tree=../work.worktrees/{id}\n{crash}"
            ))
            .ok();
    }
    stage.sh("git worktree add --quiet --detach ../work.worktrees/.merge-other; touch .git/beadline/merge-other.lock").ok();
    // A landing that is under way keeps its worktree, a person's lock, too.
    stage.sh("git worktree add --quiet --detach ../work.worktrees/.merge-busy
              git worktree add --quiet --detach ../work.worktrees/.merge-locked; git worktree lock ../work.worktrees/.merge-locked").ok();
    let ran = stage
        .sh("flock .git/beadline/merge-busy.lock wt-clean --all < /dev/null")
        .code(1);
    assert_eq!(
        (ran.stdout.as_str(), lines(&ran.stderr, "is locked")),
        ("", 1),
        "{}",
        ran.all()
    );
    let left = stage.sh("ls -A ../work.worktrees; git for-each-ref refs/heads/agent; git ls-remote origin 'refs/heads/agent/*'").ok();
    assert_eq!(left.stdout, ".merge-busy\n.merge-locked\n");
    stage
        .sh("git worktree unlock ../work.worktrees/.merge-locked; wt-clean --all < /dev/null")
        .ok();
    stage.assert_clean();
    stage
        .sh("test ! -e ../work.worktrees; git worktree prune --verbose 2>&1 | (! grep .)")
        .ok();
}
