//! The reviewer, who vouches for a head beside its check. It works in a worktree of its own, which
//! is made for the review and goes with it: what a reviewer writes there lands nowhere, and no
//! other one meets it.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use anyhow::Context;
use git::shell::{self, Command};
use git::{Git, Sha};

use beads::BeadDir;

use crate::gate::facts::Review;
use crate::lane::runner::{Runner, Slot, unlocked};
use crate::review;

/// Names the file that a reviewer writes its verdict to.
const VERDICT: &str = "BEADLINE_VERDICT";

impl Runner {
    /// What the reviewer says of a bead's head.
    ///
    /// # Errors
    /// When git fails, or the reviewer cannot be started.
    pub(crate) fn review(
        &self,
        command: &str,
        id: &str,
        base: Sha,
        head: Sha,
        slot: &Slot,
    ) -> anyhow::Result<Review> {
        let range = format!("{base}...{head}");
        let diff = Git::at(self.tool.repository.common()).run(&[
            "diff",
            "--no-color",
            "--no-ext-diff",
            &range,
        ])?;
        let tree = self.anew(head, slot)?;
        let desk = Desk::new(&self.tool.repository.folder(id))?;
        let mut variables = shell::environment(&self.args.furnish.launch.env);
        variables.extend([
            ("BEAD_ID".into(), id.replace('\0', "").into()),
            ("BEAD_HEAD".into(), head.to_string().into()),
            (VERDICT.into(), desk.file().into()),
        ]);
        let input = (diff + "\n").into_bytes();
        let review = Command {
            line: command,
            launcher: self.args.furnish.launch.of_checks(),
            dir: tree.path(),
            variables,
            marker: &slot.marker,
            input,
            with_stderr: false,
            timeout: self.args.wait,
        };
        let ended = unlocked(&tree, || review.run())?;
        // A run that failed has not ended its say.
        let review = match ended.code {
            Some(0) => review::read(&desk.file()),
            _ => Review::Undecided(ended.how()),
        };
        if let Err(err) = self.put_away(&slot.path) {
            self.tool.pipe.remark(&format!("{err:#}"));
        }
        Ok(review)
    }
}

/// The folder in which one review leaves its verdict: empty before, gone after.
struct Desk(PathBuf);

impl Desk {
    fn new(folder: &BeadDir) -> anyhow::Result<Self> {
        let desk = Self(folder.review());
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
