//! What counts as landed: what the base has, and not what it once had.

use libtest_mimic::Trial;
use serde_json::json;

use super::{ask, assert_landed, assert_state, elsewhere, main_head, pulled};
use crate::forge::{fact, on_remote};
use crate::stage::{Stage, test};

/// A bead at its pull request, of two commits, beside a base that has gone on.
fn work() -> Stage {
    let stage = pulled(&[(
        "t-1",
        "echo 1 > 1.txt; git add .; git commit --quiet -m one; printf 'one\\ntwo\\n' > a.txt",
    )]);
    stage
        .sh("echo else > else.txt; git add .; git commit --quiet -m else; git push --quiet")
        .ok();
    stage
}

const SQUASH: &str = "git merge --quiet --squash agent/t-1; git commit --quiet -m squashed";
const MERGE: &str = "git merge --quiet --no-ff -m merged agent/t-1";
const PICK: &str = "git cherry-pick agent/t-1~ agent/t-1 > /dev/null";
const REVERT: &str = "git revert --no-edit HEAD > /dev/null";
const REVERT_MERGE: &str = "git revert --no-edit -m 1 HEAD > /dev/null";
const MORE: &str = "sed -i s/two/three/ a.txt; git commit --quiet -am more";

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "pr-merge: what was landed by hand has landed, whatever was changed since",
            || {
                let stories = [
                    MERGE.to_owned(),
                    SQUASH.to_owned(),
                    PICK.to_owned(),
                    format!("{MERGE}; {MORE}"),
                    format!("{SQUASH}; {MORE}"),
                    format!("{PICK}; {MORE}"),
                    format!("{SQUASH}; {REVERT}; {REVERT}"),
                    format!("{MERGE}; {REVERT_MERGE}; {REVERT}"),
                    "git merge --quiet --no-commit --no-ff agent/t-1; echo 3 >> a.txt; git commit --quiet -am 'merged, with more'".to_owned(),
                    "printf 'one\\nmine\\n' > a.txt; git commit --quiet -am mine; git merge --quiet agent/t-1 || { printf 'one\\nmine\\ntwo\\n' > a.txt; git commit --quiet -am resolved; }".to_owned(),
                ];
                for story in stories {
                    let stage = work();
                    stage.sh(&format!("{story}\ngit push --quiet")).ok();
                    let before = main_head(&stage);
                    let ran = stage.sh("pr-merge --once --no-checks t-1").ok();
                    assert_eq!(ran.ids(), ["t-1"], "{story}\n{}", ran.all());
                    assert_landed(&stage, "t-1");
                    assert_eq!(
                        (main_head(&stage), on_remote(&stage, "refs/beadline/open/*")),
                        (before, String::new()),
                        "{story}"
                    );
                }
            },
        ),
        test(
            "pr-merge: what was reverted has not landed, and a person decides",
            || {
                let stories = [
                    format!("{MERGE}; {REVERT_MERGE}"),
                    format!("{SQUASH}; {REVERT}"),
                    format!("{PICK}; git revert --no-edit HEAD~ > /dev/null"),
                    format!(
                        "{SQUASH}; {REVERT}; {MORE}; echo other >> a.txt; git commit --quiet -am other"
                    ),
                    format!(
                        "{MERGE}; {REVERT_MERGE}; echo other >> a.txt; git commit --quiet -am other"
                    ),
                    "git merge --quiet -s ours -m dropped agent/t-1".to_owned(),
                    format!(
                        "git checkout --quiet -b side; {MERGE}; {REVERT_MERGE}; echo x > x; git add .; git commit --quiet -m x; git checkout --quiet main; git merge --quiet --no-ff -m side side"
                    ),
                ];
                for story in stories {
                    let stage = work();
                    // Some of these change nothing there.
                    let story = story.replace(MORE, "true");
                    stage.sh(&format!("{story}\ngit push --quiet")).ok();
                    let before = main_head(&stage);
                    let ran = stage.sh("pr-merge --once --no-checks t-1").ok();
                    let ran = ran.says("t-1: waits for a person: ");
                    assert_eq!(ran.stdout, "", "{story}\n{}", ran.all());
                    assert_state(&stage, "t-1", "in_progress", "pr_created");
                    assert!(
                        fact(&stage, "t-1", "waits").contains("open the bead again"),
                        "{story}\n{}",
                        ran.all()
                    );
                    assert_eq!(main_head(&stage), before, "{story}");
                    stage.sh("wt-clean --all < /dev/null").ok();
                    assert_ne!(on_remote(&stage, "refs/heads/agent/t-1"), "", "{story}");
                }
            },
        ),
        test(
            "pr-merge: a person's further commit keeps its pull request open, with our part in the base",
            || {
                let stage = work();
                stage
                    .sh(&elsewhere("agent/t-1", "echo theirs > theirs.txt"))
                    .ok();
                let theirs = on_remote(&stage, "refs/heads/agent/t-1");
                stage.sh(&format!("{SQUASH}; git push --quiet")).ok();
                stage
                    .sh("pr-merge --once --no-checks t-1")
                    .ok()
                    .says(&format!("stays open: {theirs}"));
                assert_landed(&stage, "t-1");
                assert_ne!(on_remote(&stage, "refs/beadline/open/agent/t-1"), "");
                ask(
                    &stage,
                    "git cat-file -p refs/beadline/pull/1 | grep '\"state\":\"open\"'",
                );
                let notes = stage.bead("t-1")["notes"].to_string();
                assert!(notes.contains("stays open"), "{notes}");
            },
        ),
        test(
            "pr-merge: what a person landed with a fix-up on top has landed",
            || {
                for how in ["--no-ff -m merged", "--squash"] {
                    let stage = work();
                    stage.sh(&elsewhere("agent/t-1", "echo fixed > a.txt")).ok();
                    stage
                        .sh(&format!(
                            "git fetch --quiet; git merge --quiet {how} origin/agent/t-1
                             git diff --cached --quiet || git commit --quiet -m squashed
                             git push --quiet"
                        ))
                        .ok();
                    let ran = stage.sh("pr-merge --once --no-checks t-1").ok();
                    assert_eq!(ran.ids(), ["t-1"], "{how}\n{}", ran.all());
                    assert_landed(&stage, "t-1");
                    assert_eq!(stage.bead("t-1")["metadata"]["waits"], json!(""));
                }
            },
        ),
    ]
}
