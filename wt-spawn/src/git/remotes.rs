//! Remotes of submodules and other repositories in a worktree, asked whether they have a commit.
//!
//! Where they are an agent may have said. So they are asked from a repository of our own, by the
//! protocols that git allows for submodules, and with nothing that a person keeps for hosts in
//! general, unless the host is one that a person has named.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use gix::objs::Kind;
use gix::url::Scheme;
use tempfile::TempDir;

use crate::guard::Namer;
use crate::modules::{Modules, resolve};
use crate::run::{Git, Ran, failed};
use crate::scratch::scratch;
use crate::{Sha, Url};

/// What git says of a URL that is none at all, or none for submodules, or shows nothing to us.
const NEVER: [&str; 5] = [
    "not allowed",
    "does not appear to be a git repository",
    "not found",
    "Unable to find remote helper",
    "could not read Username",
];

/// What a server says of a commit that it does not have.
const LACKS: &str = "not our ref";

/// What a remote says of a commit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// It has it.
    Has,
    /// It has not.
    Lacks,
    /// For this reason nobody gets anything from there.
    Never(String),
    /// It cannot be told now, for this reason.
    Unknown(String),
}

/// The commits that a remote shows, or why it shows none.
type Shown = Rc<Result<HashSet<Sha>, Answer>>;

/// Remotes, and what they have been asked.
#[derive(Debug)]
pub struct Remotes {
    /// Where the remote of the repository around them is.
    own: String,
    /// What a person has named, resolved.
    known: Vec<String>,
    /// Where agents write: nothing is elsewhere that is there.
    shut: Vec<PathBuf>,
    shown: RefCell<HashMap<String, Shown>>,
}

impl Remotes {
    /// `own`: where the remote of the repository around them is, or that itself where it has none;
    /// a path from `main`, if it is a relative one. `shut`: folders in which agents write.
    #[must_use]
    pub fn new(main: &Path, own: &str, shut: &[&Path]) -> Self {
        let own = match own.starts_with('.') {
            true => main.join(own).display().to_string(),
            false => own.to_owned(),
        };
        let real = |path: &&Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        Self {
            known: vec![own.clone()],
            own,
            shut: shut.iter().map(real).collect(),
            shown: RefCell::default(),
        }
    }

    /// Makes known what these submodules have their commits from, as a person has let it in.
    pub fn know(&mut self, modules: &Modules) {
        let urls = modules
            .urls()
            .filter_map(|url| resolve(url, &self.own).ok());
        self.known.extend(urls);
    }

    /// Whether a person has named this very URL.
    #[must_use]
    pub fn knows(&self, url: &str) -> bool {
        resolve(url, &self.own).is_ok_and(|url| self.known.contains(&url))
    }

    /// Whether the remote at a URL, which may be a relative one, has a commit. A server that gives
    /// none by its name is asked for all that its refs reach.
    ///
    /// # Errors
    /// When git cannot be run, or a file cannot be written.
    pub fn has(&self, url: &str, commit: Sha) -> anyhow::Result<Answer> {
        match &*self.shown(url)? {
            Err(answer) => return Ok(answer.clone()),
            Ok(shown) if shown.contains(&commit) => return Ok(Answer::Has),
            Ok(_) => {}
        }
        let url = resolve(url, &self.own)?;
        let is_there = |scratch: &TempDir| -> anyhow::Result<Answer> {
            let opened = gix::open_opts(scratch.path(), gix::open::Options::isolated())?;
            let found = opened.find_header(commit).map(|header| header.kind());
            Ok(match found {
                Ok(Kind::Commit | Kind::Tag) => Answer::Has,
                _ => Answer::Lacks,
            })
        };
        let fetch = |how: &[&str], what: &str| -> anyhow::Result<(TempDir, Ran)> {
            let scratch = with_remote(&url)?;
            let options = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head"];
            let args = [&options[..], how, &["--", "submodule", what]].concat();
            let ran = self.git(scratch.path(), &url).output(&args)?;
            Ok((scratch, ran))
        };
        let (scratch, ran) = fetch(&["--depth=1"], &commit.to_string())?;
        if ran.code == Some(0) {
            return is_there(&scratch);
        }
        if ran.stderr.contains(LACKS) {
            return Ok(Answer::Lacks);
        }
        let (scratch, ran) = fetch(&[], "+refs/*:refs/*")?;
        match ran.code {
            Some(0) => is_there(&scratch),
            _ => Ok(Answer::Unknown(words("fetch", &ran, &url))),
        }
    }

    /// What a remote shows, asked once.
    pub(crate) fn shown(&self, url: &str) -> anyhow::Result<Shown> {
        if let Some(known) = self.shown.borrow().get(url) {
            return Ok(Rc::clone(known));
        }
        let shown = Rc::new(self.ask(url)?);
        self.shown
            .borrow_mut()
            .insert(url.to_owned(), Rc::clone(&shown));
        Ok(shown)
    }

    fn ask(&self, url: &str) -> anyhow::Result<Result<HashSet<Sha>, Answer>> {
        let url = match resolve(url, &self.own) {
            Ok(url) if is_url(&url) => url,
            _ => {
                return Ok(Err(Answer::Never(
                    "that is no URL for a submodule".to_owned(),
                )));
            }
        };
        if self.is_shut(&url) {
            let why = "that is where agents write".to_owned();
            return Ok(Err(Answer::Never(why)));
        }
        let scratch = with_remote(&url)?;
        let ran =
            self.git(scratch.path(), &url)
                .output(&["ls-remote", "--quiet", "--", "submodule"])?;
        if ran.code == Some(0) {
            let names = ran.stdout.lines().filter_map(|line| line.split_once('\t'));
            let names = names.filter_map(|(name, _)| Sha::from_hex(name.as_bytes()).ok());
            return Ok(Ok(names.collect()));
        }
        let why = words("ls-remote", &ran, &url);
        Ok(Err(
            match NEVER.iter().any(|sign| ran.stderr.contains(sign)) {
                true => Answer::Never(why),
                false => Answer::Unknown(why),
            },
        ))
    }

    fn git(&self, dir: &Path, url: &str) -> Git {
        let place = host(url);
        let is_host = |known: &String| place.is_some() && host(known) == place;
        let is_known = self
            .known
            .iter()
            .any(|known| known == url || is_host(known));
        Git::at(dir).of_submodule(match is_known {
            true => Namer::Base,
            false => Namer::Agent,
        })
    }

    /// Whether it is a folder in which an agent writes.
    fn is_shut(&self, url: &str) -> bool {
        let Ok(url) = Url::try_from(url) else {
            return false;
        };
        let path = PathBuf::from(url.path.to_string());
        let real = fs::canonicalize(&path).unwrap_or(path);
        url.scheme == Scheme::File && self.shut.iter().any(|shut| real.starts_with(shut))
    }
}

/// Whom it speaks to: protocol, host and port.
fn host(url: &str) -> Option<(Scheme, String, Option<u16>)> {
    let url = Url::try_from(url).ok()?;
    let host = url.host()?.to_owned();
    Some((url.scheme, host, url.port))
}

/// An empty repository with one remote, which gives commits without their files if it can. The URL
/// stands in its configuration: there may be a password in it.
fn with_remote(url: &str) -> anyhow::Result<TempDir> {
    let dir = scratch()?;
    let quoted = url.replace('\\', "\\\\").replace('"', "\\\"");
    let mut config = fs::File::options()
        .append(true)
        .open(dir.path().join("config"))?;
    write!(
        config,
        "[remote \"submodule\"]\n\turl = \"{quoted}\"\n\tpromisor = true\n\tpartialclonefilter = tree:0\n"
    )?;
    Ok(dir)
}

/// Whether git can only take it for a URL or a path: no option, no program (gitremote-helpers(7)).
fn is_url(url: &str) -> bool {
    let helper = url.split_once("::").is_some_and(|(name, _)| {
        name.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    });
    !url.is_empty() && !url.starts_with('-') && !helper && !url.contains(char::is_control)
}

/// What git says, without what may be secret in the URL.
fn words(verb: &str, ran: &Ran, url: &str) -> String {
    let said = failed(&[verb], ran).to_string();
    let Some((scheme, rest)) = url.split_once("://") else {
        return said;
    };
    let host = rest.split('/').next().unwrap_or_default();
    let user = host.rsplit_once('@').map_or("", |(user, _)| user);
    match user {
        "" => said,
        user => said.replace(&format!("{scheme}://{user}@"), &format!("{scheme}://")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_no_option_and_no_program() {
        for good in [
            "https://h.example/a",
            "git@h.example:a",
            "git@[::1]:a",
            "/srv/a",
            "ssh://[::1]/a",
        ] {
            assert!(is_url(good), "{good}");
        }
        for bad in [
            "",
            "-uevil",
            "--upload-pack=evil",
            "ext::sh -c evil",
            "::x",
            "a\nb",
            "fd::3",
        ] {
            assert!(!is_url(bad), "{bad}");
        }
    }

    #[test]
    fn no_password_is_told() {
        let ran = Ran {
            code: Some(128),
            stdout: String::new(),
            stderr: "fatal: unable to access 'https://u:secret@h.example/a/': gone".to_owned(),
        };
        let told = words("fetch", &ran, "https://u:secret@h.example/a");
        assert_eq!(
            told,
            "git fetch: fatal: unable to access 'https://h.example/a/': gone"
        );
    }
}
