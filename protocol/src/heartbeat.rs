//! `POST /api/test-runs/{id}/heartbeat`: a runner's sign of life, and how it learns that it has to stop.

use serde::{Deserialize, Serialize};

use crate::finish::Counts;
use crate::progress::{Failure, Progress};
use crate::run::{Cause, State, words};
use crate::time::Timestamp;

words! {
    /// How far a runner is with a stop.
    StopStep {
        /// It has heard the order.
        Told = "told",
        /// It has sent SIGINT.
        Sigint = "sigint",
        /// It has sent SIGTERM.
        Sigterm = "sigterm",
        /// It has sent SIGKILL.
        Sigkill = "sigkill",
    }
}

/// A runner's sign of life.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeartbeatRequest {
    /// The lease token that the claim gave.
    pub lease: String,
    /// How many tests ended how so far. More failed ones are written down at once, the rest when the lease is renewed anyway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<Counts>,
    /// How far the tests are. It is written down with the lease, or when more tests have failed; where `counts` is missing, it
    /// is made of this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// The tests that have failed so far, at most [`crate::limits::FAILURES`]. They take the place of those that were named
    /// before, and are written down with the progress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures: Option<Vec<Failure>>,
    /// While it stops: what it has just done. Nothing of it is stored; whoever watches the run is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StopStep>,
}

/// The answer to a heartbeat.
#[derive(Debug, Serialize, Deserialize)]
pub struct Beat {
    /// The run's state now: `started` or `cancelled`.
    pub state: State,
    /// The lease.
    pub lease: LeaseExpiry,
    /// Null, or the order to stop.
    pub stop: Option<StopOrder>,
}

/// Until when a lease lasts.
#[derive(Debug, Serialize, Deserialize)]
pub struct LeaseExpiry {
    /// Until when the runner is believed to live without another heartbeat.
    pub expires_at: Timestamp,
}

/// The order to stop: who gave it, why and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopOrder {
    /// What the caller said, or what the system says.
    pub reason: Option<String>,
    /// What brought it about.
    pub cause: Cause,
    /// The key's user, or `system:sweeper` and the like.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// How long to let the tests end by themselves before killing them, in seconds.
    pub grace_seconds: i64,
    /// Whether the runner was given up: another may hold the environment by now.
    pub lease_lost: bool,
    /// Whether to kill at once, without any more grace.
    #[serde(default)]
    pub kill: bool,
}
