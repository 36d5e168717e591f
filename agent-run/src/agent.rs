//! The agent: what it is told, how it is held while it works, and how its run ended.

mod end;
mod hold;
mod log;
mod presets;
mod prompt;

pub use end::{Cause, End};
pub use hold::{Holder, Order, is_for_beads};
pub use log::Log;
pub use presets::command_line;
pub use prompt::Prompt;
