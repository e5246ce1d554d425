//! `GET /api/environments`: the environments of the key's project.

use estop_protocol::environments::{Environment, EnvironmentList, Environments};
use serde::Deserialize;

use super::page::Page;
use crate::http::caller::{Caller, Key};
use crate::http::error::ApiError;
use crate::http::operation::{Access, Method, Operation, Outcome};
use crate::http::reply::Reply;
use crate::http::request::Call;
use crate::key::Scope;
use crate::runtime::{Sql, sql};

pub const OPERATION: Operation = Operation {
    method: Method::Get,
    pattern: "/api/environments",
    access: Access::Key(Scope::Read, |call, caller| Box::pin(answer(call, caller))),
};

const ENVIRONMENTS: Sql = sql!("environments/environments.sql");

async fn answer(call: &Call<'_>, caller: &Caller<'_>) -> Outcome {
    #[derive(Deserialize)]
    struct Row {
        key: Key,
        environments: Vec<Environment>,
    }
    let page = Page::of(call.request.query)?;
    let rows = call.batch(vec![caller.statement(ENVIRONMENTS, [page.before.into(), page.per_page.into()])]).await?;
    let Row { key, environments } = rows.only(0)?;
    caller.check(key, Scope::Read)?;
    Ok(Reply::ok("listed", &list(page, environments)))
}

/// A page of environments.
pub(super) fn list(page: Page, environments: Vec<Environment>) -> EnvironmentList {
    let pagination = page.pagination(environments.iter().map(|environment| environment.id));
    EnvironmentList { data: Environments { environments }, pagination }
}

/// The 400 for an environment that the project does not have.
pub(super) fn unknown_environment(field: &str, asked: &str, known: &[String]) -> ApiError {
    ApiError::Invalid(if known.is_empty() {
        format!("Field `{field}`: there is no `{asked}`, nor any other environment in this project yet.")
    } else {
        format!("Field `{field}`: there is no `{asked}` in this project; known are {}.", known.join(", "))
    })
}
