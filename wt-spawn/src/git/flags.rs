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
        value_name = "NAME",
        env = "BEADLINE_REMOTE",
        hide_env_values = true,
        default_value = "origin"
    )]
    pub name: String,
}

/// Where the worktrees are.
#[derive(Args, Clone, Debug)]
pub struct Under {
    /// Folder of the worktrees [default: ../REPOSITORY.worktrees]
    #[arg(
        id = "under",
        long = "under",
        value_name = "DIR",
        env = "BEADLINE_UNDER",
        hide_env_values = true
    )]
    pub dir: Option<PathBuf>,
}
