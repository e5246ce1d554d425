//! `POST /api/test-runs/{id}/heartbeat`: a runner's sign of life. The answer brings the order to stop.

use estop_protocol::heartbeat::{Beat, HeartbeatRequest, LeaseExpiry, StopOrder};
use estop_protocol::limits::NAME_CHARS;
use estop_protocol::run::{Cause, State, StopOutcome};
use estop_protocol::time::Timestamp;
use serde::Deserialize;

use super::over::not_the_holder;
use crate::http::caller::{Caller, KeyVerdict};
use crate::http::check;
use crate::http::error::ApiError;
use crate::http::operation::{Access, Method, Operation, Outcome};
use crate::http::reply::Reply;
use crate::http::request::Call;
use crate::key::Scope;
use crate::runtime::Sql;

pub const OPERATION: Operation = Operation {
    method: Method::Post,
    pattern: "/api/test-runs/:id/heartbeat",
    access: Access::Key(Scope::Run, |call, caller| Box::pin(answer(call, caller))),
};

const RENEW: Sql = Sql { file: "heartbeat/renew.sql", text: include_str!("renew.sql") };
const DIAGNOSE: Sql = Sql { file: "heartbeat/diagnose.sql", text: include_str!("diagnose.sql") };

/// What came of a heartbeat.
enum Heartbeat {
    /// The runner holds the lease; the run is `started` or `cancelled`.
    Held(Run),
    /// The token is not the run's, or the run has finished. Nothing has changed.
    NotHeld(State),
}

#[derive(Deserialize)]
struct Run {
    state: State,
    holds: u8,
    lease_expires_at: Option<Timestamp>,
    stop_outcome: Option<StopOutcome>,
    cancelled_at: Option<Timestamp>,
    cancel_reason: Option<String>,
    cancel_cause: Option<Cause>,
    cancel_by: Option<String>,
}

async fn answer(call: &Call<'_>, caller: &Caller<'_>) -> Outcome {
    let id = call.id()?;
    let token = call.body::<HeartbeatRequest>()?.lease;
    check::text("lease", Some(&token), NAME_CHARS)?;
    match heartbeat(call, caller, id, &token).await? {
        Heartbeat::Held(run) => {
            let state = run.state;
            let expires_at = run.lease_expires_at.unwrap_or(call.request.now);
            let stop = run.stop_order(call.config.stop_grace_seconds);
            let outcome = if stop.is_some() { "told_to_stop" } else { "alive" };
            Ok(Reply::data(outcome, Beat { state, lease: LeaseExpiry { expires_at }, stop }).about(id))
        }
        Heartbeat::NotHeld(state) => Err(not_the_holder(id, state)),
    }
}

async fn heartbeat(call: &Call<'_>, caller: &Caller<'_>, id: i64, token: &str) -> Result<Heartbeat, ApiError> {
    #[derive(Deserialize)]
    struct Diagnosis {
        key: KeyVerdict,
        run: Option<Run>,
    }
    let (lease, stop_limit) = (call.config.lease, call.config.stop_limit);
    let rows = call
        .batch(vec![
            caller.statement(RENEW, [id.into(), token.into(), lease.into(), stop_limit.into()]),
            caller.statement(DIAGNOSE, [id.into(), token.into()]),
        ])
        .await?;
    let Diagnosis { key, run } = rows.only(1)?;
    key.check(Scope::Run)?;
    let run = run.ok_or(ApiError::NotFound("test run"))?;
    Ok(match run.state {
        State::Started | State::Cancelled if run.holds == 1 => Heartbeat::Held(run),
        state => Heartbeat::NotHeld(state),
    })
}

impl Run {
    fn stop_order(self, grace_seconds: i64) -> Option<StopOrder> {
        Some(StopOrder {
            reason: self.cancel_reason,
            cause: self.cancel_cause?,
            by: self.cancel_by?,
            at: self.cancelled_at?,
            grace_seconds,
            lease_lost: self.stop_outcome == Some(StopOutcome::Lost),
        })
    }
}
