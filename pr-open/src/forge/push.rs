//! Pushes to a remote: all refs or none, each from where it was looked at.

use std::path::PathBuf;

use anyhow::{bail, ensure};
use git::{Git, Look, Ran, Sha, failed};

use crate::Landed;
use crate::paper::branch_ref;
use crate::pull::Landing;
use crate::unread::Unread;

/// A ref by its full name, where it has to be, and where it is to be. `None`: it must not be there,
/// or is to be deleted.
pub(crate) type Change = (String, Option<Sha>, Option<Sha>);

/// What came of a push.
pub(crate) enum Pushed {
    /// All refs are where they are to be.
    Done,
    /// The remote itself refuses, which trying again will not change; nothing has moved.
    Declined(String),
    /// One was not where it had to be; nothing has moved.
    Moved,
}

/// A remote of the clone.
pub(crate) struct Remote {
    pub(crate) common: PathBuf,
    pub(crate) look: Look,
    pub(crate) name: String,
}

impl Remote {
    /// # Errors
    /// When the remote was not reached, the answer was lost, or a hook of this clone refused.
    pub(crate) fn push(&self, changes: &[Change]) -> anyhow::Result<Pushed> {
        let hex = |sha: Option<Sha>| sha.map(|sha| sha.to_string()).unwrap_or_default();
        let mut args = vec![
            "push".to_owned(),
            "--porcelain".to_owned(),
            "--atomic".to_owned(),
        ];
        for (name, expected, _) in changes {
            args.push(format!("--force-with-lease={name}:{}", hex(*expected)));
        }
        args.extend(["--".to_owned(), self.name.clone()]);
        args.extend(
            changes
                .iter()
                .map(|(name, _, new)| format!("{}:{name}", hex(*new))),
        );
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let ran = Git::at(&self.common).with_hooks().output(&args)?;
        // 1, and a line that says so: refused by the remote or the lease.
        let refused = ran.code == Some(1) && ran.stdout.lines().any(|line| line.starts_with('!'));
        match (ran.code, declined(&ran)) {
            (Some(0), _) => Ok(Pushed::Done),
            _ if !refused => Err(Unread::of(failed(&["push"], &ran))),
            (_, Some(why)) => Ok(Pushed::Declined(why)),
            (_, None) => Ok(Pushed::Moved),
        }
    }

    /// Whether a commit holds another, as far as both are here.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub(crate) fn holds(&self, commit: Sha, other: Sha) -> anyhow::Result<bool> {
        let here = self.look.has(commit) && self.look.has(other);
        Ok(here && self.look.contains(commit, other)?)
    }

    /// Where landings take their base: its name, where it is, and where it will be. Each has to be
    /// on top of the one before it, as a lease alone would let a base be wound back.
    ///
    /// # Errors
    /// When they are not.
    pub(crate) fn step(&self, landings: &[Landing]) -> anyhow::Result<Change> {
        let Some(first) = landings.first() else {
            bail!("nothing to land");
        };
        let mut tip = first.base_head;
        for landing in landings {
            ensure!(
                landing.base_head == tip
                    && landing.wanted.base == first.wanted.base
                    && self.look.contains(landing.commit, tip)?,
                "the landing is not on top of its base"
            );
            tip = landing.commit;
        }
        let base = branch_ref(&first.wanted.base);
        Ok((base, Some(first.base_head), Some(tip)))
    }

    /// Lands on a forge what was tested, by a push of that very commit. What the forge shows of it is
    /// left as it is.
    ///
    /// # Errors
    /// When git fails before anything is sent.
    pub(crate) fn land(&self, landings: &[Landing]) -> anyhow::Result<Landed> {
        let mut changes = vec![self.step(landings)?];
        // They stay as they are: the lease says that these are still the heads that were tested.
        changes.extend(landings.iter().map(|Landing { wanted, head, .. }| {
            (branch_ref(&wanted.branch), Some(*head), Some(*head))
        }));
        Ok(match self.push(&changes) {
            Ok(Pushed::Done) => Landed::Pushed,
            Ok(Pushed::Declined(why)) => Landed::Barred(why),
            Ok(Pushed::Moved) => Landed::Moved,
            Err(err) if err.is::<Unread>() => Landed::Unknown(format!("{err:#}")),
            Err(err) => return Err(err),
        })
    }
}

/// Why the remote itself refused a push: a hook or a setting, which trying again will not change.
fn declined(ran: &Ran) -> Option<String> {
    let refused = ran.stdout.lines().find(|line| {
        // What a race looks like is no refusal; its words differ between versions of git.
        let race = [
            "failed to update ref",
            "atomic",
            "cannot lock ref",
            "already exists",
            "old value",
        ];
        line.starts_with('!')
            && line.contains("[remote rejected]")
            && !race.iter().any(|word| line.contains(word))
    })?;
    let why = refused
        .rsplit_once('(')
        .map_or(refused, |(_, why)| why.trim_end_matches(')'));
    Some(format!("the remote refuses the push: {why}"))
}
