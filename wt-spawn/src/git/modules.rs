//! What a tree says of its submodules, in `.gitmodules` (gitmodules(5)): data that an agent may have
//! written. Where it is not clear, it says nothing.

use anyhow::Context;
use gix::config::File;
use gix::config::file::Metadata;
use gix::config::file::init::Options;

use crate::Sha;
use crate::look::{Entry, Look};

/// No such file is longer.
const LARGEST: usize = 1 << 20;

/// The submodules that a tree names.
#[derive(Debug, Default)]
pub struct Modules(Vec<Module>);

#[derive(Debug)]
struct Module {
    path: Vec<u8>,
    url: String,
}

impl Modules {
    /// Those of a commit that is here.
    ///
    /// # Errors
    /// When its objects are not here.
    pub fn of(look: &Look, commit: Sha) -> anyhow::Result<Self> {
        let entry = look.entry(commit, b".gitmodules")?;
        match entry.filter(Entry::is_file) {
            Some(entry) => Ok(Self::read(&look.blob(entry.id)?)),
            None => Ok(Self::default()),
        }
    }

    fn read(bytes: &[u8]) -> Self {
        let mut found = Vec::new();
        if bytes.len() > LARGEST {
            return Self(found);
        }
        let Ok(file) = File::from_bytes_no_includes(bytes, Metadata::api(), Options::default())
        else {
            return Self(found);
        };
        let sections = file.sections_by_name("submodule").into_iter().flatten();
        let names = sections
            .filter_map(|section| section.header().subsection_name().map(ToOwned::to_owned));
        let mut names: Vec<_> = names.collect();
        names.sort();
        names.dedup();
        for name in names.iter().filter(|name| is_name(name)) {
            let only = |key: &str| {
                let mut values = file.strings_by("submodule", Some(name.as_ref()), key)?;
                // git takes the first of several, and says so: nothing is meant by that.
                values.pop().filter(|_| values.is_empty())
            };
            if let (Some(path), Some(url)) = (only("path"), only("url"))
                && let Ok(url) = String::from_utf8(url.into())
                && !path.is_empty()
            {
                found.push(Module {
                    path: path.into(),
                    url,
                });
            }
        }
        Self(found)
    }

    /// Where the submodule at a path has its commits from, as that stands there.
    #[must_use]
    pub fn url(&self, path: &[u8]) -> Option<&str> {
        let mut named = self.0.iter().filter(|module| module.path == path);
        let url = named.next().map(|module| module.url.as_str());
        url.filter(|_| named.next().is_none())
    }

    /// The paths of all of them.
    pub fn paths(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|module| module.path.as_slice())
    }

    /// What all of them have their commits from.
    pub fn urls(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|module| module.url.as_str())
    }
}

/// git takes no other names, as they become folders.
fn is_name(name: &[u8]) -> bool {
    let mut parts = name.split(|byte| matches!(byte, b'/' | b'\\'));
    !name.is_empty() && parts.all(|part| part != b"..")
}

/// A submodule's URL that begins with `./` or `../`, from where the remote of the repository around
/// it is, as git resolves it (git-submodule(1), "add"); any other is returned as it is.
///
/// # Errors
/// When it has more `../` than the remote has parts.
pub(crate) fn resolve(url: &str, remote: &str) -> anyhow::Result<String> {
    if !url.starts_with("./") && !url.starts_with("../") {
        return Ok(url.to_owned());
    }
    let mut base = remote.strip_suffix('/').unwrap_or(remote).to_owned();
    let (mut rest, mut separator) = (url, '/');
    loop {
        if let Some(below) = rest.strip_prefix("../") {
            rest = below;
            let at = base.rfind('/').or_else(|| {
                separator = ':';
                base.rfind(':')
            });
            base.truncate(at.with_context(|| format!("'{url}' leads nowhere"))?);
        } else if let Some(below) = rest.strip_prefix("./") {
            rest = below;
        } else {
            break;
        }
    }
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    Ok(format!("{base}{separator}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_url_is_resolved_as_git_does() {
        for (url, remote, whole) in [
            (
                "../sub",
                "https://h.example/a/main.git",
                "https://h.example/a/sub",
            ),
            (
                "./sub.git/",
                "https://h.example/a/main/",
                "https://h.example/a/main/sub.git",
            ),
            (
                "../../b/sub",
                "https://h.example/a/main",
                "https://h.example/b/sub",
            ),
            ("../sub", "git@h.example:main.git", "git@h.example:sub"),
            ("../.././sub", "git@h.example:a/main", "git@h.example:sub"),
            ("../sub", "/srv/git/main.git", "/srv/git/sub"),
            (
                "https://x.example/y",
                "/srv/git/main.git",
                "https://x.example/y",
            ),
        ] {
            assert_eq!(resolve(url, remote).ok().as_deref(), Some(whole), "{url}");
        }
        assert!(resolve("../../../sub", "a/b").is_err());
    }

    #[test]
    fn an_entry_counts_where_it_is_clear() {
        let url = |text: &str| {
            Modules::read(text.as_bytes())
                .url(b"sub")
                .map(str::to_owned)
        };
        let good = "[submodule \"x\"]\n\tpath = sub\n\turl = ../sub\n";
        assert_eq!(url(good).as_deref(), Some("../sub"));
        assert_eq!(
            url("[submodule \"x\"]\npath=\"sub\"\n[submodule \"x\"]\nurl=u # c\n").as_deref(),
            Some("u")
        );
        for bad in [
            "",
            "[submodule \"x\"]\n\tpath = sub\n",
            "[submodule \"x\"]\n\tpath = sub/\n\turl = u\n",
            "[submodule \"../x\"]\n\tpath = sub\n\turl = u\n",
            "[submodule]\n\tpath = sub\n\turl = u\n",
            "[include]\n\tpath = sub\n\turl = u\n",
            &format!("{good}\turl = other\n"),
            &format!("{good}[submodule \"y\"]\n\tpath = sub\n\turl = u\n"),
            &format!("{good}[broken"),
        ] {
            assert_eq!(url(bad), None, "{bad}");
        }
    }
}
