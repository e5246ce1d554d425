//! `GET /api/test-runs/{id}/watch` and `GET /api/watch`: a WebSocket on which the hub tells what changes. The database says
//! whose hub; what it hears then is best effort, and the record is the database's.

use estop_protocol::run::{ShardState, State};
use serde::Deserialize;

use super::over::not_the_holder;
use crate::http::caller::{Caller, Key};
use crate::http::error::ApiError;
use crate::http::operation::{Access, Method, Operation, Outcome};
use crate::http::reply::{Line, Reply};
use crate::http::request::Call;
use crate::hub;
use crate::key::Scope;
use crate::lease;
use crate::runtime::{Sql, Statement, sql};

/// One run, or the orders for one shard of it.
pub const RUN: Operation = Operation {
    method: Method::Get,
    pattern: "/api/test-runs/:id/watch",
    access: Access::LeaseOrKey(
        |call, token| Box::pin(line(call, token)),
        Scope::Read,
        |call, caller| Box::pin(run(call, caller)),
    ),
};

/// All runs of the project.
pub const PROJECT: Operation = Operation {
    method: Method::Get,
    pattern: "/api/watch",
    access: Access::Key(Scope::Read, |call, caller| Box::pin(project(call, caller))),
};

const LINE: Sql = sql!("watch/line.sql");
const WATCH_RUN: Sql = sql!("watch/run.sql");
const WATCH_PROJECT: Sql = sql!("watch/project.sql");

#[derive(Deserialize)]
struct Watched {
    key: Key,
    project: Option<i64>,
}

async fn line(call: &Call<'_>, token: &str) -> Outcome {
    #[derive(Deserialize)]
    struct Held {
        project: i64,
        shard: ShardState,
        state: State,
    }
    let id = call.existing_id()?;
    wants_websocket(call)?;
    call.lease(token).await?;
    let params = vec![id.into(), lease::shard(token).into(), token.into()];
    let rows = call.batch(vec![Statement::new(LINE, params)]).await?;
    let Held { project, shard, state } = rows.first(0)?.ok_or(ApiError::UnknownLease(id))?;
    if shard != ShardState::Started {
        return Err(not_the_holder(id, state));
    }
    call.accept_lease(token);
    let tags = vec![hub::LINES.to_owned(), hub::line(id), hub::shard(lease::shard(token))];
    Ok(open(project, tags).about(id))
}

async fn run(call: &Call<'_>, caller: &Caller<'_>) -> Outcome {
    let id = call.existing_id()?;
    wants_websocket(call)?;
    let rows = call.batch(vec![caller.statement(WATCH_RUN, [id.into()])]).await?;
    let Watched { key, project } = rows.only(0)?;
    caller.check(key, Scope::Read)?;
    let project = project.ok_or(ApiError::NotFound("test run"))?;
    Ok(open(project, by(caller, hub::run(id))).about(id))
}

async fn project(call: &Call<'_>, caller: &Caller<'_>) -> Outcome {
    wants_websocket(call)?;
    let rows = call.batch(vec![caller.statement(WATCH_PROJECT, [])]).await?;
    let Watched { key, project } = rows.only(0)?;
    caller.check(key, Scope::Read)?;
    let project = project.ok_or(ApiError::NotFound("project"))?;
    Ok(open(project, by(caller, hub::FEED.to_owned())))
}

/// The tags of a socket that hears `what` as long as the caller's key, and the session that stands for it, are valid.
fn by(caller: &Caller<'_>, what: String) -> Vec<String> {
    [what, hub::key(caller.id()), hub::bucket(caller.key.bucket)]
        .into_iter()
        .chain(caller.session_ends.map(hub::ends))
        .collect()
}

fn wants_websocket(call: &Call<'_>) -> Result<(), ApiError> {
    if call.request.wants_websocket { Ok(()) } else { Err(ApiError::UpgradeRequired) }
}

fn open(project: i64, tags: Vec<String>) -> Reply {
    Reply { line: Some(Line { project, tags }), ..Reply::text(101, "watching", String::new()) }
}
