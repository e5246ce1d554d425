//! `POST /api/test-runs/{id}/heartbeat`: a runner's sign of life. The answer brings the order to stop.
//!
//! The lease's token is the credential: a key that was revoked since the claim must not leave tests that nobody can stop.

use estop_protocol::heartbeat::{Beat, HeartbeatRequest, LeaseExpiry, StopOrder};
use estop_protocol::run::{Cause, State, StopOutcome};
use estop_protocol::time::Timestamp;
use serde::Deserialize;

use super::over::not_the_holder;
use crate::http::error::ApiError;
use crate::http::operation::{Access, Method, Operation, Outcome};
use crate::http::reply::Reply;
use crate::http::request::Call;
use crate::runtime::{Sql, Statement};

pub const OPERATION: Operation = Operation {
    method: Method::Post,
    pattern: "/api/test-runs/:id/heartbeat",
    access: Access::Lease(|call| Box::pin(answer(call))),
};

const RENEW: Sql = Sql { file: "heartbeat/renew.sql", text: include_str!("renew.sql") };
const DIAGNOSE: Sql = Sql { file: "heartbeat/diagnose.sql", text: include_str!("diagnose.sql") };

/// What came of a heartbeat.
enum Heartbeat {
    /// The runner holds the lease; the run is `started` or `cancelled`.
    Held(Run),
    /// The run has finished, or its stop is confirmed. Nothing has changed.
    Finished(State),
}

#[derive(Deserialize)]
struct Run {
    /// Whether this heartbeat renewed the lease.
    renewed: bool,
    state: State,
    lease_expires_at: Option<Timestamp>,
    stop_outcome: Option<StopOutcome>,
    cancelled_at: Option<Timestamp>,
    cancel_reason: Option<String>,
    cancel_cause: Option<Cause>,
    cancel_by: Option<String>,
}

async fn answer(call: &Call<'_>) -> Outcome {
    let id = call.existing_id()?;
    let token = call.body::<HeartbeatRequest>()?.lease;
    call.lease(&token).await?;
    match heartbeat(call, id, &token).await? {
        Heartbeat::Held(run) => {
            call.accept_lease(&token);
            let (state, renewed) = (run.state, run.renewed);
            let expires_at = run.lease_expires_at.unwrap_or(call.request.now);
            let stop = run.stop_order(call.config.stop_grace_seconds);
            let outcome = match (&stop, renewed) {
                (Some(_), _) => "told_to_stop",
                (None, true) => "renewed",
                (None, false) => "alive",
            };
            let reply = Reply::data(outcome, Beat { state, lease: LeaseExpiry { expires_at }, stop }).about(id);
            Ok(Reply { is_routine: outcome == "alive", ..reply })
        }
        Heartbeat::Finished(state) => Err(not_the_holder(id, state)),
    }
}

async fn heartbeat(call: &Call<'_>, id: i64, token: &str) -> Result<Heartbeat, ApiError> {
    let (lease, stop_limit) = (call.config.lease, call.config.stop_limit);
    let renew = vec![id.into(), token.into(), call.request.now.0.into(), lease.into(), stop_limit.into()];
    let rows =
        call.batch(vec![Statement::new(RENEW, renew), Statement::new(DIAGNOSE, vec![id.into(), token.into()])]).await?;
    let run: Run = rows.first(1)?.ok_or(ApiError::UnknownLease(id))?;
    Ok(match run.state {
        State::Started => Heartbeat::Held(run),
        // A runner that was given up learns it here, however late; one that has confirmed its stop has no more to ask.
        State::Cancelled if matches!(run.stop_outcome, Some(StopOutcome::Stopping | StopOutcome::Lost)) => {
            Heartbeat::Held(run)
        }
        state => Heartbeat::Finished(state),
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
            kill: false,
        })
    }
}
