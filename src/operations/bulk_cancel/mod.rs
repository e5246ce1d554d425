//! `POST /api/test-runs/cancel`: the stop button for many runs at once.
//!
//! The choice is written down first, once for a write's id; then the same guarded UPDATE as for one run goes over it.

mod selection;

use estop_protocol::bulk_cancel::{BulkCancelRequest, BulkCancelled, BulkOver, BulkRun};
use estop_protocol::run::State;
use estop_protocol::time::Timestamp;
use serde::Deserialize;

use super::environments::unknown_environment;
use super::over::Standing;
use crate::http::caller::{Caller, Key};
use crate::http::check;
use crate::http::error::ApiError;
use crate::http::json;
use crate::http::operation::{Access, Method, Operation, Outcome};
use crate::http::reply::Reply;
use crate::http::request::Call;
use crate::http::write_id::{Mine, WriteId};
use crate::key::Scope;
use crate::runtime::{DbError, News, Sql, Value, sql};
use selection::{Filter, Selection};

pub const OPERATION: Operation = Operation {
    method: Method::Post,
    pattern: "/api/test-runs/cancel",
    access: Access::Key(Scope::Cancel, |call, caller| Box::pin(answer(call, caller))),
};

const CHOOSE_GIVEN: Sql = sql!("bulk_cancel/choose_given.sql");
const CHOOSE_MATCHING: Sql = sql!("bulk_cancel/choose_matching.sql");
const CANCEL_CHOSEN: Sql = sql!("bulk_cancel/cancel_chosen.sql");
const REPORT: Sql = sql!("bulk_cancel/report.sql");
const PREVIEW_GIVEN: Sql = sql!("bulk_cancel/preview_given.sql");
const PREVIEW_MATCHING: Sql = sql!("bulk_cancel/preview_matching.sql");

/// What a bulk cancel found: each row has the same key, choice and environments, and one of the runs, if there are any.
#[derive(Deserialize)]
struct Row {
    key: Key,
    mine: Mine,
    #[serde(default)]
    next: Option<String>,
    #[serde(default)]
    environments: Option<Vec<String>>,
    run: Option<Chosen>,
}

/// A run that was chosen.
#[derive(Deserialize)]
struct Chosen {
    id: i64,
    was: State,
    environment: String,
    branch: Option<String>,
    actor: String,
    created_at: Timestamp,
    /// Whether this very request cancelled it.
    cancelled: bool,
    now: Standing,
    #[serde(default)]
    news: Option<News>,
}

async fn answer(call: &Call<'_>, caller: &Caller<'_>) -> Outcome {
    let write_id = call.write_id()?;
    let mut request: BulkCancelRequest = call.body()?;
    let reason = check::reason(request.reason.take())?;
    let dry_run = request.dry_run.unwrap_or(false);
    let selection = Selection::from_request(request, call.request.now)?;
    let rows = if dry_run {
        preview(call, caller, &selection).await?
    } else {
        cancel(call, caller, &write_id, &selection, reason.as_deref()).await?
    };
    let mut answer = BulkCancelled {
        dry_run,
        cancelled: Vec::new(),
        already_over: Vec::new(),
        not_found: Vec::new(),
        more: false,
        next: None,
    };
    for Row { key, mine, next, environments, run } in rows {
        caller.check(key, Scope::Cancel)?;
        mine.check()?;
        if let (Some(known), Some(asked)) = (environments, selection.environment()) {
            return Err(unknown_environment("filter.environment", asked, &known));
        }
        answer.more = next.is_some();
        answer.next = next;
        match run {
            Some(mut run) if run.cancelled || (dry_run && !run.now.state.is_over()) => {
                call.database().tell(run.news.take());
                answer.cancelled.push(run.shown(call.request.now));
            }
            // The choice was not carried out.
            Some(run) if !run.now.state.is_over() => return Err(DbError::Unreadable(CANCEL_CHOSEN.file).into()),
            Some(run) => answer.already_over.push(BulkOver { id: run.id, message: run.now.why_over(run.id) }),
            None => {}
        }
    }
    if let Selection::Given(ids) = &selection {
        let seen =
            |id: &i64| answer.cancelled.iter().any(|r| r.id == *id) || answer.already_over.iter().any(|r| r.id == *id);
        answer.not_found = ids.iter().copied().filter(|id| !seen(id)).collect();
    }
    Ok(Reply::data(if dry_run { "dry_run" } else { "bulk_cancelled" }, answer))
}

async fn cancel(
    call: &Call<'_>,
    caller: &Caller<'_>,
    WriteId { id, hash }: &WriteId,
    selection: &Selection,
    reason: Option<&str>,
) -> Result<Vec<Row>, ApiError> {
    let (id, hash) = (id.as_str(), hash.as_str());
    let ids;
    let choose = match selection {
        Selection::Given(given) => {
            ids = json(given);
            caller.statement(CHOOSE_GIVEN, [id.into(), hash.into(), ids.as_str().into()])
        }
        Selection::Matching(filter) => caller.statement(CHOOSE_MATCHING, filter.params(id, hash)),
    };
    let rows = call
        .batch(vec![
            choose,
            caller.statement(CANCEL_CHOSEN, [id.into(), hash.into(), reason.into()]),
            caller.statement(REPORT, [id.into(), hash.into(), selection.environment().into()]),
        ])
        .await?;
    Ok(rows.all(2)?)
}

/// A dry run.
async fn preview(call: &Call<'_>, caller: &Caller<'_>, selection: &Selection) -> Result<Vec<Row>, ApiError> {
    let ids;
    let preview = match selection {
        Selection::Given(given) => {
            ids = json(given);
            caller.statement(PREVIEW_GIVEN, [ids.as_str().into()])
        }
        Selection::Matching(filter) => caller.statement(PREVIEW_MATCHING, filter.params("", "")),
    };
    Ok(call.batch(vec![preview]).await?.all(0)?)
}

impl Chosen {
    fn shown(self, now: Timestamp) -> BulkRun {
        BulkRun {
            id: self.id,
            state: self.was,
            environment: self.environment,
            branch: self.branch,
            actor: self.actor,
            age_seconds: now.since(self.created_at).max(0) / 1000,
        }
    }
}

impl Selection {
    /// The environment that a filter names.
    fn environment(&self) -> Option<&str> {
        match self {
            Self::Given(_) => None,
            Self::Matching(filter) => filter.environment.as_deref(),
        }
    }
}

impl Filter {
    /// `?3` to `?12` of choose_matching.sql.
    fn params<'a>(&'a self, write_id: &'a str, hash: &'a str) -> [Value<'a>; 10] {
        let (after_state, after_id) = self.after;
        [
            write_id.into(),
            hash.into(),
            self.environment.as_deref().into(),
            self.branch.as_deref().into(),
            self.state.into(),
            self.created_by.map(|at| at.0).into(),
            self.metadata.as_deref().into(),
            after_state.into(),
            after_id.into(),
            self.limit.into(),
        ]
    }
}
