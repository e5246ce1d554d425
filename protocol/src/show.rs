//! `GET /api/test-runs/{id}`: everything known of a run.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::environments::Environment;
use crate::run::{Cause, ErrorCode, Finish, RunResult, ShardState, State, StopOutcome};
use crate::time::Timestamp;

/// The answer to show.
#[derive(Debug, Serialize, Deserialize)]
pub struct Shown {
    /// The run.
    pub test_run: TestRun,
}

/// A shard of a run.
#[derive(Debug, Serialize, Deserialize)]
pub struct Shard {
    /// Its number, from 1.
    pub shard: i64,
    /// Where it is in its life.
    pub state: ShardState,
    /// How its tests ended, once `state` is `ended`.
    pub result: Option<RunResult>,
    /// How it broke, once `state` is `error`.
    pub error_code: Option<ErrorCode>,
    /// How many tests ended how, so far.
    pub counts: Option<RunCounts>,
    /// How far its tests are, as far as that was written down.
    #[serde(default)]
    pub progress: Option<RunProgress>,
    /// The name of the runner that took it.
    pub runner: Option<String>,
    /// When a runner took it.
    pub started_at: Timestamp,
    /// Whose key took it.
    pub started_by: String,
    /// How long its runner is believed to live, while `state` is `started`.
    pub lease: Option<LeaseTimes>,
    /// When it ended or broke.
    pub ended_at: Option<Timestamp>,
    /// Whether its runner has really stopped, if the run was cancelled before it ended.
    pub stop: Option<ShardStop>,
    /// What its runner said after it had been given up as lost.
    pub late_result: Option<LateResult>,
    /// Whether it passed in an earlier attempt, and was not run in this one.
    pub carried: bool,
}

/// Whether the runner of a cancelled run's shard has really stopped.
#[derive(Debug, Serialize, Deserialize)]
pub struct ShardStop {
    /// Whether, and how.
    pub outcome: StopOutcome,
    /// When the runner confirmed; null as long as it has not.
    pub confirmed_at: Option<Timestamp>,
}

/// How the tests of a shard ended whose runner had been given up as lost: what it said later.
#[derive(Debug, Serialize, Deserialize)]
pub struct LateResult {
    /// `ended` or `error`.
    pub state: Finish,
    /// How its tests ended.
    pub result: Option<RunResult>,
    /// How it broke.
    pub error_code: Option<ErrorCode>,
    /// How many tests ended how.
    pub counts: Option<RunCounts>,
    /// When it said so.
    pub at: Timestamp,
}

/// A test run. The database writes this JSON itself (`show.sql`), and the Worker passes it on.
#[derive(Debug, Serialize, Deserialize)]
pub struct TestRun {
    /// The run's id.
    pub id: i64,
    /// Grows by 1 with each change: of two copies of a run, the one with the higher version is newer.
    #[serde(default)]
    pub version: i64,
    /// Whether it is archived: in no list any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub archived: bool,
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
    /// How many shards it has. (Null only in answers of a service before 0.2.0.)
    pub total_shards: Option<i64>,
    /// How many of them have ended or broken.
    #[serde(default)]
    pub finished_shards: i64,
    /// The group that jobs join it by.
    #[serde(default)]
    pub group: Option<String>,
    /// Which attempt of its group it is.
    #[serde(default)]
    pub attempt: i64,
    /// After how many failed tests it is cancelled.
    #[serde(default)]
    pub fail_fast: Option<i64>,
    /// How many tests ended how, over all shards.
    pub counts: Option<RunCounts>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// Whose key registered it.
    pub created_by: String,
    /// When a runner first took a shard of it.
    pub started_at: Option<Timestamp>,
    /// Whose key took that.
    pub started_by: Option<String>,
    /// When it ended or broke.
    pub ended_at: Option<Timestamp>,
    /// Whose key said so.
    pub ended_by: Option<String>,
    /// Who stopped it, why and when, once `state` is `cancelled`.
    pub cancel: Option<Cancel>,
    /// Whether its runners have really stopped, once `state` is `cancelled`.
    pub stop: Option<Stop>,
    /// The newer run that took its place.
    pub superseded_by: Option<i64>,
    /// Whether no newer run may take its place.
    pub protected: bool,
    /// Its shards that a runner has claimed, or that passed in an earlier attempt, in order. Not in lists, whose cost would
    /// grow with them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shards: Option<Vec<Shard>>,
    /// The runs whose place it took, newest first, at most 20. Not in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_the_place_of: Option<Vec<i64>>,
}

impl TestRun {
    /// Its shards that a runner has claimed, as far as the answer has them.
    pub fn shards(&self) -> &[Shard] {
        self.shards.as_deref().unwrap_or_default()
    }
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

/// Whether the runners of a cancelled run have really stopped.
#[derive(Debug, Serialize, Deserialize)]
pub struct Stop {
    /// Whether, and how: the worst of its shards.
    pub outcome: StopOutcome,
    /// When the last runner confirmed; null as long as it has not, and if one was lost.
    pub confirmed_at: Option<Timestamp>,
    /// How long that took after the cancel, in milliseconds; null with `confirmed_at`.
    #[serde(default)]
    pub duration_ms: Option<i64>,
    /// The order to kill at once, if someone gave it.
    #[serde(default)]
    pub kill: Option<Kill>,
    /// When a runner that was taken for lost said how its tests had ended. Such a stop was none.
    #[serde(default)]
    pub late_result_at: Option<Timestamp>,
}

/// Who ordered a stop to be SIGKILL at once, and when.
#[derive(Debug, Serialize, Deserialize)]
pub struct Kill {
    /// The key's user.
    pub by: String,
    /// When.
    pub at: Timestamp,
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

/// How far the tests of a shard are, as [`crate::progress::Progress`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunProgress {
    /// How many there are, if that is known.
    pub total: Option<u32>,
    /// How many of them are over.
    pub done: u32,
    /// Failed.
    pub failed: u32,
    /// Passed, but not at the first try.
    pub flaky: u32,
    /// Not run.
    pub skipped: u32,
    /// The test that runs now.
    pub current: Option<String>,
}

impl RunProgress {
    /// Both together: of a run with several shards. The total is known if both are.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self {
            total: self.total.zip(other.total).map(|(one, another)| one.saturating_add(another)),
            done: self.done.saturating_add(other.done),
            failed: self.failed.saturating_add(other.failed),
            flaky: self.flaky.saturating_add(other.flaky),
            skipped: self.skipped.saturating_add(other.skipped),
            current: other.current.clone().or_else(|| self.current.clone()),
        }
    }
}
