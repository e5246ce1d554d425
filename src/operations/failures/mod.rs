//! `GET /api/test-runs/{id}/failures`: which tests of a run have failed. The database writes the JSON of
//! [`estop_protocol::failures::ListedFailure`]s itself.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::archive::read::{self, Archived};
use crate::http::caller::{Caller, Key};
use crate::http::operation::{Access, Method, Operation, Outcome};
use crate::http::reply::Reply;
use crate::http::request::Call;
use crate::key::Scope;
use crate::runtime::{Sql, sql};

pub const OPERATION: Operation = Operation {
    method: Method::Get,
    pattern: "/api/test-runs/:id/failures",
    access: Access::Key(Scope::Read, |call, caller| Box::pin(answer(call, caller))),
};

const FAILURES: Sql = sql!("failures/failures.sql");

async fn answer(call: &Call<'_>, caller: &Caller<'_>) -> Outcome {
    #[derive(Deserialize)]
    struct Row {
        key: Key,
        failures: Option<Box<RawValue>>,
        archived: Option<Archived>,
    }
    #[derive(Serialize)]
    struct Failures {
        failures: Box<RawValue>,
    }
    let id = call.id()?;
    let rows = call.batch(vec![caller.statement(FAILURES, [id.into()])]).await?;
    let Row { key, failures, archived } = rows.only(0)?;
    caller.check(key, Scope::Read)?;
    let failures = match failures {
        Some(failures) => failures,
        None => read::shown(call.runtime, archived, id).await?.failures,
    };
    Ok(Reply::data("shown", Failures { failures }).about(id))
}
