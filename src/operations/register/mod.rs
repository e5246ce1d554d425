//! `PUT /api/test-runs`: register a run, or join one.

mod new_run;

use estop_protocol::register::{RegisterRequest, Registered, RegisteredRun, Trigger};
use serde::Deserialize;

use super::environments::unknown_environment;
use crate::http::caller::{Caller, Key};
use crate::http::check::invalid;
use crate::http::error::ApiError;
use crate::http::operation::{Access, Method, Operation, Outcome};
use crate::http::reply::Reply;
use crate::http::request::Call;
use crate::http::write_id::{Mine, WriteId};
use crate::key::Scope;
use crate::runtime::{DbError, News, Sql, sql};
use new_run::NewRun;

pub const OPERATION: Operation = Operation {
    method: Method::Put,
    pattern: "/api/test-runs",
    access: Access::Key(Scope::Run, |call, caller| Box::pin(answer(call, caller))),
};

const REGISTER: Sql = sql!("register/register.sql");
const DIAGNOSE: Sql = sql!("register/diagnose.sql");

/// From how much of its allowed size on the database takes no more runs, in per cent.
const FULL_PERCENT: i64 = 95;

/// What came of a registration.
enum Register {
    /// This request registered the run: now or, if it is a repeat, before.
    Done(RegisteredRun),
    /// The group has a run already.
    Joined(RegisteredRun),
    /// The group has a run already, and it is another one: `what` says why.
    OtherRun { id: i64, what: String },
    /// The project has no such environment, but these (at most 50).
    UnknownEnvironment(Vec<String>),
    /// The environment takes no new runs.
    DisabledEnvironment,
    /// This protected run waits for the same concurrency group, where only one can wait.
    Reserved(i64),
}

async fn answer(call: &Call<'_>, caller: &Caller<'_>) -> Outcome {
    let write_id = call.write_id()?;
    let run = NewRun::from_request(call.body::<RegisterRequest>()?)?;
    match register(call, caller, &write_id, &run).await? {
        Register::Done(test_run) => Ok(registered("registered", test_run, false)),
        Register::Joined(test_run) => Ok(registered("joined", test_run, true)),
        Register::OtherRun { id, what } => Err(ApiError::Conflict(format!(
            "The group has test run {id}, which has {what}. All shards of a run give the same `environment` and `total_shards`; \
             another suite needs another `group`."
        ))),
        Register::Reserved(waiting) => Err(ApiError::Conflict(format!(
            "Test run {waiting} is protected and waits for the same place, where only one can wait. Register this one when \
             that one has started."
        ))),
        Register::DisabledEnvironment => {
            let expected = format!("the environment `{}` is disabled, so it takes no new runs", run.environment);
            invalid("environment", &expected)
        }
        Register::UnknownEnvironment(known) => Err(unknown_environment("environment", &run.environment, &known)),
    }
}

fn registered(outcome: &'static str, test_run: RegisteredRun, joined: bool) -> Reply {
    let id = test_run.id;
    Reply::data(outcome, Registered { trigger: Trigger { success: true }, test_run, joined }).about(id)
}

async fn register(
    call: &Call<'_>,
    caller: &Caller<'_>,
    write_id: &WriteId,
    run: &NewRun,
) -> Result<Register, ApiError> {
    #[derive(Deserialize)]
    struct Diagnosis {
        key: Key,
        found: Option<Found>,
        reserved_by: Option<i64>,
        #[serde(default)]
        disabled: bool,
        environments: Option<Vec<String>>,
    }
    #[derive(Deserialize)]
    struct Found {
        run: RegisteredRun,
        mine: Mine,
        environment: String,
        total_shards: i64,
        news: Option<News>,
    }
    // What is left of the database is for the runs that are there: a full one would take their stop button away. An
    // isolate learns the size from its first answer, so one registration passes.
    let full = call.database_bytes().is_some_and(|bytes| bytes >= call.config.database_bytes / 100 * FULL_PERCENT);
    let (environment, branch) = (run.environment.as_str(), run.branch.as_deref());
    let (write, hash) = (write_id.id.as_str(), write_id.hash.as_str());
    let new = [
        write.into(),
        hash.into(),
        environment.into(),
        branch.into(),
        run.build.as_deref().into(),
        run.metadata.as_deref().into(),
        run.tags.as_str().into(),
        run.github_actor.as_deref().into(),
        run.total_shards.into(),
        i64::from(run.protected).into(),
        i64::from(full).into(),
        run.fail_fast.into(),
        run.group.as_deref().into(),
        run.attempt.into(),
        run.shard.into(),
    ];
    let diagnose = [
        write.into(),
        hash.into(),
        environment.into(),
        branch.into(),
        run.group.as_deref().into(),
        run.attempt.into(),
        run.shard.into(),
    ];
    let rows = call
        .batch(vec![caller.statement(REGISTER, new), caller.statement(DIAGNOSE, diagnose)])
        .await
        .map_err(|error| if error == DbError::Full { ApiError::DatabaseFull } else { error.into() })?;
    let Diagnosis { key, found, reserved_by, disabled, environments } = rows.only(1)?;
    caller.check(key, Scope::Run)?;
    if let Some(found) = found {
        return Ok(if found.mine.check()? {
            call.database().tell(found.news);
            Register::Done(found.run)
        } else if found.environment != run.environment {
            Register::OtherRun { id: found.run.id, what: format!("the environment {}", found.environment) }
        } else if found.total_shards != run.total_shards {
            Register::OtherRun { id: found.run.id, what: format!("{} shards", found.total_shards) }
        } else {
            Register::Joined(found.run)
        });
    }
    match reserved_by {
        _ if full => Err(ApiError::DatabaseFull),
        _ if disabled => Ok(Register::DisabledEnvironment),
        Some(id) => Ok(Register::Reserved(id)),
        None => Ok(Register::UnknownEnvironment(environments.unwrap_or_default())),
    }
}
