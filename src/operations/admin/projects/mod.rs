//! `POST /api/projects`, `GET /api/projects`, `PATCH /api/projects/{id}`,
//! `PUT /api/projects/{id}/concurrency`.

use estop_protocol::concurrency::SetConcurrencyRequest;
use estop_protocol::limits::{NAME_CHARS, RETENTION_DAYS};
use estop_protocol::projects::{
    ChangeProjectRequest, CreateProjectRequest, LimitedProject, OneProject, Project, ProjectList, Projects,
};

use super::Found;
use crate::http::check::{slug, text, whole};
use crate::http::error::ApiError;
use crate::http::operation::{Access, Method, Operation, Outcome};
use crate::http::reply::Reply;
use crate::http::request::Call;
use crate::operations::page::Page;
use crate::runtime::{Sql, Statement, sql};

/// Creates a project.
pub const CREATE: Operation =
    Operation { method: Method::Post, pattern: "/api/projects", access: Access::Admin(|call| Box::pin(create(call))) };

/// Lists projects.
pub const LIST: Operation =
    Operation { method: Method::Get, pattern: "/api/projects", access: Access::Admin(|call| Box::pin(list(call))) };

/// Changes a project: its name, its repository, whether it has badges, whether a closed pull request stops runs, how long it
/// keeps its runs.
pub const CHANGE: Operation = Operation {
    method: Method::Patch,
    pattern: "/api/projects/:id",
    access: Access::Admin(|call| Box::pin(change(call))),
};

/// Sets a project's concurrency limit.
pub const LIMIT: Operation = Operation {
    method: Method::Put,
    pattern: "/api/projects/:id/concurrency",
    access: Access::Admin(|call| Box::pin(limit(call))),
};

const CREATE_PROJECT: Sql = sql!("admin/projects/create.sql");
const DIAGNOSE_CREATE: Sql = sql!("admin/projects/diagnose_create.sql");
const LIST_PROJECTS: Sql = sql!("admin/projects/list.sql");
const CHANGE_PROJECT: Sql = sql!("admin/projects/change.sql");
const SET_LIMIT: Sql = sql!("admin/projects/limit.sql");
const UNDER_EARLIER_LIMIT: Sql = sql!("admin/projects/under_earlier_limit.sql");
const SHOW: Sql = sql!("admin/projects/show.sql");

async fn create(call: &Call<'_>) -> Outcome {
    let write_id = call.write_id()?;
    let CreateProjectRequest { name, slug: wanted, repo_name } = call.body()?;
    text("name", Some(&name), NAME_CHARS)?;
    slug("slug", &wanted)?;
    text("repo_name", repo_name.as_deref(), NAME_CHARS)?;
    let (wanted, id, hash) = (wanted.as_str(), write_id.id.as_str(), write_id.hash.as_str());
    let (name, repo_name, now) = (name.as_str(), repo_name.as_deref(), call.request.now.0);
    let params = vec![wanted.into(), name.into(), repo_name.into(), id.into(), hash.into(), now.into()];
    let rows = call
        .batch(vec![
            Statement::new(CREATE_PROJECT, params),
            Statement::new(DIAGNOSE_CREATE, vec![wanted.into(), id.into(), hash.into()]),
        ])
        .await?;
    let project = rows.only::<Found<Project>>(1)?.created("a project")?;
    Ok(Reply::data("created", OneProject { project }))
}

async fn list(call: &Call<'_>) -> Outcome {
    let page = Page::of(call.request.query)?;
    let params = vec![page.before.into(), page.per_page.into()];
    let projects: Vec<Project> = call.batch(vec![Statement::new(LIST_PROJECTS, params)]).await?.all(0)?;
    let pagination = page.pagination(projects.iter().map(|project| project.id));
    Ok(Reply::ok("listed", &ProjectList { data: Projects { projects }, pagination }))
}

async fn change(call: &Call<'_>) -> Outcome {
    let id = call.id()?;
    let ChangeProjectRequest { name, repo_name, badges, stop_on_close, retention_days } = call.body()?;
    text("name", name.as_deref(), NAME_CHARS)?;
    text("repo_name", repo_name.as_deref(), NAME_CHARS)?;
    let retention = whole("retention_days", retention_days, 0, RETENTION_DAYS)?.into();
    let flag = |wanted: Option<bool>| wanted.map(i64::from).into();
    let (name, repo_name) = (name.as_deref().into(), repo_name.as_deref().into());
    let now = call.request.now.0.into();
    let params = vec![id.into(), name, repo_name, flag(badges), flag(stop_on_close), retention, now];
    let rows = call.batch(vec![Statement::new(CHANGE_PROJECT, params), Statement::new(SHOW, vec![id.into()])]).await?;
    let project: Project = rows.first(1)?.ok_or(ApiError::NotFound("project"))?;
    Ok(Reply::data("changed", OneProject { project }))
}

async fn limit(call: &Call<'_>) -> Outcome {
    let id = call.id()?;
    let SetConcurrencyRequest { scope, behaviour } = call.body()?;
    let now = call.request.now.0;
    let rows = call
        .batch(vec![
            Statement::new(SET_LIMIT, vec![id.into(), scope.name().into(), behaviour.name().into(), now.into()]),
            Statement::new(SHOW, vec![id.into()]),
            Statement::new(UNDER_EARLIER_LIMIT, vec![id.into()]),
        ])
        .await?;
    let project = rows.first(1)?.ok_or(ApiError::NotFound("project"))?;
    Ok(Reply::data("configured", LimitedProject { project, under_earlier_limit: rows.all(2)? }))
}
