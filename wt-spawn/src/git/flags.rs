//! Flags that several programs have, with one meaning.

use std::path::PathBuf;

use clap::Args;

/// Which remote.
#[derive(Args, Clone, Debug)]
pub struct Remote {
    /// Remote with the base, the branches and the pull requests
    #[arg(
        id = "remote",
        long = "remote",
        env,
        value_name = "NAME",
        default_value = "origin"
    )]
    pub name: String,
}

/// What the work is checked with.
#[derive(Args, Clone, Debug)]
pub struct Check {
    /// Command that the work must pass: agent-run runs it in the worktree, pr-merge on the base
    /// with one or several heads merged into it
    #[arg(id = "check", long = "check", env, value_name = "CMD")]
    pub command: Option<String>,
}

/// Where the worktrees are.
#[derive(Args, Clone, Debug)]
pub struct Under {
    /// Folder of the worktrees [default: ../REPOSITORY.worktrees]
    #[arg(id = "under", long = "under", env, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}
