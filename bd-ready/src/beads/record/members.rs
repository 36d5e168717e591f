//! The members of a JSON object, as they were read.

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::value::RawValue;

/// Members in order, values as the bytes that were read.
pub(crate) type Members = IndexMap<String, Box<RawValue>>;

/// Sets a member; one that is new comes last.
///
/// # Errors
/// When the value cannot be written as JSON.
pub(crate) fn set(members: &mut Members, key: &str, value: &impl Serialize) -> anyhow::Result<()> {
    members.insert(key.to_owned(), serde_json::value::to_raw_value(value)?);
    Ok(())
}
