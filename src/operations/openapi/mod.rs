//! `GET /openapi.json`: the contract, `openapi.yaml` as compact JSON (build.rs).

use crate::http::operation::{Access, Method, Operation, Outcome};
use crate::http::reply::Reply;
use crate::http::request::Call;

/// The document.
pub const DOCUMENT: &str = include_str!(concat!(env!("OUT_DIR"), "/openapi.json"));

pub const OPERATION: Operation =
    Operation { method: Method::Get, pattern: "/openapi.json", access: Access::Open(|call| Box::pin(answer(call))) };

async fn answer(_: &Call<'_>) -> Outcome {
    Ok(Reply::text(200, "ok", DOCUMENT.to_owned()))
}
