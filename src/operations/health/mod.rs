//! `GET /healthz`: the cheapest possible query, for health checks. It tells the schema's versions, how full the databases
//! are, and the page whether people can sign in with Cloudflare Access.

use estop_protocol::envelope::ErrorDetail;
use estop_protocol::health::{DatabaseHealth, DatabaseSize, Health, SchemaVersions, Unhealthy};

use crate::database::{ASK_VERSION, SCHEMA_VERSION, Version};
use crate::http::error::ApiError;
use crate::http::json;
use crate::http::operation::{Access, Method, Operation, Outcome};
use crate::http::reply::Reply;
use crate::http::request::Call;
use crate::operations::directory::{everywhere, several};
use crate::runtime::Statement;

pub const OPERATION: Operation =
    Operation { method: Method::Get, pattern: "/healthz", access: Access::Open(|call| Box::pin(answer(call))) };

async fn answer(call: &Call<'_>) -> Outcome {
    // It costs round trips and needs no credential.
    call.count_against_address().await;
    let (mut databases, mut failure, mut first) = (Vec::new(), None, 0);
    for (number, answer) in everywhere(call, &[Statement::new(ASK_VERSION, Vec::new())]).await {
        let (status, schema) = match answer.and_then(|rows| rows.only(0)) {
            Ok(Version { version }) => ("ok", Some(version)),
            Err(error) => {
                failure = failure.or(Some((number, error)));
                ("unavailable", None)
            }
        };
        if number == 0 {
            first = schema.unwrap_or(0);
        }
        let bytes = call.runtime.database_bytes(number);
        databases.push(DatabaseHealth { number, status: status.to_owned(), schema, bytes });
    }
    let several = several(call);
    match failure {
        None => {
            let schema = SchemaVersions { worker: SCHEMA_VERSION, database: first };
            let database = DatabaseSize { bytes: call.database_bytes(), most_bytes: call.config.database_bytes };
            let (status, access) = ("ok".to_owned(), call.config.access.is_some());
            let databases = several.then_some(databases);
            Ok(Reply::data("ok", Health { status, schema, access, database, databases }))
        }
        Some((number, error)) if several => {
            let error = ApiError::from(error);
            let reply = Reply::error(&error, call.request.request_id);
            let error = ErrorDetail { message: error.message(call.request.request_id) };
            let detail = format!("the database of number {number}. {}", reply.detail.unwrap_or_default());
            Ok(Reply {
                body: json(&Unhealthy { data: (), error, access: call.config.access.is_some(), databases }),
                detail: Some(detail),
                ..reply
            })
        }
        Some((_, error)) => Err(error.into()),
    }
}
