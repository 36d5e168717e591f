//! What proves to a forge who we are: from the environment, a file, the remote's URL, or git's
//! credential helpers, in this order. Never in an argument, a log, or an error.

use std::env;
use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use beads::secret::is_for_forges;
use git::Credential;

use crate::address::Address;

/// The variable that names a file with a token.
const FILE: &str = "BEADLINE_TOKEN_FILE";

/// The value of the `Authorization` header; `None`: nobody knows one.
///
/// # Errors
/// When a token's file cannot be read, or what it or a variable holds is no token.
pub(crate) fn find(
    variables: &[&str],
    dir: &Path,
    address: &Address,
    origin: &str,
) -> anyhow::Result<Option<String>> {
    let given = given(variables)?;
    if given.is_some() || !address.is_http {
        return Ok(given);
    }
    if let (Some(user), Some(password)) = (&address.user, &address.password) {
        return Ok(Some(basic(user, password)));
    }
    let (scheme, host) = origin.split_once("://").unwrap_or_default();
    let found = Credential::find(dir, scheme, host, &address.path, address.user.as_deref())?;
    Ok(found.map(|found| basic(&found.user, &found.password)))
}

/// What a variable or a file holds.
///
/// # Errors
/// When the file cannot be read, or what is held is no token.
pub(crate) fn given(variables: &[&str]) -> anyhow::Result<Option<String>> {
    debug_assert!(variables.iter().all(|name| is_for_forges(name.as_ref())));
    let set = |name: &&&str| env::var_os(name).is_some_and(|value| !value.is_empty());
    if let Some(name) = variables.iter().find(set) {
        let token = env::var(name).ok().unwrap_or_default();
        return bearer(&token).with_context(|| format!("${name}")).map(Some);
    }
    let Some(path) = env::var_os(FILE).filter(|path| !path.is_empty()) else {
        return Ok(None);
    };
    let token = fs::read_to_string(&path)
        .with_context(|| format!("cannot read ${FILE}, '{}'", path.display()))?;
    bearer(&token)
        .with_context(|| format!("the file ${FILE}"))
        .map(Some)
}

fn bearer(token: &str) -> anyhow::Result<String> {
    let token = token.trim();
    ensure!(
        !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()),
        "it holds no token"
    );
    Ok(format!("Bearer {token}"))
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_token_is_not_sent() {
        assert_eq!(bearer(" abc\n").ok().as_deref(), Some("Bearer abc"));
        assert!(bearer("a b").is_err());
        assert!(bearer("a\r\nHost: evil").is_err());
        assert!(bearer("\n").is_err());
        assert_eq!(basic("u", "p"), "Basic dTpw");
    }
}
