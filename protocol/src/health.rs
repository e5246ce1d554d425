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
}

/// The schema's versions, each the number of a file in `migrations/`.
#[derive(Debug, Serialize, Deserialize)]
pub struct SchemaVersions {
    /// The one that this Worker needs.
    pub worker: i64,
    /// The one that the database has: the same, or a later one while an upgrade is under way.
    pub database: i64,
}
