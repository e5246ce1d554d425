//! `POST /api/session`, `GET /api/session`, `DELETE /api/session`: a person signs in to the page with a key, sees as whom,
//! and signs out. Nothing is stored: the cookie says it all ([`crate::session`]).

use estop_protocol::session::SignInRequest;
use estop_protocol::time::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::database::Home;
use crate::http::caller::{Caller, Key};
use crate::http::error::ApiError;
use crate::http::operation::{Access, Method, Operation, Outcome};
use crate::http::reply::Reply;
use crate::http::request::Call;
use crate::key::{KeyHash, Scope};
use crate::runtime::{DbError, Sql, Statement, sql};
use crate::session::{LASTS, Session};

/// Signs in. The key is in the body, where no form and no link of another page can put it.
pub const SIGN_IN: Operation =
    Operation { method: Method::Post, pattern: "/api/session", access: Access::Open(|call| Box::pin(sign_in(call))) };

/// Who is signed in.
pub const SHOW: Operation = Operation {
    method: Method::Get,
    pattern: "/api/session",
    access: Access::Session(|call, caller| Box::pin(show(call, caller))),
};

/// Signs out.
pub const SIGN_OUT: Operation = Operation {
    method: Method::Delete,
    pattern: "/api/session",
    access: Access::Open(|call| Box::pin(sign_out(call))),
};

const SESSION: Sql = sql!("session/session.sql");

/// [`estop_protocol::session::SessionState`] as the database writes it.
#[derive(Deserialize)]
struct Row {
    key: Key,
    state: Option<Box<RawValue>>,
}

async fn sign_in(call: &Call<'_>) -> Outcome {
    let secret = call.session_secret()?;
    let SignInRequest { key } = call.body()?;
    call.check_origin()?;
    let key = call.plain_key(&key)?;
    call.check_rate(&key).await?;
    call.home.set(Home::Bucket(key.bucket));
    let Row { key: verdict, .. } = ask(call, &key, None).await?;
    verdict.check(Scope::Read)?;
    let now = call.request.now;
    call.runtime.accepted().add(key.as_str(), verdict.id(), now.0);
    let session = Session { key, ends: now.plus(LASTS) };
    let headers = vec![("Set-Cookie", session.cookie(secret))];
    Ok(Reply { headers, key_id: Some(verdict.id()), ..Reply::nothing("signed_in") })
}

async fn show(call: &Call<'_>, caller: &Caller<'_>) -> Outcome {
    let Row { key, state } = ask(call, caller.key, caller.session_ends).await?;
    caller.check(key, Scope::Read)?;
    let state = state.ok_or(DbError::Unreadable(SESSION.file))?;
    Ok(Reply::data("shown", state))
}

async fn sign_out(call: &Call<'_>) -> Outcome {
    call.session_secret()?;
    call.check_origin()?;
    Ok(Reply { headers: vec![("Set-Cookie", Session::end())], ..Reply::nothing("signed_out") })
}

/// The statement asks for no scope, so none is ever missing.
async fn ask(call: &Call<'_>, key: &KeyHash, ends: Option<Timestamp>) -> Result<Row, ApiError> {
    let ends = ends.map(|ends| ends.to_string());
    let grace = call.config.stop_grace_seconds;
    let params = vec![key.as_str().into(), call.request.now.0.into(), ends.as_deref().into(), grace.into()];
    Ok(call.batch(vec![Statement::new(SESSION, params)]).await?.only(0)?)
}
