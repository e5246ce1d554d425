//! `GET /api/test-runs/{id}/failures`: which tests of a run have failed so far.

use serde::{Deserialize, Serialize};

/// The answer.
#[derive(Debug, Serialize, Deserialize)]
pub struct Failures {
    /// The first [`crate::limits::FAILURES`], in the order of shards and, in each, of their failing.
    pub failures: Vec<ListedFailure>,
}

/// A test that has failed, as [`crate::progress::Failure`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedFailure {
    /// The shard that ran it.
    pub shard: i64,
    /// Its title.
    pub title: String,
    /// The file that it is in.
    pub file: Option<String>,
    /// The line of the file.
    pub line: Option<i64>,
    /// What it says of it.
    pub message: Option<String>,
}
