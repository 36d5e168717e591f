//! The reviewer, who vouches for a head beside its check.

use beads::{Bead, tail};
use git::process::Marker;
use git::shell::{self, Command};
use git::{Git, Sha};

use crate::gate::Review;
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
        // One of a program that was killed may still be at work.
        marker.end();
        let mut variables = shell::environment(&self.args.furnish.env);
        variables.extend([
            ("BEAD_ID".into(), bead.id().replace('\0', "").into()),
            ("BEAD_HEAD".into(), head.to_string().into()),
        ]);
        let dir = self.tool.repository.main();
        let input = (diff + "\n").into_bytes();
        let review = Command {
            line,
            launcher: self.args.furnish.launch.of_checks(),
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
}
