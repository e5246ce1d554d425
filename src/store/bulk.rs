//! Many runs at once.

use serde::Deserialize;

use super::KeyVerdict;
use super::run::{Caller, Found};
use crate::error::ApiError;
use crate::host::{self, Host, Value};
use crate::key::Scope;
use crate::sql::bulk as sql;
use crate::wire::bulk::{Bulk, Which};

/// What came of a bulk cancel.
#[derive(Debug)]
pub enum BulkOutcome {
    /// The runs that were chosen, as they are now, and whether more match.
    Done {
        /// Each with its id.
        runs: Vec<Reported>,
        /// Whether more match than the limit let through.
        more: bool,
    },
    /// The project has no such environment, but these (at most 50).
    UnknownEnvironment(Vec<String>),
}

/// A chosen run.
#[derive(Debug, Deserialize)]
pub struct Reported {
    /// Its id.
    pub id: i64,
    /// What it is like now.
    pub found: Found,
}

/// Cancels many runs, or says which it would be.
///
/// # Errors
/// 401, 403, 503.
pub async fn cancel(
    host: &impl Host,
    caller: &Caller<'_>,
    request_id: &str,
    bulk: &Bulk,
) -> Result<BulkOutcome, ApiError> {
    #[derive(Deserialize)]
    struct Explanation {
        key: KeyVerdict,
        left: Option<i64>,
        environments: Option<Vec<String>>,
    }
    let id: Value<'_> = request_id.into();
    let given = match &bulk.which {
        Which::Given(ids) => format!("{ids:?}"),
        Which::Matching { .. } => String::new(),
    };
    let (choose, report, explain, which, most) = match &bulk.which {
        Which::Given(_) => {
            (sql::CHOOSE_GIVEN, sql::REPORT_GIVEN, sql::EXPLAIN_GIVEN, vec![id, given.as_str().into()], None)
        }
        Which::Matching { environment, branch, state, created_by, metadata, limit } => {
            let which = vec![
                id,
                environment.as_deref().into(),
                branch.as_deref().into(),
                (*state).into(),
                created_by.map(|at| at.0).into(),
                metadata.as_deref().into(),
                (*limit).into(),
            ];
            (sql::CHOOSE_MATCHING, sql::REPORT_MATCHING, sql::EXPLAIN_MATCHING, which, Some(*limit))
        }
    };
    let mut explain_params = if most.is_some() { which.clone() } else { Vec::new() };
    if let (true, Some(limit)) = (bulk.dry_run, explain_params.last_mut()) {
        // Nothing was taken away, so one more than the limit tells whether there are more.
        *limit = (most.unwrap_or_default() + 1).into();
    }
    let explain = caller.statement(explain, explain_params);
    let statements = if bulk.dry_run {
        vec![caller.statement(report, which), explain]
    } else {
        vec![
            caller.statement(choose, which),
            caller.statement(sql::CANCEL_CHOSEN, [id, bulk.reason.as_deref().into()]),
            caller.statement(sql::REPORT_CHOSEN, [id]),
            explain,
        ]
    };
    let rows = host::batch(host, &statements, caller.deadline).await?;
    let explanation: Explanation = host::only(&rows, statements.len() - 1)?;
    explanation.key.check(Scope::Cancel)?;
    if let Some(known) = explanation.environments {
        return Ok(BulkOutcome::UnknownEnvironment(known));
    }
    let left = explanation.left.unwrap_or_default();
    let more = left > if bulk.dry_run { most.unwrap_or_default() } else { 0 };
    Ok(BulkOutcome::Done { runs: host::all(&rows, statements.len() - 2)?, more })
}
