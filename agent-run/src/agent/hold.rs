//! Starting `agent-hold`, and waiting for it.
//!
//! It is started ready, not going: it holds its slot and its lock, and starts the agent only at a
//! word from us, which comes after the start stands in Beads. If we die in between, it ends.

use std::env;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use beads::Repository;
use beads::secret::is_for_beads;
use git::process::{Marker, VARIABLE};
use serde::{Deserialize, Serialize};

use crate::budget::Allowance;

/// What `agent-hold` is told on its command line, and what it reads first.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    /// The bead.
    pub id: &'a str,
    /// The claim, for the lease.
    pub token: &'a str,
    /// The number of this run.
    pub run: u64,
    /// The worktree.
    pub worktree: &'a Path,
    /// The file with the prompt.
    pub prompt: &'a Path,
    /// The commit that the branch is at; empty: none.
    pub head: String,
    /// The agent: a preset's name or a command line.
    pub agent: &'a str,
    /// What it may use.
    pub allowance: Allowance,
    /// The command line that starts the agent's, such as `bwrap …`.
    pub launcher: Option<&'a str>,
    /// How many agents may live at once in this clone.
    pub max_agents: usize,
    /// Wall-clock limit.
    pub timeout: Duration,
    /// Limit of a time without output and without a change in the worktree.
    pub stall: Duration,
    /// The agent's environment.
    pub variables: Vec<(OsString, OsString)>,
}

/// The command lines, which may hold keys: everybody sees the arguments of a process. One line of
/// JSON, the first that `agent-hold` reads.
#[derive(Debug, Deserialize, Serialize)]
pub struct Lines {
    /// The agent's, or a preset's name.
    pub agent: String,
    /// The one that the agent's is given to.
    pub launcher: Option<String>,
}

/// An `agent-hold` that was started and waits for the word.
#[derive(Debug)]
pub struct Holder {
    process: duct::Handle,
    go: PipeWriter,
    said: BufReader<PipeReader>,
}

impl Order<'_> {
    /// Starts `agent-hold`, which lies beside this program.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self, repository: &Repository) -> anyhow::Result<Holder> {
        let program = beside_us("agent-hold")?;
        let (stdin, go) = std::io::pipe()?;
        let (said, stdout) = std::io::pipe()?;
        let marker = Marker::of(repository, self.id);
        let seconds = |time: Duration| format!("{}ms", time.as_millis());
        let mut args: Vec<OsString> = vec!["-C".into(), repository.main().into()];
        args.extend(["--token".into(), self.token.into()]);
        args.extend(["--run".into(), self.run.to_string().into()]);
        args.extend(["--worktree".into(), self.worktree.into()]);
        args.extend(["--prompt".into(), self.prompt.into()]);
        args.extend([format!("--head={}", self.head).into()]);
        args.extend(["--max-agents".into(), self.max_agents.to_string().into()]);
        args.extend(["--timeout".into(), seconds(self.timeout).into()]);
        args.extend(["--stall".into(), seconds(self.stall).into()]);
        if let Some(cost) = self.allowance.max_cost {
            args.extend([format!("--max-cost={cost}").into()]);
        }
        if let Some(tokens) = self.allowance.max_tokens {
            args.extend([format!("--max-tokens={tokens}").into()]);
        }
        args.extend(["--marker".into(), marker.argument().into()]);
        args.extend(["--".into(), self.id.into()]);
        // Its own variables beside the agent's: it has to find and write Beads.
        let beads = env::vars_os().filter(|(name, _)| is_for_beads(name));
        let ours = [(VARIABLE.into(), marker.as_str().into())];
        let variables = self
            .variables
            .iter()
            .filter(|&(name, _)| name != "BD_READONLY")
            .cloned();
        #[expect(
            clippy::disallowed_methods,
            reason = "the one program that one of ours starts"
        )]
        let process = duct::cmd(program, args)
            .full_env(variables.chain(beads).chain(ours))
            .stdin_file(stdin)
            .stdout_file(stdout)
            .stderr_to_stdout()
            .unchecked()
            .start()
            .context("cannot run agent-hold")?;
        let mut holder = Holder {
            process,
            go,
            said: BufReader::new(said),
        };
        let lines = Lines {
            agent: self.agent.to_owned(),
            launcher: self.launcher.map(str::to_owned),
        };
        let lines = format!("{}\n", serde_json::to_string(&lines)?);
        // One that ended at once says why when it is waited for.
        let _ = holder.go.write_all(lines.as_bytes());
        Ok(holder)
    }
}

impl Holder {
    /// Waits until it has its slot and its lock.
    ///
    /// # Errors
    /// When it ended instead, with what it said.
    pub fn wait_ready(&mut self) -> anyhow::Result<()> {
        let mut line = String::new();
        self.said.read_line(&mut line)?;
        if line != "ready\n" {
            bail!("agent-hold did not get ready: {}", line.trim_end());
        }
        Ok(())
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> i64 {
        self.process
            .pids()
            .first()
            .copied()
            .unwrap_or_default()
            .into()
    }

    /// Gives the word, and waits until the agent and all that it started are gone.
    ///
    /// # Errors
    /// When it is gone already.
    pub fn go(mut self) -> anyhow::Result<()> {
        self.go
            .write_all(b"go\n")
            .context("agent-hold: gone before its agent was started")?;
        self.process.wait()?;
        Ok(())
    }

    /// Takes the word back: nothing was started.
    pub fn cancel(self) {
        let Self { process, go, said } = self;
        drop((go, said));
        let _ = process.wait();
    }
}

fn beside_us(program: &str) -> anyhow::Result<PathBuf> {
    let path = env::current_exe()
        .context("where is this program?")?
        .with_file_name(program);
    ensure!(
        path.exists(),
        "'{}' is missing: beadline is not installed whole",
        path.display()
    );
    Ok(path)
}
