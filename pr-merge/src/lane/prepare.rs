//! Preparing a landing: what merging comes to.

use beads::Bead;
use forge::{Pull, Unread};
use git::{Git, Sha, Trace};

use crate::gate::facts::Merge;
use crate::lane::{Lanes, pushed};

impl Lanes {
    /// Merges without a worktree (git-merge-tree(1)). What a person has put on top of our work, and
    /// landed, has landed ours.
    pub(super) fn merge(
        &mut self,
        bead: &Bead,
        pull: Option<&Pull>,
        base: Sha,
    ) -> anyhow::Result<Merge> {
        let ours = self.merge_of(bead, base)?;
        let theirs = match pull {
            Some(pull) if !matches!(ours, Merge::InBase(_) | Merge::Unknown) => {
                self.built_on(pull, pushed(bead)?)?
            }
            _ => None,
        };
        let Some(theirs) = theirs else {
            return Ok(ours);
        };
        let common = self.tool.repository.common();
        Ok(match self.proof.trace(&self.look, common, base, theirs)? {
            Trace::Stands(commit) => Merge::InBase(commit),
            Trace::Undone { .. } | Trace::Never => ours,
        })
    }

    fn merge_of(&mut self, bead: &Bead, base: Sha) -> anyhow::Result<Merge> {
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

    /// What merging comes to, where the base does not say that it has the work, or had it.
    pub(super) fn try_merge(&self, base: Sha, head: Sha) -> anyhow::Result<Merge> {
        let common = self.tool.repository.common();
        match self.proof.trace(&self.look, common, base, head)? {
            Trace::Stands(commit) => return Ok(Merge::InBase(commit)),
            Trace::Undone { landed, by } => return Ok(Merge::Undone(undone(landed, by))),
            Trace::Never => {}
        }
        let args = ["merge-tree", "--write-tree", "--name-only", "--no-messages"];
        let (base_hex, head_hex) = (base.to_string(), head.to_string());
        let ran = Git::at(common).output(&[&args[..], &[&base_hex, &head_hex]].concat())?;
        let mut lines = ran.stdout.lines();
        let tree = lines.next().unwrap_or_default();
        match ran.code {
            Some(0) => {
                let tree = Sha::from_hex(tree.as_bytes())?;
                if tree != self.look.tree(base)? {
                    return Ok(Merge::Clean(tree));
                }
                let why = "to merge it would change nothing, and nothing shows that it has landed";
                Ok(Merge::Undone(why.to_owned()))
            }
            Some(1) => Ok(Merge::Conflict(
                lines.take(20).collect::<Vec<_>>().join(", "),
            )),
            _ => Err(git::failed(&args, &ran)),
        }
    }

    /// Makes sure that a commit of a branch of the remote is here, and that agents find it as the
    /// remote's branch.
    pub(super) fn fetch(&self, branch: &str, commit: Sha) -> anyhow::Result<()> {
        let remote = &self.args.forge.remote.name;
        let tracking = format!("refs/remotes/{remote}/{branch}");
        let shown = self.look.commit(&tracking)?;
        let is_shown = shown.map_or(Ok(false), |shown| self.look.contains(shown, commit))?;
        if !self.look.has(commit) || !is_shown {
            let spec = format!("+refs/heads/{branch}:{tracking}");
            let git = Git::at(self.tool.repository.common());
            git.fetch(remote, &[&spec]).map_err(Unread::of)?;
        }
        match self.look.has(commit) {
            true => self.look.require_genuine(commit),
            false => Ok(()),
        }
    }

    /// Fetches work that another clone pushed before it lost the bead to this one. `false`: the
    /// remote has it no more, and the gate says what that means.
    fn fetch_work(&self, branch: &str, head: Sha) -> anyhow::Result<bool> {
        match self.fetch(branch, head) {
            Err(err) if err.to_string().contains("couldn't find remote ref") => Ok(false),
            fetched => fetched.map(|()| self.look.has(head)),
        }
    }

    /// The tree of a merge (git-merge-tree(1)); `None`: it conflicts.
    pub(super) fn merge_tree(&self, one: Sha, two: Sha) -> anyhow::Result<Option<Sha>> {
        let args = ["merge-tree", "--write-tree", "--no-messages"];
        let (one, two) = (one.to_string(), two.to_string());
        let git = Git::at(self.tool.repository.common());
        let ran = git.output(&[&args[..], &[&one, &two]].concat())?;
        match ran.code {
            Some(0) => Ok(Some(Sha::from_hex(ran.stdout.as_bytes())?)),
            Some(1) => Ok(None),
            _ => Err(git::failed(&args, &ran)),
        }
    }
}

/// Why work is not landed that the base has had.
fn undone(landed: Sha, by: Sha) -> String {
    let what = match landed == by {
        true => format!("the base got its commits by {landed}, but nothing of what they change"),
        false => format!("it landed as {landed}, and {by} took it out again"),
    };
    format!("{what}: revert that to have it, or open the bead again to have it done anew")
}
