//! A run that a write came too late for, as cancel, claim, finish and bulk cancel report it; and the refusal of a
//! runner that does not hold its run.

use estop_protocol::run::{ErrorCode, RunResult, State};
use estop_protocol::time::Timestamp;
use serde::Deserialize;

use crate::http::error::ApiError;

/// Where a run is, and how it came there.
#[derive(Debug, Deserialize)]
pub struct Standing {
    /// Where it is in its life.
    pub state: State,
    /// How its tests ended.
    pub result: Option<RunResult>,
    /// How it broke.
    pub error_code: Option<ErrorCode>,
    /// When it ended or broke.
    pub ended_at: Option<Timestamp>,
    /// When it was cancelled.
    pub cancelled_at: Option<Timestamp>,
    /// By whom.
    pub cancel_by: Option<String>,
}

/// Why an archived test run takes no more changes, for a 412.
pub fn archived(id: i64) -> String {
    format!("Test run {id} is over: it is archived.")
}

impl Standing {
    /// Why test run `id` takes no more changes, for a 412.
    pub fn why_over(&self, id: i64) -> String {
        let at = self.ended_at.or(self.cancelled_at).map(|at| format!(" at {at}")).unwrap_or_default();
        match (self.state, self.result, self.error_code, &self.cancel_by) {
            (State::Ended, Some(result), ..) => format!("Test run {id} is over: it ended ({}){at}.", result.name()),
            (State::Error, _, Some(code), _) => format!("Test run {id} is over: it broke ({}){at}.", code.name()),
            (State::Cancelled, _, _, Some(by)) => format!("Test run {id} is over: {by} cancelled it{at}."),
            (state, ..) => format!("Test run {id} is {}.", state.name()),
        }
    }
}

/// The 409 of heartbeat and finish, for a runner that held the run.
pub fn not_the_holder(id: i64, state: State) -> ApiError {
    let state = state.name();
    ApiError::NotTheHolder(format!(
        "This lease does not hold test run {id}, which is {state}. Stop what it started; only the run's own runner may go on."
    ))
}
