//! `GET /api/analytics/test-runs`: what became of runs, by day.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// What became of a project's runs.
#[derive(Debug, Serialize, Deserialize)]
pub struct Analytics {
    /// Every run that was over, and had stopped, before this moment is counted; to the minute.
    pub as_of: Timestamp,
    /// Day by day (UTC), oldest first, those without runs included.
    pub daily: Vec<Counted>,
    /// All of these days together.
    pub summary: Counted,
}

/// What became of the runs that were over on a day (UTC), or in all of them.
#[derive(Debug, Serialize, Deserialize)]
pub struct Counted {
    /// The day, like `2026-11-30`; not in the summary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// All of them.
    pub total: i64,
    /// Ended, and passed.
    pub passed: i64,
    /// Ended, and failed.
    pub failed: i64,
    /// Broke.
    pub errors: i64,
    /// Were cancelled.
    pub cancelled_runs: i64,
    /// The same by cause.
    pub by_cause: Causes,
    /// Of the cancelled ones, those whose runner was lost.
    pub lost: i64,
    /// How those that were cancelled stopped.
    pub outcomes: Outcomes,
    /// How long it took from a cancel until the last runner confirmed the stop, in milliseconds.
    pub stop_ms: Percentiles,
    /// How many minutes of tests the cancels saved.
    pub minutes_saved: MinutesSaved,
}

/// Cancelled runs by cause.
#[derive(Debug, Serialize, Deserialize)]
pub struct Causes {
    /// By someone with a key.
    pub user: i64,
    /// By the sweeper.
    pub stale: i64,
    /// By a newer run.
    pub superseded: i64,
    /// By too many failed tests.
    pub fail_fast: i64,
}

/// Cancelled runs by how they stopped.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcomes {
    /// No runner held any of the run.
    pub never_started: i64,
    /// The tests ended by themselves, on SIGINT.
    pub graceful: i64,
    /// It took SIGTERM.
    pub terminated: i64,
    /// It took SIGKILL.
    pub killed: i64,
    /// A runner's lease ran out without a word.
    pub lost: i64,
}

/// Durations that so many in a hundred do not exceed, to an eighth; null if there are none.
#[derive(Debug, Serialize, Deserialize)]
pub struct Percentiles {
    /// The median.
    pub p50: Option<i64>,
    /// 95 in 100.
    pub p95: Option<i64>,
}

/// Minutes of tests that cancels saved: of each run the median of what the runs that passed in its environment took in the 28
/// days before, less what it had run already, if that is more than nothing. To a tenth.
#[derive(Debug, Serialize, Deserialize)]
pub struct MinutesSaved {
    /// By cancels of users.
    pub user: f64,
    /// By newer runs that took a run's place.
    pub superseded: f64,
}
