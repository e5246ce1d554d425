//! Set-up: projects, environments, keys.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::concurrency::Concurrency;
use crate::error::ApiError;
use crate::host::{self, Host, Statement};
use crate::key::{KeyHash, Scope};
use crate::sql::admin as sql;
use crate::time::Timestamp;
use crate::wire::MAX_ID;
use crate::wire::admin::{CreateEnvironmentRequest, CreateKeyRequest, CreateProjectRequest, Key};
use crate::wire::answers::{Environment, Project};
use crate::wire::query::KeysQuery;

/// What a creation found under its slug.
#[derive(Deserialize)]
struct Created<T> {
    mine: Option<u8>,
    item: Option<T>,
}

impl<T: DeserializeOwned> Created<T> {
    fn ours(self, what: &str) -> Result<T, ApiError> {
        match (self.mine, self.item) {
            (Some(1), Some(item)) => Ok(item),
            _ => Err(ApiError::Conflict(format!("The slug is taken: there is such {what} already. Choose another."))),
        }
    }
}

/// Creates a project.
///
/// # Errors
/// 409 if the slug is taken, 503.
pub async fn create_project(
    host: &impl Host,
    deadline: i64,
    now: Timestamp,
    request_id: &str,
    project: &CreateProjectRequest,
) -> Result<Project, ApiError> {
    let (slug, name, repo) = (project.slug.as_str(), project.name.as_str(), project.repo_name.as_deref());
    let statements = [
        Statement::new(
            sql::CREATE_PROJECT,
            vec![slug.into(), name.into(), repo.into(), request_id.into(), now.0.into()],
        ),
        Statement::new(sql::EXPLAIN_CREATE_PROJECT, vec![slug.into(), request_id.into()]),
    ];
    let rows = host::batch(host, &statements, deadline).await?;
    host::only::<Created<Project>>(&rows, 1)?.ours("a project")
}

/// Sets a project's concurrency limit.
///
/// # Errors
/// 404 if there is no such project, 503.
pub async fn set_concurrency(
    host: &impl Host,
    deadline: i64,
    project_id: i64,
    limit: Concurrency,
) -> Result<Project, ApiError> {
    let (scope, behaviour) = (limit.scope.name(), limit.behaviour.name());
    let params = vec![project_id.into(), scope.as_str().into(), behaviour.as_str().into()];
    let statements =
        [Statement::new(sql::SET_CONCURRENCY, params), Statement::new(sql::SHOW_PROJECT, vec![project_id.into()])];
    let rows = host::batch(host, &statements, deadline).await?;
    host::first(&rows, 1)?.ok_or(ApiError::NotFound("project"))
}

/// Creates an environment.
///
/// # Errors
/// 404 if there is no such project, 409 if it has the slug already, 503.
pub async fn create_environment(
    host: &impl Host,
    deadline: i64,
    now: Timestamp,
    request_id: &str,
    project_id: i64,
    environment: &CreateEnvironmentRequest,
) -> Result<Environment, ApiError> {
    let (slug, name) = (environment.slug.as_str(), environment.name.as_str());
    let statements = [
        Statement::new(
            sql::CREATE_ENVIRONMENT,
            vec![project_id.into(), slug.into(), name.into(), request_id.into(), now.0.into()],
        ),
        Statement::new(sql::EXPLAIN_CREATE_ENVIRONMENT, vec![project_id.into(), slug.into(), request_id.into()]),
    ];
    let rows = host::batch(host, &statements, deadline).await?;
    host::first::<Created<Environment>>(&rows, 1)?.ok_or(ApiError::NotFound("project"))?.ours("an environment")
}

/// A key as its row has it.
#[derive(Deserialize)]
struct KeyRow {
    id: i64,
    project_id: i64,
    user: String,
    name: String,
    can_read: u8,
    can_cancel: u8,
    can_run: u8,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
}

impl From<KeyRow> for Key {
    fn from(row: KeyRow) -> Self {
        let scopes = [(row.can_read, Scope::Read), (row.can_cancel, Scope::Cancel), (row.can_run, Scope::Run)];
        Self {
            id: row.id,
            project_id: row.project_id,
            user: row.user,
            name: row.name,
            scopes: scopes.into_iter().filter(|(may, _)| *may == 1).map(|(_, scope)| scope).collect(),
            created_at: row.created_at,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
        }
    }
}

/// Creates a key of which only the hash is stored.
///
/// # Errors
/// 404 if there is no such project, 503.
pub async fn create_key(
    host: &impl Host,
    deadline: i64,
    now: Timestamp,
    hash: &KeyHash,
    key: &CreateKeyRequest,
    expires_at: Option<Timestamp>,
) -> Result<Key, ApiError> {
    let may = |scope| i64::from(key.scopes.contains(&scope)).into();
    let statements = [
        Statement::new(
            sql::CREATE_KEY,
            vec![
                key.project_id.0.into(),
                key.user.as_str().into(),
                key.name.as_str().into(),
                hash.as_str().into(),
                may(Scope::Read),
                may(Scope::Cancel),
                may(Scope::Run),
                expires_at.map(|at| at.0).into(),
                now.0.into(),
            ],
        ),
        Statement::new(sql::EXPLAIN_CREATE_KEY, vec![hash.as_str().into()]),
    ];
    let rows = host::batch(host, &statements, deadline).await?;
    host::first::<KeyRow>(&rows, 1)?.map(Key::from).ok_or(ApiError::NotFound("project"))
}

/// Revokes a key. Revoking it again changes nothing.
///
/// # Errors
/// 404 if there is no such key, 503.
pub async fn revoke_key(host: &impl Host, deadline: i64, now: Timestamp, id: i64) -> Result<Key, ApiError> {
    let statements = [
        Statement::new(sql::REVOKE_KEY, vec![id.into(), now.0.into()]),
        Statement::new(sql::EXPLAIN_REVOKE_KEY, vec![id.into()]),
    ];
    let rows = host::batch(host, &statements, deadline).await?;
    host::first::<KeyRow>(&rows, 1)?.map(Key::from).ok_or(ApiError::NotFound("key"))
}

/// One page of keys, newest first.
///
/// # Errors
/// 503.
pub async fn list_keys(host: &impl Host, deadline: i64, query: &KeysQuery) -> Result<Vec<Key>, ApiError> {
    let mut params = vec![query.before.unwrap_or(MAX_ID).into(), query.per_page.into()];
    let statement = match query.project_id {
        None => Statement::new(sql::LIST_KEYS, params),
        Some(project) => {
            params.push(project.into());
            Statement::new(sql::LIST_PROJECT_KEYS, params)
        }
    };
    let rows = host::batch(host, &[statement], deadline).await?;
    Ok(host::all::<KeyRow>(&rows, 0)?.into_iter().map(Key::from).collect())
}
