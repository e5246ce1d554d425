//! A project's webhooks: `…/api/projects/{id}/webhooks`, `…/api/webhooks/{id}` and `…/api/deliveries/{id}`. What is sent, and
//! when, is in [`crate::webhooks`].
//!
//! Where the Worker has no secret `WEBHOOK_SECRET`, these routes answer 404. The database writes what they answer, and it is
//! passed on as it is: to read it and to write it again would be 20 KB of the upload. Tests hold it to
//! [`estop_protocol::webhooks`].

use estop_protocol::limits::{BRANCH_PATTERN_BYTES, BRANCH_PATTERN_STARS, WEBHOOKS};
use estop_protocol::webhooks::{ChangeWebhookRequest, CreateWebhookRequest, WebhookEvent, WebhookFormat};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::http::check::invalid;
use crate::http::error::ApiError;
use crate::http::json;
use crate::http::operation::{Access, Method, Operation, Outcome};
use crate::http::reply::Reply;
use crate::http::request::Call;
use crate::http::write_id::Mine;
use crate::runtime::{Sql, Statement, sql};
use crate::webhooks::address;
use crate::webhooks::signature::{BOTH_SECRETS, Secret};

/// Creates a webhook.
pub const CREATE: Operation = Operation {
    method: Method::Post,
    pattern: "/api/projects/:id/webhooks",
    access: Access::Admin(|call| Box::pin(create(call))),
};

/// Lists a project's webhooks.
pub const LIST: Operation = Operation {
    method: Method::Get,
    pattern: "/api/projects/:id/webhooks",
    access: Access::Admin(|call| Box::pin(read(call, "listed", "webhooks", "project", LIST_WEBHOOKS))),
};

/// Shows a webhook.
pub const SHOW: Operation = Operation {
    method: Method::Get,
    pattern: "/api/webhooks/:id",
    access: Access::Admin(|call| Box::pin(read(call, "shown", "webhook", "webhook", SHOW_WEBHOOK))),
};

/// Changes a webhook, and switches it off and on.
pub const CHANGE: Operation = Operation {
    method: Method::Patch,
    pattern: "/api/webhooks/:id",
    access: Access::Admin(|call| Box::pin(change(call))),
};

/// Deletes a webhook. Deleting it again changes nothing.
pub const DELETE: Operation = Operation {
    method: Method::Delete,
    pattern: "/api/webhooks/:id",
    access: Access::Admin(|call| Box::pin(delete(call))),
};

/// Gives a webhook a new secret.
pub const ROTATE: Operation = Operation {
    method: Method::Post,
    pattern: "/api/webhooks/:id/rotate",
    access: Access::Admin(|call| Box::pin(rotate(call))),
};

/// Lists what a webhook was sent last.
pub const DELIVERIES: Operation = Operation {
    method: Method::Get,
    pattern: "/api/webhooks/:id/deliveries",
    access: Access::Admin(|call| Box::pin(read(call, "listed", "deliveries", "webhook", LIST_DELIVERIES))),
};

/// Sends a webhook a test event.
pub const TEST: Operation = Operation {
    method: Method::Post,
    pattern: "/api/webhooks/:id/test",
    access: Access::Admin(|call| Box::pin(test(call))),
};

/// Sends once more what was delivered or given up.
pub const REDELIVER: Operation = Operation {
    method: Method::Post,
    pattern: "/api/deliveries/:id/redeliver",
    access: Access::Admin(|call| Box::pin(redeliver(call))),
};

const CREATE_WEBHOOK: Sql = sql!("admin/webhooks/create.sql");
const DIAGNOSE_CREATE: Sql = sql!("admin/webhooks/diagnose_create.sql");
const LIST_WEBHOOKS: Sql = sql!("admin/webhooks/list.sql");
const SHOW_WEBHOOK: Sql = sql!("admin/webhooks/show.sql");
const CHANGE_WEBHOOK: Sql = sql!("admin/webhooks/change.sql");
const DIAGNOSE_CHANGE: Sql = sql!("admin/webhooks/diagnose_change.sql");
const DELETE_WEBHOOK: Sql = sql!("admin/webhooks/delete.sql");
const FORGET_DELIVERIES: Sql = sql!("admin/webhooks/forget_deliveries.sql");
const MARK_REST: Sql = sql!("admin/webhooks/mark_rest.sql");
const EXISTS: Sql = sql!("admin/webhooks/exists.sql");
const ROTATE_SECRET: Sql = sql!("admin/webhooks/rotate.sql");
const DIAGNOSE_ROTATE: Sql = sql!("admin/webhooks/diagnose_rotate.sql");
const LIST_DELIVERIES: Sql = sql!("admin/webhooks/deliveries.sql");
const WRITE_TEST: Sql = sql!("admin/webhooks/test.sql");
const DIAGNOSE_TEST: Sql = sql!("admin/webhooks/diagnose_test.sql");
const WRITE_AGAIN: Sql = sql!("admin/webhooks/redeliver.sql");
const DIAGNOSE_REDELIVER: Sql = sql!("admin/webhooks/diagnose_redeliver.sql");

/// What came of a request, as its last statement says.
#[derive(Deserialize)]
struct Row {
    /// Whether the change is of this very request.
    mine: Option<Mine>,
    /// Whether the environment is one of the project's.
    known: Option<bool>,
    /// Whether the delivery to be sent once more is done with.
    over: Option<bool>,
    /// The webhook, or what the path names; a row without it is none of ours.
    id: i64,
    generation: Option<i64>,
    /// What is answered.
    item: Option<Box<RawValue>>,
}

/// The Worker's secret, and the id in the path.
fn begin<'a>(call: &Call<'a>) -> Result<(&'a str, i64), ApiError> {
    let secret = call.config.webhook_secret.as_deref().ok_or(ApiError::NoSuchRoute)?;
    Ok((secret, call.id()?))
}

/// Runs a batch, whose last statement gives a [`Row`] if there is what the path names.
async fn ask(call: &Call<'_>, what: &'static str, statements: Vec<Statement<'_>>) -> Result<Row, ApiError> {
    let last = statements.len().saturating_sub(1);
    call.batch(statements).await?.first(last)?.ok_or(ApiError::NotFound(what))
}

/// An answer with one thing in it, and the secret if it is new.
fn answer(outcome: &'static str, name: &str, item: Option<&RawValue>, secret: Option<&str>) -> Reply {
    let item = item.map_or("null", RawValue::get);
    let secret = secret.map(|secret| format!(r#","secret":"{secret}""#)).unwrap_or_default();
    Reply::text(200, outcome, format!(r#"{{"data":{{"{name}":{item}{secret}}}}}"#))
}

async fn create(call: &Call<'_>) -> Outcome {
    let (secret, project) = begin(call)?;
    let write_id = call.write_id()?;
    let CreateWebhookRequest { url, events, environment, branch, format } = call.body()?;
    let url = checked_url(call, &url)?;
    let events = checked_events(events.as_deref().unwrap_or(WebhookEvent::ALL))?;
    check_branch(branch.as_deref())?;
    let format = format.unwrap_or(WebhookFormat::Standard).name();
    let environment = environment.as_deref();
    let (id, hash) = (write_id.id.as_str(), write_id.hash.as_str());
    let params = vec![
        project.into(),
        url.as_str().into(),
        events.as_str().into(),
        environment.into(),
        branch.as_deref().into(),
        format.into(),
        call.request.own_origin.into(),
        call.request.now.0.into(),
        id.into(),
        hash.into(),
    ];
    let diagnosis = vec![project.into(), environment.into(), id.into(), hash.into()];
    let statements = vec![Statement::new(CREATE_WEBHOOK, params), Statement::new(DIAGNOSE_CREATE, diagnosis)];
    let row = ask(call, "project", statements).await?;
    if row.mine.is_none() {
        check_known(&row)?;
        let full = format!("The project has {WEBHOOKS} webhooks, which is as many as it may. Delete one.");
        return Err(ApiError::Conflict(full));
    }
    with_secret("created", secret, &row)
}

/// The answer with the secret.
fn with_secret(outcome: &'static str, secret: &str, row: &Row) -> Outcome {
    row.mine.map(Mine::check).transpose()?;
    let secret = Secret::derived(secret, row.id, row.generation.unwrap_or(0)).reveal();
    Ok(answer(outcome, "webhook", row.item.as_deref(), Some(&secret)))
}

fn check_known(row: &Row) -> Result<(), ApiError> {
    if row.known == Some(false) {
        return invalid("environment", "expected the slug of one of the project's environments");
    }
    Ok(())
}

fn checked_url(call: &Call<'_>, url: &str) -> Result<String, ApiError> {
    address::check(call.runtime, url, call.config.local).or_else(|expected| invalid("url", expected))
}

/// The events as they are stored: each once.
fn checked_events(events: &[WebhookEvent]) -> Result<String, ApiError> {
    let wanted: Vec<&str> =
        WebhookEvent::ALL.iter().filter(|event| events.contains(event)).map(|event| event.name()).collect();
    if wanted.is_empty() {
        return invalid("events", "expected at least one");
    }
    Ok(json(&wanted))
}

/// A GLOB pattern of SQLite's: `*` is any characters, `?` any one, `[a-c]` one of these.
fn check_branch(pattern: Option<&str>) -> Result<(), ApiError> {
    let Some(pattern) = pattern else { return Ok(()) };
    let stars = pattern.matches('*').count();
    let fits = (1..=BRANCH_PATTERN_BYTES).contains(&pattern.len()) && stars <= BRANCH_PATTERN_STARS;
    if !fits || pattern.chars().any(char::is_control) {
        let expected = format!(
            "expected a pattern of 1 to {BRANCH_PATTERN_BYTES} bytes, like `release/*`, with at most {BRANCH_PATTERN_STARS} `*`"
        );
        return invalid("branch", &expected);
    }
    Ok(())
}

async fn read(call: &Call<'_>, outcome: &'static str, name: &str, what: &'static str, sql: Sql) -> Outcome {
    let (_, id) = begin(call)?;
    let row = ask(call, what, vec![Statement::new(sql, vec![id.into()])]).await?;
    Ok(answer(outcome, name, row.item.as_deref(), None))
}

async fn change(call: &Call<'_>) -> Outcome {
    let (_, id) = begin(call)?;
    let ChangeWebhookRequest { url, events, environment, branch, format, disabled } = call.body()?;
    let url = url.map(|url| checked_url(call, &url)).transpose()?;
    let events = events.map(|events| checked_events(&events)).transpose()?;
    let (slug, pattern) = (environment.as_ref().and_then(Option::as_deref), branch.as_ref().and_then(Option::as_deref));
    check_branch(pattern)?;
    let params = vec![
        id.into(),
        url.as_deref().into(),
        events.as_deref().into(),
        format.map(WebhookFormat::name).into(),
        i64::from(environment.is_some()).into(),
        slug.into(),
        i64::from(branch.is_some()).into(),
        pattern.into(),
        disabled.map(i64::from).into(),
        call.request.now.0.into(),
    ];
    let diagnosis = vec![id.into(), slug.into()];
    let statements = vec![Statement::new(CHANGE_WEBHOOK, params), Statement::new(DIAGNOSE_CHANGE, diagnosis)];
    let row = ask(call, "webhook", statements).await?;
    check_known(&row)?;
    Ok(answer("changed", "webhook", row.item.as_deref(), None))
}

async fn delete(call: &Call<'_>) -> Outcome {
    let (_, id) = begin(call)?;
    let now = call.request.now.0;
    let statements = vec![
        Statement::new(DELETE_WEBHOOK, vec![id.into(), now.into()]),
        Statement::new(FORGET_DELIVERIES, vec![id.into()]),
        Statement::new(MARK_REST, vec![id.into(), now.into()]),
        Statement::new(EXISTS, vec![id.into()]),
    ];
    ask(call, "webhook", statements).await?;
    Ok(Reply::nothing("deleted"))
}

/// What `write` and then `diagnose` make of a request that says nothing but which one: both know its write's id and hash.
/// `moment` is what the first needs to know of the time.
async fn act(call: &Call<'_>, what: &'static str, moment: i64, write: Sql, diagnose: Sql) -> Result<Row, ApiError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}
    let (_, id) = begin(call)?;
    let write_id = call.write_id()?;
    call.body::<Nothing>()?;
    let (key, hash) = (write_id.id.as_str(), write_id.hash.as_str());
    let params = vec![id.into(), moment.into(), key.into(), hash.into()];
    let diagnosis = vec![id.into(), key.into(), hash.into()];
    ask(call, what, vec![Statement::new(write, params), Statement::new(diagnose, diagnosis)]).await
}

async fn rotate(call: &Call<'_>) -> Outcome {
    let (secret, _) = begin(call)?;
    let both_until = call.request.now.plus(BOTH_SECRETS).0;
    let row = act(call, "webhook", both_until, ROTATE_SECRET, DIAGNOSE_ROTATE).await?;
    with_secret("rotated", secret, &row)
}

async fn test(call: &Call<'_>) -> Outcome {
    let row = act(call, "webhook", call.request.now.0, WRITE_TEST, DIAGNOSE_TEST).await?;
    written(call, "tested", &row)
}

async fn redeliver(call: &Call<'_>) -> Outcome {
    let row = act(call, "delivery", call.request.now.0, WRITE_AGAIN, DIAGNOSE_REDELIVER).await?;
    written(call, "redelivered", &row)
}

/// The answer to a test and to a redelivery, which goes out once it is given.
fn written(call: &Call<'_>, outcome: &'static str, row: &Row) -> Outcome {
    let Some(mine) = row.mine else {
        let why = match row.over {
            Some(false) => "This delivery is still to come by itself: `next_attempt_at` says when.",
            _ => "The webhook is switched off. Switch it on first: set `disabled` to false.",
        };
        return Err(ApiError::Conflict(why.to_owned()));
    };
    mine.check()?;
    call.database().deliver();
    Ok(answer(outcome, "delivery", row.item.as_deref(), None))
}
