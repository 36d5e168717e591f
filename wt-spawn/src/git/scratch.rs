//! An empty repository of our own, in which git works on what others have written: nothing of their
//! configuration counts there.

use anyhow::Context;
use tempfile::TempDir;

use crate::run::Git;

/// Makes one, which goes when it is dropped.
///
/// # Errors
/// When there is no room for it, or git cannot be run.
pub(crate) fn scratch() -> anyhow::Result<TempDir> {
    let dir = tempfile::tempdir().context("no temporary folder")?;
    Git::at(dir.path()).run(&[
        "init",
        "--quiet",
        "--bare",
        "--template=",
        "--object-format=sha1",
    ])?;
    Ok(dir)
}
