//! A bulk cancel: request and response bodies.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::run::State;
use crate::time::Timestamp;
use crate::wire::MAX_ID;
use crate::wire::check::{invalid, json, slug, text};
use crate::wire::requests::CancelRequest;
#[cfg(not(target_arch = "wasm32"))]
use crate::wire::requests::metadata_schema;
use crate::wire::whole::Whole;

/// The most ids that can be given.
pub const MOST_IDS: usize = 100;
const MINUTE: i64 = 60_000;

/// Which runs to cancel: by `ids` or by `filter`.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
#[cfg_attr(not(target_arch = "wasm32"), schema(as = BulkCancelRequest))]
pub struct BulkRequest {
    /// These runs. Not together with `filter`.
    #[cfg_attr(not(target_arch = "wasm32"), schema(value_type = Option<Vec<i64>>, min_items = 1, max_items = 100))]
    ids: Option<Vec<Whole>>,
    /// The runs that match all of this and are not over. Not together with `ids`.
    filter: Option<BulkFilter>,
    /// Why the runs are stopped.
    #[cfg_attr(not(target_arch = "wasm32"), schema(max_length = 1024, pattern = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*$"))]
    reason: Option<String>,
    /// Only say which runs it would be.
    dry_run: Option<bool>,
    /// How many runs at most, oldest first; 100 unless told. For `filter` only.
    #[cfg_attr(not(target_arch = "wasm32"), schema(value_type = Option<i64>, minimum = 1, maximum = 1000))]
    limit: Option<Whole>,
}

/// Any names: what no run has matches none.
#[cfg(not(target_arch = "wasm32"))]
fn metadata_filter() -> utoipa::openapi::Schema {
    metadata_schema("Names and values that their metadata has, e.g. a CI run's id.", 10, None, None)
}

/// What the runs to be cancelled have in common: at least one of these.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct BulkFilter {
    /// The slug of their environment.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schema(min_length = 1, max_length = 64, pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
    )]
    environment: Option<String>,
    /// Their branch.
    #[cfg_attr(not(target_arch = "wasm32"), schema(min_length = 1, max_length = 255))]
    branch: Option<String>,
    /// Their state: `pending`, `queued` or `started`.
    state: Option<State>,
    /// They were registered at least this long ago; 0 for all.
    #[cfg_attr(not(target_arch = "wasm32"), schema(value_type = Option<i64>, minimum = 0, maximum = 5256000))]
    older_than_minutes: Option<Whole>,
    /// Names and values that their metadata has, e.g. a CI run's id.
    #[cfg_attr(not(target_arch = "wasm32"), schema(schema_with = metadata_filter))]
    metadata: Option<Map<String, Value>>,
}

/// A bulk cancel in order.
#[derive(Debug)]
pub struct Bulk {
    /// Which runs.
    pub which: Which,
    /// Why.
    pub reason: Option<String>,
    /// Only say which.
    pub dry_run: bool,
}

/// Which runs a bulk cancel is about.
#[derive(Debug)]
pub enum Which {
    /// These, each once.
    Given(Vec<i64>),
    /// Those that match.
    Matching {
        /// The environment's slug.
        environment: Option<String>,
        /// The branch.
        branch: Option<String>,
        /// The state.
        state: Option<&'static str>,
        /// Registered at this moment or before.
        created_by: Option<Timestamp>,
        /// An object as JSON.
        metadata: Option<String>,
        /// How many at most.
        limit: i64,
    },
}

impl BulkRequest {
    /// The bulk cancel, if it is in order.
    ///
    /// # Errors
    /// [`ApiError::Invalid`], saying which field and what was expected.
    pub fn checked(self, now: Timestamp) -> Result<Bulk, ApiError> {
        let limit = match self.limit {
            Some(Whole(n)) if !(1..=1000).contains(&n) => {
                return invalid("limit", "expected a whole number from 1 to 1000");
            }
            other => other.map(|Whole(n)| n),
        };
        let which = match (self.ids, self.filter) {
            (Some(ids), None) => {
                if limit.is_some() {
                    return invalid("limit", "expected with `filter` only; all of `ids` are cancelled");
                }
                given(ids)?
            }
            (None, Some(filter)) => filter.checked(now, limit.unwrap_or(100))?,
            _ => return invalid("ids", "expected either `ids` or `filter`, to say which runs"),
        };
        let reason = CancelRequest::checked_reason(self.reason)?;
        Ok(Bulk { which, reason, dry_run: self.dry_run.unwrap_or(false) })
    }
}

fn given(ids: Vec<Whole>) -> Result<Which, ApiError> {
    let mut ids: Vec<i64> = ids.into_iter().map(|Whole(id)| id).collect();
    if ids.is_empty() || ids.len() > MOST_IDS || ids.iter().any(|id| !(1..=MAX_ID).contains(id)) {
        return invalid("ids", &format!("expected 1 to {MOST_IDS} ids of runs"));
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(Which::Given(ids))
}

impl BulkFilter {
    fn checked(self, now: Timestamp, limit: i64) -> Result<Which, ApiError> {
        if let Some(environment) = &self.environment {
            slug("filter.environment", environment)?;
        }
        text("filter.branch", self.branch.as_deref(), 255)?;
        if self.state.is_some_and(State::is_over) {
            return invalid("filter.state", "expected `pending`, `queued` or `started`: the others are over");
        }
        if self.older_than_minutes.is_some_and(|Whole(n)| !(0..=5_256_000).contains(&n)) {
            return invalid("filter.older_than_minutes", "expected a whole number from 0 to 5256000");
        }
        let metadata = self.metadata.unwrap_or_default();
        if metadata.len() > 10 || !metadata.values().all(|value| value.is_string() || value.is_number()) {
            return invalid("filter.metadata", "expected at most 10 names, each with a string or a number");
        }
        let which = Which::Matching {
            environment: self.environment,
            branch: self.branch,
            state: self.state.map(State::name),
            created_by: self.older_than_minutes.map(|Whole(minutes)| now.plus(-minutes * MINUTE)),
            metadata: (!metadata.is_empty()).then(|| json(&metadata)),
            limit,
        };
        match &which {
            Which::Matching {
                environment: None, branch: None, state: None, created_by: None, metadata: None, ..
            } => invalid(
                "filter",
                "expected at least one condition; `older_than_minutes: 0` is every run that is not over",
            ),
            _ => Ok(which),
        }
    }
}

/// What came of a bulk cancel.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct BulkCancelled {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// The runs that this request cancelled, or would.
    pub cancelled: Vec<BulkRun>,
    /// The runs that were over already, with why.
    pub already_over: Vec<BulkOver>,
    /// The ids of `ids` that are no run that this key may see.
    pub not_found: Vec<i64>,
    /// Whether more runs match than `limit` let through: ask again, with another Idempotency-Key if there was one.
    pub more: bool,
}

/// A run that was cancelled with others.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct BulkRun {
    /// The run's id.
    pub id: i64,
}

/// A run that was over already.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct BulkOver {
    /// The run's id.
    pub id: i64,
    /// What is the case, for a person.
    pub message: String,
}
