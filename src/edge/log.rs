//! The log: one JSON line per request (but for heartbeats that change nothing) and one per tick of a database. No line holds a key, a token, a body, a reason or the database's words.

use std::cell::Cell;

use estop_protocol::health::DatabaseSize;
use estop_protocol::time::Timestamp;
use serde::Serialize;
use worker::console_log;

use super::d1::Usage;
use crate::archive;
use crate::http::json;
use crate::http::operation::Operation;
use crate::http::reply::Reply;
use crate::runtime::DbError;
use crate::sweeper::Tally;
use crate::webhooks;

#[derive(Serialize)]
struct RequestLine<'a> {
    log: &'static str,
    request_id: &'a str,
    route: Option<String>,
    status: u16,
    outcome: &'static str,
    run_id: Option<i64>,
    key_id: Option<i64>,
    ms: i64,
    d1: Option<Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

/// A request that was answered; without an operation, none serves its path and method.
pub fn request(request_id: &str, served: Option<(&Operation, Usage)>, reply: &Reply, ms: i64) {
    write(&RequestLine {
        log: "request",
        request_id,
        route: served.map(|(operation, _)| operation.name()),
        status: reply.status,
        outcome: reply.outcome,
        run_id: reply.run_id,
        key_id: reply.key_id,
        ms,
        d1: served.map(|(_, usage)| usage),
        detail: reply.detail.as_deref(),
    });
}

/// Which database.
#[derive(Serialize)]
struct Numbered {
    number: i64,
}

#[derive(Serialize)]
struct Sized {
    number: i64,
    bytes: Option<i64>,
    most_bytes: i64,
}

#[derive(Serialize)]
struct TickLine {
    log: &'static str,
    at: Timestamp,
    error: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    swept: Tally,
    ms: i64,
    d1: Usage,
    database: Sized,
}

/// A tick of the sweeper in the database of this number.
pub fn tick(
    at: Timestamp,
    number: i64,
    ms: i64,
    outcome: &Result<Tally, (Tally, DbError)>,
    d1: Usage,
    size: DatabaseSize,
) {
    let database = Sized { number, bytes: size.bytes, most_bytes: size.most_bytes };
    let (swept, error) = match outcome {
        Ok(tally) => (*tally, None),
        Err((tally, error)) => (*tally, Some(error)),
    };
    let detail = error.and_then(DbError::detail);
    write(&TickLine { log: "tick", at, error: error.map(DbError::name), detail, swept, ms, d1, database });
}

#[derive(Serialize)]
struct NoTickLine {
    log: &'static str,
    at: Timestamp,
    error: &'static str,
    database: Numbered,
}

/// A tick that a database did not have.
pub fn no_tick(at: Timestamp, number: i64, error: &'static str) {
    write(&NoTickLine { log: "tick", at, error, database: Numbered { number } });
}

thread_local! {
    static HUB_FAILURES: Cell<u32> = const { Cell::new(0) };
}

#[derive(Serialize)]
struct HubLine {
    log: &'static str,
    outcome: &'static str,
    project_id: i64,
    failures: u32,
}

/// A hub that could not be told, and how many were not by this isolate so far.
pub fn hub_not_told(project_id: i64) {
    let failures = HUB_FAILURES.get().saturating_add(1);
    HUB_FAILURES.set(failures);
    write(&HubLine { log: "hub", outcome: "not_told", project_id, failures });
}

#[derive(Serialize)]
struct DeliveriesLine {
    log: &'static str,
    error: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    attempts: webhooks::Tally,
    d1: Usage,
    database: Numbered,
}

/// What went out to webhooks, after an answer or with a tick.
pub fn deliveries(number: i64, outcome: &Result<webhooks::Tally, (webhooks::Tally, DbError)>, d1: Usage) {
    let database = Numbered { number };
    let (attempts, error) = match outcome {
        Ok(tally) => (*tally, None),
        Err((tally, error)) => (*tally, Some(error)),
    };
    let detail = error.and_then(DbError::detail);
    write(&DeliveriesLine { log: "webhooks", error: error.map(DbError::name), detail, attempts, d1, database });
}

#[derive(Serialize)]
struct ArchiveLine {
    log: &'static str,
    error: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<archive::Tally>,
    d1: Usage,
    database: Numbered,
}

/// What went to the archive with a tick, if anything did.
pub fn archive(number: i64, outcome: &Result<Option<archive::Tally>, DbError>, d1: Usage) {
    let database = Numbered { number };
    let (step, error) = match outcome {
        Ok(None) => return,
        Ok(step) => (*step, None),
        Err(error) => (None, Some(error)),
    };
    let bucket = step.is_some_and(|step| step.bucket_failed).then_some("no_archive");
    let detail = error.and_then(DbError::detail);
    write(&ArchiveLine { log: "archive", error: error.map(DbError::name).or(bucket), detail, step, d1, database });
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
