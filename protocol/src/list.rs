//! `GET /api/test-runs`: a project's runs, newest first.

use serde::{Deserialize, Serialize};

use crate::projects::Project;
use crate::show::TestRun;

/// A page of runs.
#[derive(Debug, Serialize, Deserialize)]
pub struct RunList {
    /// The project and its runs.
    pub data: RunListData,
    /// Where this page lies.
    pub pagination: Pagination,
}

/// The project and its runs.
#[derive(Debug, Serialize, Deserialize)]
pub struct RunListData {
    /// The key's project.
    pub project: Project,
    /// The runs.
    pub test_runs: Items,
    /// Runs up to this id are archived: by id they are shown, and no list has them. Null if none is.
    #[serde(default)]
    pub archived_through: Option<i64>,
}

/// The runs of a page.
#[derive(Debug, Serialize, Deserialize)]
pub struct Items {
    /// Newest first.
    pub items: Vec<TestRun>,
}

/// Where a page lies.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pagination {
    /// This page, from 1.
    pub page: i64,
    /// Runs per page.
    pub per_page: i64,
    /// How many runs match, as far as they were counted: among the newest of the most selective filter, five pages or 100,
    /// whichever is more, beyond the first page. Null after `before`.
    pub total: Option<i64>,
    /// How many pages that makes; null after `before`.
    pub total_pages: Option<i64>,
    /// Whether there are runs that were not counted; null after `before`.
    #[serde(default)]
    pub total_is_lower_bound: Option<bool>,
    /// The `before` that continues from here, perhaps with an empty page; null if nothing older can be left.
    pub next_before: Option<i64>,
}
