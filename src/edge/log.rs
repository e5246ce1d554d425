//! The log: one JSON line a request, one a tick. No line holds a key, a token, a body, a reason or the database's words.

use serde::Serialize;
use worker::console_log;

use super::d1::Usage;
use crate::api::{Reply, Route};
use crate::host::DbError;
use crate::sweep::Tally;
use crate::time::Timestamp;
use crate::wire::json;

#[derive(Serialize)]
struct RequestLine<'a> {
    log: &'static str,
    request_id: &'a str,
    route: Option<&'static str>,
    status: u16,
    outcome: &'static str,
    run_id: Option<i64>,
    ms: i64,
    d1: Option<Usage>,
}

/// The line of a request that was answered. It is written where the response is made.
pub fn request(request_id: &str, route: Option<Route>, reply: &Reply, ms: i64, d1: Option<Usage>) -> String {
    json(&RequestLine {
        log: "request",
        request_id,
        route: route.map(Route::name),
        status: reply.status,
        outcome: reply.outcome,
        run_id: reply.run_id,
        ms,
        d1,
    })
}

#[derive(Serialize)]
struct TickLine {
    log: &'static str,
    at: Timestamp,
    error: Option<&'static str>,
    swept: Tally,
    ms: i64,
    d1: Usage,
}

/// A tick of the sweeper.
pub fn tick(at: Timestamp, ms: i64, outcome: &Result<Tally, (Tally, DbError)>, d1: Usage) {
    let (swept, error) = match outcome {
        Ok(tally) => (*tally, None),
        Err((tally, error)) => (*tally, Some(error.name())),
    };
    write(&TickLine { log: "tick", at, error, swept, ms, d1 });
}

#[derive(Serialize)]
struct ComplaintLine<'a> {
    log: &'static str,
    message: &'a str,
}

/// A setting that could not be used.
pub fn complaint(message: &str) {
    write(&ComplaintLine { log: "config", message });
}

fn write(line: &impl Serialize) {
    console_log!("{}", json(line));
}
