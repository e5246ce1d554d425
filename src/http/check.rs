//! Checks that several operations share. Each refusal names the field and what was expected.

use estop_protocol::limits::{FAILURE_CHARS, FAILURES, FAILURES_BYTES, MAX_ID, REASON_CHARS, TITLE_CHARS};
use estop_protocol::progress::{Failure, Progress};
use estop_protocol::whole::Whole;

use super::error::ApiError;
use super::json;

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

/// Checks a reason: white space alone is none.
///
/// # Errors
/// [`ApiError::Invalid`] if it is too long or holds control characters other than tab and newline.
pub fn reason(reason: Option<String>) -> Result<Option<String>, ApiError> {
    let Some(reason) = reason.filter(|reason| !reason.trim().is_empty()) else { return Ok(None) };
    if reason.chars().count() > REASON_CHARS {
        return invalid("reason", &format!("expected at most {REASON_CHARS} characters"));
    }
    if reason.chars().any(|c| c.is_control() && c != '\t' && c != '\n') {
        return invalid("reason", "expected no control characters other than tab and newline");
    }
    Ok(Some(reason))
}

/// Checks an optional whole number.
///
/// # Errors
/// [`ApiError::Invalid`] if it is not from `least` to `most`.
pub fn whole(field: &str, value: Option<Whole>, least: i64, most: i64) -> Result<Option<i64>, ApiError> {
    match value {
        Some(Whole(n)) if !(least..=most).contains(&n) => {
            invalid(field, &format!("expected a whole number from {least} to {most}"))
        }
        other => Ok(other.map(|Whole(n)| n)),
    }
}

/// Checks the id of something in a body.
///
/// # Errors
/// [`ApiError::Invalid`] if nothing can have it.
pub fn id(field: &str, value: Whole, what: &str) -> Result<i64, ApiError> {
    if !(1..=MAX_ID).contains(&value.0) {
        return invalid(field, &format!("expected {what}"));
    }
    Ok(value.0)
}

/// Checks how far tests are, and gives it as JSON.
///
/// # Errors
/// [`ApiError::Invalid`], saying which field and what was expected.
pub fn progress(progress: Option<&Progress>) -> Result<Option<String>, ApiError> {
    let Some(progress) = progress else { return Ok(None) };
    text("progress.current", progress.current.as_deref(), TITLE_CHARS)?;
    Ok(Some(json(progress)))
}

/// Checks which tests have failed, and gives them as JSON.
///
/// # Errors
/// [`ApiError::Invalid`], saying which field and what was expected.
pub fn failures(failures: Option<&[Failure]>) -> Result<Option<String>, ApiError> {
    let Some(failures) = failures else { return Ok(None) };
    for failure in failures {
        text("failures.title", Some(&failure.title), TITLE_CHARS)?;
        text("failures.file", failure.file.as_deref(), TITLE_CHARS)?;
        let message = failure.message.as_deref().unwrap_or_default();
        if message.chars().count() > FAILURE_CHARS || message.chars().any(|c| c.is_control() && c != '\t' && c != '\n')
        {
            let expected = "control characters other than tab and newline";
            return invalid(
                "failures.message",
                &format!("expected at most {FAILURE_CHARS} characters and no {expected}"),
            );
        }
    }
    let stored = json(&failures);
    if failures.len() > FAILURES || stored.len() > FAILURES_BYTES {
        return invalid(
            "failures",
            &format!("expected at most {FAILURES}, of {FAILURES_BYTES} bytes of JSON together"),
        );
    }
    Ok(Some(stored))
}
