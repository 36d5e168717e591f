//! The repository behind the double: what git answers, what a merge does to it, and its transport.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;

use crate::stage::command;

/// A bare repository on disk.
pub(super) struct Bare(pub(super) PathBuf);

impl Bare {
    pub(super) fn new(path: PathBuf) -> Self {
        let bare = Self(path);
        bare.git(&["config", "http.receivepack", "true"]);
        bare
    }

    /// What git prints; `None`: it fails.
    pub(super) fn ask(&self, args: &[&str]) -> Option<String> {
        let ran = command("git")
            .arg("-C")
            .arg(&self.0)
            .args([
                "-c",
                "user.name=GitHub",
                "-c",
                "user.email=noreply@x.invalid",
            ])
            .args(args)
            .env_clear()
            .env("PATH", crate::stage::path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .unwrap();
        let said = String::from_utf8(ran.stdout).unwrap();
        ran.status.success().then(|| said.trim_end().to_owned())
    }

    #[track_caller]
    fn git(&self, args: &[&str]) -> String {
        self.ask(args).unwrap_or_else(|| panic!("git {args:?}"))
    }

    pub(super) fn branch(&self, name: &str) -> Option<String> {
        self.ask(&[
            "rev-parse",
            "--verify",
            "--quiet",
            &format!("refs/heads/{name}"),
        ])
    }

    /// Whether the second holds the first.
    pub(super) fn is_in(&self, one: &str, two: &str) -> bool {
        self.ask(&["merge-base", "--is-ancestor", one, two])
            .is_some()
    }

    /// The tree of the merge; `None`: it conflicts.
    pub(super) fn merged_tree(&self, base: &str, head: &str) -> Option<String> {
        self.ask(&["merge-tree", "--write-tree", base, head])
    }

    /// The commit that has this tree.
    pub(super) fn commit(&self, tree: &str, parents: &[&str], message: &str) -> String {
        let mut args = vec!["commit-tree", tree, "-m", message];
        for parent in parents {
            args.extend(["-p", parent]);
        }
        self.git(&args)
    }

    /// The commits of `head` that `base` lacks, on top of it.
    pub(super) fn rebased(&self, base: &str, head: &str) -> Option<String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tree");
        let path = path.to_str().unwrap();
        self.git(&["worktree", "add", "--quiet", "--detach", path, head]);
        let tree = Self(path.into());
        let done = tree
            .ask(&["rebase", "--quiet", base])
            .map(|_| tree.git(&["rev-parse", "HEAD"]));
        self.git(&["worktree", "remove", "--force", path]);
        done
    }

    /// Moves a branch, if it is still there where it was.
    pub(super) fn moves(&self, branch: &str, from: &str, to: &str) -> bool {
        let name = format!("refs/heads/{branch}");
        self.ask(&["update-ref", &name, to, from]).is_some()
    }
}

/// What git's own CGI program says to one request of a client's git (git-http-backend(1)).
pub(super) fn transport(
    root: &Path,
    verb: &str,
    target: &str,
    head: &[String],
    body: &[u8],
) -> (u16, Vec<String>, Vec<u8>) {
    let value = |name: &str| {
        let named = |line: &&String| line.to_ascii_lowercase().starts_with(name);
        let line = head.iter().find(named)?;
        Some(line[name.len()..].trim().to_owned())
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut child = command("git")
        .arg("http-backend")
        .env_clear()
        .env("PATH", crate::stage::path())
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("REQUEST_METHOD", verb)
        .env("REMOTE_USER", "somebody")
        .env("CONTENT_TYPE", value("content-type:").unwrap_or_default())
        .env("CONTENT_LENGTH", body.len().to_string())
        .env(
            "HTTP_CONTENT_ENCODING",
            value("content-encoding:").unwrap_or_default(),
        )
        .env("GIT_PROTOCOL", value("git-protocol:").unwrap_or_default())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut stdin, mut said) = (child.stdin.take().unwrap(), Vec::new());
    thread::scope(|scope| {
        // It may end before it has read all.
        scope.spawn(move || drop(stdin.write_all(body)));
        child.stdout.take().unwrap().read_to_end(&mut said).unwrap();
    });
    child.wait().unwrap();
    let end = said.windows(4).position(|four| four == b"\r\n\r\n");
    let body = said.split_off(end.map_or(said.len(), |end| end + 4));
    let text = String::from_utf8(said).unwrap();
    let mut status = 200;
    let mut lines = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        match line.strip_prefix("Status: ") {
            Some(said) => status = said[..3].parse().unwrap(),
            None => lines.push(line.to_owned()),
        }
    }
    (status, lines, body)
}
