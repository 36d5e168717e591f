//! Whether work has landed on a base: what the base's own history proves, and nothing else.
//!
//! That the base has the work's commits proves nothing: they may have been reverted since. Nor does
//! a patch that was in it once, and a message says what its author likes. Proof is that the base's
//! tip has the work now, or that a commit of its first-parent line took it in and that nothing has
//! undone it since. What was changed since then is still landed.
//!
//! Where a base has not touched the work's files, no git is started.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::Sha;
use crate::look::Look;
use crate::run::{Git, failed};

/// What a base's history says of work.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trace {
    /// It has landed: a commit of the base from which on the base has it.
    Stands(Sha),
    /// It had landed.
    Undone {
        /// The commit of the base that brought it, or its commits.
        landed: Sha,
        /// The commit of the base that took it out again; the same: it was never more than commits.
        by: Sha,
    },
    /// Nothing shows that it has ever landed.
    Never,
}

/// Looks for proofs, and remembers what each commit of a base has changed.
#[derive(Debug, Default)]
pub struct Proof(Mutex<HashMap<Sha, Arc<Paths>>>);

type Paths = BTreeSet<Vec<u8>>;

/// A base is not looked through any further: what landed longer ago is asked about.
const LONGEST: usize = 10_000;

/// How many commits of a base are tried that may have brought the work, or may have undone it.
const TRIES: usize = 64;

/// Between two looks whether the place has been passed at which work left the base.
const STRIDE: usize = 64;

/// One look at one piece of work.
struct Search<'a> {
    proof: &'a Proof,
    look: &'a Look,
    git: Git,
    base: Sha,
    head: Sha,
    /// The base's first parents, newest first; the last one is where the work began.
    line: Vec<Sha>,
}

/// A change that the base took in: from the tree of one commit to that of another.
#[derive(Clone, Copy)]
struct Change {
    before: Sha,
    after: Sha,
}

impl Proof {
    /// What the history of `base` says of the work that `head` is the end of.
    ///
    /// # Errors
    /// When commits cannot be read, or git fails.
    pub fn trace(&self, look: &Look, common: &Path, base: Sha, head: Sha) -> anyhow::Result<Trace> {
        if !look.has(base) || !look.has(head) {
            return Ok(Trace::Never);
        }
        let Some(meet) = look.merge_base(base, head)? else {
            return Ok(Trace::Never);
        };
        let Some(line) = line(look, base, head, meet)? else {
            return Ok(Trace::Never);
        };
        let search = Search {
            proof: self,
            look,
            git: Git::at(common),
            base,
            head,
            line,
        };
        if meet == head {
            search.commits_are_in()
        } else {
            search.commits_are_not_in()
        }
    }

    /// The files that a commit changes against its first parent.
    fn changes(&self, look: &Look, commit: Sha) -> anyhow::Result<Arc<Paths>> {
        let known = |proof: &Self| {
            let known = proof.0.lock().unwrap_or_else(PoisonError::into_inner);
            known.get(&commit).cloned()
        };
        if let Some(known) = known(self) {
            return Ok(known);
        }
        let paths = match look.parents(commit)?.first() {
            Some(before) => paths(look, *before, commit)?,
            None => Paths::new(),
        };
        let paths = Arc::new(paths);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(commit, Arc::clone(&paths));
        Ok(paths)
    }
}

/// The first parents of `base`, newest first, down to the newest one that `head` has as well.
/// `None`: not found within bounds.
fn line(look: &Look, base: Sha, head: Sha, meet: Sha) -> anyhow::Result<Option<Vec<Sha>>> {
    let mut line = vec![base];
    while let Some(last) = line.last().copied() {
        let is_start = last == meet && meet != head;
        let looks = line.len() % STRIDE == 0;
        if is_start || (looks && look.contains(head, last)?) || line.len() > LONGEST {
            break;
        }
        // A shallow clone's last commit names parents that are not here.
        match look.parents(last)?.first().copied() {
            Some(before) if look.has(before) => line.push(before),
            _ => break,
        }
    }
    let start = first(&line, |commit| look.contains(head, commit))?;
    line.truncate(start + 1);
    Ok((start < line.len()).then_some(line))
}

/// The index of the first commit for which this holds, as it does for all after it; else the length.
fn first(line: &[Sha], holds: impl Fn(Sha) -> anyhow::Result<bool>) -> anyhow::Result<usize> {
    let (mut low, mut high) = (0, line.len());
    while low < high {
        let middle = low.midpoint(high);
        if holds(line[middle])? {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Ok(low)
}

fn paths(look: &Look, old: Sha, new: Sha) -> anyhow::Result<Paths> {
    let differing = look.differing(old, new)?.into_iter();
    Ok(differing.map(|differs| differs.path).collect())
}

impl Search<'_> {
    /// The base has the head: who brought it, and is it still there?
    fn commits_are_in(&self) -> anyhow::Result<Trace> {
        let lacks = |commit| Ok(!self.look.contains(commit, self.head)?);
        let Some((start, newer)) = self.line.split_last() else {
            return Ok(Trace::Never);
        };
        // By a fast-forward the work's own commits are the base's: where it began is not told, and
        // its last commit stands for it.
        let (landed, start) = if *start == self.head {
            let Some(before) = self.look.parents(self.head)?.first().copied() else {
                return Ok(Trace::Never);
            };
            (self.line.len() - 1, before)
        } else {
            (first(newer, lacks)?.saturating_sub(1), *start)
        };
        let at = self.line[landed];
        let whole = Change {
            before: start,
            after: self.head,
        };
        let paths = paths(self.look, start, self.head)?;
        if paths.is_empty() {
            return Ok(Trace::Never);
        }
        let mut trace = Trace::Undone { landed: at, by: at };
        let is_whole = paths.is_disjoint(&self::paths(self.look, self.head, at)?);
        let later = self.touching(&self.line[..landed], &paths)?;
        // A merge that dropped all of it, or that brought its revert as well, has not brought it.
        if is_whole || !self.is_undone(at, self.revert(whole)?)? {
            let mut changes = vec![whole];
            if !later.is_empty() {
                changes.extend(self.parts(at)?);
            }
            trace = self.since(at, &changes, &later)?;
        }
        match trace {
            Trace::Undone { .. } if self.is_in_tip(start)? => Ok(Trace::Stands(self.base)),
            trace => Ok(trace),
        }
    }

    /// The base lacks the head: has it the same under other commits?
    fn commits_are_not_in(&self) -> anyhow::Result<Trace> {
        let Some((start, newer)) = self.line.split_last() else {
            return Ok(Trace::Never);
        };
        let paths = paths(self.look, *start, self.head)?;
        let touching = self.touching(newer, &paths)?;
        if touching.is_empty() {
            return Ok(Trace::Never);
        }
        if self.is_in_tip(*start)? {
            return Ok(Trace::Stands(self.base));
        }
        for at in touching.iter().take(TRIES) {
            let Some(before) = self.look.parents(*at)?.first().copied() else {
                continue;
            };
            let tree = self.look.tree(*at)?;
            if self.proof.changes(self.look, *at)?.is_subset(&paths)
                && self.merge(before, self.head)? == Some(tree)
            {
                let change = Change { before, after: *at };
                let later = touching.iter().take_while(|commit| *commit != at);
                let later: Vec<Sha> = later.copied().collect();
                let trace = self.since(*at, &[change], &later)?;
                // It may be the last of several commits, of which an earlier one was undone.
                return Ok(match self.one_by_one(&touching)? {
                    undone @ Trace::Undone { .. } => undone,
                    Trace::Stands(_) | Trace::Never => trace,
                });
            }
        }
        self.one_by_one(&touching)
    }

    /// Commits of the base with the patches of the work's, each of them.
    fn one_by_one(&self, touching: &[Sha]) -> anyhow::Result<Trace> {
        // git-rev-list(1): `=` marks commits of one patch, newest first.
        let range = format!("{}...{}", self.base, self.head);
        let listed = self.git.run(&[
            "rev-list",
            "--cherry-mark",
            "--left-right",
            "--no-merges",
            &range,
        ])?;
        if listed.lines().any(|line| line.starts_with('>')) {
            return Ok(Trace::Never);
        }
        let same = listed.lines().filter_map(|line| line.strip_prefix('='));
        let mut newest = None;
        for same in same {
            let after = Sha::from_hex(same.as_bytes())?;
            let Some(at) = touching.iter().position(|commit| *commit == after) else {
                continue;
            };
            let Some(before) = self.look.parents(after)?.first().copied() else {
                continue;
            };
            let change = Change { before, after };
            let trace = self.since(after, &[change], &touching[..at])?;
            if matches!(trace, Trace::Undone { .. }) {
                return Ok(trace);
            }
            newest = newest.or(Some(trace));
        }
        Ok(newest.unwrap_or(Trace::Never))
    }

    /// Whether what landed at a commit was undone by one of the later ones, newest first, that
    /// touch it.
    fn since(&self, at: Sha, changes: &[Change], later: &[Sha]) -> anyhow::Result<Trace> {
        if later.is_empty() {
            return Ok(Trace::Stands(at));
        }
        if later.len() > TRIES {
            return Ok(Trace::Never);
        }
        let mut reverts = Vec::new();
        for change in changes {
            let revert = self.revert(*change)?;
            // What the work itself took back is not missed.
            if !self.is_undone(at, revert)? {
                reverts.push(revert);
            }
        }
        for by in later.iter().rev() {
            for revert in &reverts {
                if self.is_undone(*by, *revert)? {
                    return Ok(Trace::Undone {
                        landed: at,
                        by: *by,
                    });
                }
            }
        }
        Ok(Trace::Stands(at))
    }

    /// The work's own commits, if it has several, as the base got them at this commit.
    fn parts(&self, at: Sha) -> anyhow::Result<Vec<Change>> {
        let mut lacked = Vec::new();
        if let Some(before) = self.look.parents(at)?.first() {
            lacked.push(format!("^{before}"));
        }
        let (most, head) = (format!("--max-count={TRIES}"), self.head.to_string());
        let mut args = vec!["rev-list", "--no-merges", &most, &head];
        args.extend(lacked.iter().map(String::as_str));
        let mut parts = Vec::new();
        for after in self.git.run(&args)?.lines() {
            let after = Sha::from_hex(after.as_bytes())?;
            if let Some(before) = self.look.parents(after)?.first().copied() {
                parts.push(Change { before, after });
            }
        }
        if parts.len() < 2 {
            parts.clear();
        }
        Ok(parts)
    }

    /// The commits among these that touch one of these files.
    fn touching(&self, line: &[Sha], paths: &Paths) -> anyhow::Result<Vec<Sha>> {
        let mut touching = Vec::new();
        for commit in line {
            if !self.proof.changes(self.look, *commit)?.is_disjoint(paths) {
                touching.push(*commit);
            }
        }
        Ok(touching)
    }

    /// Whether the base's tip has all of the work, which began here: to do it again there would
    /// change nothing.
    fn is_in_tip(&self, start: Sha) -> anyhow::Result<bool> {
        let tree = self.look.tree(self.head)?;
        if tree == self.look.tree(start)? {
            return Ok(false);
        }
        let again = self.child(start, tree)?;
        Ok(self.merge(self.base, again)? == Some(self.look.tree(self.base)?))
    }

    /// Whether a commit after a change has nothing of it: to take it back there would change
    /// nothing.
    fn is_undone(&self, commit: Sha, revert: Sha) -> anyhow::Result<bool> {
        Ok(self.merge(commit, revert)? == Some(self.look.tree(commit)?))
    }

    /// A commit that takes a change back, to be merged only.
    fn revert(&self, change: Change) -> anyhow::Result<Sha> {
        self.child(change.after, self.look.tree(change.before)?)
    }

    fn child(&self, parent: Sha, tree: Sha) -> anyhow::Result<Sha> {
        let (parent, tree) = (parent.to_string(), tree.to_string());
        // Never more than an object that nothing names: it needs nobody's name.
        let commit = self.git.run(&[
            "-c",
            "user.name=beadline",
            "-c",
            "user.email=beadline@localhost",
            "-c",
            "commit.gpgsign=false",
            "commit-tree",
            &tree,
            "-p",
            &parent,
            "-m",
            ".",
        ])?;
        Ok(Sha::from_hex(commit.as_bytes())?)
    }

    /// The tree of a merge (git-merge-tree(1)); `None`: it conflicts.
    fn merge(&self, one: Sha, two: Sha) -> anyhow::Result<Option<Sha>> {
        let (one, two) = (one.to_string(), two.to_string());
        let args = ["merge-tree", "--write-tree", "--no-messages", &one, &two];
        let ran = self.git.output(&args)?;
        match ran.code {
            Some(0) => Ok(Some(Sha::from_hex(
                ran.stdout.lines().next().unwrap_or_default().as_bytes(),
            )?)),
            Some(1) => Ok(None),
            _ => Err(failed(&args, &ran)),
        }
    }
}
