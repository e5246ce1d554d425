//! `POST /api/test-runs/{id}/finish`: how a run ended or, if it was cancelled, that its runner has stopped.

use estop_protocol::finish::{FinishRequest, Finished, FinishedRun};
use estop_protocol::limits::NAME_CHARS;
use estop_protocol::run::{ConfirmedStop, ErrorCode, Finish as State, RunResult};
use serde::Deserialize;

use super::over::{Standing, not_the_holder};
use crate::http::caller::{Caller, KeyVerdict};
use crate::http::check::{self, invalid};
use crate::http::error::ApiError;
use crate::http::json;
use crate::http::operation::{Access, Method, Operation, Outcome};
use crate::http::reply::Reply;
use crate::http::request::Call;
use crate::key::Scope;
use crate::runtime::Sql;

pub const OPERATION: Operation = Operation {
    method: Method::Post,
    pattern: "/api/test-runs/:id/finish",
    access: Access::Key(Scope::Run, |call, caller| Box::pin(answer(call, caller))),
};

const FINISH: Sql = Sql { file: "finish/finish.sql", text: include_str!("finish.sql") };
const CONFIRM_STOP: Sql = Sql { file: "finish/confirm_stop.sql", text: include_str!("confirm_stop.sql") };
const DIAGNOSE: Sql = Sql { file: "finish/diagnose.sql", text: include_str!("diagnose.sql") };

/// What came of a finish.
enum Finish {
    /// This request finished the run: now or, if it is a repeat, before.
    Done(Standing),
    /// The run was already over. If it was cancelled and its stop record open, that is now closed.
    AlreadyOver(Standing),
    /// The token is not the run's. Nothing has changed.
    NotHeld(Standing),
}

async fn answer(call: &Call<'_>, caller: &Caller<'_>) -> Outcome {
    let id = call.id()?;
    let write_id = call.write_id()?;
    let request: FinishRequest = call.body()?;
    check(&request)?;
    match finish(call, caller, id, &write_id, &request).await? {
        Finish::Done(run) => {
            let test_run = FinishedRun { id, state: run.state, result: run.result };
            Ok(Reply::data("finished", Finished { test_run }).about(id))
        }
        Finish::AlreadyOver(run) => Ok(Reply::refused("already_over", run.why_over(id)).about(id)),
        Finish::NotHeld(run) => Err(not_the_holder(id, run.state)),
    }
}

fn check(request: &FinishRequest) -> Result<(), ApiError> {
    check::text("lease", Some(&request.lease), NAME_CHARS)?;
    match (request.state, request.result, request.error_code) {
        (State::Ended, None, _) => invalid("result", "expected `passed` or `failed` with state `ended`"),
        (State::Ended, _, Some(_)) => invalid("error_code", "expected only with state `error`"),
        (State::Error, _, None) => invalid("error_code", "expected with state `error`"),
        (State::Error, Some(_), _) => invalid("result", "expected only with state `ended`"),
        _ => Ok(()),
    }
}

async fn finish(
    call: &Call<'_>,
    caller: &Caller<'_>,
    id: i64,
    write_id: &str,
    request: &FinishRequest,
) -> Result<Finish, ApiError> {
    #[derive(Deserialize)]
    struct Diagnosis {
        key: KeyVerdict,
        run: Option<Standing>,
        mine: u8,
        holds: u8,
    }
    let token = request.lease.as_str();
    let result = request.result.map(RunResult::name);
    let error_code = request.error_code.map(ErrorCode::name);
    let counts = request.counts.map(|counts| json(&counts));
    let stopped = request.stop.map_or(ConfirmedStop::Graceful, |stop| stop.outcome);
    let finish = [
        id.into(),
        write_id.into(),
        token.into(),
        request.state.name().into(),
        result.into(),
        error_code.into(),
        counts.as_deref().into(),
    ];
    let rows = call
        .batch(vec![
            caller.statement(FINISH, finish),
            caller.statement(CONFIRM_STOP, [id.into(), token.into(), stopped.name().into()]),
            caller.statement(DIAGNOSE, [id.into(), write_id.into(), token.into()]),
        ])
        .await?;
    let Diagnosis { key, run, mine, holds } = rows.only(2)?;
    key.check(Scope::Run)?;
    let run = run.ok_or(ApiError::NotFound("test run"))?;
    Ok(match (holds, mine) {
        (1, 1) => Finish::Done(run),
        (1, _) => Finish::AlreadyOver(run),
        _ => Finish::NotHeld(run),
    })
}
