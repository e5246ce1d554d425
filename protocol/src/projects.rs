//! Projects, behind the admin token.

use serde::{Deserialize, Serialize};

use crate::concurrency::Concurrency;
use crate::envelope::CursorPagination;
use crate::time::Timestamp;
use crate::webhooks::DeliveryFailure;
use crate::whole::Whole;

/// A project to be created. The name and the repository have at most [`crate::limits::NAME_CHARS`] characters.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateProjectRequest {
    /// For people.
    pub name: String,
    /// For machines: 1 to 64 lower-case letters, digits and hyphens, unique.
    pub slug: String,
    /// The repository under test, e.g. `acme/shop`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repo_name: Option<String>,
}

/// A change of a project; what is not given stays.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeProjectRequest {
    /// For people; at most [`crate::limits::NAME_CHARS`] characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The repository under test, e.g. `acme/shop`; at most [`crate::limits::NAME_CHARS`] characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repo_name: Option<String>,
    /// Whether everybody may see its badges.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub badges: Option<bool>,
    /// Whether a pull request of its repository that is closed or merged stops the runs of its branch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_on_close: Option<bool>,
    /// For how many days a run that is over stays in the database: 0 (for ever) to [`crate::limits::RETENTION_DAYS`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<Whole>,
    /// Whether GitHub has a check run of each of its runs. Turning it on again gives it a new chance where it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check_runs: Option<bool>,
    /// Whether GitHub is asked to cancel the workflow run of a run that was cancelled and that nobody stops.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel_ci: Option<bool>,
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
    /// Whether everybody may see its badges.
    #[serde(default)]
    pub badges: bool,
    /// Whether a pull request of its repository that is closed or merged stops the runs of its branch.
    #[serde(default)]
    pub stop_on_close: bool,
    /// For how many days a run that is over stays in the database; 0: for ever.
    #[serde(default)]
    pub retention_days: i64,
    /// The bucket that it lives in: two digits or letters. This and the next three are in the answers of admin routes alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// Whether GitHub has a check run of each of its runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check_runs: Option<bool>,
    /// Whether GitHub is asked to cancel the workflow run of a run that was cancelled and that nobody stops.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel_ci: Option<bool>,
    /// What of these two fails at present.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub github_failures: Option<Vec<GitHubFailure>>,
}

/// What GitHub does not take at present.
#[derive(Debug, Serialize, Deserialize)]
pub struct GitHubFailure {
    /// `check_runs` or `cancel_ci`.
    pub setting: String,
    /// The first failure since it last worked.
    pub since: Timestamp,
    /// When it was turned off, after five days of failures.
    pub turned_off_at: Option<Timestamp>,
    /// The last failure.
    pub at: Timestamp,
    /// The HTTP status of that answer.
    pub status: Option<u16>,
    /// Why it failed.
    pub failure: DeliveryFailure,
    /// What GitHub answered, and to what; the first 1,000 characters.
    pub answer: Option<String>,
}

/// The answer to a change of a project's limit. It applies to runs that are registered from now on.
#[derive(Debug, Serialize, Deserialize)]
pub struct LimitedProject {
    /// The project.
    pub project: Project,
    /// Runs that are not over (or whose runners have not stopped) and that an earlier limit holds, oldest first, at most
    /// [`crate::limits::PER_PAGE`]: until they end, the new limit does not count them.
    pub under_earlier_limit: Vec<i64>,
}

/// The answer to the creation or change of a project.
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
