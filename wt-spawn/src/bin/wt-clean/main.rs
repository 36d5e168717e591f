//! Removes what a landed bead leaves: remote branch, local branch, worktree. Only with proof.
//!
//! Reads `merged_sha`, `pushed`, `branch`, `base`, `worktree`; adds nothing. A crash anywhere is
//! finished by the next run.

mod sweep;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::io::{self, IsTerminal};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use beads::lock::Held;
use beads::{Bead, Common, DryRun, Hand, Ids, Phase, Status, Tool, duration, missing, pipe};
use clap::Parser;
use git::process::Marker;
use git::{
    Apart, Base, Found, Git, Look, Modules, Nested, Proof, Remotes, Root, Sha, Trace, clear_left,
    failed, require_branch, worktree,
};

/// Remove the branches and the worktree of each bead that has landed
#[derive(Parser)]
#[command(
    name = "wt-clean",
    version,
    after_help = "Example: bd-ready --phase merged | wt-clean

It never removes work that is nowhere else: it reports that work, and exits with 1.
Exit status: 0 done, 1 something had to stay or failed, 2 usage."
)]
struct Args {
    #[command(flatten)]
    beads: Ids,

    /// At the end of the input, remove what crashes have left of all beads that have landed
    #[arg(long)]
    all: bool,

    /// Keep the branches
    #[arg(long)]
    keep_branch: bool,

    /// Remove logs of landed beads that are older than TIME
    #[arg(long, env, value_name = "TIME", value_parser = duration, default_value = "720h")]
    keep_logs: Duration,

    #[command(flatten)]
    under: git::Under,

    #[command(flatten)]
    remote: git::Remote,

    #[command(flatten)]
    dry: DryRun,

    #[command(flatten)]
    common: Common,
}

struct Clean<'a> {
    tool: &'a Tool,
    args: &'a Args,
    look: Look,
    proof: Proof,
    root: Root,
    remote: Option<&'a str>,
    /// Where bases are, as the remote has said in this run.
    heard: RefCell<HashMap<String, Sha>>,
}

fn main() -> ExitCode {
    let args: Args = pipe::parse();
    Tool::run("wt-clean", &args.common, |tool| {
        let look = Look::open(&tool.repository)?;
        let root = Root::new(
            &tool.repository,
            &args.common.dir,
            args.under.dir.as_deref(),
        )?;
        let remote = look
            .has_remote(&args.remote.name)
            .then_some(args.remote.name.as_str());
        let clean = Clean {
            tool,
            args: &args,
            look,
            proof: Proof::default(),
            root,
            remote,
            heard: RefCell::default(),
        };
        let at_once = args.all && args.beads.ids.is_empty() && io::stdin().is_terminal();
        let mut named = HashSet::new();
        if !at_once {
            tool.pipe.watch_stdout(|| {});
            for bead in tool.beads(&args.beads) {
                named.extend(clean.one(bead));
            }
        }
        if args.all {
            clean.sweep(&named)
        } else {
            Ok(())
        }
    })
}

impl Clean<'_> {
    /// Returns the id of a bead that had to stay, once its reason was named.
    fn one(&self, bead: Bead) -> Option<String> {
        let id = bead.id().to_owned();
        match self.try_one(bead) {
            Ok(Some(bead)) => self.tool.pipe.emit(&bead),
            Ok(None) => {}
            Err(err) => {
                self.tool.pipe.fail(&id, &err);
                return Some(id);
            }
        }
        None
    }

    fn try_one(&self, bead: Bead) -> anyhow::Result<Option<Bead>> {
        if self.args.dry.run {
            if bead.phase() != Phase::Merged {
                bail!("{}", missing(bead.phase().max(Phase::PrCreated)));
            }
            self.tool.pipe.say(bead.id(), "would be cleaned");
            return Ok(Some(bead));
        }
        let Some(hand) = self.tool.lock(bead)? else {
            return Ok(None);
        };
        let phase = hand.bead().phase();
        if phase != Phase::Merged {
            ensure!(
                hand.bead().status() != Status::Closed,
                "closed without a landing: all of it stays"
            );
            bail!("{}", missing(Phase::PrCreated));
        }
        self.clean(&hand)?;
        hand.folder().drop_logs(self.args.keep_logs);
        hand.forget().map(Some)
    }

    /// Prove → remote branch → detach → local branch → worktree.
    fn clean(&self, hand: &Hand) -> anyhow::Result<()> {
        let bead = hand.bead();
        let facts = bead.facts();
        let sha = |text: &str, what: &str| {
            Sha::from_hex(text.as_bytes()).with_context(|| format!("`{what}` is no commit"))
        };
        let (merged, pushed) = (
            sha(&facts.merged_sha, "merged_sha")?,
            sha(&facts.pushed, "pushed")?,
        );
        require_branch(&facts.branch, &facts.base)?;
        self.require_landed(&facts.base, merged)?;
        let common = self.tool.repository.common();
        if let Trace::Undone { by, .. } = self.proof.trace(&self.look, common, merged, pushed)? {
            bail!("its {merged} lacks the work, which {by} took out");
        }
        let full = format!("refs/heads/{}", facts.branch);
        if !self.tool.repository.owns(&facts.host) {
            return self.drop_remote(hand, &full, pushed);
        }
        let path = Path::new(&facts.worktree);
        let held = Held::now().contains(&hand.folder().hold_lock());
        let alive = held || Marker::of(&self.tool.repository, bead.id()).is_carried();
        ensure!(!alive, "its agent is alive");
        // One of ours, in its place; any other is refused below.
        let found = worktree::complete(&self.look, path)?.filter(|_| self.root.holds(path));
        let tree = found.map(Found::sound).transpose()?;
        // Of a run that had no verdict: its commits may be nowhere else.
        let apart = self.apart(hand);
        if let Some(why) = apart.take_over(tree.as_ref(), hand.lock())? {
            bail!("{why}");
        }
        if let Some(tree) = &tree
            && self.look.commit(&full)?.is_none()
            && worktree::head(&self.look, tree)?.0.as_deref() == Some(&full)
        {
            // Deleted under its worktree: all of it would look changed.
            worktree::restore_branch(&self.look, tree, &full, hand.lock())?;
        }
        let git_dir = worktree::removable(&self.tool.repository, &self.look, &self.root, path)?;
        if let Some(git_dir) = &git_dir {
            self.require_shared(path, git_dir, merged)?;
        }
        let local = self.look.commit(&full)?;
        if let Some(local) = local {
            ensure!(
                self.look.contains(pushed, local)?,
                "its branch {} has commits that have not landed",
                facts.branch
            );
            if let Some(at) = self.look.checked_out(&full)? {
                ensure!(
                    at == path,
                    "its branch {} is checked out at '{}'",
                    facts.branch,
                    at.display()
                );
            }
        }
        let own_git = apart.dir().exists();
        let left = own_git || git_dir.is_some() || (local.is_some() && !self.args.keep_branch);
        if let Some(found) = worktree::known(&self.look, path)? {
            let tree = found.sound()?;
            let (on, at) = worktree::head(&self.look, &tree)?;
            let at = at.context("its worktree has no commit")?;
            ensure!(
                self.look.contains(pushed, at)?,
                "its worktree is at {at}, which has not landed"
            );
            self.drop_remote(hand, &full, pushed)?;
            clear_left(&tree, &facts.branch);
            if on.as_deref() == Some(&full) {
                Git::within(&tree).holding(hand.lock()).run(&[
                    "update-ref",
                    "--no-deref",
                    "HEAD",
                    &at.to_string(),
                ])?;
            }
        } else {
            self.drop_remote(hand, &full, pushed)?;
        }
        if let Some(local) = local
            && !self.args.keep_branch
        {
            // Compare-and-swap: not if it moved since it was judged.
            let args = ["update-ref", "-d", &full, &local.to_string()];
            Git::at(self.tool.repository.common())
                .holding(hand.lock())
                .run(&args)?;
        }
        if let Some(git_dir) = git_dir {
            worktree::remove(&self.root, path, &git_dir)?;
        }
        apart.remove()?;
        if left {
            self.tool.pipe.say(bead.id(), "cleaned");
        }
        Ok(())
    }

    /// What the repositories hold that go with the worktree is elsewhere, too.
    fn require_shared(&self, path: &Path, git_dir: &Path, merged: Sha) -> anyhow::Result<()> {
        let repository = &self.tool.repository;
        let own = self.remote.and_then(|remote| self.look.remote_url(remote));
        let own = own.unwrap_or_else(|| repository.main().display().to_string());
        let shut = [self.root.path(), repository.common()];
        let mut remotes = Remotes::new(repository.main(), &own, &shut);
        remotes.know(&Modules::of(&self.look, merged)?);
        Nested::new(path, git_dir).require_shared(&remotes)
    }

    fn apart<'b>(&'b self, hand: &'b Hand) -> Apart<'b> {
        let branch = &hand.bead().facts().branch;
        Apart::new(&self.tool.repository, &self.look, &hand.folder(), branch)
    }

    /// The base contains the landing, by the remote's word of this run.
    fn require_landed(&self, base: &str, merged: Sha) -> anyhow::Result<()> {
        let heard = self.heard.borrow().get(base).copied();
        if heard.map_or(Ok(false), |at| self.look.contains(at, merged))? {
            return Ok(());
        }
        let base = Base {
            remote: self.remote.map(str::to_owned),
            branch: base.to_owned(),
        };
        let at = base.now(&self.tool.repository, &self.look)?;
        let Base { remote, branch } = base;
        if let Some(at) = at {
            self.heard.borrow_mut().insert(branch.clone(), at);
            if self.look.contains(at, merged)? {
                return Ok(());
            }
        }
        let of = remote.map(|remote| remote + "/").unwrap_or_default();
        bail!("{of}{branch} does not contain its {merged}");
    }

    /// Deletes the remote branch if it is at the head that landed.
    fn drop_remote(&self, hand: &Hand, full: &str, pushed: Sha) -> anyhow::Result<()> {
        let (Some(remote), false) = (self.remote, self.args.keep_branch) else {
            return Ok(());
        };
        let git = Git::at(self.tool.repository.common())
            .holding(hand.lock())
            .with_hooks();
        let lease = format!("--force-with-lease={full}:{pushed}");
        let args = [
            "push",
            "--porcelain",
            &lease,
            "--",
            remote,
            &format!(":{full}"),
        ];
        let ran = git.output(&args)?;
        if ran.code == Some(0) {
            return Ok(());
        }
        match git.remote_commit(remote, full)? {
            None => Ok(()),
            Some(at) if at == pushed => Err(failed(&["push"], &ran)),
            Some(at) => bail!("its remote branch has moved to {at}, which has not landed"),
        }
    }
}
