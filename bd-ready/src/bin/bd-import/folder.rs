//! The plan's folder, which nothing is read outside of: the kernel refuses whatever leads out of it.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use rustix::fs::{Dir, FileType, Mode, OFlags, ResolveFlags, fstat, openat2};
use rustix::io::Errno;

/// Where a repository may have its plan; the first one counts.
const PLACES: [&str; 2] = [".plan", ".claude/plan"];

/// Longest file that is read, in bytes: what a database takes in one piece.
const LONGEST: u64 = 4 << 20;

/// An open folder.
#[derive(Debug)]
pub(crate) struct Folder {
    dir: OwnedFd,
    /// Its path in the repository.
    pub(crate) path: &'static str,
}

impl Folder {
    /// Opens the plan of the repository at `top`.
    ///
    /// # Errors
    /// When there is none, or it lies outside of the repository.
    pub(crate) fn find(top: &Path) -> anyhow::Result<Self> {
        let top = File::open(top).with_context(|| format!("cannot open '{}'", top.display()))?;
        for path in PLACES {
            match beneath(&top, path, OFlags::DIRECTORY) {
                Ok(dir) => return Ok(Self { dir, path }),
                Err(Errno::NOENT) => {}
                Err(err) => bail!("cannot open '{path}': {}", because(err)),
            }
        }
        bail!(
            "no plan: neither '{}' nor '{}' is there",
            PLACES[0],
            PLACES[1]
        )
    }

    /// The names in a folder of it, sorted; none when it is not there.
    ///
    /// # Errors
    /// When it cannot be read, or lies outside.
    pub(crate) fn names(&self, path: &str) -> anyhow::Result<Vec<String>> {
        let dir = match beneath(&self.dir, path, OFlags::DIRECTORY) {
            Ok(dir) => dir,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(Vec::new()),
            Err(err) => bail!("cannot open: {}", because(err)),
        };
        let mut names = Vec::new();
        for entry in Dir::read_from(dir)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// The text of a file; `None` when it is not there.
    ///
    /// # Errors
    /// When it cannot be read, lies outside, or is no text.
    pub(crate) fn text(&self, path: &str) -> anyhow::Result<Option<String>> {
        // A pipe is not waited for.
        let file = match beneath(&self.dir, path, OFlags::NONBLOCK) {
            Ok(file) => file,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(err) => bail!("cannot open: {}", because(err)),
        };
        let kind = FileType::from_raw_mode(fstat(&file)?.st_mode);
        ensure!(kind == FileType::RegularFile, "not a regular file");
        let mut bytes = Vec::new();
        File::from(file).take(LONGEST + 1).read_to_end(&mut bytes)?;
        ensure!(bytes.len() as u64 <= LONGEST, "longer than {LONGEST} bytes");
        Ok(Some(String::from_utf8(bytes).context("not UTF-8")?))
    }
}

fn beneath(dir: impl std::os::fd::AsFd, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::RDONLY | OFlags::CLOEXEC;
    openat2(dir, path, flags, Mode::empty(), ResolveFlags::BENEATH)
}

fn because(err: Errno) -> String {
    match err {
        Errno::XDEV => "it leads out of the folder".to_owned(),
        err => err.to_string(),
    }
}
