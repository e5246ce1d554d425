//! `GET /healthz`: whether the service and its database work.

use serde::{Deserialize, Serialize};

use crate::envelope::ErrorDetail;

/// The answer of a service that works.
#[derive(Debug, Serialize, Deserialize)]
pub struct Health {
    /// Always `ok`: anything else is an error.
    pub status: String,
    /// The schema's versions.
    pub schema: SchemaVersions,
    /// Whether people can sign in with Cloudflare Access, at `/session/access`.
    pub access: bool,
    /// How large the database is: the first one, where there are several.
    pub database: DatabaseSize,
    /// Each database, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub databases: Option<Vec<DatabaseHealth>>,
}

/// One of several databases.
#[derive(Debug, Serialize, Deserialize)]
pub struct DatabaseHealth {
    /// Its number: 0 is `DB`, n is `DB_n`.
    pub number: i64,
    /// `ok`, or `unavailable` if it did not answer.
    pub status: String,
    /// The version of its schema, if it answered.
    pub schema: Option<i64>,
    /// Its size; null if it has not said.
    pub bytes: Option<i64>,
}

/// The answer of a service with several databases that do not all work.
#[derive(Debug, Serialize, Deserialize)]
pub struct Unhealthy {
    /// Null, as in every error.
    pub data: (),
    /// What is wrong with the first that does not work.
    pub error: ErrorDetail,
    /// Whether people can sign in with Cloudflare Access.
    pub access: bool,
    /// Each database.
    pub databases: Vec<DatabaseHealth>,
}

/// How large the database is, and how large it may become. From 95 % on no more runs are registered.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct DatabaseSize {
    /// Bytes; null if the database has not said.
    pub bytes: Option<i64>,
    /// Bytes.
    pub most_bytes: i64,
}

/// The schema's versions, each the number of a file in `migrations/`.
#[derive(Debug, Serialize, Deserialize)]
pub struct SchemaVersions {
    /// The one that this Worker needs.
    pub worker: i64,
    /// The one that the database has: the same, or a later one while an upgrade is under way.
    pub database: i64,
}
