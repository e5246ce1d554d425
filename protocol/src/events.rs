//! `GET /api/test-runs/{id}/events`: what happened to a run.

use serde::{Deserialize, Serialize};

use crate::run::State;
use crate::time::Timestamp;

/// The answer to events.
#[derive(Debug, Serialize, Deserialize)]
pub struct Events {
    /// Oldest first; at most four, as a run only goes forward.
    pub events: Vec<RunEvent>,
}

/// One change of state.
#[derive(Debug, Serialize, Deserialize)]
pub struct RunEvent {
    /// When.
    pub at: Timestamp,
    /// The state before; null when the run was registered.
    pub from: Option<State>,
    /// The state after.
    pub to: State,
    /// `registered`, `promoted`, `claimed`, `finished`, or the cancel's cause: `user`, `stale`, `superseded`.
    pub cause: String,
    /// The key's user, or `system:sweeper` and the like.
    pub by: String,
    /// The cancel's reason, or the error's code.
    pub reason: Option<String>,
}
