//! Whether a branch has work to hand on: what the base lacks, of objects that are what their names
//! say, and what passes the check.

use std::path::Path;

use anyhow::bail;
use beads::{Hand, Outcome, tail};
use git::shell::{Command, Judged};
use git::{Base, Proof, Sha, Trace};

use crate::gitlinks::Gitlinks;
use crate::judge::{Failure, Judge, Verdict};

/// Lines and bytes of a failed check that are kept as feedback.
const FEEDBACK: (usize, usize) = (100, 8 << 10);

impl Judge<'_> {
    /// Whether the branch has work that the base lacks, and the work passes its check.
    pub(crate) fn work(self, hand: &Hand, path: &Path) -> anyhow::Result<Verdict> {
        let facts = hand.bead().facts();
        let full = format!("refs/heads/{}", facts.branch);
        let head = self.look.commit(&full)?;
        let no_change = || Verdict::Not(Failure::new(Outcome::NoChange, ""));
        let failed = |why: &str| Verdict::Not(Failure::new(Outcome::Failed, why));
        let Some(head) = head else {
            return Ok(no_change());
        };
        let base = self.base(&facts.base)?;
        if let Some(base) = base
            && self.look.merge_base(base, head)?.is_none()
        {
            return Ok(failed(&format!(
                "the branch {} has no history in common with {}: put the work on top of {1}",
                facts.branch, facts.base
            )));
        }
        if let Err(err) = self.look.require_genuine_work(head, base) {
            let why = format!("the branch {} cannot be taken: {err:#}", facts.branch);
            return Ok(failed(&why));
        }
        if let Some(base) = base
            && !self.is_new(head, base)?
        {
            return Ok(no_change());
        }
        let gitlinks = Gitlinks {
            look: self.look,
            repository: &self.tool.repository,
            remote: self.remote,
            worktree: path,
        };
        let fork = match base {
            Some(base) => self.look.merge_base(base, head)?,
            None => None,
        };
        if let Some(why) = gitlinks.refused(fork, head)? {
            return Ok(failed(&why));
        }
        let Some(line) = self.check else {
            return Ok(Verdict::Done(head));
        };
        let mut variables = self.variables;
        variables.push(("BEAD_ID".into(), hand.bead().id().replace('\0', "").into()));
        let check = Command {
            line,
            launcher: self.launcher,
            dir: path,
            variables,
            marker: self.marker,
            input: Vec::new(),
            with_stderr: true,
            timeout: self.timeout,
        };
        let ended = check.run()?;
        match ended.judged() {
            Judged::Passed => return Ok(Verdict::Done(head)),
            Judged::Failed | Judged::Died => {}
            // It says nothing of the work.
            Judged::NotRun | Judged::Later => bail!(
                "the check did not run: {}: {}",
                ended.how(),
                tail(&ended.output, 1, FEEDBACK.1 - 200)
            ),
        }
        let output = tail(&ended.output, FEEDBACK.0, FEEDBACK.1 - 200);
        Ok(failed(&format!(
            "the check failed: {}\n{output}",
            ended.how()
        )))
    }

    /// Where the base is now. `None`: the clone has no remote, and no such branch.
    fn base(&self, branch: &str) -> anyhow::Result<Option<Sha>> {
        let remote = self.look.has_remote(self.remote);
        let base = Base {
            remote: remote.then(|| self.remote.to_owned()),
            branch: branch.to_owned(),
        };
        let repository = &self.tool.repository;
        let asked = self.bases.of(branch);
        let at = asked.ask(|| base.now(repository, self.look))?;
        if at.is_none() && remote {
            bail!("the base branch '{branch}' is not on the remote");
        }
        Ok(at)
    }

    /// Whether `head` has something that the base lacks, or has no more.
    fn is_new(&self, head: Sha, base: Sha) -> anyhow::Result<bool> {
        if self.look.contains(base, head)? {
            return Ok(false);
        }
        if let Some(fork) = self.look.merge_base(base, head)?
            && self.look.tree(fork)? == self.look.tree(head)?
        {
            return Ok(false);
        }
        let common = self.tool.repository.common();
        let trace = Proof::default().trace(self.look, common, base, head)?;
        Ok(!matches!(trace, Trace::Stands(_)))
    }
}
