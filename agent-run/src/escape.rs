//! Whether an agent has written into the main checkout instead of its worktree.
//!
//! People work in the main checkout, too. A change there is suspect if it was made during a run whose
//! log, task, command line or script names both the checkout and the file; it is the agent's if the
//! file holds, byte for byte, what the agent has written, in its worktree or in a call.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use agent::{End, calls};
use git::Git;
use jiff::{SignedDuration, Timestamp};

/// The clock of file systems may be so much behind.
const COARSE: SignedDuration = SignedDuration::from_millis(20);

/// A script that is longer is no script.
const SCRIPT: u64 = 1 << 20;

/// A longer file was not written out in a call, and is not read.
const WRITTEN: u64 = 16 << 20;

/// What an agent has said, was told, and has done.
pub(crate) struct Words<'a> {
    pub(crate) log: &'a Path,
    pub(crate) task: &'a str,
    pub(crate) command_line: &'a str,
    /// Where it worked.
    pub(crate) worktree: &'a Path,
    /// The commit that its branch is at now.
    pub(crate) head: &'a str,
}

/// A file of the main checkout that was changed during a run, by its path in there.
pub(crate) enum Change {
    /// By the agent.
    Escaped(String),
    /// By the agent or by a person.
    Suspect(String),
}

/// Looks for what the agent has changed in the main checkout.
///
/// # Errors
/// When git cannot say what has changed.
pub(crate) fn change(main: &Path, words: &Words, end: &End) -> anyhow::Result<Option<Change>> {
    // Times first: mostly nothing was changed at all.
    let changed = changed(main, end)?;
    if changed.is_empty() {
        return Ok(None);
    }
    let log = text(words.log);
    let scripts = words.scripts();
    let said = [words.task, &log, &scripts].join("\n");
    if !names(&said, &main.to_string_lossy()) {
        return Ok(None);
    }
    let mut suspects = changed.into_iter().filter(|path| said.contains(path));
    let Some(first) = suspects.next() else {
        return Ok(None);
    };
    let mut written: Vec<Vec<String>> = log.lines().flat_map(calls).collect();
    written.push(vec![scripts]);
    for path in [first.clone()].into_iter().chain(suspects) {
        let Ok(content) = content(&main.join(&path)) else {
            continue;
        };
        let called = || {
            let text = String::from_utf8_lossy(&content);
            let mut calls = written.iter();
            calls.any(|call| writes(call, main, &path, &text))
        };
        if called() || words.has_written(main, &path, &content, end)? {
            return Ok(Some(Change::Escaped(path)));
        }
    }
    Ok(Some(Change::Suspect(first)))
}

impl Words<'_> {
    /// The command line, and the scripts that it runs.
    fn scripts(&self) -> String {
        let mut all = format!("{}\n", self.command_line);
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

    /// Whether the agent's work holds the very same file, and held it first: an agent may bring in
    /// what it found in the main checkout.
    fn has_written(
        &self,
        main: &Path,
        path: &str,
        theirs: &[u8],
        end: &End,
    ) -> anyhow::Result<bool> {
        let own = self.worktree.join(path);
        let same = content(&own).is_ok_and(|own| own == theirs);
        if !same || written_at(&main.join(path)) < written_at(&own) {
            return Ok(false);
        }
        // What it has not changed may well be the same everywhere.
        let diff = [
            "diff",
            "--quiet",
            "--no-ext-diff",
            &end.head_before,
            self.head,
        ];
        let ran = Git::at(main).output(&[&diff[..], &["--", path]].concat())?;
        Ok(end.head_before.is_empty() || ran.code == Some(1))
    }
}

/// Whether a call names the file, and holds all of it, as a text or as lines of one.
fn writes(call: &[String], main: &Path, path: &str, content: &str) -> bool {
    let all = call.join("\n");
    let named = names(&all, &main.to_string_lossy()) && all.contains(path);
    let lines = format!("\n{content}");
    let holds = |text: &String| {
        text == content || (content.ends_with('\n') && format!("\n{text}").contains(&lines))
    };
    named && !content.trim().is_empty() && call.iter().any(holds)
}

fn text(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// What a file holds that is no link and no pipe.
fn content(path: &Path) -> io::Result<Vec<u8>> {
    let meta = fs::symlink_metadata(path)?;
    match meta.is_file() && meta.len() <= WRITTEN {
        true => fs::read(path),
        false => Err(io::ErrorKind::InvalidInput.into()),
    }
}

fn written_at(path: &Path) -> Option<(i64, i64)> {
    let meta = fs::symlink_metadata(path).ok()?;
    Some((meta.ctime(), meta.ctime_nsec()))
}

/// The files of the main checkout that were changed or committed during a run; Beads' own left out.
fn changed(main: &Path, end: &End) -> anyhow::Result<Vec<String>> {
    // Looks only: no lock is taken in somebody's checkout.
    let status = [
        "--no-optional-locks",
        "status",
        "--porcelain",
        "-z",
        "--no-renames",
        "--untracked-files=all",
    ];
    let status = Git::at(main).run(&status)?;
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
    let ours = |path: &&str| !path.is_empty() && !path.starts_with(".beads/");
    let paths = status.split('\0').filter_map(|entry| entry.get(3..));
    let paths = paths.filter(ours).filter(|path| during(&main.join(path)));
    let mut changed: Vec<String> = paths.map(str::to_owned).collect();
    // The log of commits has whole seconds only: what stands in it was there before the run if the
    // log itself was.
    let history = Git::at(main).run(&["rev-parse", "--git-path", "logs/HEAD"])?;
    if during(&main.join(history)) {
        let committed = committed(main, end)?;
        let paths = committed.split('\0').filter(ours);
        changed.extend(paths.map(str::to_owned));
    }
    Ok(changed)
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
    fn a_call_writes_what_it_names_and_holds() {
        let call = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let wrote = |texts: &[&str], content| writes(&call(texts), Path::new("/w"), "a", content);
        assert!(wrote(&["/w/a", "one\ntwo"], "one\ntwo"));
        assert!(wrote(&["cat > /w/a <<E\none\ntwo\nE"], "one\ntwo\n"));
        // Of another file, a part of a line, no content.
        assert!(!wrote(&["/x/a", "one\ntwo"], "one\ntwo"));
        assert!(!wrote(&["cat > /w/a <<E\nnone\ntwo\nE"], "one\ntwo\n"));
        assert!(!wrote(&["ls /w/a", "one"], "on"));
        assert!(!wrote(&["ls /w/a\n\n"], "\n"));
    }

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
