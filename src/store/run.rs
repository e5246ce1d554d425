//! One run: register, claim, heartbeat, finish, cancel, show.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::KeyVerdict;
use crate::error::ApiError;
use crate::host::{self, Host, Statement, Value};
use crate::key::{KeyHash, Scope};
use crate::run::{Cause, ErrorCode, RunResult, State, StopOutcome};
use crate::sql;
use crate::time::Timestamp;
use crate::wire::answers::RegisteredRun;
use crate::wire::requests::{Finished, NewRun};

/// Who asks, when, and how long the database may take.
pub struct Caller<'a> {
    /// The key.
    pub key: &'a KeyHash,
    /// Now.
    pub now: Timestamp,
    /// Milliseconds for the whole batch, repeats included.
    pub deadline: i64,
}

impl<'a> Caller<'a> {
    pub(super) fn statement(&self, sql: &'static str, rest: impl IntoIterator<Item = Value<'a>>) -> Statement<'a> {
        let mut params = vec![self.key.as_str().into(), self.now.0.into()];
        params.extend(rest);
        Statement::new(sql, params)
    }
}

/// What a write found: the run as it is after the batch.
#[derive(Debug, Deserialize)]
pub struct Found {
    /// Where it is in its life.
    pub state: State,
    /// How it ended.
    pub result: Option<RunResult>,
    /// How it broke.
    pub error_code: Option<ErrorCode>,
    /// When a runner took it.
    pub started_at: Option<Timestamp>,
    /// Until when its runner is believed to live.
    pub lease_expires_at: Option<Timestamp>,
    /// When it ended or broke.
    pub ended_at: Option<Timestamp>,
    /// When it was cancelled.
    pub cancelled_at: Option<Timestamp>,
    /// Why.
    pub cancel_reason: Option<String>,
    /// What brought it about.
    pub cancel_cause: Option<Cause>,
    /// By whom.
    pub cancel_by: Option<String>,
    /// Whether its runner has stopped.
    pub stop_outcome: Option<StopOutcome>,
    /// 1 if its record stems from this very request.
    mine: u8,
    /// 1 if the caller holds its lease.
    #[serde(default)]
    holds: u8,
    /// The lease token, if the record is this request's own.
    lease_token: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Explanation {
    key: KeyVerdict,
    run: Option<Found>,
    first: Option<First>,
}

/// The run that holds a slot that another one waits for.
#[derive(Debug, Deserialize)]
pub struct First {
    /// Its id.
    pub id: i64,
    /// `queued`, `started`, or `cancelled` with its runner still stopping.
    pub state: State,
    /// Who cancelled, took or registered it, whichever came last.
    pub by: String,
    /// Its runner's name.
    pub runner: Option<String>,
    /// When its runner took it.
    pub started_at: Option<Timestamp>,
    /// When it was cancelled.
    pub cancelled_at: Option<Timestamp>,
    /// Until when its runner is believed to live.
    pub lease_expires_at: Option<Timestamp>,
}

impl Found {
    /// Whether its record stems from this very request.
    pub fn is_mine(&self) -> bool {
        self.mine == 1
    }
}

impl Explanation {
    fn run(self, scope: Scope) -> Result<Found, ApiError> {
        self.key.check(scope)?;
        self.run.ok_or(ApiError::NotFound("test run"))
    }
}

/// What came of a cancel.
#[derive(Debug)]
pub enum CancelOutcome {
    /// This request cancelled it, now or, if it is a repeat, before.
    Cancelled {
        /// When.
        at: Timestamp,
        /// The key's user.
        by: String,
    },
    /// It was over already, and nothing has changed.
    AlreadyOver(Box<Found>),
}

/// Cancels a run.
///
/// # Errors
/// 401, 403, 404, 503.
pub async fn cancel(
    host: &impl Host,
    caller: &Caller<'_>,
    id: i64,
    request_id: &str,
    reason: Option<&str>,
) -> Result<CancelOutcome, ApiError> {
    #[derive(Deserialize)]
    struct Cancelled {
        cancelled_at: Timestamp,
        cancel_by: String,
    }
    let statements = [
        caller.statement(sql::run::CANCEL, [id.into(), request_id.into(), reason.into()]),
        caller.statement(sql::run::EXPLAIN_CANCEL, [id.into(), request_id.into()]),
    ];
    let rows = host::batch(host, &statements, caller.deadline).await?;
    if let Some(Cancelled { cancelled_at, cancel_by }) = host::first(&rows, 0)? {
        return Ok(CancelOutcome::Cancelled { at: cancelled_at, by: cancel_by });
    }
    let found = host::only::<Explanation>(&rows, 1)?.run(Scope::Cancel)?;
    match (found.mine, found.cancelled_at, &found.cancel_by) {
        (1, Some(at), Some(by)) => Ok(CancelOutcome::Cancelled { at, by: by.clone() }),
        _ => Ok(CancelOutcome::AlreadyOver(Box::new(found))),
    }
}

/// What came of a claim.
#[derive(Debug)]
pub enum ClaimOutcome {
    /// This request took it, now or, if it is a repeat, before.
    Claimed {
        /// The run's state now: another may have ended it since a repeat's first claim.
        state: State,
        /// The fence.
        token: String,
        /// Until when the runner is believed to live.
        expires_at: Timestamp,
    },
    /// Another run holds its slot and goes first. Nothing has changed.
    Waits(First),
    /// It cannot be taken, and nothing has changed.
    NotQueued(Box<Found>),
}

/// Takes a run: the caller becomes its runner.
///
/// # Errors
/// 401, 403, 404, 503.
pub async fn claim(
    host: &impl Host,
    caller: &Caller<'_>,
    id: i64,
    request_id: &str,
    lease: i64,
    runner: Option<&str>,
) -> Result<ClaimOutcome, ApiError> {
    let token = host::random_id(host);
    let params = [id.into(), request_id.into(), token.as_str().into(), lease.into(), runner.into()];
    let statements = [
        caller.statement(sql::run::CLOSE_LOST, [id.into()]),
        caller.statement(sql::run::CLAIM, params),
        caller.statement(sql::run::EXPLAIN_CLAIM, [id.into(), request_id.into()]),
    ];
    let rows = host::batch(host, &statements, caller.deadline).await?;
    let mut explanation = host::only::<Explanation>(&rows, 2)?;
    let first = explanation.first.take();
    let mut found = explanation.run(Scope::Run)?;
    Ok(match (found.lease_token.take(), found.lease_expires_at, first) {
        (Some(token), Some(expires_at), _) if found.mine == 1 => {
            ClaimOutcome::Claimed { state: found.state, token, expires_at }
        }
        (_, _, Some(first)) => ClaimOutcome::Waits(first),
        _ => ClaimOutcome::NotQueued(Box::new(found)),
    })
}

/// What came of a heartbeat.
#[derive(Debug)]
pub enum HeartbeatOutcome {
    /// The caller holds the lease; the run is `started` or `cancelled`.
    Held(Box<Found>),
    /// The token is not the run's, or the run has finished. Nothing has changed.
    NotHeld(State),
}

/// A runner's sign of life.
///
/// # Errors
/// 401, 403, 404, 503.
pub async fn heartbeat(
    host: &impl Host,
    caller: &Caller<'_>,
    id: i64,
    token: &str,
    lease: i64,
    stop_limit: i64,
) -> Result<HeartbeatOutcome, ApiError> {
    let statements = [
        caller.statement(sql::run::HEARTBEAT, [id.into(), token.into(), lease.into(), stop_limit.into()]),
        caller.statement(sql::run::EXPLAIN_HEARTBEAT, [id.into(), token.into()]),
    ];
    let rows = host::batch(host, &statements, caller.deadline).await?;
    let found = host::only::<Explanation>(&rows, 1)?.run(Scope::Run)?;
    match found.state {
        State::Started | State::Cancelled if found.holds == 1 => Ok(HeartbeatOutcome::Held(Box::new(found))),
        state => Ok(HeartbeatOutcome::NotHeld(state)),
    }
}

/// What came of a finish.
#[derive(Debug)]
pub enum FinishOutcome {
    /// This request finished it, now or, if it is a repeat, before.
    Finished(Box<Found>),
    /// It was over already. If it was cancelled and its stop record open, that is filled in now.
    AlreadyOver(Box<Found>),
    /// The token is not the run's. Nothing has changed.
    NotHeld(State),
}

/// The runner finishes its run, or confirms that it stopped a cancelled one.
///
/// # Errors
/// 401, 403, 404, 503.
pub async fn finish(
    host: &impl Host,
    caller: &Caller<'_>,
    id: i64,
    request_id: &str,
    finished: &Finished,
) -> Result<FinishOutcome, ApiError> {
    let token: Value<'_> = finished.lease.as_str().into();
    let state = finished.state.name();
    let result = finished.result.map(RunResult::name);
    let error_code = finished.error_code.map(ErrorCode::name);
    let stopped = finished.stopped.name();
    let statements = [
        caller.statement(
            sql::run::FINISH,
            [
                id.into(),
                request_id.into(),
                token,
                state.as_str().into(),
                result.as_deref().into(),
                error_code.as_deref().into(),
                finished.counts.as_deref().into(),
            ],
        ),
        caller.statement(sql::run::CONFIRM_STOP, [id.into(), token, stopped.as_str().into()]),
        caller.statement(sql::run::EXPLAIN_FINISH, [id.into(), request_id.into(), token]),
    ];
    let rows = host::batch(host, &statements, caller.deadline).await?;
    let found = host::only::<Explanation>(&rows, 2)?.run(Scope::Run)?;
    Ok(match (found.holds, found.mine) {
        (1, 1) => FinishOutcome::Finished(Box::new(found)),
        (1, _) => FinishOutcome::AlreadyOver(Box::new(found)),
        _ => FinishOutcome::NotHeld(found.state),
    })
}

/// What came of a registration.
#[derive(Debug)]
pub enum RegisterOutcome {
    /// This request registered it, now or, if it is a repeat, before.
    Registered(RegisteredRun),
    /// The project has no such environment, but these (at most 50).
    UnknownEnvironment(Vec<String>),
    /// This protected run waits for the same slot, where only one can wait.
    Reserved(i64),
}

/// Registers a run.
///
/// # Errors
/// 401, 403, 503.
pub async fn register(
    host: &impl Host,
    caller: &Caller<'_>,
    request_id: &str,
    run: &NewRun,
) -> Result<RegisterOutcome, ApiError> {
    #[derive(Deserialize)]
    struct Explained {
        key: KeyVerdict,
        run: Option<RegisteredRun>,
        reserved_by: Option<i64>,
        environments: Option<Vec<String>>,
    }
    let params = [
        request_id.into(),
        run.environment.as_str().into(),
        run.branch.as_deref().into(),
        run.build.as_deref().into(),
        run.metadata.as_deref().into(),
        run.tags.as_str().into(),
        run.github_actor.as_deref().into(),
        run.total_shards.into(),
        i64::from(run.protected).into(),
    ];
    let statements = [
        caller.statement(sql::run::REGISTER, params),
        caller.statement(
            sql::run::EXPLAIN_REGISTER,
            [request_id.into(), run.environment.as_str().into(), run.branch.as_deref().into()],
        ),
    ];
    let rows = host::batch(host, &statements, caller.deadline).await?;
    let explained: Explained = host::only(&rows, 1)?;
    explained.key.check(Scope::Run)?;
    Ok(match (explained.run, explained.reserved_by) {
        (Some(run), _) => RegisterOutcome::Registered(run),
        (None, Some(id)) => RegisterOutcome::Reserved(id),
        (None, None) => RegisterOutcome::UnknownEnvironment(explained.environments.unwrap_or_default()),
    })
}

/// One run, whole: a [`crate::wire::answers::TestRun`] in JSON.
///
/// # Errors
/// 401, 403, 404, 503.
pub async fn show(host: &impl Host, caller: &Caller<'_>, id: i64) -> Result<Box<RawValue>, ApiError> {
    #[derive(Deserialize)]
    struct Shown {
        key: KeyVerdict,
        test_run: Option<Box<RawValue>>,
    }
    let rows = host::batch(host, &[caller.statement(sql::run::SHOW, [id.into()])], caller.deadline).await?;
    let shown: Shown = host::only(&rows, 0)?;
    shown.key.check(Scope::Read)?;
    shown.test_run.ok_or(ApiError::NotFound("test run"))
}

/// The events of one run, oldest first: [`crate::wire::answers::RunEvent`]s in a JSON array.
///
/// # Errors
/// 401, 403, 404, 503.
pub async fn events(host: &impl Host, caller: &Caller<'_>, id: i64) -> Result<Box<RawValue>, ApiError> {
    #[derive(Deserialize)]
    struct Listed {
        key: KeyVerdict,
        events: Option<Box<RawValue>>,
    }
    let rows = host::batch(host, &[caller.statement(sql::run::EVENTS, [id.into()])], caller.deadline).await?;
    let listed: Listed = host::only(&rows, 0)?;
    listed.key.check(Scope::Read)?;
    listed.events.ok_or(ApiError::NotFound("test run"))
}
