//! One room for each operation: its row of the table, its checks, its statements, its outcome and its reply.

pub mod access;
pub mod admin;
pub mod analytics;
pub mod badge;
pub mod bulk_cancel;
pub mod cancel;
pub mod cancels;
pub mod claim;
pub mod directory;
pub mod environments;
pub mod events;
pub mod export;
pub mod failures;
pub mod finish;
pub mod github;
pub mod health;
pub mod heartbeat;
pub mod kill;
pub mod list;
pub mod openapi;
mod over;
mod page;
pub mod register;
pub mod session;
pub mod show;
pub mod watch;

use std::cell::Cell;

use crate::http::caller::Caller;
use crate::http::error::ApiError;
use crate::http::operation::{Access, Operation, Outcome};
use crate::http::reply::Reply;
use crate::http::request::Call;
use crate::runtime::LocalFuture;

/// **The table**: everything that can be asked for. The edge's Router is made from it, and so are 405's `Allow`, the tests'
/// matrices and the check that `openapi.yaml` describes exactly these.
pub static OPERATIONS: &[Operation] = &[
    cancel::OPERATION,
    register::OPERATION,
    list::OPERATION,
    show::OPERATION,
    events::OPERATION,
    failures::OPERATION,
    claim::OPERATION,
    heartbeat::OPERATION,
    finish::OPERATION,
    kill::OPERATION,
    watch::RUN,
    watch::PROJECT,
    bulk_cancel::OPERATION,
    cancels::OPERATION,
    analytics::OPERATION,
    environments::OPERATION,
    export::OPERATION,
    session::SIGN_IN,
    session::SHOW,
    session::SIGN_OUT,
    access::OPERATION,
    admin::projects::CREATE,
    admin::projects::LIST,
    admin::projects::CHANGE,
    admin::projects::LIMIT,
    admin::environments::CREATE,
    admin::environments::LIST,
    admin::environments::CHANGE,
    admin::keys::CREATE,
    admin::keys::LIST,
    admin::keys::REVOKE,
    admin::people::ADMIT,
    admin::events::LIST,
    admin::webhooks::CREATE,
    admin::webhooks::LIST,
    admin::webhooks::SHOW,
    admin::webhooks::CHANGE,
    admin::webhooks::DELETE,
    admin::webhooks::ROTATE,
    admin::webhooks::DELIVERIES,
    admin::webhooks::TEST,
    admin::webhooks::REDELIVER,
    admin::buckets::LIST,
    admin::buckets::MOVE,
    admin::buckets::CALL_OFF,
    badge::OPERATION,
    github::OPERATION,
    openapi::OPERATION,
    health::OPERATION,
];

/// Answers a request. Every refusal is a [`Reply`] too: nothing that a client sends makes this fail.
pub async fn answer(call: &Call<'_>) -> Reply {
    let key_id = Cell::new(None);
    let outcome = admit(call, &key_id).await;
    let blocks = outcome.as_ref().is_err_and(ApiError::is_unauthenticated) && !call.count_against_address().await;
    // Once an address is refused, a line for each of its requests would cost more than the requests.
    let is_blocked = matches!(outcome, Err(ApiError::TooManyRefusals(_)));
    let mut reply = outcome.unwrap_or_else(|error| {
        let about_a_run = call.operation.pattern.starts_with("/api/test-runs/:id");
        let run_id = call.id().ok().filter(|_| about_a_run).unwrap_or(0);
        Reply::error(&error, call.request.request_id).about(run_id)
    });
    reply.key_id = key_id.get().or(reply.key_id);
    reply.is_routine |= is_blocked;
    if blocks {
        reply.detail = Some("its address is refused from now on, for a minute".to_owned());
    }
    reply
}

async fn admit(call: &Call<'_>, key_id: &Cell<Option<i64>>) -> Outcome {
    match call.operation.access {
        Access::Open(handle) => {
            call.check_address(None)?;
            handle(call).await
        }
        Access::Lease(handle) => handle(call).await,
        Access::Admin(handle) => {
            call.check_admin()?;
            directory::find(call).await?;
            handle(call).await
        }
        Access::LeaseOrKey(handle_lease, _, handle) => match call.request.lease {
            Some(token) => handle_lease(call, token).await,
            None => with_key(call, key_id, handle).await,
        },
        Access::Key(_, handle) => with_key(call, key_id, handle).await,
        Access::GitHub(handle) => {
            call.check_github()?;
            handle(call).await
        }
        Access::Session(handle) => {
            call.session_secret()?;
            with_key(call, key_id, handle).await
        }
    }
}

async fn with_key(
    call: &Call<'_>,
    key_id: &Cell<Option<i64>>,
    handle: for<'a> fn(&'a Call<'a>, &'a Caller<'a>) -> LocalFuture<'a, Outcome>,
) -> Outcome {
    let (key, session_ends) = call.key().await.inspect_err(|_| key_id.set(call.known_key_id()))?;
    let outcome = handle(call, &Caller { key: &key, now: call.request.now, session_ends, key_id }).await;
    if let (Ok(_), Some(id)) = (&outcome, key_id.get()) {
        call.runtime.accepted().add(key.as_str(), id, call.request.now.0);
        call.runtime.noted().add(&key, call.request.now);
    }
    outcome
}

/// The operations of a path, one a method: those of a pattern without an id, if one matches, and else of those with one.
fn at(path: &str) -> impl Iterator<Item = &'static Operation> {
    let literal = OPERATIONS.iter().any(|operation| operation.pattern == path);
    OPERATIONS.iter().filter(move |operation| if literal { operation.pattern == path } else { operation.serves(path) })
}

/// The operation that serves this method at this path, or the refusal: 404, or 405 with the methods that the path takes
/// (RFC 9110 section 10.2.1).
///
/// # Errors
/// [`ApiError::NoSuchRoute`] or [`ApiError::MethodNotAllowed`].
pub fn find(method: &str, path: &str) -> Result<&'static Operation, ApiError> {
    if let Some(operation) = at(path).find(|operation| operation.method.names().contains(&method)) {
        return Ok(operation);
    }
    let allowed: Vec<&str> = at(path).flat_map(|operation| operation.method.names()).copied().collect();
    Err(if allowed.is_empty() { ApiError::NoSuchRoute } else { ApiError::MethodNotAllowed(allowed.join(", ")) })
}
