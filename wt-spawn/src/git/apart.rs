//! Objects and refs of an agent's own: what it writes of the repository behind a launcher that
//! mounts them over the clone's, and what of it is taken over when its run is over.
//!
//! Nothing of it is believed: objects get their names from what they hold, all that they need has
//! to be there, and of the refs counts the agent's branch alone.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use beads::lock::Lock;
use beads::{BeadDir, Repository, token};

use crate::Sha;
use crate::inside::Tree;
use crate::look::Look;
use crate::run::Git;
use crate::stale::clear_left;
use crate::tied::{put, small, strange};

/// The variable that tells a launcher where they are.
pub const OWN_GIT: &str = "BEADLINE_OWN_GIT";

/// One agent's objects and refs: `<git common dir>/beadline/<id>/git`.
#[derive(Debug)]
pub struct Apart<'a> {
    repository: &'a Repository,
    look: &'a Look,
    dir: PathBuf,
    aside: PathBuf,
    branch: &'a str,
}

impl<'a> Apart<'a> {
    /// Those of the bead whose folder this is.
    #[must_use]
    pub fn new(
        repository: &'a Repository,
        look: &'a Look,
        folder: &BeadDir,
        branch: &'a str,
    ) -> Self {
        Self {
            repository,
            look,
            dir: folder.own_git(),
            aside: folder.aside(),
            branch,
        }
    }

    /// Where they are.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Makes them for a new run: no objects, the clone's as alternate (it is mounted at `shared`),
    /// and a copy of the clone's refs. What is there has been taken over.
    ///
    /// # Errors
    /// When a folder or file cannot be written.
    pub fn prepare(&self) -> anyhow::Result<()> {
        self.remove()?;
        let common = self.repository.common();
        for folder in [
            "objects/info",
            "objects/pack",
            "refs/heads",
            "logs",
            "shared",
        ] {
            fs::create_dir_all(self.dir.join(folder))?;
        }
        // What the recipe mounts these over.
        fs::create_dir_all(common.join("logs"))?;
        let mut alternates = vec![self.dir.join("shared").display().to_string()];
        let theirs = common.join("objects").join("info").join("alternates");
        for line in fs::read_to_string(theirs).unwrap_or_default().lines() {
            let path = common.join("objects").join(line);
            alternates.push(path.display().to_string());
        }
        let alternates = alternates.join("\n") + "\n";
        fs::write(self.dir.join("objects/info/alternates"), alternates)?;
        copy_files(&common.join("refs"), &self.dir.join("refs"))?;
        // Last: it makes the rest count.
        let head = self.look.commit(&self.full())?;
        self.note(head)
    }

    /// Takes over what a run has left, so that the clone has it, and frees what it had locked. Returns why that cannot be done:
    /// then what is there is put aside, and the clone is as it was.
    ///
    /// # Errors
    /// When files cannot be read or written.
    pub fn take_over(&self, tree: Option<&Tree>, held: &Lock) -> anyhow::Result<Option<String>> {
        if let Some(tree) = tree {
            // Whose killed gits have left locks, behind a launcher or not.
            clear_left(tree, self.branch);
        }
        let Some(began) = small(&self.dir.join("head")) else {
            return Ok(None);
        };
        let began = Sha::from_hex(began.trim_ascii_end()).ok();
        let taken = self
            .take_objects()
            .and_then(|()| self.take_branch(began, held));
        if let Err(err) = taken {
            let aside = self.dir.with_file_name("aside");
            fs::create_dir_all(&aside)?;
            fs::rename(&self.dir, aside.join(format!("git-{}", token::random()?)))?;
            return Ok(Some(format!("what it committed cannot be taken: {err:#}")));
        }
        if let Some(tree) = tree {
            self.detach(tree)?;
        }
        Ok(None)
    }

    /// Removes them: all of it has been taken over, or put aside.
    ///
    /// # Errors
    /// When they can be neither removed nor put aside.
    pub fn remove(&self) -> io::Result<()> {
        // First: without it the rest counts no more.
        let _ = fs::remove_file(self.dir.join("head"));
        match fs::remove_dir_all(&self.dir) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => {
                let name = format!("git-{}", token::random().unwrap_or_default());
                fs::create_dir_all(&self.aside)?;
                fs::rename(&self.dir, self.aside.join(name))
            }
            _ => Ok(()),
        }
    }

    fn full(&self) -> String {
        format!("refs/heads/{}", self.branch)
    }

    /// Where the branch was when nothing was to be taken over.
    fn note(&self, head: Option<Sha>) -> anyhow::Result<()> {
        let head = head.map(|sha| sha.to_string()).unwrap_or_default();
        put(&self.dir.join("head"), format!("{head}\n").as_bytes())
    }

    /// Packs the objects and has the pack indexed into the clone: there they get their names from
    /// their content, and each has to hold what git can use and name what is there.
    fn take_objects(&self) -> anyhow::Result<()> {
        let objects = self.dir.join("objects");
        require_plain(&objects)?;
        // What else an agent says of its objects is not asked: other alternates, graphs.
        let info = objects.join("info");
        if fs::symlink_metadata(&info).is_ok() {
            fs::rename(&info, self.dir.join(format!("info-{}", token::random()?)))?;
        }
        let names = self.names(&objects)?;
        if names.is_empty() {
            return Ok(());
        }
        let common = self.repository.common();
        fs::create_dir_all(&info)?;
        let clones = format!("{}\n", common.join("objects").display());
        put(&info.join("alternates"), clones.as_bytes())?;
        let list = self.dir.join("names");
        put(&list, (names.join("\n") + "\n").as_bytes())?;
        let pack = self.dir.join("taken");
        let to = pack.to_str().context("a repository's path is UTF-8")?;
        let hash = Git::at(common)
            .with_objects(&objects)
            .reading(File::open(&list)?)
            .run(&["pack-objects", "--quiet", to])?;
        let pack = self.dir.join(format!("taken-{hash}.pack"));
        // A clone that fetches what it lacks when it is asked for lacks it now.
        let how = match self.look.is_partial() {
            true => "--fsck-objects",
            false => "--strict",
        };
        Git::at(common)
            .reading(File::open(&pack)?)
            .run(&["index-pack", how, "--stdin", "--fix-thin"])
            .map(drop)
    }

    /// The names under which the agent's objects lie, right or wrong.
    fn names(&self, objects: &Path) -> anyhow::Result<Vec<String>> {
        let mut names = Vec::new();
        for folder in fs::read_dir(objects)?.flatten() {
            let start = folder.file_name().to_string_lossy().into_owned();
            for entry in fs::read_dir(folder.path()).into_iter().flatten().flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                if start == "pack" && entry.path().extension().is_some_and(|kind| kind == "idx") {
                    let index = Git::at(self.repository.common())
                        .reading(File::open(entry.path())?)
                        .run(&["show-index"])?;
                    let packed = index.lines().filter_map(|line| line.split(' ').nth(1));
                    names.extend(packed.map(str::to_owned));
                } else if start.len() == 2
                    && let Ok(sha) = Sha::from_hex(format!("{start}{name}").as_bytes())
                {
                    names.push(sha.to_string());
                }
            }
        }
        Ok(names)
    }

    /// Moves the branch to where the agent has moved its own.
    fn take_branch(&self, began: Option<Sha>, held: &Lock) -> anyhow::Result<()> {
        require_plain(&self.dir.join("refs"))?;
        let Some(now) = self.own_ref(&self.full()) else {
            return Ok(());
        };
        let at = self.look.commit(&self.full())?;
        if Some(now) == began || Some(now) == at {
            return Ok(());
        }
        self.look
            .tree(now)
            .with_context(|| format!("its branch names {now}"))?;
        let began = began.map(|sha| sha.to_string()).unwrap_or_default();
        Git::at(self.repository.common()).holding(held).run(&[
            "update-ref",
            &self.full(),
            &now.to_string(),
            &began,
        ])?;
        self.note(Some(now))
    }

    /// A HEAD on another branch of the agent's names, from here on, the commit that this is at.
    fn detach(&self, tree: &Tree) -> anyhow::Result<()> {
        let file = tree.git_dir().join("HEAD");
        let head = small(&file).unwrap_or_default();
        let head = String::from_utf8_lossy(&head).into_owned();
        let Some(name) = head.trim_end().strip_prefix("ref: ") else {
            return Ok(());
        };
        match self.own_ref(name) {
            Some(at) if name != self.full() && self.look.has(at) => {
                put(&file, format!("{at}\n").as_bytes())
            }
            _ => Ok(()),
        }
    }

    fn own_ref(&self, name: &str) -> Option<Sha> {
        let bytes = small(&self.dir.join(name))?;
        Sha::from_hex(bytes.trim_ascii_end()).ok()
    }
}

fn require_plain(dir: &Path) -> anyhow::Result<()> {
    let strange = strange(dir);
    let first = strange.first().map(|path| path.display().to_string());
    ensure!(
        first.is_none(),
        "'{}' is no file",
        first.unwrap_or_default()
    );
    Ok(())
}

/// Copies the files below a folder; one that goes meanwhile is none.
fn copy_files(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)?.flatten() {
        let to = to.join(entry.file_name());
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => copy_files(&entry.path(), &to)?,
            Ok(kind) if kind.is_file() => {
                if let Some(bytes) = small(&entry.path()) {
                    fs::write(to, bytes)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}
