//! Our check, on the very commit that would land: what it says, and of whom.
//!
//! Nobody is blamed for a base that is red by itself, nor for a check that could not run.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use beads::tail;
use forge::Method;
use git::Sha;
use git::shell::{self, Command, Judged};

use crate::gate::facts::Check;
use crate::lane::checked::Checked;
use crate::lane::group::Group;
use crate::lane::runner::{Runner, Slot, in_tree};

/// Lines and bytes of a check's output that are kept.
const KEPT: (usize, usize) = (100, 7 << 10);

/// How a check ended.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) judged: Judged,
    /// In words.
    pub(crate) how: String,
    /// The same, with the end of its output.
    pub(crate) said: String,
}

/// A group that was tested.
pub(crate) struct Tested {
    /// As it would land.
    pub(crate) group: Group,
    pub(crate) run: Run,
    /// How the run before the last one ended, where that came to something else.
    pub(crate) before: Option<String>,
    /// How long the last run took; `None`: an earlier program has tested this very commit.
    pub(crate) took: Option<Duration>,
}

/// What a check of one alone comes to, where the same check says this of the base.
pub(crate) fn blame(work: &Run, base: Judged) -> Check {
    match (work.judged, base) {
        (Judged::Passed, _) => Check::Green,
        (Judged::NotRun, _) => Check::CannotRun(work.how.clone()),
        (Judged::Later, _) | (_, Judged::Later) => Check::Later(work.how.clone()),
        (_, Judged::Failed | Judged::Died) => Check::RedBase(work.how.clone()),
        // Where the base lacks the check, what that says of the work stands alone.
        (_, Judged::Passed | Judged::NotRun) => Check::Red(work.said.clone()),
    }
}

impl Runner {
    /// Tests a group. One that is alone, or the tip, is tested again when it fails: by `--retries`,
    /// and once in any case when the check died. `ends`: what it says is waited for no more.
    ///
    /// # Errors
    /// When git fails, or the check cannot be started.
    pub(crate) fn test(
        &self,
        mut group: Group,
        command: &str,
        slot: &Slot,
        ends: &AtomicBool,
    ) -> anyhow::Result<Tested> {
        // A tree that cannot be furnished is what the test itself will say.
        if self.args.method == Method::Rebase
            && !group.members.is_empty()
            && let Ok(tree) = self.tree_at(group.tip, slot)?
        {
            self.rebase(&mut group, &tree, &slot.lock)?;
        }
        let state = self.tool.repository.state_dir();
        let main = self.tool.repository.main();
        let fingerprint = || self.args.furnish.fingerprint(main, command);
        let print = fingerprint()?;
        let checked = Checked::new(&state, &print);
        let commit = group.commit();
        if checked.has(commit) {
            let run = Run {
                judged: Judged::Passed,
                how: "exit 0".to_owned(),
                said: String::new(),
            };
            let (before, took) = (None, None);
            return Ok(Tested {
                group,
                run,
                before,
                took,
            });
        }
        let id = match &group.members[..] {
            [one] => Some(one.id.replace('\0', "")),
            // Set for a base alone, too: a check may insist.
            [] => Some(String::new()),
            _ => None,
        };
        let of = id.clone().filter(|id| !id.is_empty());
        let of = of.unwrap_or_else(|| group.base.clone());
        let mut left = if id.is_some() { self.args.retries } else { 0 };
        let (mut before, mut died) = (None, false);
        loop {
            let begun = Instant::now();
            let run = self.run(command, id.as_deref(), commit, slot, ends)?;
            let again = match run.judged {
                Judged::Failed => left > 0,
                Judged::Died => id.is_some() && (left > 0 || !died),
                Judged::Passed | Judged::NotRun | Judged::Later => false,
            };
            if !again || ends.load(Ordering::Relaxed) {
                // Of what was changed meanwhile nobody knows which of the two has passed. A verdict that
                // cannot be kept costs another run, at the most.
                if run.judged == Judged::Passed && fingerprint()? == print {
                    let _ = checked.add(commit);
                }
                let took = Some(begun.elapsed());
                return Ok(Tested {
                    group,
                    run,
                    before,
                    took,
                });
            }
            let what = if run.judged == Judged::Died {
                "died"
            } else {
                "failed"
            };
            self.tool
                .pipe
                .say(&of, &format!("the check {what} ({}): once more", run.how));
            died |= run.judged == Judged::Died;
            left = left.saturating_sub(1);
            before = Some(run.how);
        }
    }

    fn run(
        &self,
        command: &str,
        id: Option<&str>,
        commit: Sha,
        slot: &Slot,
        ends: &AtomicBool,
    ) -> anyhow::Result<Run> {
        let tree = match self.tree_at(commit, slot)? {
            Ok(tree) => tree,
            Err(why) => {
                return Ok(Run {
                    judged: Judged::Failed,
                    how: "its worktree could not be set up".to_owned(),
                    said: tail(&why, KEPT.0, KEPT.1).to_owned(),
                });
            }
        };
        // Whoever has ended it by now found nothing to end.
        ensure!(!ends.load(Ordering::Relaxed), "nobody waits for it");
        let mut variables = shell::environment(&self.args.furnish.launch.env);
        variables.extend(id.map(|id| ("BEAD_ID".into(), id.into())));
        let check = Command {
            line: command,
            launcher: self.args.furnish.launch.of_checks(),
            dir: tree.path(),
            variables,
            marker: &slot.marker,
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
