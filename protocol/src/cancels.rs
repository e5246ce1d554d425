//! `GET /api/cancels`: who stopped what, newest first.

use serde::{Deserialize, Serialize};

use crate::environments::Environment;
use crate::run::StopOutcome;
use crate::show::Cancel;
use crate::time::Timestamp;

/// A page of cancels.
#[derive(Debug, Serialize, Deserialize)]
pub struct CancelList {
    /// The cancels.
    pub data: Cancels,
    /// Where this page lies.
    pub pagination: CancelsPagination,
}

/// The cancels of a page.
#[derive(Debug, Serialize, Deserialize)]
pub struct Cancels {
    /// Newest first.
    pub cancels: Vec<ListedCancel>,
    /// Runs up to this id are archived, and no list has their cancels. Null if none is.
    #[serde(default)]
    pub archived_through: Option<i64>,
}

/// Where a page of cancels lies.
#[derive(Debug, Serialize, Deserialize)]
pub struct CancelsPagination {
    /// Cancels per page.
    pub per_page: i64,
    /// The `before` that continues from here, perhaps with an empty page; null if nothing older can be left.
    pub next_before: Option<String>,
}

/// A cancelled run: what was stopped, by whom, and how it stopped.
#[derive(Debug, Serialize, Deserialize)]
pub struct ListedCancel {
    /// What was stopped.
    pub test_run: CancelledRun,
    /// Who stopped it, why and when.
    pub cancel: Cancel,
    /// Whether it has stopped.
    pub stop: ListedStop,
    /// How long the stop took, in milliseconds: from the cancel until the last runner confirmed. Null as long as it has not,
    /// if one was lost, and if there was none.
    pub stop_ms: Option<i64>,
    /// The newer run that took its place.
    pub superseded_by: Option<i64>,
}

/// A run that was cancelled.
#[derive(Debug, Serialize, Deserialize)]
pub struct CancelledRun {
    /// The run's id.
    pub id: i64,
    /// The branch under test.
    pub branch: Option<String>,
    /// Who set it off: the GitHub account or, without one, the user who registered it.
    pub actor: String,
    /// Whose key registered it.
    pub created_by: String,
    /// What it ran against.
    pub environment: Environment,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When a runner first took a shard of it.
    pub started_at: Option<Timestamp>,
}

/// How a run stopped, in short.
#[derive(Debug, Serialize, Deserialize)]
pub struct ListedStop {
    /// Whether, and how.
    pub outcome: StopOutcome,
    /// When the last runner confirmed.
    pub confirmed_at: Option<Timestamp>,
}
