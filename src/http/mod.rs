//! The corridor: what carries requests to the operations and their answers back. It knows no operation.

pub mod body;
pub mod caller;
pub mod check;
pub mod error;
mod json_path;
pub mod operation;
pub mod query;
pub mod reply;
pub mod request;
pub mod write_id;

use serde::Serialize;

/// A value of ours as JSON on one line. Serialising into a string cannot fail: no map here has a key that is not a string.
pub fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
