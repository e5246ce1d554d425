//! `GET /api/test-runs/{id}/events`: what happened to a run. The database writes the JSON of
//! [`estop_protocol::events::RunEvent`]s itself.

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
    pattern: "/api/test-runs/:id/events",
    access: Access::Key(Scope::Read, |call, caller| Box::pin(answer(call, caller))),
};

const EVENTS: Sql = sql!("events/events.sql");

async fn answer(call: &Call<'_>, caller: &Caller<'_>) -> Outcome {
    #[derive(Deserialize)]
    struct Row {
        key: Key,
        events: Option<Box<RawValue>>,
        archived: Option<Archived>,
    }
    #[derive(Serialize)]
    struct Events {
        events: Box<RawValue>,
    }
    let id = call.id()?;
    let rows = call.batch(vec![caller.statement(EVENTS, [id.into()])]).await?;
    let Row { key, events, archived } = rows.only(0)?;
    caller.check(key, Scope::Read)?;
    let events = match events {
        Some(events) => events,
        None => read::shown(call.runtime, archived, id).await?.events,
    };
    Ok(Reply::data("shown", Events { events }).about(id))
}
