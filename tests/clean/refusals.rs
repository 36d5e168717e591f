//! What is never deleted.

use libtest_mimic::Trial;
use serde_json::json;

use super::{ids, landed, left};
use crate::stage::test;

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
        ran.says_of(id, why);
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

pub(super) fn trial() -> Trial {
    test(
        "wt-clean: what it must never delete stays, is named with the reason, and the rest goes on",
        refusals,
    )
}
