//! The record: one bead as one JSON object, and the changes that are made to it.

pub(crate) mod bead;
pub(crate) mod change;
pub(crate) mod create;
pub(crate) mod facts;
mod lenient;
pub(crate) mod members;
pub(crate) mod name;
pub(crate) mod usage;
pub(crate) mod view;
