//! `POST /api/projects/{id}/environments`, `GET /api/projects/{id}/environments`, `PATCH /api/environments/{id}`.

use estop_protocol::environments::{ChangeEnvironmentRequest, CreateEnvironmentRequest, Environment, OneEnvironment};
use estop_protocol::limits::NAME_CHARS;

use super::Found;
use crate::http::check::{slug, text};
use crate::http::error::ApiError;
use crate::http::operation::{Access, Method, Operation, Outcome};
use crate::http::reply::Reply;
use crate::http::request::Call;
use crate::operations::environments::list as page_of;
use crate::operations::page::Page;
use crate::runtime::{Sql, Statement, sql};

/// Creates an environment.
pub const CREATE: Operation = Operation {
    method: Method::Post,
    pattern: "/api/projects/:id/environments",
    access: Access::Admin(|call| Box::pin(create(call))),
};

/// Changes an environment's name, and whether it takes new runs.
pub const CHANGE: Operation = Operation {
    method: Method::Patch,
    pattern: "/api/environments/:id",
    access: Access::Admin(|call| Box::pin(change(call))),
};

/// Lists a project's environments.
pub const LIST: Operation = Operation {
    method: Method::Get,
    pattern: "/api/projects/:id/environments",
    access: Access::Admin(|call| Box::pin(list(call))),
};

const CREATE_ENVIRONMENT: Sql = sql!("admin/environments/create.sql");
const DIAGNOSE_CREATE: Sql = sql!("admin/environments/diagnose_create.sql");
const CHANGE_ENVIRONMENT: Sql = sql!("admin/environments/change.sql");
const SHOW: Sql = sql!("admin/environments/show.sql");
const LIST_ENVIRONMENTS: Sql = sql!("admin/environments/list.sql");

async fn create(call: &Call<'_>) -> Outcome {
    let project = call.id()?;
    let write_id = call.write_id()?;
    let CreateEnvironmentRequest { name, slug: wanted } = call.body()?;
    text("name", Some(&name), NAME_CHARS)?;
    slug("slug", &wanted)?;
    let (wanted, id, hash) = (wanted.as_str(), write_id.id.as_str(), write_id.hash.as_str());
    let (name, now) = (name.as_str(), call.request.now.0);
    let params = vec![project.into(), wanted.into(), name.into(), id.into(), hash.into(), now.into()];
    let rows = call
        .batch(vec![
            Statement::new(CREATE_ENVIRONMENT, params),
            Statement::new(DIAGNOSE_CREATE, vec![project.into(), wanted.into(), id.into(), hash.into()]),
        ])
        .await?;
    let found: Found<Environment> = rows.first(1)?.ok_or(ApiError::NotFound("project"))?;
    Ok(Reply::data("created", OneEnvironment { environment: found.created("an environment")? }))
}

async fn change(call: &Call<'_>) -> Outcome {
    let id = call.id()?;
    let ChangeEnvironmentRequest { name, disabled } = call.body()?;
    text("name", name.as_deref(), NAME_CHARS)?;
    let params = vec![id.into(), name.as_deref().into(), disabled.map(i64::from).into(), call.request.now.0.into()];
    let rows =
        call.batch(vec![Statement::new(CHANGE_ENVIRONMENT, params), Statement::new(SHOW, vec![id.into()])]).await?;
    let environment: Environment = rows.first(1)?.ok_or(ApiError::NotFound("environment"))?;
    Ok(Reply::data("changed", OneEnvironment { environment }))
}

async fn list(call: &Call<'_>) -> Outcome {
    let project = call.id()?;
    let page = Page::of(call.request.query)?;
    let params = vec![project.into(), page.before.into(), page.per_page.into()];
    let rows = call.batch(vec![Statement::new(LIST_ENVIRONMENTS, params)]).await?;
    let environments: Vec<Environment> = rows.first(0)?.ok_or(ApiError::NotFound("project"))?;
    Ok(Reply::ok("listed", &page_of(page, environments)))
}
