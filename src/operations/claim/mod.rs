//! `POST /api/test-runs/{id}/claim`: a runner takes a run.

mod wait;

use estop_protocol::claim::{ClaimRequest, Claimed, ClaimedRun, Lease};
use estop_protocol::limits::NAME_CHARS;
use estop_protocol::run::State;
use estop_protocol::time::Timestamp;
use serde::Deserialize;

use super::over::Standing;
use crate::http::caller::{Caller, Key};
use crate::http::check;
use crate::http::error::ApiError;
use crate::http::operation::{Access, Method, Operation, Outcome};
use crate::http::reply::Reply;
use crate::http::request::Call;
use crate::http::write_id::{Mine, WriteId};
use crate::key::Scope;
use crate::runtime::{Sql, random_id};
use wait::First;

pub const OPERATION: Operation = Operation {
    method: Method::Post,
    pattern: "/api/test-runs/:id/claim",
    access: Access::Key(Scope::Run, |call, caller| Box::pin(answer(call, caller))),
};

const CLOSE_LOST: Sql = Sql { file: "claim/close_lost.sql", text: include_str!("close_lost.sql") };
const CLAIM: Sql = Sql { file: "claim/claim.sql", text: include_str!("claim.sql") };
const DIAGNOSE: Sql = Sql { file: "claim/diagnose.sql", text: include_str!("diagnose.sql") };

/// What came of a claim.
enum Claim {
    /// This request took the run: now or, if it is a repeat, before.
    Taken { state: State, token: String, expires_at: Timestamp },
    /// Another run holds the concurrency group and goes first. Nothing has changed.
    Waits(First),
    /// Another runner has it. Nothing has changed.
    AlreadyStarted(Timestamp),
    /// The run was already over, and nothing has changed.
    AlreadyOver(Standing),
}

async fn answer(call: &Call<'_>, caller: &Caller<'_>) -> Outcome {
    let id = call.id()?;
    let write_id = call.write_id()?;
    let runner = call.body::<ClaimRequest>()?.runner;
    check::text("runner", runner.as_deref(), NAME_CHARS)?;
    Ok(match claim(call, caller, id, &write_id, runner.as_deref()).await? {
        Claim::Taken { state, token, expires_at } => {
            let lease = Lease { token, expires_at, heartbeat_seconds: call.config.heartbeat_seconds };
            Reply::data("claimed", Claimed { test_run: ClaimedRun { id, state }, lease })
        }
        Claim::Waits(first) => first.reply(id, call.config, call.request.now),
        Claim::AlreadyStarted(at) => {
            Reply::refused("already_started", format!("Test run {id} has a runner already, since {at}."))
        }
        Claim::AlreadyOver(run) => Reply::refused("already_over", run.why_over(id)),
    }
    .about(id))
}

async fn claim(
    call: &Call<'_>,
    caller: &Caller<'_>,
    id: i64,
    write_id: &WriteId,
    runner: Option<&str>,
) -> Result<Claim, ApiError> {
    #[derive(Deserialize)]
    struct Held {
        token: String,
        expires_at: Timestamp,
    }
    #[derive(Deserialize)]
    struct Diagnosis {
        key: Key,
        found: Option<Found>,
    }
    #[derive(Deserialize)]
    struct Found {
        run: Standing,
        mine: Mine,
        started_at: Option<Timestamp>,
        lease: Option<Held>,
        first: Option<First>,
    }
    let token = random_id(call.runtime);
    let (write, hash) = (write_id.id.as_str(), write_id.hash.as_str());
    let lease = call.config.lease;
    let claim = [id.into(), write.into(), hash.into(), token.as_str().into(), lease.into(), runner.into()];
    let rows = call
        .batch(vec![
            caller.statement(CLOSE_LOST, [id.into(), call.config.unconfirmed_after.into()]),
            caller.statement(CLAIM, claim),
            caller.statement(DIAGNOSE, [id.into(), write.into(), hash.into()]),
        ])
        .await?;
    let Diagnosis { key, found } = rows.only(2)?;
    caller.check(key, Scope::Run)?;
    let found = found.ok_or(ApiError::NotFound("test run"))?;
    found.mine.check()?;
    let run = found.run;
    Ok(match (found.lease, found.first, run.state, found.started_at) {
        (Some(Held { token, expires_at }), ..) => Claim::Taken { state: run.state, token, expires_at },
        (None, Some(first), ..) => Claim::Waits(first),
        (None, None, State::Started, Some(at)) => Claim::AlreadyStarted(at),
        _ => Claim::AlreadyOver(run),
    })
}
