//! `GET /api/test-runs/{id}`: everything known of a run.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::environments::Environment;
use crate::run::{Cause, ErrorCode, RunResult, State, StopOutcome};
use crate::time::Timestamp;

/// The answer to show.
#[derive(Debug, Serialize, Deserialize)]
pub struct Shown {
    /// The run.
    pub test_run: TestRun,
}

/// A test run. The database writes this JSON itself (`show.sql`), and the Worker passes it on.
#[derive(Debug, Serialize, Deserialize)]
pub struct TestRun {
    /// The run's id.
    pub id: i64,
    /// Where it is in its life.
    pub state: State,
    /// How its tests ended, once `state` is `ended`.
    pub result: Option<RunResult>,
    /// How it broke, once `state` is `error`.
    pub error_code: Option<ErrorCode>,
    /// What it runs against.
    pub environment: Environment,
    /// The branch under test.
    pub test_run_branch: Option<String>,
    /// What is under test.
    pub build: Option<RunBuild>,
    /// The caller's own names and values.
    pub metadata: Option<Map<String, Value>>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// The GitHub account that triggered the CI job.
    pub github_actor: Option<String>,
    /// How many shards report.
    pub total_shards: Option<i64>,
    /// How many tests ended how.
    pub counts: Option<RunCounts>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// Whose key registered it.
    pub created_by: String,
    /// The name of the runner that took it.
    pub runner: Option<String>,
    /// When a runner took it.
    pub started_at: Option<Timestamp>,
    /// Whose key took it.
    pub started_by: Option<String>,
    /// How long its runner is believed to live, while `state` is `started`.
    pub lease: Option<LeaseTimes>,
    /// When it ended or broke.
    pub ended_at: Option<Timestamp>,
    /// Whose key said so.
    pub ended_by: Option<String>,
    /// Who stopped it, why and when, once `state` is `cancelled`.
    pub cancel: Option<Cancel>,
    /// Whether its runner has really stopped, once `state` is `cancelled`.
    pub stop: Option<Stop>,
    /// The newer run that took its place.
    pub superseded_by: Option<i64>,
    /// Whether no newer run may take its place.
    pub protected: bool,
}

/// The times of a lease that is held.
#[derive(Debug, Serialize, Deserialize)]
pub struct LeaseTimes {
    /// The claim, or the last heartbeat that renewed it.
    pub renewed_at: Timestamp,
    /// Until when the runner is believed to live without another heartbeat.
    pub expires_at: Timestamp,
}

/// Who stopped a run, why and when.
#[derive(Debug, Serialize, Deserialize)]
pub struct Cancel {
    /// What the caller said, or what the system says.
    pub reason: Option<String>,
    /// What brought it about.
    pub cause: Cause,
    /// The key's user, or `system:sweeper` and the like.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// Whether the runner of a cancelled run has really stopped.
#[derive(Debug, Serialize, Deserialize)]
pub struct Stop {
    /// Whether, and how.
    pub outcome: StopOutcome,
    /// When the runner confirmed; null as long as it has not.
    pub confirmed_at: Option<Timestamp>,
}

/// A run's build, as [`crate::register::Build`]. A type of its own, because a reader takes fields that it does not know and
/// the service does not.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunBuild {
    /// Where it is served, or the CI job that built it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Its branch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Its commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// A page that shows the commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit_url: Option<String>,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// How many of a run's tests ended how, as [`crate::finish::Counts`].
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct RunCounts {
    /// All of them.
    pub total: u32,
    /// Passed.
    pub success: u32,
    /// Failed.
    pub failed: u32,
    /// Not run.
    pub skipped: u32,
    /// Passed, but not at the first try.
    pub flaky: u32,
}
