//! `GET /api/test-runs/{id}/watch` and `GET /api/watch`: what the hub tells over a WebSocket, one JSON text a message.
//!
//! It is best effort: a message may be lost, late, doubled or overtaken by another. What is true is in the record, and each
//! message has the version of the run that it is about, so that a receiver drops what is older than what it has.

use serde::{Deserialize, Serialize};

use crate::heartbeat::{StopOrder, StopStep};
use crate::progress::Progress;
use crate::run::words;
use crate::show::RunProgress;
use crate::time::Timestamp;

/// The header with the lease's token, for a shard's line.
pub const LEASE_HEADER: &str = "Estop-Lease";

/// The text that a client may send as a sign of life; the answer is [`PONG`]. The hub sleeps through it.
pub const PING: &str = "ping";

/// The answer to [`PING`].
pub const PONG: &str = "pong";

/// The code of a close because the key was revoked or has expired, or the session that stood for it is over.
pub const KEY_IS_OVER: u16 = 4401;

/// A message. A client ignores a type that it does not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Message<Run> {
    /// To who watches a run or a project: the run as it is now, as lists have it.
    Run {
        /// The run.
        run: Run,
    },
    /// To who holds a shard of a run: the order to stop, as a heartbeat's answer has it.
    Stop {
        /// The run's id.
        test_run: i64,
        /// The run's version.
        version: i64,
        /// The order.
        stop: StopOrder,
    },
    /// To who watches a run that is stopping: what the runner of a shard has just done. It is told once, and stored nowhere.
    Step {
        /// The run's id.
        test_run: i64,
        /// The shard.
        shard: i64,
        /// What its runner has done.
        step: StopStep,
        /// When the service heard of it.
        at: Timestamp,
    },
    /// To who watches a run or a project: how far the tests of a shard are. It is told once, and stored nowhere.
    Progress {
        /// The run's id.
        test_run: i64,
        /// The shard.
        shard: i64,
        /// How far.
        progress: RunProgress,
        /// When the hub heard of it.
        at: Timestamp,
    },
    /// To who holds a shard of a run: whether anybody watches the run. While somebody does, its line takes [`Report`]s.
    Watched {
        /// Whether.
        watched: bool,
    },
}

/// What a shard's line takes: one JSON text of at most [`crate::limits::LINE_BYTES`], and no more than one in
/// [`REPORT_SECONDS`] on the average.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Which message it is.
    #[serde(rename = "type")]
    pub kind: ReportKind,
    /// How far the shard's tests are.
    pub progress: Progress,
}

words! {
    /// What a [`Report`] is about.
    ReportKind {
        /// How far tests are.
        Progress = "progress",
    }
}

/// How often a shard's line takes a [`Report`], in seconds. A connection that stood still brings several at once, so the hub
/// goes by the average.
pub const REPORT_SECONDS: i64 = 4;
