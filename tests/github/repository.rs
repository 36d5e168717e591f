//! A stage whose remote is `https://github.com/acme/demo.git`, as far as the programs can tell.

use serde_json::Value;

use super::fake::{Fake, TOKEN};
use crate::forge::committed;
use crate::stage::proxy::Proxy;
use crate::stage::{Stage, task};

/// The double, the gateway before it, and the stage.
pub(super) struct Repository {
    pub(super) fake: Fake,
    pub(super) proxy: Proxy,
}

impl Repository {
    /// A stage with one commit on `main`, and these beads.
    pub(super) fn stage(beads: &[Value]) -> (Self, Stage) {
        let mut stage = Stage::new(beads);
        let fake = Fake::on(&stage.path(""));
        let proxy = Proxy::to(&fake.host());
        let host = proxy.host();
        stage
            .sh(&format!(
                "git remote set-url origin https://github.com/acme/demo.git
                 git config --global url.http://{host}/git/remote.git.insteadOf https://github.com/acme/demo.git"
            ))
            .ok();
        stage.set("GITHUB_API_URL", &format!("http://{host}"));
        stage.set("GH_TOKEN", TOKEN);
        (Self { fake, proxy }, stage)
    }
}

/// A stage whose beads have open pull requests, numbered in this order; each made by shell lines on
/// its branch.
pub(super) fn pulled(work: &[(&str, &str)]) -> (Repository, Stage) {
    let beads: Vec<Value> = work.iter().map(|(id, _)| task(id)).collect();
    let (repository, stage) = Repository::stage(&beads);
    committed(&stage, work);
    let ids: Vec<&str> = work.iter().map(|(id, _)| *id).collect();
    stage.sh(&format!("pr-open {}", ids.join(" "))).ok();
    (repository, stage)
}

/// One bead with an open pull request.
pub(super) fn one() -> (Repository, Stage) {
    pulled(&[("t-1", "echo work > w.txt")])
}

/// The subjects on `main`, first parents only, oldest first, without the first.
pub(super) fn landed(stage: &Stage) -> Vec<String> {
    let script = "git -C ../remote.git log --first-parent --reverse --format=%s main | tail -n +2";
    let said = stage.sh(script).ok().stdout;
    said.lines().map(str::to_owned).collect()
}

#[track_caller]
pub(super) fn assert_landed(stage: &Stage, ids: &[&str]) {
    for id in ids {
        let bead = stage.bead(id);
        assert_eq!(bead["status"], "closed", "{bead}");
        assert_eq!(bead["metadata"]["phase"], "merged", "{bead}");
    }
    let wanted: Vec<String> = ids.iter().map(|id| format!("Task {id} ({id})")).collect();
    assert_eq!(landed(stage), wanted);
}
