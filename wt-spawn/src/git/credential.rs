//! What git's credential helpers know, for programs that speak to the host of a remote.

use std::fmt::Write as _;
use std::io::{Seek, Write};
use std::path::Path;

use anyhow::{Context, ensure};

use crate::run::Git;

/// A user and what proves it: a password or a token. It has no `Debug`: it is never printed.
pub struct Credential {
    /// Who.
    pub user: String,
    /// The secret.
    pub password: String,
}

impl Credential {
    /// Asks the helpers, as git does before it speaks to that host; nobody is asked at a terminal.
    /// `scheme` is `https` or `http`, `host` may have a port.
    ///
    /// # Errors
    /// When git cannot be run, or the parts of the address hold control characters.
    pub fn find(
        dir: &Path,
        scheme: &str,
        host: &str,
        path: &str,
        user: Option<&str>,
    ) -> anyhow::Result<Option<Self>> {
        // git-credential(1): `key=value` lines, so a line end in a value would be a key of its own.
        let mut asked = String::new();
        let user = user.map(|user| ("username", user));
        for (key, value) in [("protocol", scheme), ("host", host), ("path", path)]
            .into_iter()
            .chain(user)
        {
            ensure!(
                !value.contains(char::is_control),
                "the remote's URL holds a control character"
            );
            writeln!(asked, "{key}={value}")?;
        }
        let mut file = tempfile::tempfile().context("no temporary file")?;
        file.write_all(asked.as_bytes())?;
        file.rewind()?;
        // No window may open: nobody would see it.
        let args = ["-c", "core.askPass=", "credential", "fill"];
        let ran = Git::at(dir).reading(file).output(&args)?;
        if ran.code != Some(0) {
            return Ok(None);
        }
        let value = |key: &str| {
            ran.stdout
                .lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
                .map(str::to_owned)
        };
        Ok(value("username")
            .zip(value("password"))
            .map(|(user, password)| Self { user, password }))
    }
}
