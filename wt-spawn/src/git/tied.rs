//! Files that an agent may have written: read without being led anywhere, and judged by what they
//! would make git do.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use rustix::fs::{Mode, OFlags};

/// No file that ties a worktree to its clone is longer.
const LARGEST: u64 = 64 << 10;

/// What a worktree's own configuration may say without our having seen it before: what
/// git-sparse-checkout(1) writes.
pub(crate) const SPARSE: [(&str, &[&str]); 2] = [
    ("core", &["sparsecheckout", "sparsecheckoutcone"]),
    ("index", &["sparse"]),
];

/// What a submodule's configuration says as git makes it: nothing of it names a program.
pub(crate) const SUBMODULE: [(&str, &[&str]); 4] = [
    (
        "core",
        &[
            "repositoryformatversion",
            "filemode",
            "bare",
            "logallrefupdates",
            "worktree",
            "ignorecase",
            "precomposeunicode",
            "symlinks",
        ],
    ),
    ("remote", &["url", "fetch", "pushurl", "tagopt"]),
    ("branch", &["remote", "merge", "rebase"]),
    ("user", &["name", "email"]),
];

/// The folder of the worktree that a folder in the git directory belongs to, as that says.
pub(crate) fn place(git_dir: &Path) -> Option<PathBuf> {
    place_in(git_dir, &small(&git_dir.join("gitdir"))?)
}

/// With `worktree.useRelativePaths` it is relative to that folder.
pub(crate) fn place_in(git_dir: &Path, said: &[u8]) -> Option<PathBuf> {
    let link = PathBuf::from(std::str::from_utf8(said).ok()?.trim_end());
    let mut plain = PathBuf::new();
    for part in git_dir.join(link).components() {
        match part {
            std::path::Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain.parent().map(Path::to_owned)
}

/// Whether the folder at `path` is the worktree that `git_dir` belongs to, and no link to one.
pub(crate) fn is_linked(path: &Path, git_dir: &Path) -> bool {
    let link = small(&path.join(".git")).unwrap_or_default();
    let link = String::from_utf8_lossy(&link).into_owned();
    let named = link
        .strip_prefix("gitdir: ")
        .map(|dir| path.join(dir.trim_end()));
    !path.is_symlink()
        && named
            .and_then(|dir| fs::canonicalize(dir).ok())
            .is_some_and(|dir| fs::canonicalize(git_dir).is_ok_and(|git_dir| git_dir == dir))
}

/// The bytes of a small regular file; `None`: there is something else, or nothing.
#[must_use]
pub fn small(path: &Path) -> Option<Vec<u8>> {
    at_most(path, LARGEST)
}

/// The bytes of a regular file that is no longer; `None`: there is something else, or nothing.
pub(crate) fn at_most(path: &Path, most: u64) -> Option<Vec<u8>> {
    let how = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, how, Mode::empty()).ok()?);
    let meta = file.metadata().ok()?;
    if !meta.is_file() || meta.len() > most {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Writes a new file and puts it in the place: what lies there is never written through.
///
/// # Errors
/// When it cannot be written.
pub fn put(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let dir = path.parent().context("a file has a folder")?;
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

/// Whether HEAD names a branch or a commit.
pub(crate) fn is_head(bytes: &[u8]) -> bool {
    let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    match text.strip_prefix(b"ref: ") {
        Some(name) => {
            name.starts_with(b"refs/heads/")
                && gix::refs::FullName::try_from(gix::bstr::BStr::new(name)).is_ok()
        }
        None => gix::ObjectId::from_hex(text).is_ok(),
    }
}

/// Whether a configuration says nothing but these, line by line in the form that git writes: another
/// form may be read in another way.
pub(crate) fn says_only(bytes: &[u8], allowed: &[(&str, &[&str])]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let mut keys: &[&str] = &[];
    text.lines().map(str::trim).all(|line| {
        if line.contains('\\') {
            return false;
        }
        if let Some(section) = line.strip_prefix('[') {
            let inner = section.strip_suffix(']').filter(|name| !name.contains(']'));
            let name = inner.and_then(|name| name.split(' ').next());
            let name = name.unwrap_or_default().to_ascii_lowercase();
            let known = allowed.iter().find(|(known, _)| *known == name);
            keys = known.map_or(&[], |(_, keys)| *keys);
            return known.is_some();
        }
        let key = line.split('=').next().unwrap_or_default().trim_end();
        line.is_empty() || keys.contains(&key.to_ascii_lowercase().as_str())
    })
}

/// What is neither a file nor a folder in a git directory, its submodules aside: git would write
/// through a link, and wait at a pipe.
pub(crate) fn strange(git_dir: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![git_dir.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_file() => {}
                Ok(kind) if kind.is_dir() && entry.file_name() == "modules" => {}
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                _ => found.push(entry.path()),
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_a_branch_or_a_commit() {
        for good in ["ref: refs/heads/agent/t-1\n", &"a".repeat(40)] {
            assert!(is_head(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            "ref: refs/tags/x\n",
            "ref: refs/heads/../../config\n",
            "x",
            "ref: /etc/passwd",
        ] {
            assert!(!is_head(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn a_worktrees_own_configuration_says_how_sparse_it_is() {
        let says = |text: &str| says_only(text.as_bytes(), &SPARSE);
        assert!(says(
            "[core]\n\tsparseCheckout = true\n[index]\n\tsparse = false\n"
        ));
        for bad in [
            "[core]\n\tfsmonitor = /bin/evil\n",
            "[include]\n\tpath = /x\n",
            "[filter \"x\"]\n\tclean = evil\n",
            "[core]\nsparseCheckout=true\n[diff]\nexternal=x",
            "[core] fsmonitor = [x]\n",
            "[core]\n\tsparseCheckout = true \\\n\tfsmonitor\n",
            "no configuration",
        ] {
            assert!(!says(bad), "{bad}");
        }
    }

    #[test]
    fn a_relative_link_is_followed_from_its_folder() {
        let dir = Path::new("/r/work/.git/worktrees/t-1");
        let place = |text: &str| place_in(dir, text.as_bytes());
        let path = Some(PathBuf::from("/r/work.worktrees/t-1"));
        assert_eq!(place("/r/work.worktrees/t-1/.git\n"), path);
        assert_eq!(place("../../../../work.worktrees/t-1/.git\n"), path);
    }
}
