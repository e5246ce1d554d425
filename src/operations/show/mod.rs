//! `GET /api/test-runs/{id}`: everything known of a run. The database writes the JSON of
//! [`estop_protocol::show::TestRun`] itself; reading it into Rust and writing it again would be most of what a list costs.

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
    pattern: "/api/test-runs/:id",
    access: Access::Key(Scope::Read, |call, caller| Box::pin(answer(call, caller))),
};

const SHOW: Sql = sql!("show/show.sql");

async fn answer(call: &Call<'_>, caller: &Caller<'_>) -> Outcome {
    #[derive(Deserialize)]
    struct Row {
        key: Key,
        test_run: Option<Box<RawValue>>,
        archived: Option<Archived>,
    }
    #[derive(Serialize)]
    struct Shown {
        test_run: Box<RawValue>,
    }
    let id = call.id()?;
    let rows = call.batch(vec![caller.statement(SHOW, [id.into()])]).await?;
    let Row { key, test_run, archived } = rows.only(0)?;
    caller.check(key, Scope::Read)?;
    let test_run = match test_run {
        Some(test_run) => test_run,
        None => read::shown(call.runtime, archived, id).await?.archived_run()?,
    };
    Ok(Reply::data("shown", Shown { test_run }).about(id))
}
