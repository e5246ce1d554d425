//! `POST /api/test-runs/{id}/heartbeat`: a runner's sign of life. The answer brings the order to stop.
//!
//! The lease's token is the credential: a key that was revoked since the claim must not leave tests that nobody can stop.

use estop_protocol::heartbeat::{Beat, HeartbeatRequest, LeaseExpiry, StopOrder};
use estop_protocol::progress::Progress;
use estop_protocol::run::{Cause, ShardState, State, StopOutcome};
use estop_protocol::time::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::over::not_the_holder;
use crate::http::check;
use crate::http::error::ApiError;
use crate::http::json;
use crate::http::operation::{Access, Method, Operation, Outcome};
use crate::http::reply::Reply;
use crate::http::request::Call;
use crate::hub;
use crate::lease;
use crate::runtime::{News, Sql, Statement, sql};

pub const OPERATION: Operation = Operation {
    method: Method::Post,
    pattern: "/api/test-runs/:id/heartbeat",
    access: Access::Lease(|call| Box::pin(answer(call))),
};

const RENEW: Sql = sql!("heartbeat/renew.sql");
const DIAGNOSE: Sql = sql!("heartbeat/diagnose.sql");

/// What came of a heartbeat.
enum Heartbeat {
    /// The runner holds the lease; the run is `started` or `cancelled`.
    Held(Run),
    /// The shard has finished, or its stop is confirmed. Nothing has changed.
    Finished(State),
}

#[derive(Deserialize)]
struct Run {
    /// Whether this heartbeat renewed the lease.
    renewed: bool,
    project: i64,
    state: State,
    shard: ShardState,
    lease_expires_at: Option<Timestamp>,
    stop_outcome: Option<StopOutcome>,
    cancelled_at: Option<Timestamp>,
    cancel_reason: Option<String>,
    cancel_cause: Option<Cause>,
    cancel_by: Option<String>,
    kill_at: Option<Timestamp>,
    news: Option<News>,
}

async fn answer(call: &Call<'_>) -> Outcome {
    let id = call.existing_id()?;
    let request: HeartbeatRequest = call.body()?;
    let token = &request.lease;
    call.lease(token).await?;
    match heartbeat(call, id, &request).await? {
        Heartbeat::Held(run) => {
            call.accept_lease(token);
            tell(call, id, &run, &request);
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

/// Tells those who watch a run that is stopping what its runner has just done. Nothing is written.
fn tell(call: &Call<'_>, id: i64, run: &Run, request: &HeartbeatRequest) {
    let Some(step) = request.step.filter(|_| run.cancelled_at.is_some()) else { return };
    let message = hub::step(id, lease::shard(&request.lease), step, call.request.now);
    call.database().tell(RawValue::from_string(message).ok().map(|runs| News {
        project: run.project,
        runs,
        deliveries: 0,
    }));
}

async fn heartbeat(call: &Call<'_>, id: i64, request: &HeartbeatRequest) -> Result<Heartbeat, ApiError> {
    let (token, shard) = (request.lease.as_str(), lease::shard(&request.lease));
    let (progress, failures) =
        (check::progress(request.progress.as_ref())?, check::failures(request.failures.as_deref())?);
    let (lease, stop_limit) = (call.config.lease, call.config.stop_limit);
    let counts = request.counts.or_else(|| request.progress.as_ref().map(Progress::counts));
    let failed = counts.map_or(0, |counts| i64::from(counts.failed));
    let counts = counts.map(|counts| json(&counts));
    let renew = vec![
        id.into(),
        shard.into(),
        token.into(),
        call.request.now.0.into(),
        lease.into(),
        stop_limit.into(),
        counts.as_deref().into(),
        failed.into(),
        progress.as_deref().into(),
        failures.as_deref().into(),
    ];
    let diagnose = vec![id.into(), shard.into(), token.into()];
    let rows = call.batch(vec![Statement::new(RENEW, renew), Statement::new(DIAGNOSE, diagnose)]).await?;
    let mut run: Run = rows.first(1)?.ok_or(ApiError::UnknownLease(id))?;
    call.database().tell(run.news.take());
    Ok(match (run.shard, run.stop_outcome) {
        // A runner that was given up learns it here, however late; one that has confirmed its stop has no more to ask.
        (ShardState::Started, _) | (_, Some(StopOutcome::Lost)) => Heartbeat::Held(run),
        _ => Heartbeat::Finished(run.state),
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
            kill: self.kill_at.is_some(),
        })
    }
}
