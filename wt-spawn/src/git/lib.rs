//! The repository: questions are answered by gix, changes are made by `git`, and both in here;
//! and what runs in a bead's worktree: the commands of a person's settings, and what they leave.

mod apart;
mod base;
mod branch;
mod credential;
mod differ;
mod flags;
mod furnish;
mod genuine;
mod guard;
mod heard;
mod identity;
mod inside;
mod launch;
mod look;
mod modules;
mod nested;
mod note;
mod output;
mod proof;
mod refs;
mod remotes;
mod root;
mod run;
mod scratch;
mod signals;
mod signed;
mod stale;
mod sweep;
mod tied;
mod together;
mod unborn;

pub mod changes;
pub mod process;
pub mod shell;
pub mod worktree;

pub use apart::{Apart, OWN_GIT};
pub use base::{Base, is_missing};
pub use branch::require_branch;
pub use credential::Credential;
pub use differ::Differs;
pub use flags::{Check, Remote, Under};
pub use furnish::Furnish;
pub use heard::Heard;
pub use identity::Identity;
pub use inside::{Found, Tree, altered, forget_altered};
pub use launch::Launch;
pub use look::{Entry, Look};
pub use modules::Modules;
pub use nested::Nested;
pub use note::drop_old_notes;
pub use proof::{Proof, Trace};
pub use remotes::{Answer, Remotes};
pub use root::Root;
pub use run::{Git, Ran, failed};
pub use signed::Signed;
pub use stale::clear_left;
pub use sweep::drop_free_locks;
pub use tied::{put, small};
pub use together::Together;

/// The id of an object.
pub use gix::ObjectId as Sha;

/// Where a remote is.
pub use gix::Url;
