//! `POST /api/people`: who may sign in with the company's account. The answer is [`crate::keys::OneKey`]: a person is a key
//! whose text nobody has.

use serde::{Deserialize, Serialize};

use crate::keys::Scope;
use crate::whole::Whole;

/// A person, or a domain's people, to be let in.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdmitRequest {
    /// The project that they are let into.
    pub project_id: Whole,
    /// A person's address, or `@` and a domain for all of its people: at most [`crate::limits::ADDRESS_CHARS`] characters.
    pub address: String,
    /// What they may do: at least one.
    pub scopes: Vec<Scope>,
    /// Until when (RFC 3339, still to come); without it, for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}
