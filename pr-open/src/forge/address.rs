//! Where a remote is, as its URL says, and which forge is there.

use std::env;

use anyhow::{Context, bail};
use git::Url;

use crate::Kind;

/// A remote that is not a path.
pub(crate) struct Address {
    /// `https`, or `http` where the URL says so. Over SSH nothing is said of HTTP: `https`.
    pub(crate) scheme: &'static str,
    /// Whether it is the very place where HTTP is spoken, too.
    pub(crate) is_http: bool,
    /// In lower case, with its port if it has one that counts for HTTP.
    pub(crate) host: String,
    pub(crate) user: Option<String>,
    /// Not in error messages, not in logs.
    pub(crate) password: Option<String>,
    /// Without the first slash.
    pub(crate) path: String,
}

impl Address {
    /// `None`: it is a path, or a protocol that only moves objects.
    ///
    /// # Errors
    /// When git could not use it either.
    pub(crate) fn of(url: &str) -> anyhow::Result<Option<Self>> {
        // The URL itself stays out of the message: it may hold a password.
        let url = Url::try_from(url).ok().context("the remote has no URL")?;
        let (scheme, is_http) = match url.scheme.as_str() {
            "http" => ("http", true),
            "https" => ("https", true),
            "ssh" => ("https", false),
            _ => return Ok(None),
        };
        let Some(host) = url.host() else {
            return Ok(None);
        };
        let port = url.port.filter(|_| is_http);
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        Ok(Some(Self {
            scheme,
            is_http,
            host: host.to_ascii_lowercase() + &port,
            user: url.user().map(str::to_owned),
            password: url.password().map(str::to_owned),
            path: url.path.to_string().trim_start_matches('/').to_owned(),
        }))
    }

    /// Owner and name of the repository, and what the path has before them.
    ///
    /// # Errors
    /// When the path has no such parts.
    pub(crate) fn repository(&self) -> anyhow::Result<(&str, &str, &str)> {
        let path = self.path.trim_end_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        let parts = || {
            let (rest, name) = path.rsplit_once('/')?;
            let (before, owner) = rest.rsplit_once('/').unwrap_or(("", rest));
            Some((before, owner, name))
        };
        parts()
            .filter(|(_, owner, name)| !owner.is_empty() && !name.is_empty())
            .with_context(|| format!("'{path}' on {} names no repository", self.host))
    }

    /// Which forge the host is: by name where it is well known, else by the variables that are set.
    ///
    /// # Errors
    /// When nothing tells: what has to be set.
    pub(crate) fn forge(&self) -> anyhow::Result<Kind> {
        let name = self.host.split(':').next().unwrap_or_default();
        let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        if is_cloud(name) || name.starts_with("github.") {
            return Ok(Kind::Github);
        }
        let well_known = matches!(name, "codeberg.org" | "gitea.com")
            || matches!(name.split('.').next(), Some("gitea" | "forgejo"));
        let gitea = ["GITEA_TOKEN", "FORGEJO_TOKEN", "GITEA_SERVER_URL"];
        let gitea = gitea.into_iter().any(is_set);
        // Of a name that only SSH knows they tell the host.
        let is_nickname = !self.is_http && !name.contains('.');
        let told = |variable| {
            let value = env::var(variable).unwrap_or_default();
            value.split('/').next() == Some(name) || (is_nickname && !value.is_empty())
        };
        let tokens = ["GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN"];
        let github = tokens.into_iter().any(is_set) || ["GH_HOST", "GH_REPO"].into_iter().any(told);
        match (well_known || gitea, github) {
            (true, false) => Ok(Kind::Gitea),
            (true, true) if well_known => Ok(Kind::Gitea),
            (false, true) => Ok(Kind::Github),
            _ => bail!(
                "the remote is on the host '{name}': set BEADLINE_FORGE to github, and \
                 GH_ENTERPRISE_TOKEN if git knows no token for it; or to gitea, and GITEA_TOKEN; or \
                 to git, for pull requests that are refs of the remote"
            ),
        }
    }
}

/// Whether a host is GitHub's own.
pub(crate) fn is_cloud(host: &str) -> bool {
    matches!(host, "github.com" | "ssh.github.com") || host.ends_with(".ghe.com")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_remote() {
        let parts = |url| {
            let address = Address::of(url).expect("a URL").expect("a host");
            let (before, owner, name) = address.repository().expect("a repository");
            format!(
                "{} {} {before}|{owner}|{name}",
                address.scheme, address.host
            )
        };
        assert_eq!(
            parts("https://u:t@GitHub.com/o/r.git"),
            "https github.com |o|r"
        );
        assert_eq!(parts("http://h:3000/sub/o/r"), "http h:3000 sub|o|r");
        assert_eq!(parts("git@h.test:o/r.git"), "https h.test |o|r");
        assert_eq!(parts("ssh://git@h.test:2222/o/r"), "https h.test |o|r");
        for path in ["/srv/git/r.git", "../r.git", "file:///srv/r.git"] {
            assert!(Address::of(path).expect("a path").is_none(), "{path}");
        }
        let nameless = Address::of("https://h/r").expect("a URL").expect("a host");
        assert!(nameless.repository().is_err());
    }
}
