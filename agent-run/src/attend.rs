//! One bead and its agent: hold ready → write → go → wait → judge → write.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use agent::{End, Order, Preset, Prompt, spent_in, words};
use anyhow::{Context, ensure};
use beads::lock::{self, Held};
use beads::time::now;
use beads::{Bead, Change, Fact, Hand, Name, Outcome, Phase, Tool, Usage};
use git::process::Marker;
use git::{Apart, Look, OWN_GIT, forget_altered, put, shell, worktree};

use crate::Args;
use crate::bases::Bases;
use crate::judge::{Judge, Verdict};
use crate::next::{Limits, Next, next};
use crate::obstacle::Obstacle;

/// Why a bead is let go of.
pub(crate) const STOPPED: &str = "left for the next run: stopped";
pub(crate) const NO_MORE: &str = "left for the next run: no agent can work";

/// Attends to agents: the same one for all of them.
pub(crate) struct Attendant {
    tool: Tool,
    args: Args,
    agent: String,
    prompt: Prompt,
    look: Look,
    bases: Bases,
    no_more: AtomicBool,
}

/// What became of a bead.
pub(crate) enum After {
    /// Its work is committed: to be printed.
    Done(Bead),
    /// It is to run again, from its `not_before` on, after it met this.
    Again(Hand, Option<Obstacle>),
    /// It is a person's: its attempts are used up, or it lacks something else.
    Blocked,
    /// While it waited for a slot the budget was reached: it waits on.
    Waits(Hand),
    /// It was taken away, or is left for the next run: said already.
    Left,
}

/// What became of a start.
enum Start {
    /// The agent has run.
    Ran,
    /// As `After` has them.
    Waits,
    Left,
}

impl Attendant {
    pub(crate) fn new(tool: &Tool, args: Args, agent: String) -> anyhow::Result<Self> {
        let prompt = Prompt::load(args.prompt.as_deref(), tool.repository.main())?;
        let look = Look::open(&tool.repository)?;
        Ok(Self {
            tool: tool.clone(),
            args,
            agent,
            prompt,
            look,
            bases: Bases::default(),
            no_more: AtomicBool::new(false),
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
            Ok(Start::Ran) => Ok(self.finish(hand)),
            Ok(Start::Waits) => Ok(After::Waits(hand)),
            Ok(Start::Left) => Ok(After::Left),
            Err(err) => {
                hand.fail(&err);
                Ok(After::Left)
            }
        }
    }

    /// Runs the agent once.
    fn run(&self, hand: &mut Hand) -> anyhow::Result<Start> {
        let bead = hand.bead().clone();
        let facts = bead.facts();
        let path = PathBuf::from(&facts.worktree);
        ensure!(
            path.file_name() == Some(Name::of(bead.id()).as_str().as_ref()),
            "its worktree '{}' is another bead's",
            path.display()
        );
        let found = worktree::complete(&self.look, &path)?.with_context(|| {
            format!(
                "its worktree '{}' is not complete: run wt-spawn first",
                path.display()
            )
        })?;
        // Never two agents in one worktree: one may live although its lock is gone.
        lock::wait_free(&hand.folder().hold_lock())?;
        Marker::of(&self.tool.repository, bead.id()).end();
        // A check may have been there since the last verdict.
        let tree = found.put_right(&facts.branch)?;
        forget_altered(self.tool.repository.common(), &path)?;
        let (repository, folder) = (&self.tool.repository, hand.folder());
        let apart = Apart::new(repository, &self.look, &folder, &facts.branch);
        // Of a run that was stopped: it had no verdict.
        apart.take_over(Some(&tree), hand.lock())?;
        apart.remove()?;

        // Where no agent behind a launcher can put a link to something else.
        let prompt = hand.folder().prompt();
        let mut usage = self.usage(hand);
        if let Some(why) = self.args.allowance.exceeded(&usage.total) {
            let note = format!("{why}: let it use more, for another agent");
            if hand.record(&Change::to_person(bead.id(), &note).facts([Fact::Usage(usage)]))? {
                let what = format!("{why}: blocked, a person has to look at it");
                self.tool.pipe.say(bead.id(), &what);
            }
            return Ok(Start::Left);
        }
        let (run, attempt) = (facts.run + 1, facts.attempt + 1);
        let head = self.look.commit(&format!("refs/heads/{}", facts.branch))?;
        let mut variables = self.variables(&bead, run, attempt, &prompt);
        if self.args.launch.of_agents().is_some() {
            apart.prepare()?;
            variables.push((OWN_GIT.into(), apart.dir().into()));
        }
        let order = Order {
            id: bead.id(),
            token: bead.assignee(),
            run,
            worktree: &path,
            prompt: &prompt,
            head: head.map(|sha| sha.to_string()).unwrap_or_default(),
            agent: &self.agent,
            allowance: self.args.allowance.less(&usage.total),
            launcher: self.args.launch.of_agents(),
            max_agents: self.args.agents.max,
            timeout: self.args.timeout,
            stall: self.args.stall,
            variables,
        };
        let mut holder = order.start(&self.tool.repository)?;
        if let Err(err) = holder.wait_ready() {
            // Ended while it waited for a slot, because a person took the bead away?
            return if hand.still_ours()? {
                Err(err)
            } else {
                Ok(Start::Left)
            };
        }
        if !hand.still_ours()? || self.is_stopped(&bead) || self.is_pointless(&bead) {
            holder.cancel();
            return Ok(Start::Left);
        }
        match self.has_reached_budget() {
            Ok(false) => {}
            other => {
                holder.cancel();
                return other.map(|_| Start::Waits);
            }
        }
        // As the bead is now: it may have waited for long.
        put(&prompt, self.prompt.fill(hand.bead())?.as_bytes())
            .with_context(|| format!("cannot write '{}'", prompt.display()))?;
        usage.start(run, now());
        let start = Change::to(Phase::Working).facts([
            Fact::AgentPid(holder.pid()),
            Fact::Run(run),
            Fact::Attempt(attempt),
            Fact::Usage(usage),
        ]);
        if !hand.record(&start)? {
            holder.cancel();
            return Ok(Start::Left);
        }
        // Asked again, as agent-stop ends what Beads calls working: what it did not see, this sees.
        if self.is_stopped(&bead) {
            holder.cancel();
            return Ok(Start::Left);
        }
        self.tool
            .pipe
            .say(bead.id(), &format!("agent started, run {run}"));
        holder.go()?;
        Ok(Start::Ran)
    }

    /// Whether the budget is reached by what Beads shows: another line may have started agents while
    /// ours waited for a slot.
    fn has_reached_budget(&self) -> anyhow::Result<bool> {
        let budget = &self.args.budget;
        Ok(budget.is_set()
            && budget
                .standing(&self.tool.all()?, 0, now())
                .reached
                .is_some())
    }

    /// From here on nothing is started, those that wait for a slot included.
    pub(crate) fn start_no_more(&self) {
        self.no_more.store(true, Ordering::Relaxed);
    }

    /// Whether no line is to start anything more; said, if so.
    fn is_stopped(&self, bead: &Bead) -> bool {
        let is_stopped = self
            .tool
            .repository
            .state_dir()
            .stopped_since(self.tool.start);
        if is_stopped {
            self.tool.pipe.say(bead.id(), STOPPED);
        }
        is_stopped
    }

    /// Whether no agent can work; said, if so. A start that stands in Beads is carried out all the
    /// same, as the attempt would be lost.
    fn is_pointless(&self, bead: &Bead) -> bool {
        let no_more = self.no_more.load(Ordering::Relaxed);
        if no_more {
            self.tool.pipe.say(bead.id(), NO_MORE);
        }
        no_more
    }

    /// Judges a run that is over, and writes the verdict.
    fn finish(&self, mut hand: Hand) -> After {
        let judged = self.judge(&mut hand);
        match judged.and_then(|verdict| match verdict {
            Some(verdict) => self.write(&mut hand, &verdict),
            None => Ok(None),
        }) {
            Ok(Some(Next::Done)) => match hand.done() {
                Ok(bead) => After::Done(bead),
                Err(_) => After::Left,
            },
            Ok(Some(Next::Again(obstacle))) => After::Again(hand, obstacle),
            Ok(Some(Next::Blocked)) => After::Blocked,
            Ok(None) => After::Left,
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
            agent: &self.agent,
            tool: &self.tool,
            remote: &self.args.remote.name,
            bases: &self.bases,
            check: self.args.check.command.as_deref(),
            launcher: self.args.launch.of_checks(),
            timeout: self.args.timeout,
            variables: shell::environment(&self.args.launch.env),
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

    fn write(&self, hand: &mut Hand, verdict: &Verdict) -> anyhow::Result<Option<Next>> {
        let bead = hand.bead();
        let (id, run) = (bead.id().to_owned(), bead.facts().run);
        let log = hand.folder().log(run);
        let usage = self.usage(hand);
        let limits = Limits {
            attempts: self.args.attempts,
            allowance: &self.args.allowance,
        };
        let (change, next, said) = next(bead, verdict, &usage, &limits, &log, now())?;
        if !hand.record(&change)? {
            return Ok(None);
        }
        self.tool.pipe.say(&id, &format!("run {run} ended: {said}"));
        Ok(Some(next))
    }

    /// What the bead has used, its runs that have ended since included. Of one without an end record
    /// counts what its log tells.
    fn usage(&self, hand: &Hand) -> Usage {
        let mut usage = hand.bead().facts().usage.clone();
        for run in usage.unended() {
            let (at, spent) = match End::read(&hand.folder().end_record(run)) {
                Some(end) => (end.ended_at, end.said.spent),
                None => (now(), spent_in(&hand.folder().log(run), words(&self.agent))),
            };
            usage.end(run, at, &spent);
        }
        usage
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
        let preset = Preset::named(&self.agent).map_or(&[][..], |preset| preset.variables);
        let extra = preset.iter().map(ToString::to_string);
        let extra: Vec<String> = extra.chain(self.args.launch.env.iter().cloned()).collect();
        let mut variables = shell::environment(&extra);
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
