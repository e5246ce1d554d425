//! `POST /api/github/webhook`: what became of a delivery of GitHub's. What it sends is GitHub's own.

use serde::{Deserialize, Serialize};

/// The answer.
#[derive(Debug, Serialize, Deserialize)]
pub struct StoppedRuns {
    /// The ids of the runs that the delivery stopped; none if it is not about a project that wants it.
    pub stopped: Vec<i64>,
}
