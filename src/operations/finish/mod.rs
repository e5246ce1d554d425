//! `POST /api/test-runs/{id}/finish`: how a run ended or, if it was cancelled, that its runner has stopped. As for a
//! heartbeat, the lease's token is the credential.

use estop_protocol::finish::{FinishRefused, FinishRequest, Finished, FinishedRun};
use estop_protocol::heartbeat::StopOrder;
use estop_protocol::run::{Cause, ConfirmedStop, ErrorCode, Finish as State, RunResult, StopOutcome};
use serde::Deserialize;

use super::over::Standing;
use crate::http::check::invalid;
use crate::http::error::ApiError;
use crate::http::json;
use crate::http::operation::{Access, Method, Operation, Outcome};
use crate::http::reply::Reply;
use crate::http::request::Call;
use crate::http::write_id::{Mine, WriteId};
use crate::runtime::{Sql, Statement};

pub const OPERATION: Operation = Operation {
    method: Method::Post,
    pattern: "/api/test-runs/:id/finish",
    access: Access::Lease(|call| Box::pin(answer(call))),
};

const FINISH: Sql = Sql { file: "finish/finish.sql", text: include_str!("finish.sql") };
const CONFIRM_STOP: Sql = Sql { file: "finish/confirm_stop.sql", text: include_str!("confirm_stop.sql") };
const DIAGNOSE: Sql = Sql { file: "finish/diagnose.sql", text: include_str!("diagnose.sql") };

/// What came of a finish.
enum Finish {
    /// This request finished the run: now or, if it is a repeat, before.
    Done(Standing),
    /// The run was already over. If it was cancelled and its stop record open, that is now closed.
    AlreadyOver { run: Standing, stop: Option<StopOrder> },
}

async fn answer(call: &Call<'_>) -> Outcome {
    let id = call.existing_id()?;
    let write_id = call.write_id()?;
    let request: FinishRequest = call.body()?;
    check(&request)?;
    call.lease(&request.lease).await?;
    match finish(call, id, &write_id, &request).await? {
        Finish::Done(run) => {
            let test_run = FinishedRun { id, state: run.state, result: run.result };
            Ok(Reply::data("finished", Finished { test_run }).about(id))
        }
        Finish::AlreadyOver { run, stop } => {
            let refused = FinishRefused { message: run.why_over(id), stop, late_result_kept: false };
            Ok(Reply::text(412, "already_over", json(&refused)).about(id))
        }
    }
}

fn check(request: &FinishRequest) -> Result<(), ApiError> {
    match (request.state, request.result, request.error_code) {
        (State::Ended, None, _) => invalid("result", "expected `passed` or `failed` with state `ended`"),
        (State::Ended, _, Some(_)) => invalid("error_code", "expected only with state `error`"),
        (State::Error, _, None) => invalid("error_code", "expected with state `error`"),
        (State::Error, Some(_), _) => invalid("result", "expected only with state `ended`"),
        _ => Ok(()),
    }
}

async fn finish(call: &Call<'_>, id: i64, write_id: &WriteId, request: &FinishRequest) -> Result<Finish, ApiError> {
    #[derive(Deserialize)]
    struct Diagnosis {
        run: Standing,
        cancel_reason: Option<String>,
        cancel_cause: Option<Cause>,
        stop_outcome: Option<StopOutcome>,
        mine: Mine,
    }
    let (write, hash, now) = (write_id.id.as_str(), write_id.hash.as_str(), call.request.now.0);
    let token = request.lease.as_str();
    let result = request.result.map(RunResult::name);
    let error_code = request.error_code.map(ErrorCode::name);
    let counts = request.counts.map(|counts| json(&counts));
    let stopped = request.stop.map_or(ConfirmedStop::Graceful, |stop| stop.outcome);
    let finish = vec![
        id.into(),
        token.into(),
        now.into(),
        write.into(),
        hash.into(),
        request.state.name().into(),
        result.into(),
        error_code.into(),
        counts.as_deref().into(),
    ];
    let confirm = vec![id.into(), token.into(), now.into(), stopped.name().into()];
    let rows = call
        .batch(vec![
            Statement::new(FINISH, finish),
            Statement::new(CONFIRM_STOP, confirm),
            Statement::new(DIAGNOSE, vec![id.into(), token.into(), write.into(), hash.into()]),
        ])
        .await?;
    let found: Diagnosis = rows.first(2)?.ok_or(ApiError::UnknownLease(id))?;
    let run = found.run;
    if found.mine.check()? {
        return Ok(Finish::Done(run));
    }
    let stop = match (found.cancel_cause, &run.cancel_by, run.cancelled_at) {
        (Some(cause), Some(by), Some(at)) => Some(StopOrder {
            reason: found.cancel_reason,
            cause,
            by: by.clone(),
            at,
            grace_seconds: call.config.stop_grace_seconds,
            lease_lost: found.stop_outcome == Some(StopOutcome::Lost),
            kill: false,
        }),
        _ => None,
    };
    Ok(Finish::AlreadyOver { run, stop })
}
