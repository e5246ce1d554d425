//! `PUT /api/test-runs`: register a run.

mod new_run;

use estop_protocol::register::{RegisterRequest, Registered, RegisteredRun, Trigger};
use serde::Deserialize;

use super::environments::unknown_environment;
use crate::http::caller::{Caller, KeyVerdict};
use crate::http::error::ApiError;
use crate::http::operation::{Access, Method, Operation, Outcome};
use crate::http::reply::Reply;
use crate::http::request::Call;
use crate::key::Scope;
use crate::runtime::Sql;
use new_run::NewRun;

pub const OPERATION: Operation = Operation {
    method: Method::Put,
    pattern: "/api/test-runs",
    access: Access::Key(Scope::Run, |call, caller| Box::pin(answer(call, caller))),
};

const REGISTER: Sql = Sql { file: "register/register.sql", text: include_str!("register.sql") };
const DIAGNOSE: Sql = Sql { file: "register/diagnose.sql", text: include_str!("diagnose.sql") };

/// What came of a registration.
enum Register {
    /// This request registered the run: now or, if it is a repeat, before.
    Done(RegisteredRun),
    /// The project has no such environment, but these (at most 50).
    UnknownEnvironment(Vec<String>),
    /// This protected run waits for the same concurrency group, where only one can wait.
    Reserved(i64),
}

async fn answer(call: &Call<'_>, caller: &Caller<'_>) -> Outcome {
    let write_id = call.write_id()?;
    let run = NewRun::from_request(call.body::<RegisterRequest>()?)?;
    match register(call, caller, &write_id, &run).await? {
        Register::Done(test_run) => {
            let id = test_run.id;
            Ok(Reply::data("registered", Registered { trigger: Trigger { success: true }, test_run }).about(id))
        }
        Register::Reserved(waiting) => Err(ApiError::Conflict(format!(
            "Test run {waiting} is protected and waits for the same place, where only one can wait. Register this one when \
             that one has started."
        ))),
        Register::UnknownEnvironment(known) => Err(unknown_environment("environment", &run.environment, &known)),
    }
}

async fn register(call: &Call<'_>, caller: &Caller<'_>, write_id: &str, run: &NewRun) -> Result<Register, ApiError> {
    #[derive(Deserialize)]
    struct Diagnosis {
        key: KeyVerdict,
        run: Option<RegisteredRun>,
        reserved_by: Option<i64>,
        environments: Option<Vec<String>>,
    }
    let (environment, branch) = (run.environment.as_str(), run.branch.as_deref());
    let new = [
        write_id.into(),
        environment.into(),
        branch.into(),
        run.build.as_deref().into(),
        run.metadata.as_deref().into(),
        run.tags.as_str().into(),
        run.github_actor.as_deref().into(),
        run.total_shards.into(),
        i64::from(run.protected).into(),
    ];
    let rows = call
        .batch(vec![
            caller.statement(REGISTER, new),
            caller.statement(DIAGNOSE, [write_id.into(), environment.into(), branch.into()]),
        ])
        .await?;
    let found: Diagnosis = rows.only(1)?;
    found.key.check(Scope::Run)?;
    Ok(match (found.run, found.reserved_by) {
        (Some(run), _) => Register::Done(run),
        (None, Some(id)) => Register::Reserved(id),
        (None, None) => Register::UnknownEnvironment(found.environments.unwrap_or_default()),
    })
}
