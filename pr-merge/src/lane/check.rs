//! Our check, on the very commit that would land: what it says, and of whom.
//!
//! Nobody is blamed for a base that is red by itself, nor for a check that could not run.

use std::time::{Duration, Instant};

use beads::lock::Lock;
use beads::{Bead, tail};
use git::shell::{self, Command, Judged};
use git::{Sha, worktree};

use crate::gate::facts::Check;
use crate::lane::Lanes;
use crate::lane::tree::in_tree;

/// Lines and bytes of a check's output that are kept.
const KEPT: (usize, usize) = (100, 7 << 10);

/// After so long a check that asked for another time is run again.
const LATER: Duration = Duration::from_mins(1);

/// How a check ended.
struct Run {
    judged: Judged,
    /// In words.
    how: String,
    /// The same, with the end of its output.
    said: String,
}

/// What a check of a merge comes to, where the same check says this of the base alone: asked for
/// only if the merge is red.
fn blame(work: &Run, base: Judged) -> Check {
    match (work.judged, base) {
        (Judged::Passed, _) => Check::Green,
        (Judged::NotRun, _) => Check::CannotRun(work.how.clone()),
        (Judged::Later, _) | (_, Judged::Later) => Check::Later(work.how.clone()),
        (_, Judged::Failed | Judged::Died) => Check::RedBase(work.how.clone()),
        // Where the base lacks the check, what that says of the work stands alone.
        (_, Judged::Passed | Judged::NotRun) => Check::Red(work.said.clone()),
    }
}

/// When a check that came to this may be run again on the same commit; `None`: it need not be.
pub(super) fn again(check: &Check) -> Option<Instant> {
    matches!(check, Check::Later(_)).then(|| Instant::now() + LATER)
}

impl Lanes<'_> {
    /// Runs the check on the very commit that would land; where that is red, on the base, too.
    pub(super) fn check(
        &mut self,
        bead: &Bead,
        base_head: Sha,
        commit: Sha,
        lane: &Lock,
    ) -> anyhow::Result<Check> {
        let Some(command) = self.args.check.command.clone() else {
            return Ok(Check::NotAsked);
        };
        let base = bead.facts().base.clone();
        let id = bead.id().replace('\0', "");
        let work = self.settled(&command, &id, commit, &base, lane)?;
        let alone = match work.judged {
            Judged::Failed | Judged::Died => self.base_alone(&command, base_head, &base, lane)?,
            Judged::Passed | Judged::NotRun | Judged::Later => Judged::Passed,
        };
        Ok(blame(&work, alone))
    }

    /// What the check says of a base by itself: asked once for each commit.
    fn base_alone(
        &mut self,
        command: &str,
        at: Sha,
        base: &str,
        lane: &Lock,
    ) -> anyhow::Result<Judged> {
        if let Some(known) = self.bases.get(&at) {
            return Ok(*known);
        }
        let run = self.settled(command, "", at, base, lane)?;
        if run.judged != Judged::Later {
            self.bases.insert(at, run.judged);
        }
        if matches!(run.judged, Judged::Failed | Judged::Died) {
            self.tool.pipe.remark(&format!(
                "the check fails on {base} itself, at {at} ({}): nobody is sent back for that",
                run.how
            ));
        }
        Ok(run.judged)
    }

    /// Runs the check; once more, if it died.
    fn settled(
        &self,
        command: &str,
        id: &str,
        commit: Sha,
        base: &str,
        lane: &Lock,
    ) -> anyhow::Result<Run> {
        let first = self.run(command, id, commit, base, lane)?;
        if first.judged != Judged::Died {
            return Ok(first);
        }
        let of = if id.is_empty() { base } else { id };
        self.tool
            .pipe
            .say(of, &format!("the check died ({}): once more", first.how));
        self.run(command, id, commit, base, lane)
    }

    fn run(
        &self,
        command: &str,
        id: &str,
        commit: Sha,
        base: &str,
        lane: &Lock,
    ) -> anyhow::Result<Run> {
        let tree = self.tree_at(commit, base, lane)?;
        let mut variables = shell::environment(&self.args.furnish.launch.env);
        // Set for a base alone, too: a check may insist.
        variables.push(("BEAD_ID".into(), id.into()));
        let marker = worktree::marker(&self.tool.repository, tree.path());
        let check = Command {
            line: command,
            launcher: self.args.furnish.launch.of_checks(),
            dir: tree.path(),
            variables,
            marker: &marker,
            input: Vec::new(),
            with_stderr: true,
            timeout: self.args.wait,
        };
        let ended = in_tree(&tree, || check.run())?;
        let how = ended.how();
        let output = tail(&ended.output, KEPT.0, KEPT.1);
        Ok(Run {
            judged: ended.judged(),
            said: format!("{how}\n{output}"),
            how,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_to_blame() {
        let of = |judged, base| {
            let (how, said) = ("how".to_owned(), "said".to_owned());
            blame(&Run { judged, how, said }, base)
        };
        let how = || "how".to_owned();
        let all = [
            Judged::Passed,
            Judged::Failed,
            Judged::Died,
            Judged::NotRun,
            Judged::Later,
        ];
        for base in all {
            assert_eq!(of(Judged::Passed, base), Check::Green);
            assert_eq!(of(Judged::NotRun, base), Check::CannotRun(how()));
            assert_eq!(of(Judged::Later, base), Check::Later(how()));
        }
        for red in [Judged::Failed, Judged::Died] {
            for base in [Judged::Failed, Judged::Died] {
                assert_eq!(of(red, base), Check::RedBase(how()));
            }
            for base in [Judged::Passed, Judged::NotRun] {
                assert_eq!(of(red, base), Check::Red("said".to_owned()));
            }
            assert_eq!(of(red, Judged::Later), Check::Later(how()));
        }
    }
}
