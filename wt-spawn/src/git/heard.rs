//! What a remote says of its branches. Refs of the clone are anybody's to write, an agent's too:
//! nothing is decided by where those say that the remote's branches are.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::Context;
use beads::Repository;

use crate::Sha;
use crate::look::Look;
use crate::run::Git;
use crate::tied::{put, small};

/// Where branches of a remote are, by its own word of a moment ago. Their commits are here.
#[derive(Clone, Debug, Default)]
pub struct Heard(HashMap<String, Sha>);

/// Where git writes what it has fetched, and what that leads to: its stdout, so that several
/// fetches at a time each have their own.
const SAID: (&str, &str) = ("FETCH_HEAD", "/proc/self/fd/1");

impl Heard {
    /// Fetches with these arguments, remote and refspecs last, and no tags.
    ///
    /// # Errors
    /// When the remote cannot be reached, or lacks a ref that is named.
    pub fn fetch(repository: &Repository, args: &[&str]) -> anyhow::Result<Self> {
        let apart = apart(repository)?;
        let fetch = ["fetch", "--quiet", "--no-tags", "--write-fetch-head"];
        let said = Git::beside(repository.common(), &apart).run(&[&fetch, args].concat())?;
        let branches = said.lines().filter_map(branch).map(|(name, sha)| {
            let sha = Sha::from_hex(sha.as_bytes()).context("git fetch: odd answer")?;
            Ok((name.to_owned(), sha))
        });
        Ok(Self(branches.collect::<anyhow::Result<_>>()?))
    }

    /// The commit that a branch is at. `None`: the remote lacks it, or it was not fetched.
    ///
    /// # Errors
    /// When the clone has something else under that name.
    pub fn branch(&self, look: &Look, name: &str) -> anyhow::Result<Option<Sha>> {
        let at = self.0.get(name).copied();
        at.map(|at| look.require_genuine(at).map(|()| at))
            .transpose()
    }
}

/// A line such as `<sha> not-for-merge branch 'main' of <url>`, with tabs before the last two.
fn branch(line: &str) -> Option<(&str, &str)> {
    let mut parts = line.splitn(3, '\t');
    let (sha, _, what) = (parts.next()?, parts.next()?, parts.next()?);
    // No name of a ref holds a space.
    let (name, _) = what.strip_prefix("branch '")?.split_once("' of ")?;
    Some((name, sha))
}

/// Makes the git directory for fetches, if it is not there as it has to be.
fn apart(repository: &Repository) -> anyhow::Result<PathBuf> {
    let dir = repository.state_dir().fetches();
    let make = || -> anyhow::Result<()> {
        fs::create_dir_all(&dir)?;
        // git takes no folder without a HEAD for its own.
        let files = [
            ("commondir", "../..\n"),
            ("HEAD", "ref: refs/heads/none-of-this-name\n"),
        ];
        for (name, text) in files {
            if small(&dir.join(name)).as_deref() != Some(text.as_bytes()) {
                put(&dir.join(name), text.as_bytes())?;
            }
        }
        let (name, target) = SAID;
        let said = dir.join(name);
        if fs::read_link(&said).ok().as_deref() != Some(Path::new(target)) {
            let new = tempfile::tempdir_in(&dir)?;
            symlink(target, new.path().join(name))?;
            fs::rename(new.path().join(name), &said)?;
        }
        Ok(())
    };
    make().with_context(|| format!("cannot make '{}'", dir.display()))?;
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_and_nothing_else_are_heard() {
        let of = |line| branch(line);
        assert_eq!(of("1a\t\tbranch 'main' of /r"), Some(("main", "1a")));
        assert_eq!(
            of("2b\tnot-for-merge\tbranch 'agent/o'clock' of https://h/r"),
            Some(("agent/o'clock", "2b"))
        );
        for other in [
            "3c\t\ttag 'v1' of /r",
            "4d\t\t/r",
            "5e\t\t'refs/pull/1/head' of /r",
            "",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
