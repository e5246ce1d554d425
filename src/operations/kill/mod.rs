//! `POST /api/test-runs/{id}/kill`: SIGKILL at once for the tests of a cancelled run that are still stopping. `kill.sql` decides.

use estop_protocol::envelope::Message;
use estop_protocol::kill::KillRequest;
use estop_protocol::run::StopOutcome;
use estop_protocol::time::Timestamp;
use serde::Deserialize;

use super::over::{self, Standing};
use crate::http::caller::{Caller, Key};
use crate::http::error::ApiError;
use crate::http::operation::{Access, Method, Operation, Outcome};
use crate::http::reply::Reply;
use crate::http::request::Call;
use crate::key::Scope;
use crate::runtime::{News, Sql, sql};

pub const OPERATION: Operation = Operation {
    method: Method::Post,
    pattern: "/api/test-runs/:id/kill",
    access: Access::Key(Scope::Cancel, |call, caller| Box::pin(answer(call, caller))),
};

const KILL: Sql = sql!("kill/kill.sql");
const DIAGNOSE: Sql = sql!("kill/diagnose.sql");

/// What came of a kill: the run as it is now.
#[derive(Deserialize)]
struct Found {
    run: Standing,
    stop_outcome: Option<StopOutcome>,
    stop_closed_at: Option<Timestamp>,
    kill_at: Option<Timestamp>,
    kill_by: Option<String>,
    /// Whether this request ordered it: now or, if it is a repeat, before.
    mine: bool,
    news: Option<News>,
}

async fn answer(call: &Call<'_>, caller: &Caller<'_>) -> Outcome {
    #[derive(Deserialize)]
    struct Diagnosis {
        key: Key,
        found: Option<Found>,
        #[serde(default)]
        archived: bool,
    }
    let id = call.id()?;
    let write = call.write_id()?.id;
    let KillRequest {} = call.body()?;
    let rows = call
        .batch(vec![
            caller.statement(KILL, [id.into(), write.as_str().into()]),
            caller.statement(DIAGNOSE, [id.into(), write.as_str().into()]),
        ])
        .await?;
    let Diagnosis { key, found, archived } = rows.only(1)?;
    caller.check(key, Scope::Cancel)?;
    if archived {
        return Ok(Reply::refused("not_stopping", over::archived(id)).about(id));
    }
    let mut found = found.ok_or(ApiError::NotFound("test run"))?;
    call.database().tell(found.news.take());
    Ok(found.reply(id).about(id))
}

impl Found {
    fn reply(&self, id: i64) -> Reply {
        match (&self.kill_by, self.kill_at, self.stop_outcome) {
            // A second order adds nothing to the first, and what it asks for is under way.
            (Some(by), Some(at), outcome) if self.mine || outcome == Some(StopOutcome::Stopping) => {
                let message = format!("Test run {id} is being killed: {by} ordered it at {at}.");
                Reply::ok("killed", &Message { message })
            }
            (_, _, Some(outcome)) => {
                let at = self.stop_closed_at.map(|at| format!(", since {at}")).unwrap_or_default();
                let message =
                    format!("Test run {id} has stopped already ({}){at}. There is nothing to kill.", outcome.name());
                Reply::refused("not_stopping", message)
            }
            (_, _, None) if self.run.state.is_over() => Reply::refused("not_stopping", self.run.why_over(id)),
            _ => {
                let message = format!(
                    "Test run {id} is {}, not stopping. Cancel it first; kill is for tests that do not end by themselves.",
                    self.run.state.name()
                );
                Reply::refused("not_stopping", message)
            }
        }
    }
}
