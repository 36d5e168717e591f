//! The agent: what it is told, how it is held while it works, and how its run ended.

mod budget;
mod calls;
mod end;
mod format;
mod hold;
mod log;
mod presets;
mod prompt;
mod readable;
mod words;

pub use budget::{Allowance, Budget, Standing};
pub use calls::calls;
pub use end::{Cause, End};
pub use format::{Trouble, Words};
pub use hold::{Holder, Lines, Order};
pub use log::Log;
pub use presets::{PRESETS, Preset, command_line, words};
pub use prompt::Prompt;
pub use readable::readable;
pub use words::{Listener, Said, spent_in};
