//! `GET /healthz`: whether the service and its database work.

use serde::{Deserialize, Serialize};

/// The answer of a service that works.
#[derive(Debug, Serialize, Deserialize)]
pub struct Health {
    /// Always `ok`: anything else is an error.
    pub status: String,
    /// The schema's versions.
    pub schema: SchemaVersions,
    /// Whether people can sign in with Cloudflare Access, at `/session/access`.
    pub access: bool,
    /// How large the database is.
    pub database: DatabaseSize,
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
