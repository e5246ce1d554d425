//! `POST /api/test-runs/{id}/claim`: a runner takes a shard of a run.

use serde::{Deserialize, Serialize};

use crate::run::State;
use crate::time::Timestamp;
use crate::whole::Whole;

/// Who takes which shard.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimRequest {
    /// The runner's name for the record, e.g. a host name or a CI job; at most [`crate::limits::NAME_CHARS`] characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runner: Option<String>,
    /// Which shard, from 1 to the run's `total_shards`; 1 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<Whole>,
    /// As in [`crate::register::RegisterRequest`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Whole>,
}

/// The answer to a claim.
#[derive(Debug, Serialize, Deserialize)]
pub struct Claimed {
    /// The run.
    pub test_run: ClaimedRun,
    /// What the runner now holds.
    pub lease: Lease,
}

/// The run that was claimed.
#[derive(Debug, Serialize, Deserialize)]
pub struct ClaimedRun {
    /// The run's id.
    pub id: i64,
    /// Its state now.
    pub state: State,
    /// The shard that was claimed.
    #[serde(default = "first")]
    pub shard: i64,
}

fn first() -> i64 {
    1
}

/// A lease, as its holder gets it. `Debug` leaves out the token, which is a secret.
#[derive(Serialize, Deserialize)]
pub struct Lease {
    /// The fence: every heartbeat and the finish must carry it. Only the claim's answer holds it.
    pub token: String,
    /// Until when the runner is believed to live without a heartbeat.
    pub expires_at: Timestamp,
    /// How often to send a heartbeat, in seconds.
    pub heartbeat_seconds: i64,
    /// How often while a WebSocket of [`crate::watch`] is open with this lease. A service before 0.2.0 has none.
    #[serde(default)]
    pub heartbeat_seconds_watched: Option<i64>,
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}
