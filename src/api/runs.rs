//! What changes a run: register, claim, heartbeat, finish, cancel.

use super::{Api, Reply, Route};
use crate::error::ApiError;
use crate::host::Host;
use crate::run::{State, StopOutcome};
use crate::store::run::{
    self as store, Caller, CancelOutcome, ClaimOutcome, FinishOutcome, First, Found, HeartbeatOutcome, RegisterOutcome,
};
use crate::wire::answers::{
    Beat, CancelTestRunResponse, Claimed, Finished, FinishedRun, Lease, LeaseExpiry, Registered, RunState, StopOrder,
    Trigger,
};
use crate::wire::requests::{CancelRequest, ClaimRequest, FinishRequest, HeartbeatRequest, RegisterRequest};

pub(super) async fn write<H: Host>(api: &Api<'_, H>, caller: &Caller<'_>) -> Result<Reply, ApiError> {
    match api.request.route {
        Route::Cancel => cancel(api, caller).await,
        Route::Register => register(api, caller).await,
        Route::Claim => claim(api, caller).await,
        Route::Heartbeat => heartbeat(api, caller).await,
        Route::Finish => finish(api, caller).await,
        _ => Err(ApiError::NoSuchRoute),
    }
}

async fn cancel<H: Host>(api: &Api<'_, H>, caller: &Caller<'_>) -> Result<Reply, ApiError> {
    let id = api.id()?;
    let request_id = api.request_id()?;
    let reason = api.body::<CancelRequest>()?.checked()?;
    let outcome = store::cancel(api.host, caller, id, &request_id, reason.as_deref()).await?;
    Ok(match outcome {
        CancelOutcome::Cancelled { at, by } => {
            let message = format!("Test run {id} is cancelled: {by} stopped it at {at}.");
            Reply::json(200, "cancelled", &CancelTestRunResponse { message: &message })
        }
        CancelOutcome::AlreadyOver(found) => Reply::refused("already_over", &why_over(id, &found)),
    }
    .about(id))
}

/// Why a run takes no more changes, for the 412 of cancel, claim and finish.
pub(super) fn why_over(id: i64, found: &Found) -> String {
    let at = found.ended_at.or(found.cancelled_at).map(|at| format!(" at {at}")).unwrap_or_default();
    match (found.state, found.result, found.error_code, &found.cancel_by) {
        (State::Ended, Some(result), ..) => format!("Test run {id} is over: it ended ({}){at}.", result.name()),
        (State::Error, _, Some(code), _) => format!("Test run {id} is over: it broke ({}){at}.", code.name()),
        (State::Cancelled, _, _, Some(by)) => format!("Test run {id} is over: {by} cancelled it{at}."),
        (state, ..) => format!("Test run {id} is {}.", state.name()),
    }
}

async fn register<H: Host>(api: &Api<'_, H>, caller: &Caller<'_>) -> Result<Reply, ApiError> {
    let request_id = api.request_id()?;
    let run = api.body::<RegisterRequest>()?.checked()?;
    match store::register(api.host, caller, &request_id, &run).await? {
        RegisterOutcome::Registered(test_run) => {
            let id = test_run.id;
            let registered = Registered { trigger: Trigger { success: true }, test_run };
            Ok(Reply::data("registered", registered).about(id))
        }
        RegisterOutcome::Reserved(waiting) => Err(ApiError::Conflict(format!(
            "Test run {waiting} is protected and waits for the same place, where only one can wait. Register this one when \
             that one has started."
        ))),
        RegisterOutcome::UnknownEnvironment(known) => Err(unknown_environment("environment", &run.environment, &known)),
    }
}

/// The 400 for an environment that the project does not have.
pub(super) fn unknown_environment(field: &str, asked: &str, known: &[String]) -> ApiError {
    ApiError::Invalid(if known.is_empty() {
        format!("Field `{field}`: there is no `{asked}`, nor any other environment in this project yet.")
    } else {
        format!("Field `{field}`: there is no `{asked}` in this project; known are {}.", known.join(", "))
    })
}

async fn claim<H: Host>(api: &Api<'_, H>, caller: &Caller<'_>) -> Result<Reply, ApiError> {
    let id = api.id()?;
    let request_id = api.request_id()?;
    let runner = api.body::<ClaimRequest>()?.checked()?;
    let outcome = store::claim(api.host, caller, id, &request_id, api.config.lease, runner.as_deref()).await?;
    Ok(match outcome {
        ClaimOutcome::Claimed { state, token, expires_at } => {
            let lease = Lease { token, expires_at, heartbeat_seconds: api.config.heartbeat_seconds };
            Reply::data("claimed", Claimed { test_run: RunState { id, state }, lease })
        }
        ClaimOutcome::Waits(first) => waits(api, id, &first),
        ClaimOutcome::NotQueued(found) => match (found.state, found.started_at) {
            (State::Started, Some(at)) => {
                Reply::refused("already_started", &format!("Test run {id} has a runner already, since {at}."))
            }
            _ => Reply::refused("already_over", &why_over(id, &found)),
        },
    }
    .about(id))
}

/// The 412 of a claim that has to wait: for whom, and in `Retry-After` for how long at most.
fn waits<H: Host>(api: &Api<'_, H>, id: i64, first: &First) -> Reply {
    let now = api.request.now;
    let runner = first.runner.as_deref().map(|name| format!(" {name}")).unwrap_or_default();
    let (what, until) = match (first.state, first.cancelled_at, first.started_at) {
        (State::Cancelled, Some(at), _) => {
            // Heartbeats renew its lease for as long as a stop may take; then the lease runs out, or it has before.
            let renewed = at.plus(api.config.stop_limit + api.config.lease);
            let until = first.lease_expires_at.map_or(renewed, |expires_at| expires_at.max(renewed));
            (format!("{} cancelled it and its runner{runner} is still stopping", first.by), until)
        }
        (State::Started, _, Some(at)) => {
            (format!("its runner{runner} has been at it since {at}"), at.plus(api.config.over_age_after))
        }
        _ => ("it is queued".to_owned(), now.plus(api.config.unclaimed_after)),
    };
    let seconds = until.since(now).max(0) / 1000 + 1;
    let message = format!(
        "Test run {id} waits for test run {}: {what}. That lasts {} min at most.",
        first.id,
        (seconds + 59) / 60
    );
    let mut reply = Reply::refused("waits", &message);
    reply.headers.push(("Retry-After", seconds.to_string()));
    reply
}

async fn heartbeat<H: Host>(api: &Api<'_, H>, caller: &Caller<'_>) -> Result<Reply, ApiError> {
    let id = api.id()?;
    let token = api.body::<HeartbeatRequest>()?.checked()?;
    match store::heartbeat(api.host, caller, id, &token, api.config.lease, api.config.stop_limit).await? {
        HeartbeatOutcome::Held(found) => {
            let stop = match (found.cancel_cause, found.cancel_by, found.cancelled_at) {
                (Some(cause), Some(by), Some(at)) => Some(StopOrder {
                    reason: found.cancel_reason,
                    cause,
                    by,
                    at,
                    grace_seconds: api.config.stop_grace_seconds,
                    lease_lost: found.stop_outcome == Some(StopOutcome::Lost),
                }),
                _ => None,
            };
            let outcome = if stop.is_some() { "told_to_stop" } else { "alive" };
            let expires_at = found.lease_expires_at.unwrap_or(api.request.now);
            Ok(Reply::data(outcome, Beat { state: found.state, lease: LeaseExpiry { expires_at }, stop }).about(id))
        }
        HeartbeatOutcome::NotHeld(state) => Err(not_the_holder(id, state)),
    }
}

async fn finish<H: Host>(api: &Api<'_, H>, caller: &Caller<'_>) -> Result<Reply, ApiError> {
    let id = api.id()?;
    let request_id = api.request_id()?;
    let finished = api.body::<FinishRequest>()?.checked()?;
    match store::finish(api.host, caller, id, &request_id, &finished).await? {
        FinishOutcome::Finished(found) => {
            let test_run = FinishedRun { id, state: found.state, result: found.result };
            Ok(Reply::data("finished", Finished { test_run }).about(id))
        }
        FinishOutcome::AlreadyOver(found) => Ok(Reply::refused("already_over", &why_over(id, &found)).about(id)),
        FinishOutcome::NotHeld(state) => Err(not_the_holder(id, state)),
    }
}

fn not_the_holder(id: i64, state: State) -> ApiError {
    ApiError::NotTheHolder(format!(
        "This lease does not hold test run {id}, which is {}. Stop what it started; only the run's own runner may go on.",
        state.name()
    ))
}
