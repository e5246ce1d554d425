//! `POST /api/test-runs/cancel`: the stop button for many runs at once.
//!
//! The choice is written down first, once for a write's id; then the same guarded UPDATE as for one run goes over it.

mod selection;

use estop_protocol::bulk_cancel::{BulkCancelRequest, BulkCancelled, BulkOver, BulkRun};
use serde::Deserialize;

use super::environments::unknown_environment;
use super::over::Standing;
use crate::http::caller::{Caller, KeyVerdict};
use crate::http::check;
use crate::http::error::ApiError;
use crate::http::json;
use crate::http::operation::{Access, Method, Operation, Outcome};
use crate::http::reply::Reply;
use crate::http::request::Call;
use crate::key::Scope;
use crate::runtime::{Sql, Statement, Value};
use selection::{Filter, Selection};

pub const OPERATION: Operation = Operation {
    method: Method::Post,
    pattern: "/api/test-runs/cancel",
    access: Access::Key(Scope::Cancel, |call, caller| Box::pin(answer(call, caller))),
};

const CHOOSE_GIVEN: Sql = Sql { file: "bulk_cancel/choose_given.sql", text: include_str!("choose_given.sql") };
const CHOOSE_MATCHING: Sql = Sql { file: "bulk_cancel/choose_matching.sql", text: include_str!("choose_matching.sql") };
const CANCEL_CHOSEN: Sql = Sql { file: "bulk_cancel/cancel_chosen.sql", text: include_str!("cancel_chosen.sql") };
const REPORT_CHOSEN: Sql = Sql { file: "bulk_cancel/report_chosen.sql", text: include_str!("report_chosen.sql") };
const REPORT_GIVEN: Sql = Sql { file: "bulk_cancel/report_given.sql", text: include_str!("report_given.sql") };
const REPORT_MATCHING: Sql = Sql { file: "bulk_cancel/report_matching.sql", text: include_str!("report_matching.sql") };
const DIAGNOSE_GIVEN: Sql = Sql { file: "bulk_cancel/diagnose_given.sql", text: include_str!("diagnose_given.sql") };
const DIAGNOSE_MATCHING: Sql =
    Sql { file: "bulk_cancel/diagnose_matching.sql", text: include_str!("diagnose_matching.sql") };

/// What came of a bulk cancel.
enum BulkCancel {
    /// The runs that were chosen, as they are now, and whether more match than the limit let through.
    Done { runs: Vec<Reported>, more: bool },
    /// The project has no such environment as the filter's, but these (at most 50).
    UnknownEnvironment(Vec<String>),
}

/// A chosen run.
#[derive(Deserialize)]
struct Reported {
    id: i64,
    mine: u8,
    run: Standing,
}

async fn answer(call: &Call<'_>, caller: &Caller<'_>) -> Outcome {
    let write_id = call.write_id()?;
    let mut request: BulkCancelRequest = call.body()?;
    let reason = check::reason(request.reason.take())?;
    let dry_run = request.dry_run.unwrap_or(false);
    let selection = Selection::from_request(request, call.request.now)?;
    let outcome = if dry_run {
        report(call, caller, &write_id, &selection).await?
    } else {
        cancel(call, caller, &write_id, &selection, reason.as_deref()).await?
    };
    match (outcome, &selection) {
        (BulkCancel::Done { runs, more }, _) => Ok(reply(&runs, &selection, dry_run, more)),
        (BulkCancel::UnknownEnvironment(known), Selection::Matching(Filter { environment: Some(asked), .. })) => {
            Err(unknown_environment("filter.environment", asked, &known))
        }
        (BulkCancel::UnknownEnvironment(_), _) => Err(ApiError::NotFound("environment")),
    }
}

fn reply(runs: &[Reported], selection: &Selection, dry_run: bool, more: bool) -> Reply {
    let not_found = match selection {
        Selection::Given(ids) => ids.iter().copied().filter(|id| runs.iter().all(|run| run.id != *id)).collect(),
        Selection::Matching(_) => Vec::new(),
    };
    let (mut cancelled, mut already_over) = (Vec::new(), Vec::new());
    for Reported { id, mine, run } in runs {
        if *mine == 1 || (dry_run && !run.state.is_over()) {
            cancelled.push(BulkRun { id: *id });
        } else {
            already_over.push(BulkOver { id: *id, message: run.why_over(*id) });
        }
    }
    let outcome = if dry_run { "dry_run" } else { "bulk_cancelled" };
    Reply::data(outcome, BulkCancelled { dry_run, cancelled, already_over, not_found, more })
}

async fn cancel(
    call: &Call<'_>,
    caller: &Caller<'_>,
    write_id: &str,
    selection: &Selection,
    reason: Option<&str>,
) -> Result<BulkCancel, ApiError> {
    let ids = selection.ids();
    let (choose, params) = match selection {
        Selection::Given(_) => (CHOOSE_GIVEN, vec![write_id.into(), ids.as_str().into()]),
        Selection::Matching(filter) => (CHOOSE_MATCHING, filter.params(write_id, filter.limit)),
    };
    let rows = call
        .batch(vec![
            caller.statement(choose, params),
            caller.statement(CANCEL_CHOSEN, [write_id.into(), reason.into()]),
            caller.statement(REPORT_CHOSEN, [write_id.into()]),
            diagnose(caller, write_id, selection, 0),
        ])
        .await?;
    let found: Diagnosis = rows.only(3)?;
    found.outcome(rows.all(2), 0)
}

/// A dry run.
async fn report(
    call: &Call<'_>,
    caller: &Caller<'_>,
    write_id: &str,
    selection: &Selection,
) -> Result<BulkCancel, ApiError> {
    let ids = selection.ids();
    let (report, params, limit) = match selection {
        Selection::Given(_) => (REPORT_GIVEN, vec![write_id.into(), ids.as_str().into()], 0),
        Selection::Matching(filter) => (REPORT_MATCHING, filter.params(write_id, filter.limit), filter.limit),
    };
    // Nothing is taken away, so one more than the limit tells whether there are more.
    let rows = call.batch(vec![caller.statement(report, params), diagnose(caller, write_id, selection, 1)]).await?;
    let found: Diagnosis = rows.only(1)?;
    found.outcome(rows.all(0), limit)
}

/// The statement that says what is left; of a filter's matches it counts up to `beyond` more than the limit.
fn diagnose<'a>(caller: &Caller<'a>, write_id: &'a str, selection: &'a Selection, beyond: i64) -> Statement<'a> {
    match selection {
        Selection::Given(_) => caller.statement(DIAGNOSE_GIVEN, []),
        Selection::Matching(filter) => {
            caller.statement(DIAGNOSE_MATCHING, filter.params(write_id, filter.limit + beyond))
        }
    }
}

#[derive(Deserialize)]
struct Diagnosis {
    key: KeyVerdict,
    left: i64,
    environments: Option<Vec<String>>,
}

impl Diagnosis {
    fn outcome(
        self,
        runs: Result<Vec<Reported>, crate::runtime::DbError>,
        expected_left: i64,
    ) -> Result<BulkCancel, ApiError> {
        self.key.check(Scope::Cancel)?;
        if let Some(known) = self.environments {
            return Ok(BulkCancel::UnknownEnvironment(known));
        }
        Ok(BulkCancel::Done { runs: runs?, more: self.left > expected_left })
    }
}

impl Selection {
    /// The ids as JSON; empty for a filter.
    fn ids(&self) -> String {
        match self {
            Self::Given(ids) => json(ids),
            Self::Matching(_) => String::new(),
        }
    }
}

impl Filter {
    fn params<'a>(&'a self, write_id: &'a str, limit: i64) -> Vec<Value<'a>> {
        vec![
            write_id.into(),
            self.environment.as_deref().into(),
            self.branch.as_deref().into(),
            self.state.into(),
            self.created_by.map(|at| at.0).into(),
            self.metadata.as_deref().into(),
            limit.into(),
        ]
    }
}
