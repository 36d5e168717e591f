//! The clone that a program works in: its places, the locks on them, and what is tested there.

pub mod lock;
pub(crate) mod repository;
pub(crate) mod state;
pub(crate) mod testing;
