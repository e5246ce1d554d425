//! `POST /api/test-runs/{id}/finish`: how a shard ended or, if its run was cancelled, that its runner has stopped. As for a
//! heartbeat, the lease's token is the credential.

use estop_protocol::finish::{Counts, FinishRefused, FinishRequest, Finished, FinishedRun, FinishedShard};
use estop_protocol::heartbeat::StopOrder;
use estop_protocol::progress::Progress;
use estop_protocol::run::{Cause, ConfirmedStop, ErrorCode, Finish as State, RunResult, StopOutcome};
use estop_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::over::Standing;
use crate::http::check::{self, invalid};
use crate::http::error::ApiError;
use crate::http::json;
use crate::http::operation::{Access, Method, Operation, Outcome};
use crate::http::reply::Reply;
use crate::http::request::Call;
use crate::http::write_id::{Mine, WriteId};
use crate::lease;
use crate::run::KEEP_LATE_FOR;
use crate::runtime::{News, Sql, Statement, sql};

pub const OPERATION: Operation = Operation {
    method: Method::Post,
    pattern: "/api/test-runs/:id/finish",
    access: Access::Lease(|call| Box::pin(answer(call))),
};

const FINISH: Sql = sql!("finish/finish.sql");
const CONFIRM_STOP: Sql = sql!("finish/confirm_stop.sql");
const KEEP_LATE: Sql = sql!("finish/keep_late.sql");
const DIAGNOSE: Sql = sql!("finish/diagnose.sql");

/// What came of a finish.
enum Finish {
    /// This request finished the shard: now or, if it is a repeat, before.
    Done(Standing, FinishedShard),
    /// The shard was already over. If its run was cancelled and its stop open, that is now closed.
    AlreadyOver { run: Standing, shard: i64, stop: Option<StopOrder>, late_result_kept: bool },
}

async fn answer(call: &Call<'_>) -> Outcome {
    let id = call.existing_id()?;
    let write_id = call.write_id()?;
    let request: FinishRequest = call.body()?;
    check(&request)?;
    call.lease(&request.lease).await?;
    match finish(call, id, &write_id, &request).await? {
        Finish::Done(run, shard) => {
            let test_run = FinishedRun { id, state: run.state, result: run.result };
            Ok(Reply::data("finished", Finished { test_run, shard: Some(shard) }).about(id))
        }
        Finish::AlreadyOver { run, shard, stop, late_result_kept } => {
            let mut message = if run.state.is_over() {
                run.why_over(id)
            } else {
                format!("Shard {shard} of test run {id} is finished already.")
            };
            if late_result_kept {
                message.push_str(" The result came too late and is kept in the record beside the cancel.");
            }
            let outcome = if late_result_kept { "kept_late" } else { "already_over" };
            Ok(Reply::text(412, outcome, json(&FinishRefused { message, stop, late_result_kept })).about(id))
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
        shard: FinishedShard,
        cancel_reason: Option<String>,
        cancel_cause: Option<Cause>,
        stop_outcome: Option<StopOutcome>,
        kill_at: Option<Timestamp>,
        late: bool,
        mine: Mine,
        news: News,
    }
    /// What is kept of a result that came too late; in the database `at` is in milliseconds.
    #[derive(Serialize)]
    struct Late {
        state: State,
        result: Option<RunResult>,
        error_code: Option<ErrorCode>,
        counts: Option<Counts>,
        at: i64,
    }
    let (write, hash, now) = (write_id.id.as_str(), write_id.hash.as_str(), call.request.now.0);
    let (token, shard) = (request.lease.as_str(), lease::shard(&request.lease));
    let result = request.result.map(RunResult::name);
    let error_code = request.error_code.map(ErrorCode::name);
    let (progress, failures) =
        (check::progress(request.progress.as_ref())?, check::failures(request.failures.as_deref())?);
    let numbers = request.counts.or_else(|| request.progress.as_ref().map(Progress::counts));
    let counts = numbers.map(|counts| json(&counts));
    let stopped = request.stop.map_or(ConfirmedStop::Graceful, |stop| stop.outcome);
    let late = json(&Late {
        state: request.state,
        result: request.result,
        error_code: request.error_code,
        counts: numbers,
        at: now,
    });
    let finish = vec![
        id.into(),
        shard.into(),
        token.into(),
        now.into(),
        write.into(),
        hash.into(),
        request.state.name().into(),
        result.into(),
        error_code.into(),
        counts.as_deref().into(),
        numbers.map(|counts| i64::from(counts.failed)).into(),
        progress.as_deref().into(),
        failures.as_deref().into(),
    ];
    let confirm = vec![
        id.into(),
        shard.into(),
        token.into(),
        now.into(),
        stopped.name().into(),
        counts.as_deref().into(),
        progress.as_deref().into(),
        failures.as_deref().into(),
    ];
    let keep = vec![id.into(), shard.into(), token.into(), now.into(), KEEP_LATE_FOR.into(), late.as_str().into()];
    let rows = call
        .batch(vec![
            Statement::new(FINISH, finish),
            Statement::new(CONFIRM_STOP, confirm),
            Statement::new(KEEP_LATE, keep),
            Statement::new(DIAGNOSE, vec![id.into(), shard.into(), token.into(), write.into(), hash.into()]),
        ])
        .await?;
    let found: Diagnosis = rows.first(3)?.ok_or(ApiError::UnknownLease(id))?;
    call.database().tell(Some(found.news));
    let run = found.run;
    if found.mine.check()? {
        return Ok(Finish::Done(run, found.shard));
    }
    let stop = match (found.cancel_cause, &run.cancel_by, run.cancelled_at) {
        (Some(cause), Some(by), Some(at)) => Some(StopOrder {
            reason: found.cancel_reason,
            cause,
            by: by.clone(),
            at,
            grace_seconds: call.config.stop_grace_seconds,
            lease_lost: found.stop_outcome == Some(StopOutcome::Lost),
            kill: found.kill_at.is_some(),
        }),
        _ => None,
    };
    Ok(Finish::AlreadyOver { run, shard, stop, late_result_kept: found.late })
}
