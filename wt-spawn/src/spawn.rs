//! What happens to one bead: claim, fetch, worktree, includes, set-up, mark.

use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, mpsc};
use std::thread;

use anyhow::{Context, anyhow, ensure};
use beads::lock::Held;
use beads::{Bead, Hand, Phase, Status, Tool, time};
use git::process::Marker;
use git::shell;
use git::worktree::{self, NewWorktree};
use git::{Base, Identity, Look, Root, Together, require_branch};

use crate::jobs::Jobs;
use crate::obstacle::{Failure, Intake, Obstacle};
use crate::start::{Start, has_landed, may_have_landed};
use crate::{Args, host};

pub(crate) struct Spawn<'a> {
    pub(crate) tool: &'a Tool,
    pub(crate) args: &'a Args,
    pub(crate) look: Look,
    pub(crate) root: Root,
    /// Known once it was asked for.
    pub(crate) base: OnceLock<Base>,
    /// The pattern of the agents' branches, such as `agent/*`.
    pub(crate) branches: String,
    pub(crate) fetches: Together<Option<Start>>,
    jobs: Jobs,
    intake: Intake,
    identity: Identity,
}

/// Beads in hand at a time: more than are made, as those that wait together share one fetch.
const IN_HAND: usize = 32;

/// What was decided about a bead under its lock.
pub(crate) enum Stand {
    /// It is to be claimed.
    Free,
    /// Its worktree is to be made whole.
    Ours,
    /// It goes on as it is.
    Passes,
    /// It is not printed.
    Left,
}

pub(crate) fn run(tool: &Tool, args: &Args) -> anyhow::Result<()> {
    shell::watch(&tool.pipe)?;
    let Some(star) = args.branch.split_once("{id}") else {
        tool.pipe.usage("--branch: the template lacks {id}");
    };
    let look = Look::open(&tool.repository)?;
    let has_remote = look.has_remote(&args.remote.name);
    if tool.repository.host().is_none() && !args.dry.run {
        host::name(&tool.repository)?;
    }
    let root = Root::new(
        &tool.repository,
        &args.common.dir,
        args.under.dir.as_deref(),
    )?;
    let end = star.1.rsplit_once("{id}").map_or(star.1, |(_, end)| end);
    let (sender, beads) = mpsc::channel();
    let spawn = Spawn {
        tool,
        args,
        look,
        root,
        base: OnceLock::new(),
        branches: format!("{}*{end}", star.0),
        fetches: Together::default(),
        jobs: Jobs::new(args.jobs),
        intake: Intake::new(tool, sender.clone()),
        identity: Identity::default(),
    };
    if args.dry.run || args.base.is_some() || !has_remote {
        spawn.base()?;
    }
    if !has_remote {
        tool.pipe.remark(&format!(
            "no remote '{}': the base is the local branch",
            args.remote.name
        ));
    }
    let (reader, retry, lost_after) = (tool.clone(), args.retry, args.lost_after);
    let takes_over = move |tool: &Tool, bead: &Bead| {
        tool.lost(bead, lost_after) || (retry && is_elsewhere(tool, bead))
    };
    tool.feed(&args.beads, move |bead| match bead {
        // Repaired even when an agent has it already; anything later needs no worktree from here.
        Some(bead) if bead.phase() > Phase::Working && !takes_over(&reader, &bead) => {
            reader.pipe.emit(&bead);
        }
        more => drop(sender.send(more)),
    });
    let beads = Mutex::new(beads);
    thread::scope(|scope| {
        for _ in 0..IN_HAND.max(args.jobs) {
            scope.spawn(|| {
                loop {
                    let next = beads.lock().map(|beads| beads.recv());
                    let Ok(Ok(Some(bead))) = next else { break };
                    if !spawn.intake.is_closed() {
                        spawn.one(bead);
                    }
                }
                // The next one is to end, too.
                spawn.intake.end();
            });
        }
    });
    Ok(())
}

/// Under way in another clone.
pub(crate) fn is_elsewhere(tool: &Tool, bead: &Bead) -> bool {
    bead.under_way() && !tool.repository.owns(&bead.facts().host)
}

impl Spawn<'_> {
    fn one(&self, bead: Bead) {
        let id = bead.id().to_owned();
        if self.args.dry.run {
            if let Err(err) = self.preview(&bead) {
                self.tool.pipe.fail(&id, &err);
            }
            return;
        }
        let hand = match self.tool.lock(bead) {
            Ok(Some(hand)) => hand,
            Ok(None) => return,
            Err(err) => return self.tool.pipe.fail(&id, &err),
        };
        if let Err(failure) = self.in_hand(hand) {
            self.tool.pipe.fail(&id, &failure.err);
            self.intake.note(Err(&failure));
        }
    }

    fn in_hand(&self, hand: Hand) -> Result<(), Failure> {
        match self.stand(hand.bead())? {
            Stand::Left => return Ok(()),
            Stand::Free => return self.take(hand),
            Stand::Passes => {}
            Stand::Ours => {
                let made = self.make_whole(&hand, None);
                self.intake.note(made.as_ref().map(drop));
                if let Err(failure) = made {
                    hand.fail(&failure.err);
                    return Ok(());
                }
            }
        }
        self.tool.pipe.emit(&hand.done()?);
        Ok(())
    }

    /// Claims a free bead and makes its worktree. In this order: a clone in which nobody can commit,
    /// that cannot reach its remote, or has no turn for a worktree, is to take no bead from others.
    fn take(&self, mut hand: Hand) -> Result<(), Failure> {
        let id = hand.bead().id().to_owned();
        let (repository, env) = (&self.tool.repository, &self.args.furnish.launch.env);
        let committer = self.identity.require(repository, env);
        let start = match committer.and_then(|()| self.fetch_base()) {
            Ok(start) => start,
            Err(err) => {
                self.intake.out_of_reach(&id, &err);
                return Ok(());
            }
        };
        self.require_own_branch(hand.bead())?;
        let _turn = self.jobs.turn();
        if self.intake.is_closed() {
            self.intake.leave(&id);
            return Ok(());
        }
        let taken_over = hand.bead().under_way();
        match self.claim(&mut hand)? {
            Stand::Left => return Ok(()),
            Stand::Passes => {}
            Stand::Free | Stand::Ours => {
                let made = self.make_whole(&hand, Some(&start));
                self.intake.note(made.as_ref().map(drop));
                if let Err(Failure { err, .. }) = made {
                    // What cannot be undone is there, and so is the next run's.
                    match !taken_over && self.undo(&hand, &start).unwrap_or(false) {
                        true => hand.give_back(&err),
                        false => hand.fail(&err),
                    }
                    return Ok(());
                }
            }
        }
        self.tool.pipe.emit(&hand.done()?);
        Ok(())
    }

    /// Decides whether a bead is to be had, and says who has it otherwise.
    pub(crate) fn stand(&self, bead: &Bead) -> Result<Stand, Failure> {
        let phase = bead.phase();
        if bead.under_way() && !is_elsewhere(self.tool, bead) {
            return Ok(if phase > Phase::Working {
                Stand::Passes
            } else {
                Stand::Ours
            });
        }
        if phase == Phase::Merged {
            return Ok(Stand::Passes);
        }
        if let Some(fault) = bead.fault() {
            return Err(anyhow!("{fault}").into());
        }
        let retried = self.args.retry && (bead.status() == Status::Blocked || bead.under_way());
        let retried = retried || self.tool.lost(bead, self.args.lost_after);
        let free = bead.is_open(time::now()) && (bead.assignee().is_empty() || bead.claimed());
        if !free && !retried {
            let assigned = || format!("left: assigned to '{}'", bead.assignee());
            let why = self.tool.foreign(bead).unwrap_or_else(assigned);
            self.tool.pipe.say(bead.id(), &why);
            return Ok(Stand::Left);
        }
        if phase > Phase::Working && !retried {
            return Err(anyhow!("not to be claimed in this state").into());
        }
        // Else the remote is asked first.
        if self.base.get().is_some() {
            self.require_own_branch(bead)?;
        }
        self.require_space()
            .map_err(|err| Obstacle::Space.met(err))?;
        Ok(Stand::Free)
    }

    /// Refuses a bead whose branch would be the base, or none.
    pub(crate) fn require_own_branch(&self, bead: &Bead) -> anyhow::Result<()> {
        let (branch, base) = (self.branch(bead), &self.base()?.branch);
        ensure!(branch != *base, "its branch would be the base, '{base}'");
        require_branch(&branch, base)
    }

    /// Claims a free bead, unless another one is faster.
    fn claim(&self, hand: &mut Hand) -> anyhow::Result<Stand> {
        let host = self
            .tool
            .repository
            .host()
            .context("the clone has no name")?
            .to_owned();
        let (phase, id) = (hand.bead().phase(), hand.bead().id().to_owned());
        let (change, said) = self.claim_of(hand.bead())?;
        if !hand.claim(&host, change)? {
            return Ok(Stand::Left);
        }
        self.tool.pipe.say(&id, said);
        Ok(if phase == Phase::PrCreated {
            Stand::Passes
        } else {
            Stand::Ours
        })
    }

    /// Brings a bead of ours to its full state. Nothing is done when it is there already, or when
    /// an agent lives in it. `start`: what the remote says, of a bead whose turn it is already.
    fn make_whole(&self, hand: &Hand, start: Option<&Start>) -> Result<(), Failure> {
        let bead = hand.bead();
        let marker = Marker::of(&self.tool.repository, bead.id());
        if bead.phase() == Phase::Working {
            let held = Held::now().contains(&hand.folder().hold_lock());
            if held || marker.is_carried() {
                return Ok(());
            }
        }
        let facts = bead.facts();
        let (path, branch) = (PathBuf::from(&facts.worktree), facts.branch.clone());
        self.require_place(bead)?;
        require_branch(&branch, &facts.base)?;
        let fresh = facts.run == facts.run_from && facts.round == 0;
        let local = self.look.commit(&format!("refs/heads/{branch}"))?;
        let spent = local.filter(|local| fresh && may_have_landed(bead, *local));
        let (has_turn, mut start) = (start.is_some(), start.cloned());
        if spent.is_some() && start.is_none() {
            start = Some(self.fetch_base()?);
        }
        let old_work = match spent.zip(start.as_ref()) {
            Some((local, start)) => has_landed(&self.look, bead, local, start.at)?,
            None => false,
        };
        let found = worktree::complete(&self.look, &path)?;
        let tree = found.map(|found| found.put_right(&branch)).transpose()?;
        if let Some(tree) = &tree
            && !old_work
        {
            let full = format!("refs/heads/{branch}");
            let on = worktree::head(&self.look, tree)?.0;
            return match local {
                // Deleted under its worktree.
                None if on.as_deref() == Some(&full) => Ok(worktree::restore_branch(
                    &self.look,
                    tree,
                    &full,
                    hand.lock(),
                )?),
                _ => Ok(()),
            };
        }
        if tree.is_none() {
            worktree::require_replaceable(&self.look, &path)?;
        }
        if path.exists() {
            // A set-up of a run that was killed may still be at work there.
            marker.end();
        }
        let start = match start {
            Some(start) => start,
            None => self.fetch_base()?,
        };
        let _turn = (!has_turn).then(|| self.jobs.turn());
        self.place_branch(bead, &start, tree.as_ref(), hand)?;
        if tree.is_some() {
            return Ok(());
        }
        let new = NewWorktree {
            root: &self.root,
            path: &path,
            branch: Some(&branch),
            start: start.at,
            lock: hand.lock(),
        };
        let tree = new
            .make(&self.tool.repository, &self.look)
            .map_err(|err| Obstacle::Worktree.met(err))?;
        let main = self.tool.repository.main();
        let filled = self.args.furnish.fill(main, &path, bead.id(), &marker);
        filled.map_err(|err| Obstacle::SetUp.met(err))?;
        NewWorktree::finish(&tree)?;
        self.tool
            .pipe
            .say(bead.id(), &format!("worktree '{}'", path.display()));
        Ok(())
    }
}
