//! `POST /api/keys`, `GET /api/keys`, `DELETE /api/keys/{id}`.

use estop_protocol::keys::{CreateKeyRequest, Key, KeyList, Keys, NewKey, OneKey};
use estop_protocol::limits::{MAX_ID, NAME_CHARS};
use estop_protocol::time::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::buckets::Bucket;
use crate::database::Home;
use crate::http::check::{self, invalid, text};
use crate::http::error::ApiError;
use crate::http::operation::{Access, Method, Operation, Outcome};
use crate::http::query::Parameters;
use crate::http::reply::Reply;
use crate::http::request::Call;
use crate::http::write_id::{Mine, WriteId};
use crate::key::{PlainKey, Scope};
use crate::operations::directory;
use crate::operations::page::Page;
use crate::runtime::{DbError, Sql, Statement, random_id, sql};

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

const CREATE_KEY: Sql = sql!("admin/keys/create.sql");
pub(super) const DIAGNOSE_CREATE: Sql = sql!("admin/keys/diagnose_create.sql");
const LIST_KEYS: Sql = sql!("admin/keys/list.sql");
const LIST_OF_PROJECT: Sql = sql!("admin/keys/list_of_project.sql");
const REVOKE_KEY: Sql = sql!("admin/keys/revoke.sql");
const SHOW: Sql = sql!("admin/keys/show.sql");

/// Keys per page by default.
const DEFAULT_PER_PAGE: i64 = 50;

async fn create(call: &Call<'_>) -> Outcome {
    #[derive(Deserialize)]
    struct Made {
        mine: Mine,
        hash: String,
        salt: Option<String>,
        key: KeyRow,
    }
    let write_id = call.write_id()?;
    let request: CreateKeyRequest = call.body()?;
    let (project, user, expires_at) = check(&request, call.request.now)?;
    let salt = call.request.idempotency_key.map(|_| random_id(call.runtime));
    // The key's text says which bucket it is for.
    let bucket = directory::bucket(call, project).await?.ok_or(ApiError::NotFound("project"))?;
    call.home.set(Home::Bucket(bucket));
    let plain = plain_key(call, bucket, &write_id, salt.as_deref());
    let hash = plain.hash();
    let may = |scope| i64::from(request.scopes.contains(&scope)).into();
    // Without an Idempotency-Key a repeat is another key; only our own retries find it by its hash.
    let id = salt.as_ref().map(|_| write_id.id.as_str());
    let params = vec![
        project.into(),
        user.into(),
        request.name.as_str().into(),
        hash.as_str().into(),
        may(Scope::Read),
        may(Scope::Cancel),
        may(Scope::Run),
        expires_at.map(|at| at.0).into(),
        call.request.now.0.into(),
        id.into(),
        write_id.hash.as_str().into(),
        salt.as_deref().into(),
    ];
    let diagnosis = vec![hash.as_str().into(), id.into(), write_id.hash.as_str().into()];
    let rows = call.batch(vec![Statement::new(CREATE_KEY, params), Statement::new(DIAGNOSE_CREATE, diagnosis)]).await?;
    let made: Made = rows.first(1)?.ok_or(ApiError::NotFound("project"))?;
    made.mine.check()?;
    // A repeat finds the key that the first request made, with another salt than this one's.
    let plain =
        if made.hash == hash.as_str() { plain } else { plain_key(call, bucket, &write_id, made.salt.as_deref()) };
    if made.hash != plain.hash().as_str() {
        return Err(ApiError::Conflict(format!(
            "This Idempotency-Key made key {} under another admin token, and its text cannot be shown again. Revoke it and \
             create another, with another Idempotency-Key.",
            made.key.id
        )));
    }
    Ok(Reply::data("created", NewKey { key: made.key.into(), token: plain.reveal() }))
}

/// A new key: a random one or, with a salt, the one that belongs to this write.
fn plain_key(call: &Call<'_>, bucket: Bucket, write_id: &WriteId, salt: Option<&str>) -> PlainKey {
    match (salt, call.config.admin_token.as_deref()) {
        (Some(salt), Some(admin_token)) => PlainKey::derived(bucket, admin_token, salt, &write_id.id),
        _ => {
            let mut secret = [0; 32];
            call.runtime.random(&mut secret);
            PlainKey::from_random(bucket, secret)
        }
    }
}

/// Checks a request; gives the project, the user and when the key expires.
fn check(request: &CreateKeyRequest, now: Timestamp) -> Result<(i64, &str, Option<Timestamp>), ApiError> {
    let project = check::id("project_id", request.project_id, "a project's id")?;
    let user = request.user.trim();
    text("user", Some(user), NAME_CHARS)?;
    if user.chars().all(|c| c.is_whitespace() || is_invisible(c)) {
        return invalid("user", "expected a name that can be seen");
    }
    if looks_like_system(user) {
        let expected = "expected a name that does not begin with `system:`, which estop's own parts sign with";
        return invalid("user", expected);
    }
    text("name", Some(&request.name), NAME_CHARS)?;
    scopes(&request.scopes)?;
    Ok((project, user, expiry(request.expires_at.as_deref(), now)?))
}

/// Checks what a key may do.
pub(super) fn scopes(given: &[Scope]) -> Result<(), ApiError> {
    if given.is_empty() {
        return invalid("scopes", "expected at least one of `read`, `cancel`, `run`");
    }
    Ok(())
}

/// Checks when a key expires.
pub(super) fn expiry(given: Option<&str>, now: Timestamp) -> Result<Option<Timestamp>, ApiError> {
    match given.map(Timestamp::parse) {
        Some(None) => invalid("expires_at", "expected a date and time like 2026-11-22T09:30:00Z"),
        Some(Some(at)) if at <= now => invalid("expires_at", "expected a moment that is still to come"),
        Some(expires_at) => Ok(expires_at),
        None => Ok(None),
    }
}

/// Whether a person reads this name as one of estop's own parts, however it is written: in capitals, with spaces, or with
/// characters that nobody sees.
fn looks_like_system(user: &str) -> bool {
    let seen = user.chars().filter(|c| !c.is_whitespace() && !is_invisible(*c));
    // Of the letters beyond ASCII, ſ alone is one of these in capitals; the tables of all of them would be 20 KB of upload.
    seen.map(|c| if c == 'ſ' { 's' } else { c.to_ascii_lowercase() }).take(7).eq("system:".chars())
}

/// Characters without a glyph (Unicode, Default_Ignorable_Code_Point; those that can stand in a name).
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
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
    let rows: Vec<KeyRow> = match project {
        None => directory::page(call, page, statement).await?.iter().map(key).collect::<Result<_, _>>()?,
        Some(project) => {
            directory::go_to(call, project).await?;
            call.batch(vec![statement]).await?.all(0)?
        }
    };
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

fn key((_, row): &(i64, Box<RawValue>)) -> Result<KeyRow, DbError> {
    serde_json::from_str(row.get()).map_err(|_| DbError::Unreadable(LIST_KEYS.file))
}

/// A key as its row has it.
#[derive(Deserialize)]
pub(super) struct KeyRow {
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
    last_used_on: Option<String>,
    access: Option<String>,
    granted_by: Option<i64>,
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
            last_used_on: row.last_used_on,
            access: row.access,
            granted_by: row.granted_by,
        }
    }
}
