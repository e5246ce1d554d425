//! `POST /api/keys`, `GET /api/keys`, `DELETE /api/keys/{id}`.

use estop_protocol::keys::{CreateKeyRequest, Key, KeyList, Keys, NewKey, OneKey};
use estop_protocol::limits::{MAX_ID, NAME_CHARS};
use estop_protocol::time::Timestamp;
use serde::Deserialize;

use crate::http::check::{self, invalid, text};
use crate::http::error::ApiError;
use crate::http::operation::{Access, Method, Operation, Outcome};
use crate::http::query::Parameters;
use crate::http::reply::Reply;
use crate::http::request::Call;
use crate::key::{PlainKey, Scope};
use crate::operations::page::Page;
use crate::runtime::{Sql, Statement};

/// Creates a key.
pub const CREATE: Operation =
    Operation { method: Method::Post, pattern: "/api/keys", access: Access::Admin(|call| Box::pin(create(call))) };

/// Lists keys.
pub const LIST: Operation =
    Operation { method: Method::Get, pattern: "/api/keys", access: Access::Admin(|call| Box::pin(list(call))) };

/// Revokes a key. Revoking it again changes nothing.
pub const REVOKE: Operation = Operation {
    method: Method::Delete,
    pattern: "/api/keys/:id",
    access: Access::Admin(|call| Box::pin(revoke(call))),
};

const CREATE_KEY: Sql = Sql { file: "admin/keys/create.sql", text: include_str!("create.sql") };
const DIAGNOSE_CREATE: Sql = Sql { file: "admin/keys/diagnose_create.sql", text: include_str!("diagnose_create.sql") };
const LIST_KEYS: Sql = Sql { file: "admin/keys/list.sql", text: include_str!("list.sql") };
const LIST_OF_PROJECT: Sql = Sql { file: "admin/keys/list_of_project.sql", text: include_str!("list_of_project.sql") };
const REVOKE_KEY: Sql = Sql { file: "admin/keys/revoke.sql", text: include_str!("revoke.sql") };
const SHOW: Sql = Sql { file: "admin/keys/show.sql", text: include_str!("show.sql") };

/// Keys per page by default.
const DEFAULT_PER_PAGE: i64 = 50;

async fn create(call: &Call<'_>) -> Outcome {
    let request: CreateKeyRequest = call.body()?;
    let (project, expires_at) = check(&request)?;
    let mut secret = [0; 32];
    call.runtime.random(&mut secret);
    let plain = PlainKey::from_random(secret);
    let hash = plain.hash();
    let may = |scope| i64::from(request.scopes.contains(&scope)).into();
    let params = vec![
        project.into(),
        request.user.as_str().into(),
        request.name.as_str().into(),
        hash.as_str().into(),
        may(Scope::Read),
        may(Scope::Cancel),
        may(Scope::Run),
        expires_at.map(|at| at.0).into(),
        call.request.now.0.into(),
    ];
    let rows = call
        .batch(vec![Statement::new(CREATE_KEY, params), Statement::new(DIAGNOSE_CREATE, vec![hash.as_str().into()])])
        .await?;
    let key = rows.first::<KeyRow>(1)?.ok_or(ApiError::NotFound("project"))?.into();
    Ok(Reply::data("created", NewKey { key, token: plain.reveal() }))
}

/// Checks a request; gives the project and when the key expires.
fn check(request: &CreateKeyRequest) -> Result<(i64, Option<Timestamp>), ApiError> {
    let project = check::id("project_id", request.project_id, "a project's id")?;
    text("user", Some(&request.user), NAME_CHARS)?;
    if request.user.starts_with("system:") {
        let expected = "expected a name that does not begin with `system:`, which estop's own parts sign with";
        return invalid("user", expected);
    }
    text("name", Some(&request.name), NAME_CHARS)?;
    if request.scopes.is_empty() {
        return invalid("scopes", "expected at least one of `read`, `cancel`, `run`");
    }
    match request.expires_at.as_deref().map(Timestamp::parse) {
        Some(None) => invalid("expires_at", "expected a date and time like 2026-11-22T09:30:00Z"),
        Some(expires_at) => Ok((project, expires_at)),
        None => Ok((project, None)),
    }
}

async fn list(call: &Call<'_>) -> Outcome {
    let mut given = Parameters::read(call.request.query)?;
    let project = given.number("project_id", 1, MAX_ID)?;
    let page = Page::take(&mut given, DEFAULT_PER_PAGE)?;
    given.end("project_id, before, per_page")?;
    let mut params = vec![page.before.into(), page.per_page.into()];
    let statement = match project {
        None => Statement::new(LIST_KEYS, params),
        Some(project) => {
            params.push(project.into());
            Statement::new(LIST_OF_PROJECT, params)
        }
    };
    let rows: Vec<KeyRow> = call.batch(vec![statement]).await?.all(0)?;
    let pagination = page.pagination(rows.iter().map(|key| key.id));
    let keys = rows.into_iter().map(Key::from).collect();
    Ok(Reply::ok("listed", &KeyList { data: Keys { keys }, pagination }))
}

async fn revoke(call: &Call<'_>) -> Outcome {
    let id = call.id()?;
    let rows = call
        .batch(vec![
            Statement::new(REVOKE_KEY, vec![id.into(), call.request.now.0.into()]),
            Statement::new(SHOW, vec![id.into()]),
        ])
        .await?;
    let key = rows.first::<KeyRow>(1)?.ok_or(ApiError::NotFound("key"))?.into();
    Ok(Reply::data("revoked", OneKey { key }))
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
