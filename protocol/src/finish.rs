//! `POST /api/test-runs/{id}/finish`: how a shard ended, or that its runner has stopped. The last shard ends the run.

use serde::{Deserialize, Serialize};

use crate::heartbeat::StopOrder;
use crate::progress::{Failure, Progress};
use crate::run::{ConfirmedStop, ErrorCode, Finish, RunResult, ShardState, State};
use crate::whole;

/// How a shard finished.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinishRequest {
    /// The lease token that the claim gave.
    pub lease: String,
    /// `ended` goes with `result`, `error` with `error_code`.
    pub state: Finish,
    /// Required with `ended`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<RunResult>,
    /// Required with `error`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<ErrorCode>,
    /// How many tests ended how.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counts: Option<Counts>,
    /// How far the tests came. Where `counts` is missing, it is made of this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// The tests that have failed, at most [`crate::limits::FAILURES`], in place of those that heartbeats named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures: Option<Vec<Failure>>,
    /// How the runner stopped, if it was told to; without it, the tests are taken to have ended by themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<StopReport>,
}

/// How many tests ended how, each 0 to 4,294,967,295.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// All of them.
    #[serde(default, deserialize_with = "whole::count")]
    pub total: u32,
    /// Passed.
    #[serde(default, deserialize_with = "whole::count")]
    pub success: u32,
    /// Failed.
    #[serde(default, deserialize_with = "whole::count")]
    pub failed: u32,
    /// Not run.
    #[serde(default, deserialize_with = "whole::count")]
    pub skipped: u32,
    /// Passed, but not at the first try.
    #[serde(default, deserialize_with = "whole::count")]
    pub flaky: u32,
}

/// That the runner has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StopReport {
    /// How.
    pub outcome: ConfirmedStop,
}

/// The answer to a finish.
#[derive(Debug, Serialize, Deserialize)]
pub struct Finished {
    /// The run as it is now: still `started` while other shards are not finished.
    pub test_run: FinishedRun,
    /// The shard.
    #[serde(default)]
    pub shard: Option<FinishedShard>,
}

/// The shard that was finished.
#[derive(Debug, Serialize, Deserialize)]
pub struct FinishedShard {
    /// Its number.
    pub shard: i64,
    /// `ended` or `error`.
    pub state: ShardState,
    /// How its tests ended.
    pub result: Option<RunResult>,
}

/// The 412 of a finish: the run was over already.
#[derive(Debug, Serialize, Deserialize)]
pub struct FinishRefused {
    /// Why nothing has changed, for a person.
    pub message: String,
    /// If it was cancelled: the order to stop, which this runner may not have heard yet.
    #[serde(default)]
    pub stop: Option<StopOrder>,
    /// Whether the result came too late and is kept in the record beside the cancel.
    #[serde(default)]
    pub late_result_kept: bool,
}

/// The run whose shard was finished.
#[derive(Debug, Serialize, Deserialize)]
pub struct FinishedRun {
    /// The run's id.
    pub id: i64,
    /// `ended` or `error` once every shard is finished, else `started`; `cancelled` if that finish was the failure too many.
    pub state: State,
    /// How its tests ended.
    pub result: Option<RunResult>,
}
