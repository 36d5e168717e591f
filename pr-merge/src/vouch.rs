//! The reviewer, who vouches for a head beside its check.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use beads::Bead;
use git::process::Marker;
use git::shell::{self, Command};
use git::{Git, Sha};

use crate::facts::Review;
use crate::lane::Lanes;
use crate::review;

/// Names the file that a reviewer writes its verdict to.
const VERDICT: &str = "BEADLINE_VERDICT";

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
        let desk = Desk::new(self.tool.repository.folder(bead.id()).path())?;
        let mut variables = shell::environment(&self.args.furnish.env);
        variables.extend([
            ("BEAD_ID".into(), bead.id().replace('\0', "").into()),
            ("BEAD_HEAD".into(), head.to_string().into()),
            (VERDICT.into(), desk.file().into()),
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
        // A run that failed has not ended its say.
        Ok(match ended.code {
            Some(0) => review::read(&desk.file()),
            _ => Review::Undecided(ended.how()),
        })
    }
}

/// The folder in which one review leaves its verdict: empty before, gone after.
struct Desk(PathBuf);

impl Desk {
    fn new(folder: &Path) -> anyhow::Result<Self> {
        let desk = Self(folder.join("review"));
        desk.clear();
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&desk.0)
            .with_context(|| format!("cannot make '{}'", desk.0.display()))?;
        Ok(desk)
    }

    fn file(&self) -> PathBuf {
        self.0.join("verdict.json")
    }

    fn clear(&self) {
        let _ = fs::remove_dir_all(&self.0).or_else(|_| fs::remove_file(&self.0));
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.clear();
    }
}
