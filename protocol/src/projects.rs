//! Projects, behind the admin token.

use serde::{Deserialize, Serialize};

use crate::concurrency::Concurrency;
use crate::envelope::CursorPagination;

/// A project to be created. The name and the repository have at most [`crate::limits::NAME_CHARS`] characters.
#[derive(Debug, Serialize, Deserialize)]
pub struct CreateProjectRequest {
    /// For people.
    pub name: String,
    /// For machines: 1 to 64 lower-case letters, digits and hyphens, unique.
    pub slug: String,
    /// The repository under test, e.g. `acme/shop`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repo_name: Option<String>,
}

/// A project.
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
    /// Its concurrency limit.
    pub concurrency: Concurrency,
}

/// The answer to the creation of a project or to a change of its limit.
#[derive(Debug, Serialize, Deserialize)]
pub struct OneProject {
    /// The project.
    pub project: Project,
}

/// A page of projects.
#[derive(Debug, Serialize, Deserialize)]
pub struct ProjectList {
    /// The projects.
    pub data: Projects,
    /// Where this page lies.
    pub pagination: CursorPagination,
}

/// The projects of a page.
#[derive(Debug, Serialize, Deserialize)]
pub struct Projects {
    /// Newest first.
    pub projects: Vec<Project>,
}
