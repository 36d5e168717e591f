//! Who has written a commit, and when.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use crate::{Look, Sha};

/// Who has written a commit, and when it and a commit made of it count as committed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Signed {
    /// Name and address; `None`: git could not write them again, so it is whoever commits.
    author: Option<(Vec<u8>, Vec<u8>)>,
    /// Seconds since the epoch, and the time zone's offset in seconds.
    written: Option<(i64, i32)>,
    committed: i64,
}

impl Look {
    /// Who has written `work`, and when; it counts as committed no earlier than `after`, so that
    /// history goes forwards in time.
    ///
    /// # Errors
    /// When one of the commits cannot be read.
    pub fn signed(&self, work: Sha, after: Sha) -> anyhow::Result<Signed> {
        let local = self.local();
        let (work, after) = (local.find_commit(work)?, local.find_commit(after)?);
        let author = work.author()?;
        let written = author.time().unwrap_or_default();
        let committed = work.time()?.seconds.max(after.time()?.seconds);
        let (name, email) = (author.name.to_vec(), author.email.to_vec());
        Ok(Signed {
            author: (is_name(&name) && is_name(&email)).then_some((name, email)),
            // git writes no time before the epoch.
            written: Some((written.seconds.max(0), written.offset)),
            committed: committed.max(0),
        })
    }
}

/// git takes no name that is nothing but what it strips (ident.c, `crud`).
fn is_name(bytes: &[u8]) -> bool {
    let is_crud = |byte: &u8| *byte <= 32 || b".,:;<>\"\\'".contains(byte);
    !bytes.iter().all(is_crud) && !bytes.contains(&b'\n')
}

impl Signed {
    /// The time alone: who has written what is committed stands elsewhere.
    #[must_use]
    pub fn unnamed(self) -> Self {
        Self {
            author: None,
            written: None,
            ..self
        }
    }

    /// The variables that tell git (git-commit-tree(1)).
    pub(crate) fn variables(&self) -> Vec<(&'static str, OsString)> {
        let committed = format!("@{} +0000", self.committed);
        let mut variables = vec![("GIT_COMMITTER_DATE", committed.into())];
        if let Some((seconds, offset)) = self.written {
            let (sign, minutes) = (if offset < 0 { '-' } else { '+' }, offset.abs() / 60);
            let zone = format!("{sign}{:02}{:02}", minutes / 60, minutes % 60);
            variables.push(("GIT_AUTHOR_DATE", format!("@{seconds} {zone}").into()));
        }
        if let Some((name, email)) = &self.author {
            variables.push(("GIT_AUTHOR_NAME", OsString::from_vec(name.clone())));
            variables.push(("GIT_AUTHOR_EMAIL", OsString::from_vec(email.clone())));
        }
        variables
    }
}
