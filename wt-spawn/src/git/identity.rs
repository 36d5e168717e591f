//! Whether git knows who commits.

use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, ensure};
use beads::{Repository, token};

use crate::process::Marker;
use crate::shell::{self, Command};

/// Both, as variables may tell of one alone (git-var(1)).
const WHO: &str = "git var GIT_AUTHOR_IDENT && git var GIT_COMMITTER_IDENT";

/// git reads a few files.
const LONGEST: Duration = Duration::from_mins(1);

/// Who commits in a clone: asked once, as nobody changes that under a program at work.
#[derive(Debug, Default)]
pub struct Identity(OnceLock<Result<(), String>>);

impl Identity {
    /// Fails where an agent, with the variables named in `extra` beside the usual ones, could commit
    /// nothing: each of its runs would come to nothing.
    ///
    /// # Errors
    /// When git has no name or no address for who commits, with what git says.
    pub fn require(&self, repository: &Repository, extra: &[String]) -> anyhow::Result<()> {
        let asked = self.0.get_or_init(|| {
            let known = ask(repository, extra);
            known.map_err(|err| format!("{err:#}"))
        });
        asked.clone().map_err(anyhow::Error::msg)
    }
}

fn ask(repository: &Repository, extra: &[String]) -> anyhow::Result<()> {
    // With spaces, as no bead's is; of its own, as the programs of a line ask at the same time, and
    // whoever has its answer ends all that carry the marker.
    let marker = Marker::of(repository, &format!("who commits {}", token::random()?));
    let ended = Command {
        line: WHO,
        launcher: None,
        dir: repository.main(),
        variables: shell::environment(extra),
        marker: &marker,
        input: Vec::new(),
        with_stderr: true,
        timeout: LONGEST,
    }
    .run()
    .context("cannot ask git who commits")?;
    let lines = || ended.output.lines().map(str::trim);
    let said = lines().find_map(|line| line.strip_prefix("fatal: "));
    ensure!(
        ended.code == Some(0),
        "an agent could not commit here: {} (git config user.name and user.email, or the variables \
         GIT_AUTHOR_NAME, GIT_AUTHOR_EMAIL and those of GIT_COMMITTER, tell git who does)",
        said.or_else(|| lines().next_back()).unwrap_or_default()
    );
    Ok(())
}
