//! A project's environments.

use serde::{Deserialize, Serialize};

use crate::envelope::CursorPagination;

/// An environment to be created.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateEnvironmentRequest {
    /// For people; at most [`crate::limits::NAME_CHARS`] characters.
    pub name: String,
    /// For machines: 1 to 64 lower-case letters, digits and hyphens, unique in the project.
    pub slug: String,
}

/// An environment.
#[derive(Debug, Serialize, Deserialize)]
pub struct Environment {
    /// Its id.
    pub id: i64,
    /// For people.
    pub name: String,
    /// For machines.
    pub slug: String,
}

/// The answer to the creation of an environment.
#[derive(Debug, Serialize, Deserialize)]
pub struct OneEnvironment {
    /// The environment.
    pub environment: Environment,
}

/// A page of environments.
#[derive(Debug, Serialize, Deserialize)]
pub struct EnvironmentList {
    /// The environments.
    pub data: Environments,
    /// Where this page lies.
    pub pagination: CursorPagination,
}

/// The environments of a page.
#[derive(Debug, Serialize, Deserialize)]
pub struct Environments {
    /// Newest first.
    pub environments: Vec<Environment>,
}
