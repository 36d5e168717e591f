//! The verdict on a run: evidence, never the agent's word or its exit status alone.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use agent::{Cause, End, Trouble};
use beads::{Hand, Outcome, Tool};
use git::process::Marker;
use git::{Apart, Git, Look, Sha, worktree};

use crate::bases::Bases;
use crate::escape::{Change, Words, change};
use crate::obstacle::{Obstacle, obstacle};
use crate::settle::settle;

/// Exit status that says "try again later" (`EX_TEMPFAIL` of sysexits.h).
const TRY_LATER: i32 = 75;

/// What a run came to.
pub(crate) enum Verdict {
    /// There is work, all of it committed: the branch's head.
    Done(Sha),
    /// There is not.
    Not(Failure),
}

/// Why there is no work to hand on.
pub(crate) struct Failure {
    pub(crate) outcome: Outcome,
    /// In words, for the agent's next run and for people.
    pub(crate) why: String,
    /// What every other bead would meet as well.
    pub(crate) obstacle: Option<Obstacle>,
    /// How long its model wants it to wait.
    pub(crate) wait: Option<Duration>,
}

impl Failure {
    pub(crate) fn new(outcome: Outcome, why: &str) -> Self {
        Self {
            outcome,
            why: why.to_owned(),
            obstacle: None,
            wait: None,
        }
    }
}

/// What the evidence is looked at with.
pub(crate) struct Judge<'a> {
    pub(crate) look: &'a Look,
    pub(crate) agent: &'a str,
    pub(crate) tool: &'a Tool,
    pub(crate) remote: &'a str,
    pub(crate) bases: &'a Bases,
    pub(crate) check: Option<&'a str>,
    pub(crate) launcher: Option<&'a str>,
    pub(crate) timeout: Duration,
    pub(crate) variables: Vec<(OsString, OsString)>,
    pub(crate) marker: &'a Marker,
}

impl Judge<'_> {
    /// Judges the last run of the bead in hand, of which no process is left. Commits what the
    /// agent left uncommitted, whatever the verdict: nothing is lost.
    ///
    /// # Errors
    /// When git fails, or the check cannot run: no verdict, and no attempt is spent.
    pub(crate) fn verdict(self, hand: &Hand, end: Option<&End>) -> anyhow::Result<Verdict> {
        let path = Path::new(&hand.bead().facts().worktree);
        let branch = &hand.bead().facts().branch;
        let found = worktree::complete(self.look, path)?;
        let tree = found.map(|found| found.put_right(branch)).transpose()?;
        let apart = Apart::new(&self.tool.repository, self.look, &hand.folder(), branch);
        let refused = apart.take_over(tree.as_ref(), hand.lock())?;
        apart.remove()?;
        let unfinished = match &tree {
            Some(tree) => {
                if refused.is_some() {
                    // The index names what was refused: files that are there are added anew.
                    Git::within(tree).run(&["read-tree", "HEAD"])?;
                }
                settle(self.look, hand, tree)?
            }
            None => Some("the agent has removed its worktree".to_owned()),
        };
        let unfinished = refused.or(unfinished);
        let Some(end) = end else {
            return Ok(Verdict::Not(Failure::new(Outcome::Interrupted, "")));
        };
        if let Some(why) = self.escaped(hand, end)? {
            return Ok(Verdict::Not(Failure::new(Outcome::Escaped, &why)));
        }
        let changed = self.head(hand)? != end.head_before;
        let sound = end.status == Some(0);
        // Prose may be a file that the agent shows: believed where nothing speaks against it.
        let trouble = end
            .said
            .trouble
            .filter(|_| end.said.sure || !sound || !changed);
        let verdict = match (judge_end(end, trouble), unfinished) {
            (Some(failure), _) => Verdict::Not(failure),
            (None, Some(why)) => Verdict::Not(Failure::new(Outcome::Failed, &why)),
            (None, None) => self.work(hand, path)?,
        };
        Ok(match verdict {
            Verdict::Not(failure) => Verdict::Not(Failure {
                obstacle: obstacle(end, trouble).filter(|_| !changed),
                wait: end.said.wait.map(Duration::from_secs),
                ..failure
            }),
            done @ Verdict::Done(_) => done,
        })
    }

    /// What the agent has changed outside of its worktree, in words.
    fn escaped(&self, hand: &Hand, end: &End) -> anyhow::Result<Option<String>> {
        let main = self.tool.repository.main();
        let path = Path::new(&hand.bead().facts().worktree);
        let altered = git::altered(self.tool.repository.common(), path);
        if !altered.is_empty() {
            return Ok(Some(format!(
                "it changed what ties its worktree to the clone: {}",
                altered.join(", ")
            )));
        }
        if !main.join(".git").exists() {
            return Ok(None);
        }
        let log = hand.folder().log(hand.bead().facts().run);
        let words = Words {
            log: &log,
            task: &hand.bead().text("description"),
            command_line: self.agent,
            worktree: path,
            head: &self.head(hand)?,
        };
        let there = main.display();
        Ok(match change(main, &words, end)? {
            Some(Change::Escaped(file)) => Some(format!(
                "it changed '{file}' in the main checkout '{there}'"
            )),
            Some(Change::Suspect(file)) => {
                let what = format!(
                    "'{file}' in the main checkout '{there}' was changed while its agent worked, \
                     which names it: by you, or by the agent"
                );
                hand.say(&what);
                None
            }
            None => None,
        })
    }

    /// The commit that the branch is at; empty: none.
    fn head(&self, hand: &Hand) -> anyhow::Result<String> {
        let full = format!("refs/heads/{}", hand.bead().facts().branch);
        let head = self.look.commit(&full)?;
        Ok(head.map(|sha| sha.to_string()).unwrap_or_default())
    }
}

/// What the end of a run says by itself. `None`: nothing against the work that there may be.
fn judge_end(end: &End, trouble: Option<Trouble>) -> Option<Failure> {
    let not = |outcome, why: &str| Some(Failure::new(outcome, why));
    match end.cause {
        // What we did counts, whatever the agent made of it.
        Cause::Timeout => return not(Outcome::Timeout, "the agent's time was up"),
        Cause::Stalled => {
            let why = "the agent neither printed nor changed anything for too long";
            return not(Outcome::Stalled, why);
        }
        Cause::Stopped => return not(Outcome::Stopped, ""),
        Cause::Overspent => return not(Outcome::Stopped, "the agent used more than it may"),
        Cause::NotStarted => return not(Outcome::Failed, "the agent could not be started"),
        Cause::Exited => {}
    }
    if end.status == Some(TRY_LATER) {
        return not(Outcome::RateLimited, "");
    }
    match (trouble, end.status) {
        (Some(Trouble::RateLimited), _) => not(Outcome::RateLimited, ""),
        (Some(Trouble::Unauthorized), _) => {
            not(Outcome::Unauthorized, Obstacle::Unauthorized.why())
        }
        (Some(Trouble::Unreachable), _) => not(Outcome::Failed, Obstacle::Unreachable.why()),
        (Some(Trouble::Other), Some(0)) => not(Outcome::Failed, "the agent says that it failed"),
        (None, Some(0)) => None,
        (_, Some(status)) => not(Outcome::Failed, &format!("the agent ended with {status}")),
        (_, None) => not(Outcome::Failed, "the agent ended with a signal"),
    }
}
