//! Checks that several request bodies share.

use serde::Serialize;

use crate::error::ApiError;

/// The refusal of a field.
pub fn invalid<T>(field: &str, expected: &str) -> Result<T, ApiError> {
    Err(ApiError::Invalid(format!("Field `{field}`: {expected}.")))
}

/// A text of one line, from 1 character that is not white space to `limit` characters.
pub fn text(field: &str, value: Option<&str>, limit: usize) -> Result<(), ApiError> {
    let Some(value) = value else { return Ok(()) };
    if value.trim().is_empty() || value.chars().count() > limit || value.chars().any(char::is_control) {
        return invalid(field, &format!("expected 1 to {limit} characters, no control characters among them"));
    }
    Ok(())
}

/// A name for machines.
pub fn slug(field: &str, value: &str) -> Result<(), ApiError> {
    let plain = value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !plain || value.is_empty() || value.len() > 64 || value.starts_with('-') || value.ends_with('-') {
        return invalid(field, "expected 1 to 64 lower-case letters, digits and hyphens, like `staging-eu`");
    }
    Ok(())
}

/// A value of ours, or one that came as JSON, as JSON on one line. Serialising these into a string cannot fail: no map
/// has a key that is not a string.
pub fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
