//! One bead and its agent: hold ready → write → go → wait → judge → write.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use agent::{End, Order, Prompt, command_line};
use anyhow::{Context, ensure};
use beads::lock::{self, Held};
use beads::store::now;
use beads::{Bead, Change, Hand, Name, Outcome, Phase, Tool};
use git::process::Marker;
use git::{Look, shell, worktree};
use jiff::SignedDuration;
use serde_json::json;

use crate::Args;
use crate::judge::{Judge, Verdict};

/// Runs of one round after which a bead goes to a person, whatever the runs cost.
const RUNS: u64 = 20;

/// The first pause after a failed run; each further one doubles it.
const PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// Attends to agents: the same one for all of them.
pub(crate) struct Attendant {
    tool: Tool,
    args: Args,
    prompt: Prompt,
    look: Look,
}

/// What became of a bead.
#[expect(clippy::large_enum_variant, reason = "short-lived, one at a time")]
pub(crate) enum After {
    /// Its work is committed: to be printed.
    Done(Bead),
    /// It is to run again, from its `not_before` on.
    Again(Hand),
    /// It is a person's, or left for the next run: said already.
    Left,
}

impl Attendant {
    pub(crate) fn new(tool: &Tool, args: Args) -> anyhow::Result<Self> {
        let prompt = Prompt::load(args.prompt.as_deref())?;
        let look = Look::open(&tool.repository)?;
        Ok(Self {
            tool: tool.clone(),
            args,
            prompt,
            look,
        })
    }

    /// Whether a run of the bead was started and has no verdict yet: an earlier program started
    /// it, and its agent may even live.
    pub(crate) fn is_to_be_judged(bead: &Bead) -> bool {
        bead.phase() == Phase::Working && bead.facts().outcome.is_none()
    }

    /// Brings a bead to the end of one run.
    pub(crate) fn attend(&self, mut hand: Hand) -> anyhow::Result<After> {
        if Self::is_to_be_judged(hand.bead()) {
            lock::wait_free(&hand.folder().hold_lock()).context("cannot wait for its agent")?;
            return Ok(self.finish(hand));
        }
        match self.run(&mut hand) {
            Ok(true) => Ok(self.finish(hand)),
            Ok(false) => Ok(After::Left),
            Err(err) => {
                hand.fail(&err);
                Ok(After::Left)
            }
        }
    }

    /// Runs the agent once. `false`, and said: the bead was taken away before it started.
    fn run(&self, hand: &mut Hand) -> anyhow::Result<bool> {
        let bead = hand.bead().clone();
        let facts = bead.facts();
        let path = PathBuf::from(&facts.worktree);
        ensure!(
            path.file_name() == Some(Name::of(bead.id()).as_str().as_ref()),
            "its worktree '{}' is another bead's",
            path.display()
        );
        let git_dir = worktree::complete(&self.look, &path)?.with_context(|| {
            format!(
                "its worktree '{}' is not complete: run wt-spawn first",
                path.display()
            )
        })?;
        // Never two agents in one worktree: one may live although its lock is gone.
        lock::wait_free(&hand.folder().hold_lock())?;
        Marker::of(&self.tool.repository, bead.id()).end();

        let prompt = git_dir.join("beadline-prompt");
        let (run, attempt) = (facts.run + 1, facts.attempt + 1);
        let order = Order {
            id: bead.id(),
            token: bead.assignee(),
            run,
            worktree: &path,
            prompt: &prompt,
            agent: command_line(self.args.agent.as_deref().unwrap_or_default()),
            launcher: self.args.launcher.as_deref(),
            max_agents: self.args.max_agents,
            timeout: self.args.timeout,
            stall: self.args.stall,
            variables: self.variables(&bead, run, attempt, &prompt),
        };
        let mut holder = order.start(&self.tool.repository)?;
        if let Err(err) = holder.wait_ready() {
            // Ended while it waited for a slot, because a person took the bead away?
            return if hand.still_ours()? {
                Err(err)
            } else {
                Ok(false)
            };
        }
        if !hand.still_ours()? || self.is_stopped(&bead) {
            holder.drop_it();
            return Ok(false);
        }
        // As the bead is now: it may have waited for long.
        fs::write(&prompt, self.prompt.fill(hand.bead())?)
            .with_context(|| format!("cannot write '{}'", prompt.display()))?;
        let start = Change::default().facts(&json!({
            "phase": Phase::Working,
            "agent_pid": holder.pid(),
            "run": run,
            "attempt": attempt,
            "outcome": "",
            "not_before": "",
            "error": "",
            "error_at": "",
        }));
        if !hand.record(&start)? {
            holder.drop_it();
            return Ok(false);
        }
        // Asked again, as agent-stop ends what Beads calls working: what it did not see, this sees.
        if self.is_stopped(&bead) {
            holder.drop_it();
            return Ok(false);
        }
        self.tool
            .pipe
            .say(bead.id(), &format!("agent started, run {run}"));
        holder.go()?;
        Ok(true)
    }

    /// Whether all lines were told to start nothing more; said, if so.
    fn is_stopped(&self, bead: &Bead) -> bool {
        let stopped = self.tool.repository.stopped_since(self.tool.start);
        if stopped {
            let what = "left for the next run: stopped";
            self.tool.pipe.say(bead.id(), what);
        }
        stopped
    }

    /// Judges a run that is over, and writes the verdict.
    fn finish(&self, mut hand: Hand) -> After {
        let judged = self.judge(&mut hand);
        match judged.and_then(|verdict| match verdict {
            Some(verdict) => self.write(&mut hand, &verdict),
            None => Ok(Next::Left),
        }) {
            Ok(Next::Done) => match hand.done() {
                Ok(bead) => After::Done(bead),
                Err(_) => After::Left,
            },
            Ok(Next::Again) => After::Again(hand),
            Ok(Next::Left) => After::Left,
            Err(err) => {
                hand.fail(&err);
                After::Left
            }
        }
    }

    /// `None`, and said: a person has taken the bead away, or stopped its agent.
    fn judge(&self, hand: &mut Hand) -> anyhow::Result<Option<Verdict>> {
        let marker = Marker::of(&self.tool.repository, hand.bead().id());
        // Its supervisor is gone: what still lives is nobody's.
        ensure!(
            !Held::now().contains(&hand.folder().hold_lock()),
            "its agent is alive"
        );
        marker.end();
        if !hand.still_ours()? || self.was_stopped(hand) {
            return Ok(None);
        }
        let end = End::read(&hand.folder().end_record(hand.bead().facts().run));
        let judge = Judge {
            look: &self.look,
            tool: &self.tool,
            remote: &self.args.remote.name,
            check: self.args.check.as_deref(),
            timeout: self.args.timeout,
            variables: shell::environment(&self.args.env),
            marker: &marker,
        };
        let verdict = judge.verdict(hand, end.as_ref())?;
        // The judging may have taken as long as a check takes.
        if !hand.still_ours()? || self.was_stopped(hand) {
            return Ok(None);
        }
        Ok(Some(verdict))
    }

    /// Whether `agent-stop` has written its word; said, if so.
    fn was_stopped(&self, hand: &Hand) -> bool {
        let stopped = hand.bead().facts().outcome == Some(Outcome::Stopped);
        if stopped {
            self.tool
                .pipe
                .complain(&format!("{}: its agent was stopped", hand.bead().id()));
        }
        stopped
    }

    fn write(&self, hand: &mut Hand, verdict: &Verdict) -> anyhow::Result<Next> {
        let bead = hand.bead();
        let (id, facts) = (bead.id().to_owned(), bead.facts().clone());
        let log = hand.folder().log(facts.run);
        let say = |what: &str| {
            self.tool
                .pipe
                .say(&id, &format!("run {} ended: {what}", facts.run));
        };
        if let Verdict::Done(head) = verdict {
            let change = Change::default().facts(&json!({
                "phase": Phase::Committed,
                "outcome": Outcome::Done,
                "head": head.to_string(),
                "error": "",
                "error_at": "",
            }));
            if !hand.record(&change)? {
                return Ok(Next::Left);
            }
            say("done");
            return Ok(Next::Done);
        }
        let Verdict::Not { outcome, why } = verdict else {
            return Ok(Next::Left);
        };
        let free = matches!(
            outcome,
            Outcome::RateLimited | Outcome::Interrupted | Outcome::Stopped
        );
        let attempt = facts.attempt.saturating_sub(u64::from(free));
        let runs = facts.run.saturating_sub(facts.run_from);
        let used_up = attempt >= self.args.attempts || runs >= RUNS;
        let told = json!({"outcome": outcome, "attempt": attempt, "feedback": why});
        if *outcome == Outcome::NoChange || used_up {
            let note = format!("{}, see {}", summary(*outcome, why), log.display());
            let note = if used_up {
                format!("attempts used up; last: {note}")
            } else {
                note
            };
            if hand.record(&Change::to_person(&id, &note).facts(&told))? {
                say(&format!(
                    "{}: blocked, a person has to look at it",
                    summary(*outcome, why)
                ));
            }
            return Ok(Next::Left);
        }
        let pause = match outcome {
            Outcome::Interrupted | Outcome::Stopped => Duration::ZERO,
            Outcome::RateLimited => pause(runs),
            _ => pause(attempt),
        };
        let not_before = now() + SignedDuration::try_from(pause)?;
        let change = Change::default()
            .facts(&told)
            .facts(&json!({"not_before": not_before}));
        if !hand.record(&change)? {
            return Ok(Next::Left);
        }
        say(&format!(
            "{}: runs again in {} s",
            summary(*outcome, why),
            pause.as_secs()
        ));
        Ok(Next::Again)
    }

    fn variables(
        &self,
        bead: &Bead,
        run: u64,
        attempt: u64,
        prompt: &Path,
    ) -> Vec<(std::ffi::OsString, std::ffi::OsString)> {
        // The kernel takes no NUL and no 128 KiB in one variable.
        let title: String = bead
            .title()
            .chars()
            .filter(|c| *c != '\0')
            .take(1000)
            .collect();
        let mut variables = shell::environment(&self.args.env);
        variables.extend([
            ("BEAD_ID".into(), bead.id().replace('\0', "").into()),
            ("BEAD_TITLE".into(), title.into()),
            ("BEAD_RUN".into(), run.to_string().into()),
            ("BEAD_ATTEMPT".into(), attempt.to_string().into()),
            ("BEAD_ROUND".into(), bead.facts().round.to_string().into()),
            ("BEAD_PROMPT".into(), prompt.into()),
        ]);
        variables
    }
}

enum Next {
    Done,
    Again,
    Left,
}

/// 10 s, 20 s, 40 s, … after the first, second, third failure.
fn pause(failures: u64) -> Duration {
    let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    PAUSE
        .saturating_mul(2_u32.saturating_pow(doublings))
        .min(LONGEST_PAUSE)
}

/// The outcome in a few words: the first line of the reason is enough.
fn summary(outcome: Outcome, why: &str) -> String {
    let name = serde_json::to_value(outcome).ok();
    let name = name
        .as_ref()
        .and_then(|name| name.as_str())
        .unwrap_or_default()
        .replace('_', " ");
    match why.lines().next() {
        Some(first) if !first.is_empty() => format!("{name} ({first})"),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_five_minutes() {
        let seconds: Vec<u64> = (1..8).map(|n| pause(n).as_secs()).collect();
        assert_eq!(seconds, [10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(pause(u64::MAX), LONGEST_PAUSE);
    }
}
