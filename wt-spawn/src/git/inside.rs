//! What makes a worktree ours: looked at, and put right, before any git looks there.
//!
//! An agent may write all of its worktree and of the worktree's folder in the git directory. What
//! git reads there can lead it to another configuration, which names programs, or to another file
//! to write. So git runs in a [`Tree`] only, which is to be had by a look at these files, and finds
//! the clone by what it is told, not by what lies there.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use beads::{BeadDir, StateDir, token};

use crate::tied::{
    SPARSE, SUBMODULE, is_head, is_linked, place, place_in, put, says_only, small, strange,
};

/// The file that marks a complete worktree.
pub(crate) const READY: &str = "beadline-ready";

/// A worktree of the clone that nobody has looked into yet.
#[derive(Debug)]
pub struct Found {
    path: PathBuf,
    git_dir: PathBuf,
    common: PathBuf,
}

/// A worktree that is tied to its clone as git made it: git may run there.
#[derive(Debug)]
pub struct Tree(Found);

/// The bytes of the files that tie a worktree to its clone.
struct Ties {
    link: Vec<u8>,
    gitdir: Vec<u8>,
    config: Option<Vec<u8>>,
}

/// A file that is not as it has to be, and what belongs there.
struct Wrong(PathBuf, Option<Vec<u8>>);

impl Found {
    pub(crate) fn new(common: &Path, path: &Path, git_dir: PathBuf) -> Self {
        Self {
            path: path.to_owned(),
            git_dir,
            common: common.to_owned(),
        }
    }

    /// Its folder in the git directory.
    #[must_use]
    pub fn git_dir(&self) -> &Path {
        &self.git_dir
    }

    /// The worktree, if all is as it has to be.
    ///
    /// # Errors
    /// Names what is not.
    pub fn sound(self) -> anyhow::Result<Tree> {
        if let Some(Wrong(wrong, _)) = self.wrong("").first() {
            anyhow::bail!(
                "'{}' is not the worktree any more that git knows there: '{}' is not as git made it",
                self.path.display(),
                wrong.display()
            );
        }
        Ok(Tree(self))
    }

    /// The worktree, after all is put right that is not as it has to be. What was there instead is
    /// moved to where no git looks, and noted first, for [`altered`]. `branch`: what its HEAD names
    /// if it names nothing.
    ///
    /// # Errors
    /// When something cannot be moved or written.
    pub fn put_right(self, branch: &str) -> anyhow::Result<Tree> {
        let wrong = self.wrong(branch);
        if wrong.is_empty() {
            return Ok(Tree(self));
        }
        let folder = folder(&self.common, &self.path);
        fs::create_dir_all(folder.path())?;
        let mut note = File::options()
            .create(true)
            .append(true)
            .open(folder.altered())?;
        for Wrong(path, _) in &wrong {
            writeln!(note, "{}", path.display().to_string().replace('\n', " "))?;
        }
        for Wrong(path, bytes) in &wrong {
            self.replace(path, bytes.as_deref(), &folder.aside())
                .with_context(|| format!("cannot put '{}' right", path.display()))?;
        }
        let left = self.wrong(branch);
        ensure!(
            left.is_empty(),
            "cannot put '{}' right",
            left[0].0.display()
        );
        Ok(Tree(self))
    }

    fn replace(&self, path: &Path, bytes: Option<&[u8]>, aside: &Path) -> anyhow::Result<()> {
        if fs::symlink_metadata(path).is_ok() {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let name = format!("{name}-{}", token::random()?);
            fs::create_dir_all(aside)?;
            fs::rename(path, aside.join(&name)).or_else(|_| {
                // The worktrees may lie on another file system: beside them, then.
                fs::rename(path, self.path.with_file_name(format!(".aside-{name}")))
            })?;
        }
        match bytes {
            Some(bytes) => put(path, bytes),
            None => Ok(()),
        }
    }

    /// What is not as it has to be.
    fn wrong(&self, branch: &str) -> Vec<Wrong> {
        let ties = self.ties();
        let own = |name: &str| self.git_dir.join(name);
        let exact = [
            (self.path.join(".git"), ties.link),
            (own("commondir"), b"../..\n".to_vec()),
            (own("gitdir"), ties.gitdir),
        ];
        let mut wrong: Vec<Wrong> = exact
            .into_iter()
            .filter(|(path, bytes)| small(path).as_ref() != Some(bytes))
            .map(|(path, bytes)| Wrong(path, Some(bytes)))
            .collect();
        let config = own("config.worktree");
        let is_there = fs::symlink_metadata(&config).is_ok();
        let now = small(&config);
        let harmless = now.as_deref().is_some_and(|now| says_only(now, &SPARSE));
        if !harmless && (is_there || ties.config.is_some()) && now != ties.config {
            wrong.push(Wrong(config, ties.config));
        }
        if !small(&own("HEAD")).is_some_and(|head| is_head(&head)) {
            let head = format!("ref: refs/heads/{branch}\n");
            wrong.push(Wrong(own("HEAD"), Some(head.into_bytes())));
        }
        if small(&own(READY)).is_none() && self.is_remembered() {
            wrong.push(Wrong(own(READY), Some(Vec::new())));
        }
        for strange in strange(&self.git_dir) {
            if wrong.iter().all(|Wrong(path, _)| *path != strange) {
                wrong.push(Wrong(strange, None));
            }
        }
        wrong
    }

    /// As they were when the worktree was marked complete; of one that an earlier version made, or
    /// whose folder was deleted, as git writes them.
    fn ties(&self) -> Ties {
        let (link, gitdir) = (self.path.join(".git"), self.git_dir.join("gitdir"));
        let known = memory(&self.common, &self.path);
        let read = |name: &str| small(&known.join(name));
        if let (Some(link), Some(gitdir)) = (read("link"), read("gitdir")) {
            let config = read("config.worktree");
            return Ties {
                link,
                gitdir,
                config,
            };
        }
        let now = |file: &Path, is_right: bool, usual: String| {
            small(file)
                .filter(|_| is_right)
                .unwrap_or_else(|| usual.into_bytes())
        };
        Ties {
            link: now(
                &link,
                is_linked(&self.path, &self.git_dir),
                format!("gitdir: {}\n", self.git_dir.display()),
            ),
            gitdir: now(
                &gitdir,
                place(&self.git_dir).as_deref() == Some(&self.path),
                format!("{}\n", link.display()),
            ),
            config: None,
        }
    }

    /// Moves the repositories of its submodules to where nothing of a worktree is deleted.
    ///
    /// # Errors
    /// When they cannot be moved.
    pub(crate) fn keep_modules(&self) -> anyhow::Result<()> {
        let modules = self.git_dir.join("modules");
        if fs::symlink_metadata(&modules).is_err() {
            return Ok(());
        }
        let aside = folder(&self.common, &self.path).aside();
        fs::create_dir_all(&aside)?;
        fs::rename(
            &modules,
            aside.join(format!("modules-{}", token::random()?)),
        )
        .with_context(|| format!("cannot keep '{}'", modules.display()))
    }

    /// Whether the worktree was marked complete, by a word that no agent can take away.
    pub(crate) fn is_remembered(&self) -> bool {
        let known = small(&memory(&self.common, &self.path).join("name"));
        let name = self.git_dir.file_name().unwrap_or_default();
        known.is_some_and(|known| known == name.as_encoded_bytes())
    }

    /// Remembers how the worktree is tied to the clone, now that nobody but git has been there.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn remember_ties(&self) -> anyhow::Result<()> {
        let known = memory(&self.common, &self.path);
        let _ = fs::remove_file(known.join("name"));
        fs::create_dir_all(&known)?;
        let keep = |name: &str, from: &Path| {
            if let Some(bytes) = small(from) {
                return put(&known.join(name), &bytes);
            }
            let _ = fs::remove_file(known.join(name));
            Ok(())
        };
        keep("link", &self.path.join(".git"))?;
        keep("gitdir", &self.git_dir.join("gitdir"))?;
        keep("config.worktree", &self.git_dir.join("config.worktree"))
    }

    /// Remembers that the worktree is complete.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn remember(&self) -> anyhow::Result<()> {
        let known = memory(&self.common, &self.path);
        fs::create_dir_all(&known)?;
        let name = self.git_dir.file_name().unwrap_or_default();
        put(&known.join("name"), name.as_encoded_bytes())
    }
}

impl Tree {
    /// A worktree that git has just made.
    ///
    /// # Errors
    /// When its ties cannot be remembered.
    pub(crate) fn made(found: Found) -> anyhow::Result<Self> {
        found.remember_ties()?;
        Ok(Self(found))
    }

    /// Remembers that it is complete.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn finish(&self) -> anyhow::Result<()> {
        self.0.remember()
    }

    /// Forgets that it is complete.
    ///
    /// # Errors
    /// When the word cannot be removed.
    pub(crate) fn unfinish(&self) -> std::io::Result<()> {
        match fs::remove_file(memory(self.common(), self.path()).join("name")) {
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Its folder in the git directory.
    #[must_use]
    pub fn git_dir(&self) -> &Path {
        &self.0.git_dir
    }

    /// The git directory of its clone.
    pub(crate) fn common(&self) -> &Path {
        &self.0.common
    }

    /// When its last run began, as the prompt tells that was written for it.
    pub(crate) fn run_began(&self) -> Option<fs::Metadata> {
        let prompt = folder(self.common(), self.path()).prompt();
        fs::symlink_metadata(prompt).ok()
    }

    /// The repository of a submodule, if it is as git makes it: `None` where it names programs.
    pub(crate) fn submodule(&self, below: &str) -> Option<Self> {
        let path = self.path().join(below);
        let link = path.join(".git");
        let git_dir = match small(&link) {
            Some(bytes) => {
                let text = String::from_utf8(bytes).ok()?;
                fs::canonicalize(path.join(text.strip_prefix("gitdir: ")?.trim_end())).ok()?
            }
            None => link,
        };
        let is_inside = git_dir.starts_with(self.path()) || git_dir.starts_with(self.git_dir());
        let is_plain = fs::symlink_metadata(&git_dir).is_ok_and(|meta| meta.is_dir())
            && fs::symlink_metadata(git_dir.join("commondir")).is_err()
            && fs::symlink_metadata(git_dir.join("config.worktree")).is_err()
            && strange(&git_dir).is_empty();
        let config = small(&git_dir.join("config"))?;
        (is_inside && is_plain && says_only(&config, &SUBMODULE)).then(|| {
            Self(Found {
                path,
                common: git_dir.clone(),
                git_dir,
            })
        })
    }
}

/// What has been put right in a worktree since its last run began, by path.
#[must_use]
pub fn altered(common: &Path, path: &Path) -> Vec<String> {
    let note = fs::read_to_string(folder(common, path).altered()).unwrap_or_default();
    note.lines().map(str::to_owned).collect()
}

/// Forgets what was put right: another run begins.
///
/// # Errors
/// When the note cannot be removed.
pub fn forget_altered(common: &Path, path: &Path) -> std::io::Result<()> {
    match fs::remove_file(folder(common, path).altered()) {
        Err(err) if err.kind() != std::io::ErrorKind::NotFound => Err(err),
        _ => Ok(()),
    }
}

/// Forgets a worktree that is gone.
pub(crate) fn forget(common: &Path, path: &Path) {
    let _ = fs::remove_dir_all(memory(common, path));
    let _ = forget_altered(common, path);
    let _ = fs::remove_file(folder(common, path).prompt());
}

/// The folder in the git directory that the complete worktree at `path` has, if that is known and
/// nobody has moved the worktree since.
pub(crate) fn remembered(common: &Path, path: &Path) -> Option<PathBuf> {
    let name = String::from_utf8(small(&memory(common, path).join("name"))?).ok()?;
    let git_dir = common.join("worktrees").join(name);
    let said = small(&memory(common, path).join("gitdir"))?;
    let is_folder = |path: &Path| fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir());
    let was_its = place_in(&git_dir, &said).as_deref() == Some(path);
    let now = place(&git_dir).filter(|now| now != path);
    let is_elsewhere = now.is_some_and(|now| is_linked(&now, &git_dir));
    (was_its && !is_elsewhere && is_folder(&git_dir) && is_folder(path)).then_some(git_dir)
}

fn folder(common: &Path, path: &Path) -> BeadDir {
    StateDir::of(common).of_worktree(path)
}

fn memory(common: &Path, path: &Path) -> PathBuf {
    folder(common, path).tree()
}
