//! Which runs a bulk cancel is about.

use estop_protocol::bulk_cancel::{BulkCancelRequest, BulkFilter};
use estop_protocol::limits::{BULK_AGE_MINUTES, BULK_IDS, BULK_LIMIT, BULK_METADATA_NAMES, MAX_ID, NAME_CHARS};
use estop_protocol::run::State;
use estop_protocol::time::Timestamp;
use estop_protocol::whole::Whole;

use crate::http::check::{id, invalid, slug, text, whole};
use crate::http::error::ApiError;
use crate::http::json;

const MINUTE: i64 = 60_000;
/// How many runs a filter takes by default.
const DEFAULT_LIMIT: i64 = 100;

/// Which runs.
#[derive(Debug)]
pub enum Selection {
    /// These, each once and in order.
    Given(Vec<i64>),
    /// Those that match.
    Matching(Filter),
}

/// What they have in common; `None` for any.
#[derive(Debug)]
pub struct Filter {
    pub environment: Option<String>,
    pub branch: Option<String>,
    pub state: Option<&'static str>,
    /// Registered at this moment or before.
    pub created_by: Option<Timestamp>,
    /// An object as JSON.
    pub metadata: Option<String>,
    /// The state and the id of the run to go on after.
    pub after: (&'static str, i64),
    /// How many at most.
    pub limit: i64,
}

impl Selection {
    /// Checks a request.
    ///
    /// # Errors
    /// [`ApiError::Invalid`], saying which field and what was expected.
    pub fn from_request(request: BulkCancelRequest, now: Timestamp) -> Result<Self, ApiError> {
        let limit = whole("limit", request.limit, 1, BULK_LIMIT)?;
        match (request.ids, request.filter) {
            (Some(_), None) if limit.is_some() => {
                invalid("limit", "expected with `filter` only; all of `ids` are cancelled")
            }
            (Some(_), None) if request.cursor.is_some() => {
                invalid("cursor", "expected with `filter` only; `ids` have no more to go on to")
            }
            (Some(ids), None) => given(ids),
            (None, Some(filter)) => {
                let after = request.cursor.as_deref().map_or(Ok(("", 0)), after)?;
                if filter.state.is_some_and(|state| after.0 > state.name()) {
                    return invalid("cursor", "expected the `next` of an answer to the same filter");
                }
                Ok(Self::Matching(Filter::from_request(filter, now, after, limit.unwrap_or(DEFAULT_LIMIT))?))
            }
            _ => invalid("ids", "expected either `ids` or `filter`, to say which runs"),
        }
    }
}

/// Reads a cursor: the `next` of an earlier answer, like `queued:42`.
fn after(cursor: &str) -> Result<(&'static str, i64), ApiError> {
    let read = || {
        let (state, id) = cursor.split_once(':')?;
        let state = State::ALL.iter().find(|known| known.name() == state && !known.is_over())?;
        let id = id
            .parse()
            .ok()
            .filter(|n| (1..=MAX_ID).contains(n) && id.starts_with(|c: char| ('1'..='9').contains(&c)))?;
        Some((state.name(), id))
    };
    match read() {
        Some(after) => Ok(after),
        None => invalid("cursor", "expected the `next` of an earlier answer, as it is"),
    }
}

fn given(ids: Vec<Whole>) -> Result<Selection, ApiError> {
    let expected = format!("1 to {BULK_IDS} ids of runs");
    if ids.is_empty() || ids.len() > BULK_IDS {
        return invalid("ids", &format!("expected {expected}"));
    }
    let mut ids = ids.into_iter().map(|run| id("ids", run, &expected)).collect::<Result<Vec<i64>, _>>()?;
    ids.sort_unstable();
    ids.dedup();
    Ok(Selection::Given(ids))
}

impl Filter {
    fn from_request(
        filter: BulkFilter,
        now: Timestamp,
        after: (&'static str, i64),
        limit: i64,
    ) -> Result<Self, ApiError> {
        if let Some(environment) = &filter.environment {
            slug("filter.environment", environment)?;
        }
        text("filter.branch", filter.branch.as_deref(), NAME_CHARS)?;
        if filter.state.is_some_and(State::is_over) {
            return invalid("filter.state", "expected `pending`, `queued` or `started`: the others are over");
        }
        let minutes = whole("filter.older_than_minutes", filter.older_than_minutes, 0, BULK_AGE_MINUTES)?;
        let metadata = filter.metadata.unwrap_or_default();
        if metadata.len() > BULK_METADATA_NAMES || !metadata.values().all(|v| v.is_string() || v.is_number()) {
            let expected = format!("expected at most {BULK_METADATA_NAMES} names, each with a string or a number");
            return invalid("filter.metadata", &expected);
        }
        let filter = Self {
            environment: filter.environment,
            branch: filter.branch,
            state: filter.state.map(State::name),
            created_by: minutes.map(|minutes| now.plus(-minutes * MINUTE)),
            metadata: (!metadata.is_empty()).then(|| json(&metadata)),
            after,
            limit,
        };
        if filter.is_everything() {
            let expected = "expected at least one condition; `older_than_minutes: 0` is every run that is not over";
            return invalid("filter", expected);
        }
        Ok(filter)
    }

    fn is_everything(&self) -> bool {
        let texts = [&self.environment, &self.branch, &self.metadata];
        texts.iter().all(|text| text.is_none()) && self.state.is_none() && self.created_by.is_none()
    }
}
