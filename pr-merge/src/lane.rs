//! The lane to one base: prepare the merge, review it, check it, land it, prove it. One landing at
//! a time per base and clone.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use beads::lock::{self, Lock};
use beads::{Bead, Hand, Name, Tool, tail};
use forge::{Forge, Landed, Landing, Pull, State, Wanted};
use git::process::Marker;
use git::shell::{self, Command};
use git::worktree::{self, Plan, Root};
use git::{Git, Look, Sha};

use crate::gate::{Check, Facts, Merge, On, Review, Verdict, gate};
use crate::{Args, Method};

/// How often a landing is prepared anew because the base moved under its check.
const TRIES: u32 = 20;

/// Lines and bytes of a check's or a reviewer's output that are kept.
const KEPT: (usize, usize) = (100, 7 << 10);

/// All lanes of this program.
pub(crate) struct Lanes<'a> {
    pub(crate) tool: &'a Tool,
    pub(crate) args: &'a Args,
    pub(crate) look: Look,
    pub(crate) root: Root,
    pub(crate) forge: Box<dyn Forge>,
    /// The reviewer's words by head: a verdict counts for that head only.
    pub(crate) reviews: HashMap<Sha, Review>,
    /// Why the forge refused to land a head on a base: until one of them moves, or the next run,
    /// testing it again would only be refused again.
    pub(crate) refused: HashMap<(Sha, Sha), String>,
}

impl Lanes<'_> {
    /// Looks at a pull request without acting: everything but review and check is known.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub(crate) fn look_at(&self, bead: &Bead, pull: Option<&Pull>) -> anyhow::Result<Verdict> {
        let pushed = pushed(bead)?;
        let lands = |pull: &Pull| {
            pull.state == State::Open
                && !pull.draft
                && pull.head == Some(pushed)
                && !self.args.by_hand
        };
        let merge = match pull.and_then(|pull| pull.base_head) {
            // Tried in the lane, where nothing moves.
            Some(_) if pull.is_some_and(lands) && !self.args.dry_run => Merge::Unknown,
            Some(base) => self.merge(bead, base)?,
            None => Merge::Unknown,
        };
        let theirs = pull
            .filter(|pull| pull.state == State::Open)
            .and_then(|pull| pull.head);
        if let Some(theirs) = theirs.filter(|head| *head != pushed && !self.args.dry_run) {
            // Its agent is told to merge it.
            self.fetch(&bead.facts().branch, theirs)?;
        }
        self.judge(bead, pull, merge, None)
    }

    /// Takes a pull request through review and check, and lands it. The verdict is where that
    /// ended: `Landed` if all went well.
    ///
    /// `fresh`: what the forge said a moment ago. That it has aged costs one more round.
    ///
    /// # Errors
    /// When git or the forge fails; nothing has landed, or the next look finds that it has.
    pub(crate) fn land(
        &mut self,
        hand: &mut Hand,
        mut fresh: Option<Pull>,
    ) -> anyhow::Result<Option<Verdict>> {
        let base = hand.bead().facts().base.clone();
        let path = self
            .tool
            .repository
            .folders()
            .join(format!("merge-{}.lock", Name::of(&base)));
        let lane =
            lock::take(&path).with_context(|| format!("cannot lock '{}'", path.display()))?;
        for _ in 0..TRIES {
            // Waiting for the lane, and testing, may have taken long.
            if !hand.still_ours()? {
                return Ok(None);
            }
            let wanted = wanted(hand.bead());
            let pull = match fresh.take() {
                Some(pull) => Some(pull),
                None => self.pull(&wanted)?,
            };
            let Some(base_head) = pull.as_ref().and_then(|pull| pull.base_head) else {
                return self
                    .judge(hand.bead(), pull.as_ref(), Merge::Unknown, None)
                    .map(Some);
            };
            let merge = self.merge(hand.bead(), base_head)?;
            let verdict = self.judge(hand.bead(), pull.as_ref(), merge.clone(), None)?;
            let tree = match (&verdict, &merge) {
                (Verdict::Wait(On::Us, _) | Verdict::Land(_), Merge::Clean(tree)) => *tree,
                // By hand, or by one of us that was killed: it is settled at the forge, too.
                (Verdict::Landed(commit), _) => {
                    self.forge.settle(&wanted, pushed(hand.bead())?, *commit)?;
                    return Ok(Some(verdict));
                }
                _ => return Ok(Some(verdict)),
            };
            let head = pushed(hand.bead())?;
            if self.args.review.is_some() && !self.reviews.contains_key(&head) {
                let review = self.review(hand.bead(), base_head, head)?;
                self.reviews.insert(head, review);
                continue;
            }
            if let Some(why) = self.refused.get(&(head, base_head)) {
                return Ok(Some(Verdict::Wait(On::Person, why.clone())));
            }
            let commit = self.commit(hand.bead(), base_head, head, tree, &lane)?;
            let check = self.check(commit, &base, &lane)?;
            let verdict = self.judge(hand.bead(), pull.as_ref(), merge, Some(check))?;
            let Verdict::Land(tree) = verdict else {
                return Ok(Some(verdict));
            };
            if !hand.still_ours()? {
                return Ok(None);
            }
            // What was checked is what lands.
            ensure!(
                self.look.tree(commit)? == tree,
                "the commit to land has another tree"
            );
            let landing = Landing {
                wanted: wanted.clone(),
                head,
                base_head,
                commit,
                tree,
            };
            match self.forge.land(&landing)? {
                Landed::Merged(_) => return self.prove(&wanted, head, tree).map(Some),
                Landed::Moved => {}
                Landed::Blocked(why) => {
                    self.refused.insert((head, base_head), why.clone());
                    return Ok(Some(Verdict::Wait(On::Person, why)));
                }
            }
        }
        Ok(Some(Verdict::Wait(
            On::Machine,
            "the base moves faster than the check runs".to_owned(),
        )))
    }

    /// The forge says merged at that head, and the base contains a commit with that tree.
    fn prove(&self, wanted: &Wanted, head: Sha, tree: Sha) -> anyhow::Result<Verdict> {
        let pull = self
            .pull(wanted)?
            .context("the pull request is gone after its landing")?;
        let State::Merged {
            head: merged,
            commit,
        } = pull.state
        else {
            bail!("the forge does not show the landing");
        };
        let base = pull
            .base_head
            .context("the base is gone after the landing")?;
        self.fetch(&wanted.base, base)?;
        ensure!(
            merged == head
                && self.look.tree(commit)? == tree
                && self.look.contains(base, commit)?,
            "the base does not contain what was landed"
        );
        Ok(Verdict::Landed(commit))
    }

    fn pull(&self, wanted: &Wanted) -> anyhow::Result<Option<Pull>> {
        Ok(self.forge.pulls(std::slice::from_ref(wanted))?.pop())
    }

    fn judge(
        &self,
        bead: &Bead,
        pull: Option<&Pull>,
        merge: Merge,
        check: Option<Check>,
    ) -> anyhow::Result<Verdict> {
        let pushed = pushed(bead)?;
        let review = match (&self.args.review, self.reviews.get(&pushed)) {
            (None, _) => Review::NotAsked,
            (Some(_), None) => Review::NotRun,
            (Some(_), Some(review)) => review.clone(),
        };
        let unknown = if self.args.no_checks {
            Check::NotAsked
        } else {
            Check::NotRun
        };
        let check = check.unwrap_or(unknown);
        let by_hand = self.args.by_hand;
        let base = &format!("{}/{}", self.args.forge.remote, bead.facts().base);
        Ok(gate(&Facts {
            pull,
            pushed,
            merge,
            review,
            check,
            by_hand,
            base,
        }))
    }

    /// Merges without a worktree (git-merge-tree(1)).
    fn merge(&self, bead: &Bead, base: Sha) -> anyhow::Result<Merge> {
        let head = pushed(bead)?;
        self.fetch(&bead.facts().base, base)?;
        if self.look.contains(base, head)? {
            return Ok(Merge::InBase(base));
        }
        let args = ["merge-tree", "--write-tree", "--name-only", "--no-messages"];
        let (base_hex, head_hex) = (base.to_string(), head.to_string());
        let git = Git::at(self.tool.repository.common());
        let ran = git.ran(&[&args[..], &[&base_hex, &head_hex]].concat())?;
        let mut lines = ran.stdout.lines();
        let tree = lines.next().unwrap_or_default();
        match ran.code {
            Some(0) => {
                let tree = Sha::from_hex(tree.as_bytes())?;
                Ok(if tree == self.look.tree(base)? {
                    Merge::InBase(base)
                } else {
                    Merge::Clean(tree)
                })
            }
            Some(1) => Ok(match self.patch_in(base, head)? {
                Some(commit) => Merge::InBase(commit),
                None => Merge::Conflict(lines.take(20).collect::<Vec<_>>().join(", ")),
            }),
            _ => Err(git::failed(&args, &ran)),
        }
    }

    /// Makes sure that a commit of a branch of the remote is here, and that agents find it as the
    /// remote's branch.
    fn fetch(&self, branch: &str, commit: Sha) -> anyhow::Result<()> {
        let remote = &self.args.forge.remote;
        let tracking = format!("refs/remotes/{remote}/{branch}");
        if self.look.has(commit) && self.look.commit(&tracking)? == Some(commit) {
            return Ok(());
        }
        let spec = format!("+refs/heads/{branch}:{tracking}");
        Git::at(self.tool.repository.common())
            .run(&[
                "fetch",
                "--quiet",
                "--no-tags",
                "--no-write-fetch-head",
                "--",
                remote,
                &spec,
            ])
            .map(drop)
    }

    /// The commit of the base that brought the work, though the base has changed the same lines
    /// since: as one commit, or commit by commit.
    fn patch_in(&self, base: Sha, head: Sha) -> anyhow::Result<Option<Sha>> {
        let Some(start) = self.look.merge_base(base, head)? else {
            return Ok(None);
        };
        let git = Git::at(self.tool.repository.common());
        let tree = self.look.tree(head)?.to_string();
        let start = start.to_string();
        let whole = git.run(&[
            "-c",
            "commit.gpgsign=false",
            "commit-tree",
            &tree,
            "-p",
            &start,
            "-m",
            ".",
        ])?;
        // git-rev-list(1): `=` marks commits of one patch, newest first.
        let same = |of: &str| -> anyhow::Result<(Vec<Sha>, bool)> {
            let range = format!("{base}...{of}");
            let args = [
                "rev-list",
                "--cherry-mark",
                "--left-right",
                "--no-merges",
                &range,
            ];
            let (mut same, mut lacks) = (Vec::new(), false);
            for line in git.run(&args)?.lines() {
                let (mark, sha) = line.split_at(1);
                let sha = Sha::from_hex(sha.as_bytes())?;
                match mark {
                    "=" if self.look.contains(base, sha)? => same.push(sha),
                    ">" => lacks = true,
                    _ => {}
                }
            }
            Ok((same, lacks))
        };
        for of in [whole, head.to_string()] {
            if let (same, false) = same(&of)? {
                return Ok(same.first().copied());
            }
        }
        Ok(None)
    }

    /// The commit that carries the merge's tree on top of the base.
    fn commit(
        &self,
        bead: &Bead,
        base: Sha,
        head: Sha,
        tree: Sha,
        lane: &Lock,
    ) -> anyhow::Result<Sha> {
        if self.args.method == Method::Rebase {
            if let Some(commit) = self.rebase(bead, base, head, tree, lane)? {
                return Ok(commit);
            }
            let why =
                "its commits cannot be put on top of the base one by one: lands as one commit";
            self.tool.pipe.say(bead.id(), why);
        }
        let (base, head, tree) = (base.to_string(), head.to_string(), tree.to_string());
        let title: String = bead
            .title()
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(200)
            .collect();
        let id: String = bead.id().chars().filter(|c| !c.is_control()).collect();
        let number = bead.facts().pr_number;
        let message = format!(
            "{} ({id})\n\nPull request: {number}\nBead: {id}",
            title.trim()
        );
        let mut args = vec![
            "-c",
            "commit.gpgsign=false",
            "commit-tree",
            &tree,
            "-p",
            &base,
        ];
        if self.args.method == Method::Merge {
            args.extend(["-p", &head]);
        }
        args.extend(["-m", &message]);
        let commit = Git::at(self.tool.repository.common())
            .holding(lane)
            .run(&args)?;
        Ok(Sha::from_hex(commit.as_bytes())?)
    }

    /// The work's commits, one by one on top of the base. `None`: they conflict there, or come to
    /// another tree than the merge, as with a conflict that a merge among them resolved.
    fn rebase(
        &self,
        bead: &Bead,
        base: Sha,
        head: Sha,
        tree: Sha,
        lane: &Lock,
    ) -> anyhow::Result<Option<Sha>> {
        let path = self.tree_at(base, &bead.facts().base, lane)?;
        let git = Git::at(&path).holding(lane);
        let range = format!("{base}...{head}");
        let picks = git.run(&[
            "rev-list",
            "--reverse",
            "--no-merges",
            "--cherry-pick",
            "--right-only",
            &range,
        ])?;
        for pick in picks.lines() {
            let args = [
                "-c",
                "commit.gpgsign=false",
                "cherry-pick",
                "--allow-empty",
                pick,
            ];
            if git.ran(&args)?.code != Some(0) {
                let _ = git.run(&["cherry-pick", "--abort"]);
                return Ok(None);
            }
        }
        let commit = worktree::head(&path)?
            .1
            .context("the rebased work has no head")?;
        Ok((self.look.tree(commit)? == tree).then_some(commit))
    }

    fn review(&self, bead: &Bead, base: Sha, head: Sha) -> anyhow::Result<Review> {
        let Some(line) = &self.args.review else {
            return Ok(Review::NotAsked);
        };
        let range = format!("{base}...{head}");
        let diff = Git::at(self.tool.repository.common()).run(&[
            "diff",
            "--no-color",
            "--no-ext-diff",
            &range,
        ])?;
        let marker = Marker::of(&self.tool.repository, &format!("review {}", bead.id()));
        let mut variables = shell::environment(&self.args.furnish.env);
        variables.extend([
            ("BEAD_ID".into(), bead.id().replace('\0', "").into()),
            ("BEAD_HEAD".into(), head.to_string().into()),
        ]);
        let dir = self.tool.repository.main();
        let input = (diff + "\n").into_bytes();
        let review = Command {
            line,
            dir,
            variables,
            marker: &marker,
            input,
            with_stderr: false,
            timeout: self.args.wait,
        };
        let ended = review.run()?;
        let words = tail(&ended.output, KEPT.0, KEPT.1).to_owned();
        Ok(match ended.code {
            Some(0) => Review::Approved,
            Some(1) => Review::SentBack(words),
            _ => Review::Undecided(ended.how()),
        })
    }

    /// Runs the check on the very commit that would land.
    fn check(&self, commit: Sha, base: &str, lane: &Lock) -> anyhow::Result<Check> {
        let Some(command) = &self.args.check else {
            return Ok(Check::NotAsked);
        };
        let path = self.tree_at(commit, base, lane)?;
        let check = Command {
            line: command,
            dir: &path,
            variables: shell::environment(&self.args.furnish.env),
            marker: &self.marker(base),
            input: Vec::new(),
            with_stderr: true,
            timeout: self.args.wait,
        };
        let ended = check.run()?;
        if ended.code == Some(0) {
            return Ok(Check::Green);
        }
        Ok(Check::Red(format!(
            "{}\n{}",
            ended.how(),
            tail(&ended.output, KEPT.0, KEPT.1)
        )))
    }

    /// The worktree of the lane, at `commit`: kept between landings, so that builds stay warm.
    fn tree_at(&self, commit: Sha, base: &str, lane: &Lock) -> anyhow::Result<PathBuf> {
        let (path, marker) = (self.root.merge(base), self.marker(base));
        // A check of a program that was killed may still be at work there.
        marker.end();
        if worktree::complete(&self.look, &path)?.is_none() {
            let plan = Plan {
                root: &self.root,
                path: &path,
                branch: None,
                start: commit,
                lock: lane,
            };
            let git_dir = plan.make(&self.tool.repository, &self.look)?;
            self.args
                .furnish
                .fill(self.tool.repository.main(), &path, "", &marker)?;
            Plan::finish(&git_dir)?;
        }
        if let Some(git_dir) = worktree::complete(&self.look, &path)? {
            // Left by a git that was killed: whoever has the lane is alone here.
            let _ = fs::remove_file(git_dir.join("index.lock"));
        }
        let git = Git::at(&path).holding(lane);
        git.run(&[
            "checkout",
            "--quiet",
            "--force",
            "--detach",
            &commit.to_string(),
        ])?;
        // What earlier checks left must not vouch for this one; ignored files stay.
        // Twice: repositories among it go, too.
        git.run(&["clean", "--quiet", "-d", "--force", "--force"])?;
        Ok(path)
    }

    fn marker(&self, base: &str) -> Marker {
        Marker::of(&self.tool.repository, &format!("merge {base}"))
    }
}

/// The pull request of a bead.
pub(crate) fn wanted(bead: &Bead) -> Wanted {
    let facts = bead.facts();
    Wanted {
        number: facts.pr_number,
        branch: facts.branch.clone(),
        base: facts.base.clone(),
    }
}

/// The head that we pushed.
pub(crate) fn pushed(bead: &Bead) -> anyhow::Result<Sha> {
    Sha::from_hex(bead.facts().pushed.as_bytes()).context("`pushed` is no commit")
}
