//! Preparing a landing: what merging comes to, and the commit that would carry it.

use anyhow::Context;
use beads::Bead;
use beads::lock::Lock;
use forge::{Method, defuse};
use git::{Git, Sha, worktree};

use crate::gate::Merge;
use crate::lane::{Lanes, pushed};

impl Lanes<'_> {
    /// Merges without a worktree (git-merge-tree(1)).
    pub(super) fn merge(&mut self, bead: &Bead, base: Sha) -> anyhow::Result<Merge> {
        let head = pushed(bead)?;
        self.fetch(&bead.facts().base, base)?;
        if let Some(known) = self.merges.get(&(head, base)) {
            return Ok(known.clone());
        }
        if !self.look.has(head) && !self.fetch_work(&bead.facts().branch, head)? {
            return Ok(Merge::Unknown);
        }
        let merge = self.try_merge(base, head)?;
        self.merges.insert((head, base), merge.clone());
        Ok(merge)
    }

    pub(super) fn try_merge(&self, base: Sha, head: Sha) -> anyhow::Result<Merge> {
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
    pub(super) fn fetch(&self, branch: &str, commit: Sha) -> anyhow::Result<()> {
        let remote = &self.args.forge.remote.name;
        let tracking = format!("refs/remotes/{remote}/{branch}");
        if self.look.has(commit) && self.look.commit(&tracking)? == Some(commit) {
            return Ok(());
        }
        let spec = format!("+refs/heads/{branch}:{tracking}");
        Git::at(self.tool.repository.common()).fetch(remote, &[&spec])
    }

    /// Fetches work that another clone pushed before it lost the bead to this one. `false`: the
    /// remote has it no more, and the gate says what that means.
    fn fetch_work(&self, branch: &str, head: Sha) -> anyhow::Result<bool> {
        match self.fetch(branch, head) {
            Err(err) if err.to_string().contains("couldn't find remote ref") => Ok(false),
            fetched => fetched.map(|()| self.look.has(head)),
        }
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

    /// The commit that carries the merge's tree on top of the base, and how it is made.
    pub(super) fn commit(
        &self,
        bead: &Bead,
        base: Sha,
        head: Sha,
        tree: Sha,
        lane: &Lock,
    ) -> anyhow::Result<(Sha, Method)> {
        let mut method = self.args.method;
        if method == Method::Rebase {
            if let Some(commit) = self.rebase(bead, base, head, tree, lane)? {
                return Ok((commit, method));
            }
            method = Method::Squash;
            let why =
                "its commits cannot be put on top of the base one by one: lands as one commit";
            self.tool.pipe.say(bead.id(), why);
        }
        let (base, head, tree) = (base.to_string(), head.to_string(), tree.to_string());
        let (title, text) = message(bead);
        let message = format!("{title}\n\n{text}");
        let mut args = vec![
            "-c",
            "commit.gpgsign=false",
            "commit-tree",
            &tree,
            "-p",
            &base,
        ];
        if method == Method::Merge {
            args.extend(["-p", &head]);
        }
        args.extend(["-m", &message]);
        let commit = Git::at(self.tool.repository.common())
            .holding(lane)
            .run(&args)?;
        Ok((Sha::from_hex(commit.as_bytes())?, method))
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
        let there = self.tree_at(base, &bead.facts().base, lane)?;
        let git = Git::within(&there).holding(lane);
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
        let commit = worktree::head(&self.look, &there)?
            .1
            .context("the rebased work has no head")?;
        Ok((self.look.tree(commit)? == tree).then_some(commit))
    }
}

/// What the base's history says of the work: the first line, and the rest. A forge reads commits of
/// a base as it reads pull requests: the bead's words close nothing and call nobody.
pub(crate) fn message(bead: &Bead) -> (String, String) {
    let title: String = bead
        .title()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(200)
        .collect();
    let id: String = bead.id().chars().filter(|c| !c.is_control()).collect();
    let id = defuse(&id);
    let number = bead.facts().pr_number;
    (
        format!("{} ({id})", defuse(title.trim())),
        format!("Pull request: {number}\nBead: {id}"),
    )
}
