//! `POST /api/people`: lets a person in who signs in with Cloudflare Access, or all people of a domain.
//!
//! A person is a row of `keys` whose text nobody has: every statement judges it as it does any key, and it is listed and
//! revoked like one. The row that a domain's people come in by acts for nobody itself; each of them gets a row of their own when
//! they first sign in ([`crate::operations::access`]), so that the record has their address.
//!
//! Whom an admin lets in again gets another row with another hash. So the sessions of the revoked one stay over.

use estop_protocol::keys::OneKey;
use estop_protocol::people::AdmitRequest;
use serde::Deserialize;

use super::keys::{DIAGNOSE_CREATE, KeyRow, expiry, scopes};
use crate::access::address;
use crate::http::check::{self, invalid};
use crate::http::error::ApiError;
use crate::http::operation::{Access, Method, Operation, Outcome};
use crate::http::reply::Reply;
use crate::http::request::Call;
use crate::http::write_id::Mine;
use crate::key::{KeyHash, Scope};
use crate::operations::directory;
use crate::runtime::{Sql, Statement, sql};

/// Lets a person or a domain's people in.
pub const ADMIT: Operation =
    Operation { method: Method::Post, pattern: "/api/people", access: Access::Admin(|call| Box::pin(admit(call))) };

const REPLACE: Sql = sql!("admin/people/replace.sql");
const CREATE: Sql = sql!("admin/people/create.sql");

async fn admit(call: &Call<'_>) -> Outcome {
    #[derive(Deserialize)]
    struct Made {
        mine: Mine,
        key: KeyRow,
    }
    let write_id = call.write_id()?;
    let request: AdmitRequest = call.body()?;
    let project = check::id("project_id", request.project_id, "a project's id")?;
    let Some(address) = address(&request.address) else {
        return invalid(
            "address",
            "expected a person's address like ada@example.com, or @example.com for all of a domain",
        );
    };
    scopes(&request.scopes)?;
    let expires_at = expiry(request.expires_at.as_deref(), call.request.now)?;
    let hash = KeyHash::of(&format!("access:{project}:{address}:{}", write_id.id));
    let id = call.request.idempotency_key.map(|_| write_id.id.as_str());
    let (address, now, written) = (address.as_str(), call.request.now.0, write_id.hash.as_str());
    let may = |scope: Scope| i64::from(request.scopes.contains(&scope)).into();
    let replace = vec![project.into(), address.into(), now.into(), hash.as_str().into(), id.into()];
    let create = vec![
        project.into(),
        address.into(),
        hash.as_str().into(),
        may(Scope::Read),
        may(Scope::Cancel),
        may(Scope::Run),
        expires_at.map(|at| at.0).into(),
        now.into(),
        id.into(),
        written.into(),
    ];
    let diagnosis = vec![hash.as_str().into(), id.into(), written.into()];
    directory::go_to(call, project).await?;
    let rows = call
        .batch(vec![
            Statement::new(REPLACE, replace),
            Statement::new(CREATE, create),
            Statement::new(DIAGNOSE_CREATE, diagnosis),
        ])
        .await?;
    let Made { mine, key } = rows.first(2)?.ok_or(ApiError::NotFound("project"))?;
    mine.check()?;
    Ok(Reply::data("admitted", OneKey { key: key.into() }))
}
