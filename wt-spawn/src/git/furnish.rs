//! What a new worktree needs beside its files: ignored files of the main worktree, and a set-up.

use std::collections::HashSet;
use std::env;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use beads::tail;
use clap::Args;
use sha2::{Digest, Sha256};

use crate::process::Marker;
use crate::shell::{self, Command};
use crate::{Git, Launch};

/// Longer set-ups hang.
const LONGEST: Duration = Duration::from_hours(1);

/// Lines and bytes of a failed set-up's output that are kept.
const KEPT: (usize, usize) = (20, 2048);

/// The flags of every program that makes worktrees.
#[derive(Args, Clone, Debug)]
pub struct Furnish {
    /// File in gitignore syntax that lists the ignored files to copy into a new worktree
    #[arg(long, env, value_name = "FILE", default_value = ".worktreeinclude")]
    pub include: PathBuf,

    /// Command to run in each new worktree
    #[arg(long, env, value_name = "CMD")]
    pub setup: Option<String>,

    /// What the set-up starts with.
    #[command(flatten)]
    pub launch: Launch,
}

impl Furnish {
    /// Fills a worktree whose files are there: includes, then set-up. `id` goes to the set-up as
    /// `$BEAD_ID`; it is empty for a worktree that is no bead's.
    ///
    /// # Errors
    /// When a file cannot be copied, or the set-up fails.
    pub fn fill(&self, main: &Path, path: &Path, id: &str, marker: &Marker) -> anyhow::Result<()> {
        copy(main, &self.include, path)?;
        let Some(line) = &self.setup else {
            return Ok(());
        };
        let mut variables = shell::environment(&self.launch.env);
        variables.push(("BEAD_ID".into(), id.replace('\0', "").into()));
        let setup = Command {
            line,
            launcher: self.launch.of_checks(),
            dir: path,
            variables,
            marker,
            input: Vec::new(),
            with_stderr: true,
            timeout: LONGEST,
        };
        let ended = setup.run()?;
        if ended.code != Some(0) {
            bail!(
                "set-up failed: {}: {}",
                ended.how(),
                tail(&ended.output, KEPT.0, KEPT.1)
            );
        }
        Ok(())
    }

    /// All that decides what `command` says of a commit in such a worktree, as one name: the command,
    /// the set-up, the launcher, the variables' values and the included files. Of a file counts when
    /// it was changed, as reading it may take long.
    ///
    /// # Errors
    /// When the list of files, or one of them, cannot be read.
    pub fn fingerprint(&self, main: &Path, command: &str) -> anyhow::Result<String> {
        let mut hash = Sha256::new();
        let mut add = |part: Option<&[u8]>| {
            // Each has the same length, so no two lists of parts come to the same bytes.
            hash.update(part.map_or_else(|| [0; 32].into(), Sha256::digest));
        };
        let texts = [
            Some(command),
            self.setup.as_deref(),
            self.launch.of_checks(),
        ];
        for text in texts {
            add(text.map(str::as_bytes));
        }
        for name in &self.launch.env {
            add(Some(name.as_bytes()));
            add(env::var_os(name).as_ref().map(|value| value.as_bytes()));
        }
        for name in included(main, &self.include)? {
            let meta = fs::symlink_metadata(main.join(&name))?;
            let stamp = (
                meta.len(),
                meta.ino(),
                meta.mtime(),
                meta.mtime_nsec(),
                meta.ctime(),
                meta.ctime_nsec(),
            );
            add(Some(name.as_bytes()));
            add(Some(format!("{stamp:?}").as_bytes()));
        }
        let digest = hash.finalize();
        let sum = |sum: u128, byte: &u8| sum << 8 | u128::from(*byte);
        Ok(format!("{:032x}", digest.iter().take(16).fold(0_u128, sum)))
    }
}

/// Copies the ignored files of `main` that the patterns in `list` (gitignore syntax, a path in
/// `main`) name into `worktree`: by reflink where the file system can. A file that is there stays.
///
/// # Errors
/// When the list cannot be read, or a file cannot be copied.
fn copy(main: &Path, list: &Path, worktree: &Path) -> anyhow::Result<()> {
    for name in included(main, list)? {
        let (from, to) = (main.join(&name), worktree.join(&name));
        copy_one(&from, &to, worktree).with_context(|| format!("cannot bring along '{name}'"))?;
    }
    Ok(())
}

/// The ignored files of `main` that the patterns in `list` name.
fn included(main: &Path, list: &Path) -> anyhow::Result<Vec<String>> {
    let list = main.join(list);
    if !list.is_file() {
        return Ok(Vec::new());
    }
    let patterns = format!("--exclude-from={}", list.display());
    let ignored = |how: &str| -> anyhow::Result<Vec<String>> {
        let names = Git::at(main).run(&["ls-files", "-z", "--others", "--ignored", how])?;
        Ok(names
            .split('\0')
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect())
    };
    let mut named =
        ignored(&patterns).with_context(|| format!("cannot read '{}'", list.display()))?;
    let ignored: HashSet<String> = ignored("--exclude-standard")?.into_iter().collect();
    named.retain(|name| ignored.contains(name));
    Ok(named)
}

fn copy_one(from: &Path, to: &Path, worktree: &Path) -> anyhow::Result<()> {
    let kind = fs::symlink_metadata(from)?.file_type();
    let below = to.parent().and_then(|dir| dir.strip_prefix(worktree).ok());
    let Some(dir) = make_folders(worktree, below.context("a file has a folder")?)? else {
        return Ok(());
    };
    let to = dir.join(to.file_name().context("a file has a name")?);
    if fs::symlink_metadata(&to).is_ok() {
        return Ok(());
    }
    if kind.is_symlink() {
        symlink(fs::read_link(from)?, to)?;
    } else if kind.is_file() {
        reflink_copy::reflink_or_copy(from, to)?;
    }
    Ok(())
}

/// The folder `below` of a worktree, made where it is missing; `None`: a file is in its place.
/// Step by step, as the branch may have a symbolic link where the main worktree has a folder.
fn make_folders(worktree: &Path, below: &Path) -> anyhow::Result<Option<PathBuf>> {
    let mut dir = worktree.to_owned();
    for part in below.components() {
        dir.push(part);
        match fs::symlink_metadata(&dir) {
            Ok(meta) if meta.is_dir() => {}
            Ok(meta) if meta.is_symlink() => {
                let real = fs::canonicalize(&dir)
                    .ok()
                    .filter(|real| real.starts_with(worktree));
                dir = real.context("it would land outside the worktree")?;
            }
            Ok(_) => return Ok(None),
            Err(err) if err.kind() == io::ErrorKind::NotFound => fs::create_dir(&dir)?,
            Err(err) => return Err(err.into()),
        }
    }
    Ok(dir.is_dir().then_some(dir))
}
