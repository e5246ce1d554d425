//! Who calls a keyed operation.

use std::cell::Cell;

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
    /// When the session is over, if it was a session's cookie that stood for the key.
    pub session_ends: Option<Timestamp>,
    /// The key's id, once the database has told it: for the log.
    pub key_id: &'a Cell<Option<i64>>,
}

impl<'a> Caller<'a> {
    /// A statement of a keyed operation: `?1` is the key, `?2` is now, then `params`.
    pub fn statement(&self, sql: Sql, params: impl IntoIterator<Item = Value<'a>>) -> Statement<'a> {
        let mut all = vec![self.key.as_str().into(), self.now.0.into()];
        all.extend(params);
        Statement::new(sql, all)
    }

    /// The key's id, once [`Caller::check`] has let it in; 0 before.
    pub fn id(&self) -> i64 {
        self.key_id.get().unwrap_or(0)
    }

    /// Nothing, or the refusal of the key.
    ///
    /// # Errors
    /// 401 or 403, unless the key may do it.
    pub fn check(&self, key: Key, scope: Scope) -> Result<(), ApiError> {
        self.key_id.set(key.id);
        key.check(scope)
    }
}

/// What a statement says of the caller's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Key {
    id: Option<i64>,
    is: KeyVerdict,
}

impl Key {
    /// Its id; 0 if there is none.
    pub fn id(self) -> i64 {
        self.id.unwrap_or(0)
    }

    /// Nothing, or the refusal.
    ///
    /// # Errors
    /// 401 or 403, unless the key may do it.
    pub fn check(self, scope: Scope) -> Result<(), ApiError> {
        match self.is {
            KeyVerdict::Unknown => Err(ApiError::UnknownKey),
            KeyVerdict::Expired => Err(ApiError::ExpiredKey),
            KeyVerdict::Revoked => Err(ApiError::RevokedKey),
            KeyVerdict::Unscoped => Err(ApiError::MissingScope(scope)),
            KeyVerdict::Valid => Ok(()),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum KeyVerdict {
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
