//! Whether an agent has written into the main checkout instead of its worktree.
//!
//! People work in the main checkout, too: a change there is the agent's only if it was made during
//! its run, and if its log, its task, its command line or a script that this runs names both the
//! checkout and the file.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use agent::End;
use git::Git;
use jiff::{SignedDuration, Timestamp};

/// The clock of file systems may be so much behind.
const COARSE: SignedDuration = SignedDuration::from_millis(20);

/// A script that is longer is no script.
const SCRIPT: u64 = 1 << 20;

/// What an agent has said and was told.
pub(crate) struct Words<'a> {
    pub(crate) log: &'a Path,
    pub(crate) task: &'a str,
    pub(crate) command_line: &'a str,
    /// Where it worked.
    pub(crate) worktree: &'a Path,
}

impl Words<'_> {
    fn all(&self) -> String {
        let mut all = format!("{}\n{}\n", self.command_line, self.task);
        all += &text(self.log);
        let words = self
            .command_line
            .split(|c: char| c.is_whitespace() || "'\";|&<>()=".contains(c));
        for word in words.filter(|word| !word.is_empty()) {
            let script = self.worktree.join(word);
            if fs::metadata(&script).is_ok_and(|meta| meta.is_file() && meta.len() <= SCRIPT) {
                all += &text(&script);
            }
        }
        all
    }
}

fn text(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// The first file of the main checkout that the agent has changed, by its path in there.
///
/// # Errors
/// When git cannot say what has changed.
pub(crate) fn escaped(main: &Path, words: &Words, end: &End) -> anyhow::Result<Option<String>> {
    let said = words.all();
    if !names(&said, &main.to_string_lossy()) {
        return Ok(None);
    }
    // Looks only: no lock is taken in somebody's checkout.
    let status = [
        "--no-optional-locks",
        "status",
        "--porcelain",
        "-z",
        "--no-renames",
        "--untracked-files=all",
    ];
    let changed = Git::at(main).run(&status)?;
    let during = |path: &Path| {
        // Of a file that is gone its folder tells.
        let meta =
            fs::symlink_metadata(path).or_else(|_| fs::metadata(path.parent().unwrap_or(main)));
        let nanos = |meta: fs::Metadata| {
            i32::try_from(meta.ctime_nsec()).map(|nanos| (meta.ctime(), nanos))
        };
        let at = meta.ok().and_then(|meta| nanos(meta).ok());
        let at = at.and_then(|(seconds, nanos)| Timestamp::new(seconds, nanos).ok());
        at.is_some_and(|at| end.started_at - COARSE <= at && at <= end.ended_at)
    };
    let ours = |path: &&str| !path.starts_with(".beads/") && said.contains(path);
    let changed = changed.split('\0').filter_map(|entry| entry.get(3..));
    let found = changed.filter(ours).find(|path| during(&main.join(path)));
    if let Some(found) = found {
        return Ok(Some(found.to_owned()));
    }
    // The log of commits has whole seconds only: what stands in it was there before the run if the
    // log itself was.
    let history = Git::at(main).run(&["rev-parse", "--git-path", "logs/HEAD"])?;
    if !during(&main.join(history)) {
        return Ok(None);
    }
    let committed = committed(main, end)?;
    let found = committed
        .split('\0')
        .filter(|path| !path.is_empty())
        .find(ours);
    Ok(found.map(str::to_owned))
}

/// The files that were committed in the main checkout during a run, each with a NUL behind it.
fn committed(main: &Path, end: &End) -> anyhow::Result<String> {
    let (since, until) = (end.started_at.as_second(), end.ended_at.as_second());
    let log = [
        "reflog",
        "-n",
        "50",
        "--date=unix",
        "--format=%H %gd %gs",
        "HEAD",
    ];
    // Without a commit there is no such log.
    let log = Git::at(main).run(&log).unwrap_or_default();
    let mut files = String::new();
    for line in log.lines() {
        let mut words = line.splitn(3, ' ');
        let (Some(sha), Some(at), Some(how)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        // `HEAD@{1763900000}`
        let at = at
            .trim_start_matches("HEAD@{")
            .trim_end_matches('}')
            .parse();
        if how.starts_with("commit") && at.is_ok_and(|at| (since..=until).contains(&at)) {
            let names = [
                "diff-tree",
                "-z",
                "-r",
                "--root",
                "--no-commit-id",
                "--name-only",
                sha,
            ];
            files += &Git::at(main).run(&names)?;
            files.push('\0');
        }
    }
    Ok(files)
}

/// Whether the text names a folder as such or something in it; its `.git`, and longer names that
/// begin alike, aside.
fn names(text: &str, folder: &str) -> bool {
    text.match_indices(folder).any(|(at, _)| {
        let rest = &text[at + folder.len()..];
        let longer = |c: char| c.is_alphanumeric() || "._-".contains(c);
        !rest.starts_with(longer) && !rest.starts_with("/.git")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_named_as_itself() {
        for text in [
            "cd /w/main && x",
            "> /w/main/a.txt",
            "\"/w/main\"",
            "at /w/main",
        ] {
            assert!(names(text, "/w/main"), "{text}");
        }
        for text in [
            "/w/main.worktrees/t-1",
            "/w/mainly",
            "/w/main/.git/objects",
            "/w",
        ] {
            assert!(!names(text, "/w/main"), "{text}");
        }
    }
}
