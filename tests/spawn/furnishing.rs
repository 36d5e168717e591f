//! What a new worktree is furnished with: included files, and the set-up.

use libtest_mimic::Trial;
use serde_json::json;

use super::{assert_whole, elsewhere, ids, tree};
use crate::stage::{Stage, test};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "wt-spawn: .worktreeinclude brings ignored files along, and only those",
            || {
                let stage = Stage::with_tasks(1);
                stage.sh("printf '.env\\n/cache/\\n/deep/\\n*.key\\n' >> .gitignore; git commit --quiet -am ignore; git push --quiet
                      mkdir -p cache/in deep/er
                      for file in .env cache/a cache/b cache/in/c deep/er/d no.key free.txt; do echo main > $file; done
                      ln -s /etc/passwd cache/link; chmod +x cache/a; echo changed > a.txt
                      printf '# what to bring\\n.env\\ncache/*\\n!cache/b\\ndeep/\\nfree.txt\\na.txt\\n' > .worktreeinclude").ok();
                stage.sh("wt-spawn t-1").ok();
                let there = stage.sh("cd ../work.worktrees/t-1; find . -not -type d -not -name .git | sort; test -x cache/a; readlink cache/link; cat a.txt").ok();
                assert_eq!(
                    there.stdout,
                    "./.env\n./.gitignore\n./a.txt\n./cache/a\n./cache/in/c\n./cache/link\n./deep/er/d\n/etc/passwd\none\n"
                );
            },
        ),
        test(
            "wt-spawn: an include replaces nothing, and follows no symbolic link of the branch",
            || {
                let stage = Stage::with_tasks(1);
                stage.sh("printf '.env\\n/out/\\n' >> .gitignore; git commit --quiet -am ignore; git push --quiet
                      mkdir -p out/a/b; echo mine > out/a/b/c; echo mine > .env; printf '.env\\nout/\\n' > .worktreeinclude").ok();
                elsewhere(&stage, "mkdir ../outside; ln -s ../../outside out; echo theirs > .env; git add -f out .env
                git commit --quiet -m tempting; git push --quiet");
                stage
                    .sh("wt-spawn t-1")
                    .code(1)
                    .says("t-1: cannot bring along 'out/a/b/c': it would land outside");
                stage.sh("test -z \"$(ls -A ../outside)\"").ok();
                stage
                    .sh("echo .env > .worktreeinclude; bd-ready --resume | wt-spawn")
                    .ok();
                assert_eq!(stage.read("work.worktrees/t-1/.env"), "theirs\n");
            },
        ),
        test(
            "wt-spawn: the set-up sees the allowed variables and no token",
            || {
                let mut stage = Stage::with_tasks(1);
                for name in [
                    "GH_TOKEN",
                    "GITHUB_TOKEN",
                    "GITEA_TOKEN",
                    "SECRET",
                    "BEADS_DIR_X",
                    "KEPT",
                    "LC_TIME",
                ] {
                    stage.set(name, "value");
                }
                stage
                    .sh("wt-spawn --env KEPT --setup 'env > ../seen; pwd >> ../seen' t-1")
                    .ok();
                let seen = stage.read("work.worktrees/seen");
                for has in [
                    "KEPT=value",
                    "LC_TIME=value",
                    "PATH=",
                    "HOME=",
                    "BD_READONLY=1",
                    "BEAD_ID=t-1",
                    "BEADLINE_HOLD=",
                ] {
                    assert!(
                        seen.lines().any(|line| line.starts_with(has)),
                        "{has}\n{seen}"
                    );
                }
                for lacks in ["_TOKEN", "SECRET", "BEADS_", "GIT_DIR", "BEADLINE_BIN"] {
                    assert!(!seen.contains(lacks), "{lacks}\n{seen}");
                }
                assert!(
                    seen.ends_with(&format!("{}\n", tree(&stage, "t-1").display())),
                    "{seen}"
                );
            },
        ),
        test(
            "wt-spawn: a set-up that fails is kept as error and its bead given back; the next run starts afresh and succeeds",
            || {
                let stage = Stage::with_tasks(2);
                let ran = stage
                .sh("bd-ready | wt-spawn --setup 'echo junk > junk; echo out; echo boom >&2; [ $BEAD_ID != t-1 ]'")
                .code(1)
                .says("t-1: set-up failed: exit 1: ");
                assert_eq!(ran.ids(), ["t-2"]);
                let bead = stage.bead("t-1");
                let facts = &bead["metadata"];
                assert_eq!(
                    (&bead["status"], &bead["assignee"]),
                    (&json!("open"), &json!(""))
                );
                assert!(facts["error"].as_str().unwrap().contains("boom"), "{facts}");
                assert!(
                    facts["error_at"].as_str().unwrap().starts_with("20"),
                    "{facts}"
                );
                stage.sh("rm ../work.worktrees/t-2/junk; bd-ready --resume | wt-spawn --setup 'test ! -e junk'").ok();
                assert_whole(&stage, &ids(2));
            },
        ),
        test("wt-spawn: what a set-up leaves running is ended", || {
            let stage = Stage::with_tasks(1);
            stage.sh("wt-spawn --setup 'sleep 300 & setsid sleep 300 & trap \"\" TERM; (sleep 300) & true' t-1").ok();
            assert_eq!(stage.processes(), Vec::<String>::new());
            assert_whole(&stage, &ids(1));
        }),
        test(
            "wt-spawn: a set-up reads nothing of the pipe and writes nothing into it",
            || {
                let stage = Stage::with_tasks(4);
                let ran = stage
                    .sh("bd-ready | wt-spawn --jobs 1 --setup 'cat; echo chatter'")
                    .ok();
                assert_eq!(ran.ids(), ids(4));
            },
        ),
    ]
}
