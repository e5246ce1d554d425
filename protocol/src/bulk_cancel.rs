//! `POST /api/test-runs/cancel`: many runs at once, by `ids` or by `filter`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::run::State;
use crate::whole::Whole;

/// Which runs to cancel, and why.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BulkCancelRequest {
    /// These runs, 1 to [`crate::limits::BULK_IDS`]. Not together with `filter`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<Whole>>,
    /// The runs that match all of this and are not over. Not together with `ids`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<BulkFilter>,
    /// As in [`crate::cancel::CancelRequest`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Only report which runs it would be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
    /// How many runs at most, from 1 to [`crate::limits::BULK_LIMIT`]; 100 by default. Only with `filter`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<Whole>,
    /// Goes on where an earlier answer's `next` says. Only with `filter`, which must be the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// What the runs to be cancelled have in common: at least one of these.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BulkFilter {
    /// Their environment's slug.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Their branch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Their state: `pending`, `queued` or `started`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// They were registered at least this many minutes ago, 0 to [`crate::limits::BULK_AGE_MINUTES`]; 0 means all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub older_than_minutes: Option<Whole>,
    /// Names and values (strings or numbers) in their metadata, at most [`crate::limits::BULK_METADATA_NAMES`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
}

/// What came of a bulk cancel.
#[derive(Debug, Serialize, Deserialize)]
pub struct BulkCancelled {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// The runs that this request cancelled, or would cancel.
    pub cancelled: Vec<BulkRun>,
    /// The runs that were already over, and why.
    pub already_over: Vec<BulkOver>,
    /// Those of `ids` that are no run that this key may see.
    pub not_found: Vec<i64>,
    /// Whether there may be open runs at which this request did not look. Then ask again with `next` as `cursor` (and with
    /// another Idempotency-Key, if there was one).
    pub more: bool,
    /// The `cursor` that goes on from here; null if every open run was looked at.
    pub next: Option<String>,
}

/// A run that was cancelled with others, or would be.
#[derive(Debug, Serialize, Deserialize)]
pub struct BulkRun {
    /// Its id.
    pub id: i64,
    /// The state that it is in, or was in when it was cancelled: `pending`, `queued` or `started`.
    pub state: State,
    /// Its environment's slug.
    pub environment: String,
    /// The branch under test, if given.
    pub branch: Option<String>,
    /// Who set it off: the GitHub account or, without one, the user who registered it.
    pub actor: String,
    /// How long ago it was registered, in seconds.
    pub age_seconds: i64,
}

/// A run that was already over.
#[derive(Debug, Serialize, Deserialize)]
pub struct BulkOver {
    /// Its id.
    pub id: i64,
    /// How it ended, for a person.
    pub message: String,
}
