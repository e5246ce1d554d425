//! The operations: each is one batch of statements and an enum of what came of it.
//!
//! An outcome reports what the database decided; nothing here reads first and writes later.

pub mod admin;
pub mod bulk;
pub mod list;
pub mod run;

use serde::Deserialize;

use crate::error::ApiError;
use crate::key::Scope;

/// What a statement found to be the matter with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyVerdict {
    /// Never made.
    Unknown,
    /// Past its time.
    Expired,
    /// Revoked.
    Revoked,
    /// Lacks the scope.
    Unscoped,
    /// Nothing.
    Valid,
}

impl KeyVerdict {
    /// Nothing, or the refusal.
    ///
    /// # Errors
    /// 401 or 403, unless the key is valid.
    pub fn check(self, scope: Scope) -> Result<(), ApiError> {
        match self {
            Self::Unknown => Err(ApiError::UnknownKey),
            Self::Expired => Err(ApiError::ExpiredKey),
            Self::Revoked => Err(ApiError::RevokedKey),
            Self::Unscoped => Err(ApiError::MissingScope(scope)),
            Self::Valid => Ok(()),
        }
    }
}
