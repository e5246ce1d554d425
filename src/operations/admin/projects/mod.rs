//! `POST /api/projects`, `GET /api/projects`, `PATCH /api/projects/{id}`,
//! `PUT /api/projects/{id}/concurrency`.
//!
//! The database writes the project that they answer, and it is passed on as it is: to read it and to write it again would be
//! 5 KB of the upload. Tests hold it to [`estop_protocol::projects`].

mod create;

pub use create::CREATE;

use estop_protocol::concurrency::SetConcurrencyRequest;
use estop_protocol::limits::{NAME_CHARS, RETENTION_DAYS};
use estop_protocol::projects::ChangeProjectRequest;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::listed;
use crate::http::check::{invalid, text, whole};
use crate::http::error::ApiError;
use crate::http::operation::{Access, Method, Operation, Outcome};
use crate::http::reply::Reply;
use crate::http::request::Call;
use crate::operations::directory;
use crate::operations::page::Page;
use crate::runtime::{DbError, Sql, Statement, sql};

/// Lists projects.
pub const LIST: Operation =
    Operation { method: Method::Get, pattern: "/api/projects", access: Access::Admin(|call| Box::pin(list(call))) };

/// Changes a project: its name, its repository, whether it has badges, what it has to do with GitHub, how long it keeps its runs.
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

const LIST_PROJECTS: Sql = sql!("admin/projects/list.sql");
const CHANGE_PROJECT: Sql = sql!("admin/projects/change.sql");
const SET_LIMIT: Sql = sql!("admin/projects/limit.sql");
const UNDER_EARLIER_LIMIT: Sql = sql!("admin/projects/under_earlier_limit.sql");
const TURN_ON: Sql = sql!("admin/projects/turn_on.sql");
const TURN_OFF: Sql = sql!("admin/projects/turn_off.sql");
const SHOW: Sql = sql!("admin/projects/show.sql");

/// What has to be known here of a project.
#[derive(Deserialize)]
struct Known {
    check_runs: bool,
    cancel_ci: bool,
}

impl Known {
    fn of(project: &RawValue) -> Result<Self, ApiError> {
        Ok(serde_json::from_str(project.get()).map_err(|_| DbError::Unreadable(SHOW.file))?)
    }
}

#[derive(Serialize)]
struct OneProject<'a> {
    project: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    under_earlier_limit: Option<Vec<i64>>,
}

fn one(project: &RawValue) -> OneProject<'_> {
    OneProject { project, under_earlier_limit: None }
}

async fn list(call: &Call<'_>) -> Outcome {
    let page = Page::of(call.request.query)?;
    let params = vec![page.before.into(), page.per_page.into()];
    let projects = directory::page(call, page, Statement::new(LIST_PROJECTS, params)).await?;
    Ok(listed("projects", page, &projects))
}

async fn change(call: &Call<'_>) -> Outcome {
    let id = call.id()?;
    let ChangeProjectRequest { name, repo_name, badges, stop_on_close, retention_days, check_runs, cancel_ci } =
        call.body()?;
    text("name", name.as_deref(), NAME_CHARS)?;
    text("repo_name", repo_name.as_deref(), NAME_CHARS)?;
    let retention = whole("retention_days", retention_days, 0, RETENTION_DAYS)?.into();
    let field = if check_runs == Some(true) { "check_runs" } else { "cancel_ci" };
    let turns_on = check_runs == Some(true) || cancel_ci == Some(true);
    if turns_on && call.config.github_api.is_none() {
        return invalid(field, "this service is no GitHub App yet; see docs/github.md");
    }
    if turns_on && repo_name.as_deref().is_some_and(|name| !is_github_repo(name)) {
        return invalid("repo_name", "expected a repository at GitHub, like `acme/shop`");
    }
    let flag = |wanted: Option<bool>| wanted.map(i64::from).into();
    let (id, now) = (id.into(), call.request.now.0.into());
    let guard = i64::from(turns_on && repo_name.is_none()).into();
    let (name, repository) = (name.as_deref().into(), repo_name.as_deref().into());
    let params = vec![id, name, repository, flag(badges), flag(stop_on_close), retention, now, guard];
    let mut statements = vec![Statement::new(CHANGE_PROJECT, params)];
    let (checks, ci) = (flag(check_runs), flag(cancel_ci));
    if turns_on {
        statements.push(Statement::new(TURN_ON, vec![id, checks, ci, call.request.own_origin.into(), now]));
    }
    if repo_name.is_some() || check_runs.is_some() || cancel_ci.is_some() {
        statements.push(Statement::new(TURN_OFF, vec![id, checks, ci, now]));
    }
    statements.push(Statement::new(SHOW, vec![id]));
    let last = statements.len() - 1;
    let project: Box<RawValue> = call.batch(statements).await?.first(last)?.ok_or(ApiError::NotFound("project"))?;
    let known = Known::of(&project)?;
    if (check_runs == Some(true) && !known.check_runs) || (cancel_ci == Some(true) && !known.cancel_ci) {
        return invalid(field, "needs the project's repository, `repo_name`, like `acme/shop`");
    }
    Ok(Reply::data("changed", one(&project)))
}

/// Whether this can be a repository at GitHub. `projects.github_repo` says the same of what is stored.
fn is_github_repo(name: &str) -> bool {
    let plain = |part: &str| part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    name.split_once('/').is_some_and(|(owner, repo)| {
        owner.starts_with(|c: char| c.is_ascii_alphanumeric())
            && plain(owner)
            && plain(repo)
            && !["", ".", ".."].contains(&repo)
    })
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
    let project: Box<RawValue> = rows.first(1)?.ok_or(ApiError::NotFound("project"))?;
    Known::of(&project)?;
    let under_earlier_limit = Some(rows.all(2)?);
    Ok(Reply::data("configured", OneProject { project: &project, under_earlier_limit }))
}
