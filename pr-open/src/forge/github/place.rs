//! Where GitHub's two APIs are for a remote, which repository is meant, and which token goes there.

use std::env;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::address::{Address, is_cloud};
use crate::token;

/// What GitHub asks of everybody who changes something there.
const APART: Duration = Duration::from_secs(1);

/// It has no `Debug`: it holds a secret.
pub(super) struct Place {
    pub(super) rest: Api,
    pub(super) graph: Api,
    pub(super) owner: String,
    pub(super) name: String,
    /// The value of the `Authorization` header.
    pub(super) authorization: String,
    /// How far changes are kept apart.
    pub(super) apart: Duration,
}

/// Where requests go: scheme, host and port; and what all paths begin with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Api {
    pub(super) origin: String,
    pub(super) prefix: String,
}

impl Place {
    /// # Errors
    /// When the remote names no repository, a variable names another host, or there is no token.
    pub(super) fn find(dir: &Path, address: &Address) -> anyhow::Result<Self> {
        let named = variable("GH_REPO").map(|text| Named::parse(&text));
        let named = named.transpose()?;
        let host = match named.as_ref().and_then(|named| named.host.clone()) {
            Some(host) => host,
            None => host(address),
        };
        // A token goes to no host that only one of the two names.
        ensure!(
            !address.is_http || host == address.host,
            "GH_REPO names another host than the remote"
        );
        let (owner, name) = if let Some(named) = named {
            (named.owner, named.name)
        } else {
            let (_, owner, name) = address.repository()?;
            (owner.to_owned(), name.to_owned())
        };
        let (rest, graph) = Api::both(&format!("{}://{host}", address.scheme), &host);
        let (said, said_graph) = (variable("GITHUB_API_URL"), variable("GITHUB_GRAPHQL_URL"));
        let said = said
            .map(|url| Api::parse(&url, "GITHUB_API_URL"))
            .transpose()?;
        let said_graph = match (said_graph, &said) {
            (Some(url), _) => Some(Api::parse(&url, "GITHUB_GRAPHQL_URL")?),
            (None, Some(rest)) => Some(rest.graph()),
            (None, None) => None,
        };
        for (said, known) in [(&said, &rest), (&said_graph, &graph)] {
            let elsewhere = said.as_ref().is_some_and(|said| !said.is_for(known, &host));
            ensure!(
                !elsewhere,
                "GITHUB_API_URL or GITHUB_GRAPHQL_URL names another host than the remote"
            );
        }
        let variables = match is_cloud(&host) {
            true => ["GH_TOKEN", "GITHUB_TOKEN"],
            false => ["GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN"],
        };
        let is_known = |said: &Option<Api>, known: &Api| said.as_ref().is_none_or(|it| it == known);
        // What git knows is for that host, and goes nowhere else.
        let known = match is_known(&said, &rest) && is_known(&said_graph, &graph) {
            true => token::find(
                &variables,
                dir,
                address,
                &format!("{}://{host}", address.scheme),
            ),
            false => token::given(&variables),
        };
        let authorization = known?.with_context(|| {
            format!(
                "no token for {host}: set {} or BEADLINE_TOKEN_FILE, or give git one",
                variables[0]
            )
        })?;
        Ok(Self {
            rest: said.unwrap_or(rest),
            graph: said_graph.unwrap_or(graph),
            owner,
            name,
            authorization,
            apart: if is_cloud(&host) {
                APART
            } else {
                Duration::ZERO
            },
        })
    }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// The host that is meant: of a name that only SSH knows, `GH_HOST` tells.
fn host(address: &Address) -> String {
    match (address.host.as_str(), variable("GH_HOST")) {
        ("ssh.github.com", _) => "github.com".to_owned(),
        (host, Some(said)) if !address.is_http && !is_cloud(host) => said.to_ascii_lowercase(),
        (host, _) => host.to_owned(),
    }
}

/// What `GH_REPO` holds: `[HOST/]OWNER/REPO`.
#[derive(Debug, Eq, PartialEq)]
struct Named {
    host: Option<String>,
    owner: String,
    name: String,
}

impl Named {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        let (host, owner, name) = match parts[..] {
            [owner, name] => (None, owner, name),
            [host, owner, name] => (Some(host.to_ascii_lowercase()), owner, name),
            _ => (None, "", ""),
        };
        ensure!(
            !owner.is_empty() && !name.is_empty(),
            "GH_REPO is not [HOST/]OWNER/REPO"
        );
        Ok(Self {
            host,
            owner: owner.to_owned(),
            name: name.to_owned(),
        })
    }
}

impl Api {
    /// REST and GraphQL of a host.
    fn both(origin: &str, host: &str) -> (Self, Self) {
        let api = |origin: String, prefix: &str| Self {
            origin,
            prefix: prefix.to_owned(),
        };
        if is_cloud(host) {
            let origin = format!("https://api.{host}");
            return (api(origin.clone(), ""), api(origin, "/graphql"));
        }
        (
            api(origin.to_owned(), "/api/v3"),
            api(origin.to_owned(), "/api/graphql"),
        )
    }

    fn parse(url: &str, variable: &str) -> anyhow::Result<Self> {
        let parts = || {
            let (scheme, rest) = url.trim_end_matches('/').split_once("://")?;
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            let slash = if path.is_empty() { "" } else { "/" };
            let is_plain = !host.is_empty() && !host.contains('@');
            (is_plain && matches!(scheme, "http" | "https")).then(|| Self {
                origin: format!("{scheme}://{}", host.to_ascii_lowercase()),
                prefix: format!("{slash}{path}"),
            })
        };
        parts().with_context(|| format!("{variable} is not http://HOST or https://HOST"))
    }

    /// GraphQL beside this REST.
    fn graph(&self) -> Self {
        let before = self.prefix.strip_suffix("/v3").unwrap_or(&self.prefix);
        Self {
            origin: self.origin.clone(),
            prefix: format!("{before}/graphql"),
        }
    }

    fn host(&self) -> &str {
        self.origin.split_once("://").unwrap_or_default().1
    }

    /// Whether the token of `host` may go there: to that host, to its API, or not off this machine.
    fn is_for(&self, known: &Self, host: &str) -> bool {
        let name = self.host().split(':').next().unwrap_or_default();
        self.host() == known.host()
            || self.host() == host
            || matches!(name, "127.0.0.1" | "localhost")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_apis_are() {
        let urls = |host: &str| {
            let (rest, graph) = Api::both(&format!("https://{host}"), host);
            [rest.origin + &rest.prefix, graph.origin + &graph.prefix]
        };
        assert_eq!(
            urls("github.com"),
            ["https://api.github.com", "https://api.github.com/graphql"]
        );
        assert_eq!(
            urls("acme.ghe.com"),
            [
                "https://api.acme.ghe.com",
                "https://api.acme.ghe.com/graphql"
            ]
        );
        assert_eq!(
            urls("ghes.test:8443"),
            [
                "https://ghes.test:8443/api/v3",
                "https://ghes.test:8443/api/graphql"
            ]
        );
    }

    #[test]
    fn what_the_variables_say() {
        let api = |url| Api::parse(url, "X").map(|api| (api.graph(), api));
        let (graph, rest) = api("https://H.test/api/v3/").expect("a URL");
        assert_eq!(
            (rest.prefix.as_str(), graph.prefix.as_str()),
            ("/api/v3", "/api/graphql")
        );
        assert_eq!(rest.origin, "https://h.test");
        assert_eq!(
            api("http://127.0.0.1:1").expect("a URL").0.prefix,
            "/graphql"
        );
        for url in ["h.test", "ftp://h", "https://u:p@h", "https://"] {
            assert!(api(url).is_err(), "{url}");
        }
        let named = |text| Named::parse(text).ok();
        assert_eq!(named("o/r").expect("named").host, None);
        assert_eq!(named("H/o/r").expect("named").host.as_deref(), Some("h"));
        assert_eq!(named("r"), None);
        assert_eq!(named("a/b/c/d"), None);
    }

    #[test]
    fn a_token_goes_to_its_host_only() {
        let (known, _) = Api::both("https://github.com", "github.com");
        let is_for = |url| {
            Api::parse(url, "X")
                .expect("a URL")
                .is_for(&known, "github.com")
        };
        assert!(is_for("https://api.github.com") && is_for("http://127.0.0.1:80/x"));
        assert!(!is_for("https://evil.test") && !is_for("https://api.github.com.evil.test"));
        assert!(!is_for("https://ghes.test/api/v3") && !is_for("https://127.0.0.1.evil.test"));
    }
}
