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

/// A change of an environment; what is not given stays.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeEnvironmentRequest {
    /// For people; at most [`crate::limits::NAME_CHARS`] characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether it takes no new runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
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
    /// Whether it takes no new runs. Not within a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
}

/// The answer to the creation or change of an environment.
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
