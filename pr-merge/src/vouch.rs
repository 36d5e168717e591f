//! Who vouches for a landing: the reviewer, and the check on the very commit that would land.

use std::fs;
use std::path::PathBuf;

use beads::lock::Lock;
use beads::{Bead, tail};
use git::process::Marker;
use git::shell::{self, Command};
use git::worktree::{self, Plan};
use git::{Git, Sha};

use crate::gate::{Check, Review};
use crate::lane::Lanes;

/// Lines and bytes of a check's or a reviewer's output that are kept.
const KEPT: (usize, usize) = (100, 7 << 10);

impl Lanes<'_> {
    pub(super) fn review(&self, bead: &Bead, base: Sha, head: Sha) -> anyhow::Result<Review> {
        let Some(line) = &self.args.review else {
            return Ok(Review::NotAsked);
        };
        let range = format!("{base}...{head}");
        let diff = Git::at(self.tool.repository.common()).run(&[
            "diff",
            "--no-color",
            "--no-ext-diff",
            &range,
        ])?;
        let marker = Marker::of(&self.tool.repository, &format!("review {}", bead.id()));
        let mut variables = shell::environment(&self.args.furnish.env);
        variables.extend([
            ("BEAD_ID".into(), bead.id().replace('\0', "").into()),
            ("BEAD_HEAD".into(), head.to_string().into()),
        ]);
        let dir = self.tool.repository.main();
        let input = (diff + "\n").into_bytes();
        let review = Command {
            line,
            dir,
            variables,
            marker: &marker,
            input,
            with_stderr: false,
            timeout: self.args.wait,
        };
        let ended = review.run()?;
        let words = tail(&ended.output, KEPT.0, KEPT.1).to_owned();
        Ok(match ended.code {
            Some(0) => Review::Approved,
            Some(1) => Review::SentBack(words),
            _ => Review::Undecided(ended.how()),
        })
    }

    /// Runs the check on the very commit that would land.
    pub(super) fn check(&self, bead: &Bead, commit: Sha, lane: &Lock) -> anyhow::Result<Check> {
        let Some(command) = &self.args.check else {
            return Ok(Check::NotAsked);
        };
        let base = &bead.facts().base;
        let path = self.tree_at(commit, base, lane)?;
        let mut variables = shell::environment(&self.args.furnish.env);
        variables.push(("BEAD_ID".into(), bead.id().replace('\0', "").into()));
        let check = Command {
            line: command,
            dir: &path,
            variables,
            marker: &self.marker(base),
            input: Vec::new(),
            with_stderr: true,
            timeout: self.args.wait,
        };
        let ended = check.run()?;
        if ended.code == Some(0) {
            return Ok(Check::Green);
        }
        Ok(Check::Red(format!(
            "{}\n{}",
            ended.how(),
            tail(&ended.output, KEPT.0, KEPT.1)
        )))
    }

    /// The worktree of the lane, at `commit`: kept between landings, so that builds stay warm.
    pub(super) fn tree_at(&self, commit: Sha, base: &str, lane: &Lock) -> anyhow::Result<PathBuf> {
        let (path, marker) = (self.root.merge(base), self.marker(base));
        // A check of a program that was killed may still be at work there.
        marker.end();
        if worktree::complete(&self.look, &path)?.is_none() {
            let plan = Plan {
                root: &self.root,
                path: &path,
                branch: None,
                start: commit,
                lock: lane,
            };
            let git_dir = plan.make(&self.tool.repository, &self.look)?;
            self.args
                .furnish
                .fill(self.tool.repository.main(), &path, "", &marker)?;
            Plan::finish(&git_dir)?;
        }
        if let Some(git_dir) = worktree::complete(&self.look, &path)? {
            // Left by a git that was killed: whoever has the lane is alone here.
            let _ = fs::remove_file(git_dir.join("index.lock"));
        }
        let git = Git::at(&path).holding(lane);
        git.run(&[
            "checkout",
            "--quiet",
            "--force",
            "--detach",
            &commit.to_string(),
        ])?;
        // What earlier checks left must not vouch for this one; ignored files stay.
        // Twice: repositories among it go, too.
        git.run(&["clean", "--quiet", "-d", "--force", "--force"])?;
        Ok(path)
    }

    fn marker(&self, base: &str) -> Marker {
        Marker::of(&self.tool.repository, &format!("merge {base}"))
    }
}
