//! How a write recognises itself when it is repeated.

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::error::ApiError;

/// The id of a write, and a hash of what was asked. Both are stored with what was written: the same id says that this is a
/// repeat, and another hash under it that the Idempotency-Key was used for something else.
#[derive(Debug)]
pub struct WriteId {
    /// `key:` and the caller's Idempotency-Key or, without one, `own:` and an id of our own for our own retries.
    pub id: String,
    /// The first half of the SHA-256 of route and body, in hex.
    pub hash: String,
}

impl WriteId {
    /// The id of a request for `route` (method and path) with `body`.
    pub fn new(id: String, route: &str, body: &[u8]) -> Self {
        let digest = Sha256::new().chain_update(route.as_bytes()).chain_update([0]).chain_update(body).finalize();
        let half = digest.get(..16).unwrap_or_default();
        Self { id, hash: base16ct::lower::encode_string(half) }
    }
}

/// Whether a stored change is this very request's, as its statement says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mine {
    /// It is another's.
    No,
    /// It is ours: this is a repeat.
    Yes,
    /// It has our id, but something else was asked.
    Reused,
}

impl Mine {
    /// Whether it is ours.
    ///
    /// # Errors
    /// [`ApiError::ReusedKey`] if the Idempotency-Key was used for something else.
    pub fn check(self) -> Result<bool, ApiError> {
        match self {
            Self::No => Ok(false),
            Self::Yes => Ok(true),
            Self::Reused => Err(ApiError::ReusedKey),
        }
    }
}
