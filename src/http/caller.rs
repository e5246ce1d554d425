//! Who calls a keyed operation.

use estop_protocol::time::Timestamp;
use serde::Deserialize;

use super::error::ApiError;
use crate::key::{KeyHash, Scope};
use crate::runtime::{Sql, Statement, Value};

/// The key that a request came with, and when.
pub struct Caller<'a> {
    /// What the database knows it by.
    pub key: &'a KeyHash,
    /// When.
    pub now: Timestamp,
}

impl<'a> Caller<'a> {
    /// A statement of a keyed operation: `?1` is the key, `?2` is now, then `params`.
    pub fn statement(&self, sql: Sql, params: impl IntoIterator<Item = Value<'a>>) -> Statement<'a> {
        let mut all = vec![self.key.as_str().into(), self.now.0.into()];
        all.extend(params);
        Statement::new(sql, all)
    }
}

/// What a statement says of the caller's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyVerdict {
    /// No such key.
    Unknown,
    /// Past its time.
    Expired,
    /// Revoked.
    Revoked,
    /// Lacks the scope.
    Unscoped,
    /// May do it.
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
