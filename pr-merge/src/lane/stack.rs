//! Stacking pull requests on the tip of their base: what merging each with those below comes to, and
//! the commits that would carry it.

use anyhow::Context;
use beads::Bead;
use beads::lock::Lock;
use forge::{Method, defuse};
use git::{Git, Sha, Tree, worktree};

use crate::lane::group::{Group, Member};
use crate::lane::runner::Runner;
use crate::lane::{Lanes, pushed};

impl Lanes {
    /// Puts one more on top of the stack, if it does not conflict with what is there already, and adds
    /// something to it.
    ///
    /// # Errors
    /// When git fails, or its commits are not what their names say.
    pub(crate) fn push(
        &mut self,
        group: &mut Group,
        bead: &Bead,
        lock: &Lock,
    ) -> anyhow::Result<()> {
        let (head, top) = (pushed(bead)?, group.commit());
        if !self.genuine.contains(&head) {
            // What is checked here is what its names bring elsewhere.
            self.look
                .require_genuine_work(head, Some(group.tip))
                .context("its work cannot be checked")?;
            self.genuine.insert(head);
        }
        let before = self.look.tree(top)?;
        let merged = self.merge_tree(top, head)?;
        let Some(tree) = merged.filter(|tree| *tree != before) else {
            group.left_out.push(bead.id().to_owned());
            return Ok(());
        };
        let (title, text) = message(bead);
        let mut member = Member {
            id: bead.id().to_owned(),
            head,
            commit: top,
            tree,
            // Its commits are put on top one by one where there is a worktree to do it in.
            method: match self.args.method {
                Method::Rebase => Method::Squash,
                method => method,
            },
            title,
            text,
        };
        member.commit = self.runner.commit(&member, top, lock)?;
        group.members.push(member);
        Ok(())
    }
}

impl Runner {
    /// The commit that carries a member's tree on top of another one.
    ///
    /// # Errors
    /// When git fails.
    pub(super) fn commit(&self, member: &Member, top: Sha, lock: &Lock) -> anyhow::Result<Sha> {
        let (tree, head) = (member.tree.to_string(), member.head.to_string());
        let (message, top_hex) = (
            format!("{}\n\n{}", member.title, member.text),
            top.to_string(),
        );
        let mut args = vec!["-c", "commit.gpgsign=false", "commit-tree", &tree];
        args.extend(["-p", &top_hex]);
        if member.method == Method::Merge {
            args.extend(["-p", &head]);
        }
        args.extend(["-m", &message]);
        let git = Git::at(self.tool.repository.common()).holding(lock);
        let commit = git.signed(self.look.signed(member.head, top)?).run(&args)?;
        Ok(Sha::from_hex(commit.as_bytes())?)
    }

    /// Puts the commits of each member on top one by one, where that comes to the same tree as its
    /// merge. It does not where they conflict, or where a merge among them resolved a conflict: such
    /// work lands as one commit.
    ///
    /// # Errors
    /// When git fails.
    pub(super) fn rebase(&self, group: &mut Group, tree: &Tree, lock: &Lock) -> anyhow::Result<()> {
        let mut top = group.tip;
        for member in &mut group.members {
            if let Some(commit) = self.picked(member, top, tree, lock)? {
                (member.commit, member.method) = (commit, Method::Rebase);
            } else {
                let why = "its commits cannot be put on top of the base one by one: lands as one \
                           commit";
                self.tool.pipe.say(&member.id, why);
                member.method = Method::Squash;
                member.commit = self.commit(member, top, lock)?;
            }
            top = member.commit;
        }
        Ok(())
    }

    fn picked(
        &self,
        member: &Member,
        top: Sha,
        tree: &Tree,
        lock: &Lock,
    ) -> anyhow::Result<Option<Sha>> {
        let git = Git::within(tree).with_tokens().holding(lock);
        let (head, top_hex) = (member.head, top.to_string());
        git.run(&["checkout", "--quiet", "--force", "--detach", &top_hex])?;
        let range = format!("{top}...{head}");
        let picks = git.run(&[
            "rev-list",
            "--reverse",
            "--no-merges",
            "--cherry-pick",
            "--right-only",
            &range,
        ])?;
        // It keeps the author of each; when it is committed is the work's time, as in other stacks.
        let git = git.signed(self.look.signed(head, top)?.unnamed());
        for pick in picks.lines() {
            let args = [
                "-c",
                "commit.gpgsign=false",
                "cherry-pick",
                "--allow-empty",
                pick,
            ];
            if git.output(&args)?.code != Some(0) {
                let _ = git.run(&["cherry-pick", "--abort"]);
                return Ok(None);
            }
        }
        let commit = worktree::head(&self.look, tree)?
            .1
            .context("the rebased work has no head")?;
        Ok((self.look.tree(commit)? == member.tree).then_some(commit))
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
