//! `POST /api/test-runs/{id}/claim`: a runner takes a shard of a run.

mod wait;

use estop_protocol::claim::{ClaimRequest, Claimed, ClaimedRun, Lease};
use estop_protocol::limits::{ATTEMPTS, NAME_CHARS, SHARDS};
use estop_protocol::run::{RunResult, ShardState, State};
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
use crate::lease;
use crate::runtime::{News, Sql, sql};
use wait::First;

pub const OPERATION: Operation = Operation {
    method: Method::Post,
    pattern: "/api/test-runs/:id/claim",
    access: Access::Key(Scope::Run, |call, caller| Box::pin(answer(call, caller))),
};

const CLAIM: Sql = sql!("claim/claim.sql");
const DIAGNOSE: Sql = sql!("claim/diagnose.sql");

/// What came of a claim.
enum Claim {
    /// This request took the shard: now or, if it is a repeat, before.
    Taken { state: State, token: String, expires_at: Timestamp },
    /// Another run holds the concurrency group and goes first. Nothing has changed.
    Waits(First),
    /// Another runner has it, or has finished it. Nothing has changed.
    AlreadyTaken { shard: Shard, total: i64 },
    /// The run has only so many shards. Nothing has changed.
    NoSuchShard { total: i64 },
    /// The run was already over, and nothing has changed.
    AlreadyOver(Standing),
    /// So it was, and long ago.
    Archived,
}

/// What is wanted of a run.
struct Wanted<'a> {
    shard: i64,
    attempt: Option<i64>,
    runner: Option<&'a str>,
}

/// A shard that was claimed before.
#[derive(Deserialize)]
struct Shard {
    state: ShardState,
    result: Option<RunResult>,
    runner: Option<String>,
    started_at: Timestamp,
    ended_at: Option<Timestamp>,
    lease: Option<Held>,
}

#[derive(Deserialize)]
struct Held {
    token: String,
    expires_at: Timestamp,
}

async fn answer(call: &Call<'_>, caller: &Caller<'_>) -> Outcome {
    let id = call.id()?;
    let write_id = call.write_id()?;
    let request: ClaimRequest = call.body()?;
    check::text("runner", request.runner.as_deref(), NAME_CHARS)?;
    let shard = check::whole("shard", request.shard, 1, SHARDS)?.unwrap_or(1);
    let attempt = check::whole("attempt", request.attempt, 1, ATTEMPTS)?;
    let wanted = Wanted { shard, attempt, runner: request.runner.as_deref() };
    Ok(match claim(call, caller, id, &write_id, &wanted).await? {
        Claim::Taken { state, token, expires_at } => {
            let (seconds, watched) = (call.config.heartbeat_seconds, call.config.heartbeat_seconds_watched);
            let lease =
                Lease { token, expires_at, heartbeat_seconds: seconds, heartbeat_seconds_watched: Some(watched) };
            Reply::data("claimed", Claimed { test_run: ClaimedRun { id, state, shard }, lease })
        }
        Claim::Waits(first) => first.reply(id, call.config, call.request.now),
        Claim::AlreadyTaken { shard: taken, total } => taken.refusal(id, shard, total),
        Claim::NoSuchShard { total } => {
            check::invalid("shard", &format!("expected 1 to {total}, the shards of test run {id}"))?
        }
        Claim::AlreadyOver(run) => Reply::refused("already_over", run.why_over(id)),
        Claim::Archived => Reply::refused("already_over", archived(id)),
    }
    .about(id))
}

async fn claim(
    call: &Call<'_>,
    caller: &Caller<'_>,
    id: i64,
    write_id: &WriteId,
    wanted: &Wanted<'_>,
) -> Result<Claim, ApiError> {
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
        total_shards: i64,
        shard: Option<Shard>,
        first: Option<First>,
        #[serde(default)]
        news: Option<News>,
    }
    let token = lease::token(call.runtime, caller.key.bucket, wanted.shard);
    let (write, hash) = (write_id.id.as_str(), write_id.hash.as_str());
    let claim = [
        id.into(),
        write.into(),
        hash.into(),
        wanted.shard.into(),
        token.as_str().into(),
        call.config.lease.into(),
        wanted.runner.into(),
        wanted.attempt.into(),
        call.config.unconfirmed_after.into(),
    ];
    let rows = call
        .batch(vec![
            caller.statement(CLAIM, claim),
            caller.statement(DIAGNOSE, [id.into(), write.into(), hash.into(), wanted.shard.into()]),
        ])
        .await?;
    let Diagnosis { key, found, archived } = rows.only(1)?;
    caller.check(key, Scope::Run)?;
    if archived {
        return Ok(Claim::Archived);
    }
    let found = found.ok_or(ApiError::NotFound("test run"))?;
    let mine = found.mine.check()?;
    let run = found.run;
    let total = found.total_shards;
    Ok(match (found.shard, found.first) {
        (Some(Shard { lease: Some(Held { token, expires_at }), .. }), _) if mine => {
            call.database().tell(found.news);
            Claim::Taken { state: run.state, token, expires_at }
        }
        (_, Some(first)) => Claim::Waits(first),
        _ if run.state.is_over() => Claim::AlreadyOver(run),
        _ if wanted.shard > total => Claim::NoSuchShard { total },
        (Some(shard), None) => Claim::AlreadyTaken { shard, total },
        (None, None) => Claim::AlreadyOver(run),
    })
}

impl Shard {
    /// The 412 for shard `shard` of `total` of test run `id`.
    fn refusal(&self, id: i64, shard: i64, total: i64) -> Reply {
        let what =
            if total == 1 { format!("Test run {id}") } else { format!("Shard {shard} of {total} of test run {id}") };
        match (self.state, self.ended_at) {
            (ShardState::Started, _) => {
                let runner = self.runner.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
                let message = format!("{what} has a runner already, since {}{runner}.", self.started_at);
                Reply::refused("already_started", message)
            }
            (_, at) => {
                let at = at.map(|at| format!(" at {at}")).unwrap_or_default();
                let how = self.result.map_or("error", RunResult::name);
                let message = format!(
                    "{what} is finished already ({how}){at}. Another suite of the same CI job needs a group of its own."
                );
                Reply::refused("already_finished", message)
            }
        }
    }
}
