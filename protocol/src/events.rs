//! `GET /api/test-runs/{id}/events`: what happened to a run.

use serde::{Deserialize, Serialize};

use crate::run::State;
use crate::time::Timestamp;

/// The answer to events.
#[derive(Debug, Serialize, Deserialize)]
pub struct Events {
    /// Oldest first; at most eight, as a run only goes forward.
    pub events: Vec<RunEvent>,
}

/// One change of state, or of the stop of a cancelled run.
#[derive(Debug, Serialize, Deserialize)]
pub struct RunEvent {
    /// When.
    pub at: Timestamp,
    /// The state before; null when the run was registered.
    pub from: Option<State>,
    /// The state after.
    pub to: State,
    /// `registered`, `promoted`, `claimed`, `finished`, or the cancel's cause: `user`, `stale`, `superseded`, `fail_fast`. Of a
    /// cancelled run, which stays `cancelled`: `kill` (SIGKILL was ordered), `stopped` (every runner has stopped or is lost),
    /// `late_result` (a lost runner said how its tests had ended), `ci_cancelled` (GitHub cancels its workflow run).
    pub cause: String,
    /// The key's user, or `system:sweeper` and the like.
    pub by: String,
    /// The cancel's reason, the error's code, the stop's outcome, the late result, or the workflow run.
    pub reason: Option<String>,
}
