//! What is changed in a worktree, submodules and other repositories in it included. No git looks
//! into one that an agent may have configured.

use std::fs;

use crate::Sha;
use crate::inside::Tree;
use crate::refs::head;
use crate::run::Git;

/// What git calls changed in a worktree, files that it does not know included; Beads' own files,
/// of which a worktree has only a copy, left out. A submodule whose repository is not as git makes
/// it counts as changed: no git looks into it.
///
/// # Errors
/// When git fails.
pub fn list(tree: &Tree) -> anyhow::Result<Vec<String>> {
    let odd = odd_submodules(tree)?;
    // git looks for changes in submodules by running itself in each of them.
    let submodules = match odd.is_empty() {
        true => "--ignore-submodules=none",
        false => "--ignore-submodules=dirty",
    };
    // Without optional locks: a look must not disturb a git that works there.
    let look = ["--no-optional-locks", "status", "--porcelain", "-uall"];
    let args = [&look[..], &[submodules, "--", ".", ":(exclude,top).beads"]].concat();
    let status = Git::within(tree).run(&args)?;
    let odd = odd.iter().map(|path| format!(" m {path}"));
    Ok(status.lines().map(str::to_owned).chain(odd).collect())
}

/// The submodules in which git would read what an agent configured, those below them included.
fn odd_submodules(tree: &Tree) -> anyhow::Result<Vec<String>> {
    let mut odd = Vec::new();
    for (path, _) in submodules(tree)? {
        match tree.submodule(&path) {
            Some(below) if odd_submodules(&below)?.is_empty() => {}
            _ => odd.push(path),
        }
    }
    Ok(odd)
}

/// The submodules of the index whose repositories are there, with the commits that it has of them.
fn submodules(tree: &Tree) -> anyhow::Result<Vec<(String, Sha)>> {
    let entries = Git::within(tree).run(&["ls-files", "--stage", "-z"])?;
    let links = entries
        .split('\0')
        .filter_map(|line| line.strip_prefix("160000 "));
    let links = links.filter_map(|line| {
        let (told, path) = line.split_once('\t')?;
        let sha = Sha::from_hex(told.split(' ').next()?.as_bytes()).ok()?;
        Some((path.to_owned(), sha))
    });
    let is_there = |path: &str| {
        let path = tree.path().join(path);
        let is_folder = fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_dir());
        is_folder && fs::symlink_metadata(path.join(".git")).is_ok()
    };
    Ok(links.filter(|(path, _)| is_there(path)).collect())
}

/// Adds all that is changed to the index, by this git. Of submodules it takes the commits that they
/// are at. Returns what it could not take, and what to do, in words.
///
/// # Errors
/// When git fails.
pub fn stage(tree: &Tree, git: &Git) -> anyhow::Result<Vec<String>> {
    let (mut kept, mut links) = (Vec::new(), Vec::new());
    // Sparse: also what lies outside of the cone.
    let mut add = [
        "add",
        "--all",
        "--sparse",
        "--",
        ".",
        ":(exclude,top).beads",
    ]
    .map(str::to_owned)
    .to_vec();
    let exclude = |path: &str| format!(":(exclude,top,literal){path}");
    for (path, was) in submodules(tree)? {
        // To add it git would look for changes in it, by its own configuration.
        add.push(exclude(&path));
        match head(&tree.path().join(&path).join(".git")) {
            Ok(now) if now == was => {}
            Ok(now) => links.push(format!("160000,{now},{path}")),
            Err(err) => kept.push(format!(
                "the commit of the submodule '{}' cannot be read: {err:#}",
                path.escape_debug()
            )),
        }
    }
    // As submodules they would come to nothing: what is in them is in no commit of this repository.
    for path in embedded(tree)? {
        add.push(exclude(&path));
        kept.push(format!(
            "'{}' is a repository inside of the worktree: remove its .git to add its files, ignore \
             it, or make it a submodule",
            path.escape_debug()
        ));
    }
    git.run(&add.iter().map(String::as_str).collect::<Vec<_>>())?;
    for link in &links {
        git.run(&["update-index", "--cacheinfo", link])?;
    }
    Ok(kept)
}

/// The repositories in a worktree that git neither knows nor ignores.
fn embedded(tree: &Tree) -> anyhow::Result<Vec<String>> {
    let look = [
        "--no-optional-locks",
        "status",
        "--porcelain",
        "-z",
        "-uall",
        "--ignore-submodules=all",
    ];
    let status = Git::within(tree).run(&look)?;
    let unknown = status
        .split('\0')
        .filter_map(|entry| entry.strip_prefix("?? "));
    // Of all else git names the files.
    let folders = unknown.filter_map(|path| path.strip_suffix('/'));
    Ok(folders
        .filter(|path| !path.starts_with(".beads/"))
        .map(str::to_owned)
        .collect())
}
