//! The bead: the record on the pipe, where it is stored, and who holds it.
//!
//! What flows is what is stored. Nothing here changes a repository or starts a process.

mod clone;
mod graph;
mod record;
mod retry;
mod store;
mod text;
mod tool;

pub mod debug;
pub mod secret;
pub mod time;
pub mod token;

pub use clone::lock;
pub use clone::repository::Repository;
pub use clone::state::{BeadDir, StateDir};
pub use clone::testing::{Testing, UnderTest};
pub use graph::Graph;
pub use record::bead::Bead;
pub use record::change::{Change, Guard};
pub use record::create::{New, Revision};
pub use record::facts::{Fact, Facts, Outcome, Phase, Status};
pub use record::name::Name;
pub use record::usage::{Dollars, Run, Spent, Usage, WINDOW};
pub use record::view::Dependency;
pub use retry::retry;
pub use store::{Reach, Store};
pub use text::{harmless, shell_word, tail};
pub use time::{duration, some_time};
pub use token::CLAIM;
pub use tool::breaker::Breaker;
pub use tool::flags::{Common, DryRun, Ids, LostAfter, MaxAgents, MaxRounds, some};
pub use tool::hand::{Hand, Taken, missing};
pub use tool::{Tool, pipe, watch};
