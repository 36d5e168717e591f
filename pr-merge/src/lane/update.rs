//! Bringing a branch up to date with its base, and telling such heads from somebody's work.

use anyhow::{Context, ensure};
use beads::lock::Lock;
use beads::{Bead, Change, Fact, Hand};
use forge::{Pull, State, Unread};
use git::{Git, Sha, failed};

use crate::gate::verdict::{On, Verdict};
use crate::lane::{Lanes, pushed};
use crate::turn::{self, Place, Stand};

/// No branch was brought up to date more often.
const UPDATES: usize = 200;

impl Lanes {
    /// Pushes the clean merge of base and head to the branch, if that is still at this head.
    ///
    /// # Errors
    /// When git fails, or the branch has moved.
    pub(super) fn update(
        &mut self,
        hand: &mut Hand,
        base_head: Sha,
        tree: Sha,
        lane: &Lock,
    ) -> anyhow::Result<Option<Verdict>> {
        let head = pushed(hand.bead())?;
        let (branch, base) = {
            let facts = hand.bead().facts();
            (facts.branch.clone(), facts.base.clone())
        };
        // What has landed since the look may have put it behind.
        let id = hand.bead().id();
        let holder = self.turns.entry(base.clone()).or_insert(id.to_owned());
        if holder != id {
            return Ok(Some(turn::after(holder)));
        }
        let git = Git::at(self.tool.repository.common()).holding(lane);
        let message = format!("Merge {base} into {branch}");
        let commit = git.run(&[
            "-c",
            "commit.gpgsign=false",
            "commit-tree",
            &tree.to_string(),
            "-p",
            &head.to_string(),
            "-p",
            &base_head.to_string(),
            "-m",
            &message,
        ])?;
        let commit = Sha::from_hex(commit.as_bytes())?;
        if !hand.still_ours()? {
            return Ok(None);
        }
        let full = format!("refs/heads/{branch}");
        let lease = format!("--force-with-lease={full}:{head}");
        let what = format!("{commit}:{full}");
        let remote = &self.args.forge.remote.name;
        let args = ["push", "--porcelain", &lease, "--", remote, &what];
        let ran = git.with_hooks().output(&args)?;
        // Refused, or the answer was lost: the remote decides.
        if ran.code != Some(0) {
            let git = Git::at(self.tool.repository.common());
            let at = git.remote_commit(remote, &full).map_err(Unread::of)?;
            ensure!(at == Some(commit), failed(&["push"], &ran));
        }
        if !record(hand, commit)? {
            return Ok(None);
        }
        self.tool
            .pipe
            .say(hand.bead().id(), &format!("brought up to date with {base}"));
        let why = format!("it was brought up to date with {base}");
        Ok(Some(Verdict::Wait(On::Machine, why)))
    }

    /// Takes a head for ours that is our work and clean merges of the base: a program that was
    /// killed has pushed it, or somebody has pressed the forge's button.
    ///
    /// # Errors
    /// When git or Beads fails.
    pub(crate) fn adopt(&mut self, hand: &mut Hand, pull: Option<&Pull>) -> anyhow::Result<()> {
        let ours = pushed(hand.bead())?;
        let open = pull.filter(|pull| pull.state == State::Open && pull.report.is_some());
        let Some((head, base)) = open.and_then(|pull| pull.head.zip(pull.base_head)) else {
            return Ok(());
        };
        if head == ours || self.args.dry.run {
            return Ok(());
        }
        let facts = hand.bead().facts().clone();
        self.fetch(&facts.branch, head)?;
        self.fetch(&facts.base, base)?;
        if self.same_work(head, base)?.contains(&ours) && record(hand, head)? {
            self.tool.pipe.say(
                hand.bead().id(),
                &format!("its branch was brought up to date with {}", facts.base),
            );
        }
        Ok(())
    }

    /// Where a pull request stands on its way to its base; `None`: its forge checks nothing.
    ///
    /// # Errors
    /// When commits cannot be read.
    pub(crate) fn place<'b>(
        &mut self,
        bead: &'b Bead,
        pull: &Pull,
        verdict: &Verdict,
    ) -> anyhow::Result<Option<Place<'b>>> {
        let open = pull.state == State::Open && pull.report.is_some();
        let Some(base) = pull.base_head.filter(|_| open) else {
            return Ok(None);
        };
        let head = pushed(bead)?;
        let stand = match verdict {
            Verdict::Update => Stand::Behind,
            Verdict::Wait(On::Machine, _) if self.look.contains(head, base)? => Stand::Checked,
            _ => Stand::Apart,
        };
        Ok(Some(Place {
            id: bead.id(),
            base: &bead.facts().base,
            updates: self.same_work(head, base)?.len() - 1,
            stand,
        }))
    }

    /// A head, and those before it that it differs from by nothing but clean merges of the base.
    ///
    /// # Errors
    /// When commits cannot be read.
    pub(super) fn same_work(&mut self, head: Sha, base: Sha) -> anyhow::Result<Vec<Sha>> {
        let mut heads = vec![head];
        let mut at = head;
        while heads.len() < UPDATES
            && self.look.has(at)
            && let [before, merged] = self.look.parents(at)?[..]
            && self.look.contains(base, merged)?
            && !self.look.contains(base, before)?
            && self.is_clean_merge(at, before, merged)?
        {
            heads.push(before);
            at = before;
        }
        Ok(heads)
    }

    pub(super) fn is_clean_merge(
        &mut self,
        merge: Sha,
        one: Sha,
        two: Sha,
    ) -> anyhow::Result<bool> {
        if let Some(known) = self.updates.get(&merge) {
            return Ok(*known);
        }
        let tree = self.merge_tree(one, two)?;
        let is_clean = tree == Some(self.look.tree(merge)?);
        self.updates.insert(merge, is_clean);
        Ok(is_clean)
    }
}

fn record(hand: &mut Hand, head: Sha) -> anyhow::Result<bool> {
    hand.record(&Change::default().facts([Fact::Pushed(head.to_string())]))
        .context("cannot record the new head")
}
