//! `GET /healthz`: the cheapest possible query, for health checks. It tells the schema's versions, how full the database
//! is, and the page whether people can sign in with Cloudflare Access.

use estop_protocol::health::{DatabaseSize, Health, SchemaVersions};

use crate::database::{ASK_VERSION, SCHEMA_VERSION, Version};
use crate::http::operation::{Access, Method, Operation, Outcome};
use crate::http::reply::Reply;
use crate::http::request::Call;
use crate::runtime::Statement;

pub const OPERATION: Operation =
    Operation { method: Method::Get, pattern: "/healthz", access: Access::Open(|call| Box::pin(answer(call))) };

async fn answer(call: &Call<'_>) -> Outcome {
    // It costs a round trip and needs no credential.
    call.count_against_address().await;
    let rows = call.batch(vec![Statement::new(ASK_VERSION, Vec::new())]).await?;
    let Version { version } = rows.only(0)?;
    let schema = SchemaVersions { worker: SCHEMA_VERSION, database: version };
    let database = DatabaseSize { bytes: call.database_bytes(), most_bytes: call.config.database_bytes };
    Ok(Reply::data("ok", Health { status: "ok".to_owned(), schema, access: call.config.access.is_some(), database }))
}
