//! What travels: request and response JSON, checked. The OpenAPI document is made from these types.

pub mod admin;
pub mod answers;
pub mod body;
pub mod bulk;
mod check;
mod path;
pub mod query;
pub mod requests;
mod whole;

pub use check::json;

use crate::error::ApiError;

/// The largest integer that JSON's common readers, and D1's parameters, hold exactly: 2^53 - 1 (RFC 8259 section 6).
pub const MAX_ID: i64 = 9_007_199_254_740_991;

/// Reads an id from a path: a plain decimal integer from 1.
///
/// One that is too large to exist gives 0, an id that no row has: the database then answers as for any unknown id,
/// and nothing is rounded to a neighbour's.
///
/// # Errors
/// [`ApiError::Invalid`] if it is not a plain decimal integer from 1.
pub fn id(text: &str) -> Result<i64, ApiError> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() && !text.starts_with('0');
    if !plain {
        return Err(ApiError::Invalid(
            "The id in the path must be a plain decimal integer from 1, like 42.".to_owned(),
        ));
    }
    Ok(text.parse().ok().filter(|id| *id <= MAX_ID).unwrap_or(0))
}

/// Checks an `Idempotency-Key` header: 1 to 255 printable ASCII characters.
///
/// # Errors
/// [`ApiError::Invalid`] if it is something else.
pub fn idempotency_key(header: &str) -> Result<&str, ApiError> {
    if (1..=255).contains(&header.len()) && header.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        Ok(header)
    } else {
        Err(ApiError::Invalid("The header Idempotency-Key must be 1 to 255 printable ASCII characters.".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_plain_decimal_integer_from_1() {
        assert_eq!(id("1"), Ok(1));
        assert_eq!(id("9007199254740991"), Ok(MAX_ID));
        for bad in ["", "0", "-1", "01", "1.0", "1e3", "+1", "%31", "x", " 1", "1 ", "١", "１", "0x1", "1_0"] {
            assert!(matches!(id(bad), Err(ApiError::Invalid(_))), "{bad}");
        }
    }

    #[test]
    fn an_id_too_large_to_exist_is_nobodys() {
        for large in ["9007199254740992", "9223372036854775807", "18446744073709551617", "99999999999999999999"] {
            assert_eq!(id(large), Ok(0), "{large}");
        }
        assert_eq!(id(&"9".repeat(400)), Ok(0));
    }

    #[test]
    fn an_idempotency_key_is_printable_ascii() {
        assert!(idempotency_key("a b~").is_ok());
        assert!(idempotency_key(&"k".repeat(255)).is_ok());
        for bad in ["", "é", "a\tb", "\u{7f}"] {
            assert!(idempotency_key(bad).is_err(), "{bad:?}");
        }
        assert!(idempotency_key(&"k".repeat(256)).is_err());
    }
}
