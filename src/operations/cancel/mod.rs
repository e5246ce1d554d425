//! `POST /api/test-runs/{id}/cancel`, the contract. `cancel.sql` is the decision.

use estop_protocol::cancel::CancelRequest;
use estop_protocol::envelope::Message;
use estop_protocol::time::Timestamp;
use serde::Deserialize;

use super::over::{Standing, archived};
use crate::http::caller::{Caller, Key};
use crate::http::check;
use crate::http::error::ApiError;
use crate::http::operation::{Access, Method, Operation, Outcome};
use crate::http::reply::Reply;
use crate::http::request::Call;
use crate::http::write_id::{Mine, WriteId};
use crate::key::Scope;
use crate::runtime::{News, Sql, sql};

pub const OPERATION: Operation = Operation {
    method: Method::Post,
    pattern: "/api/test-runs/:id/cancel",
    access: Access::Key(Scope::Cancel, |call, caller| Box::pin(answer(call, caller))),
};

const CANCEL: Sql = sql!("cancel/cancel.sql");
const DIAGNOSE: Sql = sql!("cancel/diagnose.sql");

/// What came of a cancel.
enum Cancel {
    /// This request cancelled the run: now or, if it is a repeat, before.
    Done { at: Timestamp, by: String },
    /// The run was already over, and nothing has changed.
    AlreadyOver(Standing),
    /// So it was, and long ago.
    Archived,
}

async fn answer(call: &Call<'_>, caller: &Caller<'_>) -> Outcome {
    let id = call.id()?;
    let write_id = call.write_id()?;
    let reason = check::reason(call.body::<CancelRequest>()?.reason)?;
    let outcome = cancel(call, caller, id, &write_id, reason.as_deref()).await.map_err(|error| match error {
        // The contract knows no 422.
        ApiError::ReusedKey => ApiError::Invalid(error.message("")),
        other => other,
    })?;
    Ok(match outcome {
        Cancel::Done { at, by } => {
            let message = format!("Test run {id} is cancelled: {by} stopped it at {at}.");
            Reply::ok("cancelled", &Message { message })
        }
        Cancel::AlreadyOver(run) => Reply::refused("already_over", run.why_over(id)),
        Cancel::Archived => Reply::refused("already_over", archived(id)),
    }
    .about(id))
}

async fn cancel(
    call: &Call<'_>,
    caller: &Caller<'_>,
    id: i64,
    write_id: &WriteId,
    reason: Option<&str>,
) -> Result<Cancel, ApiError> {
    #[derive(Deserialize)]
    struct Diagnosis {
        key: Key,
        found: Option<Found>,
        #[serde(default)]
        archived: bool,
    }
    #[derive(Deserialize)]
    struct Found {
        run: Standing,
        mine: Mine,
        news: Option<News>,
    }
    let WriteId { id: write, hash } = write_id;
    let rows = call
        .batch(vec![
            caller.statement(CANCEL, [id.into(), write.as_str().into(), hash.as_str().into(), reason.into()]),
            caller.statement(DIAGNOSE, [id.into(), write.as_str().into(), hash.as_str().into()]),
        ])
        .await?;
    let Diagnosis { key, found, archived } = rows.only(1)?;
    caller.check(key, Scope::Cancel)?;
    if archived {
        return Ok(Cancel::Archived);
    }
    let Found { run, mine, news } = found.ok_or(ApiError::NotFound("test run"))?;
    let mine = mine.check()?;
    call.database().tell(news);
    Ok(match (mine, run.cancelled_at, &run.cancel_by) {
        (true, Some(at), Some(by)) => Cancel::Done { at, by: by.clone() },
        _ => Cancel::AlreadyOver(run),
    })
}
