//! The clone that a program works in: its places, and the locks on them.

pub mod lock;
pub(crate) mod repository;
pub(crate) mod state;
