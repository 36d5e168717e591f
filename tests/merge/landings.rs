//! The proof that every test with a check makes: what lands is what was tested.

use libtest_mimic::Trial;

use super::{assert_landed, check, landed, main_head, pulled};
use crate::stage::test;

pub(super) fn trial() -> Trial {
    test(
        "pr-merge: what a test's check has not seen green cannot land there, and people can push",
        || {
            let stage = pulled(&[("t-1", "echo 1 > 1.txt")]);
            let (flag, before) = (check(&stage, "test -e 1.txt"), main_head(&stage));
            // The other check notes nothing.
            for untested in ["--no-checks", "--check true"] {
                stage
                    .sh(&format!("pr-merge --once {untested} t-1"))
                    .says("the remote refuses the push: hook declined");
                assert_eq!(main_head(&stage), before);
            }
            let person =
                "echo else > else.txt; git add .; git commit --quiet -m else; git push --quiet";
            stage.sh(person).ok();
            assert_eq!(landed(&stage), ["else"]);
            stage.sh(&format!("pr-merge {flag} t-1")).ok();
            assert_landed(&stage, "t-1");
            assert_eq!(stage.read("green"), main_head(&stage) + "\n");
        },
    )
}
