//! Keys, behind the admin token.

use serde::{Deserialize, Serialize};

use crate::envelope::CursorPagination;
use crate::run::words;
use crate::time::Timestamp;
use crate::whole::Whole;

words! {
    /// What a key may do.
    Scope {
        /// List and inspect runs.
        Read = "read",
        /// Cancel runs.
        Cancel = "cancel",
        /// Register and claim runs.
        Run = "run",
    }
}

/// A key to be created. The user and the name have at most [`crate::limits::NAME_CHARS`] characters.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateKeyRequest {
    /// The project that it opens.
    pub project_id: Whole,
    /// Who acts with it: recorded in every run that it touches. It must not start with `system:`.
    pub user: String,
    /// What it is for.
    pub name: String,
    /// What it may do: at least one.
    pub scopes: Vec<Scope>,
    /// When it expires (RFC 3339, 1970 or later); without it, never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

/// A key, without its secret.
#[derive(Debug, Serialize, Deserialize)]
pub struct Key {
    /// Its id.
    pub id: i64,
    /// The project that it opens.
    pub project_id: i64,
    /// Who acts with it.
    pub user: String,
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it expires; null: never.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked; null: it was not.
    pub revoked_at: Option<Timestamp>,
    /// The last day on which it was let in (UTC), like `2026-11-22`; null: it never was.
    pub last_used_on: Option<String>,
    /// Whom it lets in by the company's account: a person's address, or `@` and a domain. Null: it is a key with a text.
    pub access: Option<String>,
    /// The key of the domain by which this person came in, by id; null: an admin let them in, or it is a key with a text.
    pub granted_by: Option<i64>,
}

/// The answer to the creation of a key. It has no `Debug`: the token is a secret.
#[derive(Serialize, Deserialize)]
pub struct NewKey {
    /// What is stored of it.
    pub key: Key,
    /// The key itself. Shown once; it cannot be retrieved later.
    pub token: String,
}

/// The answer to a key's revocation, or to letting a person in.
#[derive(Debug, Serialize, Deserialize)]
pub struct OneKey {
    /// The key.
    pub key: Key,
}

/// A page of keys.
#[derive(Debug, Serialize, Deserialize)]
pub struct KeyList {
    /// The keys.
    pub data: Keys,
    /// Where this page lies.
    pub pagination: CursorPagination,
}

/// The keys of a page.
#[derive(Debug, Serialize, Deserialize)]
pub struct Keys {
    /// Newest first.
    pub keys: Vec<Key>,
}
