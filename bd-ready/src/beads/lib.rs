//! The bead: the record on the pipe, where it is stored, and who holds it.
//!
//! What flows is what is stored. Nothing here changes a repository or starts a process.

mod answer;
mod away;
mod bd;
mod bead;
mod breaker;
mod change;
mod create;
mod edges;
mod facts;
mod hand;
mod id;
mod jsonl;
mod lease;
mod names;
mod ready;
mod repository;
mod serve;
mod text;
mod tool;
mod usage;
mod view;

pub mod lock;
pub mod pipe;
pub mod store;
pub mod watch;

pub use bead::{Bead, CLAIM};
pub use breaker::Breaker;
pub use change::{Change, Guard};
pub use create::{New, Revision};
pub use facts::{Facts, Outcome, Phase, Status};
pub use hand::{Hand, Taken, missing};
pub use names::Name;
pub use ready::Plan;
pub use repository::Repository;
pub use store::{Reach, Store};
pub use text::{harmless, shell_word, tail};
pub use tool::{Common, LostAfter, Tool, duration, some, some_time};
pub use usage::{Dollars, Run, Spent, Usage, WINDOW};
pub use view::Dependency;
