//! `POST`, `GET` and `DELETE /api/session`: a person's session in a browser. The cookie itself is between the Worker and the
//! browser; no script sees it.

use serde::{Deserialize, Serialize};

use crate::keys::Scope;
use crate::time::Timestamp;

/// The key that a person signs in with. It has no `Debug`: the key is a secret.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignInRequest {
    /// The key.
    pub key: String,
}

/// Who is signed in.
#[derive(Debug, Serialize, Deserialize)]
pub struct SessionState {
    /// As whom.
    pub session: Session,
    /// The project that the key opens.
    pub project: Project,
    /// How long tests that are stopped get to end by themselves, in seconds; then whoever stopped them may have them killed.
    pub stop_grace_seconds: i64,
}

/// A session.
#[derive(Debug, Serialize, Deserialize)]
pub struct Session {
    /// Who acts with the key.
    pub user: String,
    /// What the key is for.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When the session is over, whatever becomes of the key; null if a key in `Authorization` asks.
    pub expires_at: Option<Timestamp>,
}

/// A project, as one of its keys sees it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Project {
    /// Its id.
    pub id: i64,
    /// For people.
    pub name: String,
    /// For machines.
    pub slug: String,
    /// The repository under test.
    pub repo_name: Option<String>,
}
