//! Requests and replies without a server: what cannot be had over HTTP, because the server under test is set up
//! otherwise or its database does not fail on demand.

use estop::http::error::ApiError;
use estop::http::operation::{Access, Operation};
use estop::http::reply::Reply;
use estop::http::request::{GitHub, Request};
use estop::key::LOCAL_DEMO;
use estop::operations::{OPERATIONS, cancel, find, openapi, session};
use estop::runtime::DbError;
use estop_protocol::run::State;
use serde_json::json;

use crate::world::{ADMIN, Ask, Fault, KEY, ORIGIN, World, body_of};

fn is_admin(operation: &Operation) -> bool {
    matches!(operation.access, Access::Admin(_))
}

#[test]
fn without_an_admin_token_the_admin_operations_do_not_exist() {
    let mut world = World::new();
    world.config.admin_token = None;
    let nowhere = Reply::error(&ApiError::NoSuchRoute, "request-1");
    let admin_operations: Vec<_> = OPERATIONS.iter().filter(|operation| is_admin(operation)).collect();
    assert!(!admin_operations.is_empty());
    for operation in admin_operations {
        for token in ["", "local-admin", ADMIN] {
            assert_eq!(world.send(&Ask::new(operation).about(1).with_key(token)), nowhere, "{}", operation.name());
        }
    }
    assert_eq!(world.runtime.batches.get(), 0);
}

#[test]
fn the_demo_key_opens_nothing_in_a_deployment_even_if_its_row_is_there() {
    let mut world = World::new();
    let run = world.run_in(State::Started);
    world.add_key(LOCAL_DEMO, 1, (1, 1, 1), None, None);
    let ask = || Ask::new(&cancel::OPERATION).about(run.id).with_key(LOCAL_DEMO);
    let reply = world.send(&ask());
    assert_eq!((reply.status, reply.outcome), (401, "unknown_key"));
    world.config.local = true;
    assert_eq!(world.send(&ask()).status, 200);
}

#[test]
fn a_database_that_fails_is_503_where_it_passes_and_500_where_it_is_a_bug_on_every_operation() {
    let passes = |error: DbError, seconds| (error, 503, Some(seconds));
    let bug = |error: DbError| (error, 500, None);
    for (error, status, retry_after) in [
        passes(DbError::Overloaded, "2"),
        passes(DbError::Deadline, "2"),
        passes(DbError::Upgrading, "5"),
        passes(DbError::SchemaTooOld(1), "5"),
        bug(DbError::Refused("CHECK constraint failed: a rule".to_owned())),
        bug(DbError::Unreadable("a/file.sql")),
        bug(DbError::Missing("no such column: k.nonsense".to_owned())),
    ] {
        let alone = [openapi::OPERATION.name(), session::SIGN_OUT.name()];
        let asks_the_database = |operation: &&Operation| !alone.contains(&operation.name());
        for operation in OPERATIONS.iter().filter(asks_the_database) {
            let world = World::new();
            let run = world.run_in(State::Started);
            world.runtime.faults.borrow_mut().push_back(Fault::BeforeCommit(error.clone()));
            let key = if is_admin(operation) { ADMIN } else { KEY };
            let ask = Ask::new(operation).about(run.id).with_key(key).body(&body_of(operation, &run));
            let reply = world.send(&ask);
            let what = format!("{}: {reply:?}", operation.name());
            assert_eq!((reply.status, reply.outcome), (status, error.name()), "{what}");
            let header = reply.headers.iter().find(|(name, _)| *name == "Retry-After").map(|(_, value)| value.as_str());
            assert_eq!(header, retry_after, "{what}");
            assert!(status == 503 || reply.body.contains("request-1"), "a bug is found by the request's id: {what}");
            for internal in ["SQL", "D1", "constraint", "column", ".sql"] {
                assert!(!reply.body.contains(internal), "{what}");
            }
            assert_eq!(status == 500, reply.detail.is_some() && error != DbError::SchemaTooOld(1), "{what}");
        }
    }
}

#[test]
fn a_bug_is_logged_with_its_statements_and_the_rule_that_they_broke() {
    let world = World::new();
    let run = world.run_in(State::Started);
    world
        .sql("CREATE TRIGGER broken BEFORE UPDATE OF state ON runs BEGIN SELECT RAISE(ABORT, 'a rule of a test'); END");
    let reply = world.ask(&cancel::OPERATION, run.id, &json!({"reason": "a secret"}));
    assert_eq!((reply.status, reply.outcome), (500, "d1_refused"));
    assert_eq!(reply.detail.as_deref(), Some("cancel/cancel.sql, cancel/diagnose.sql: a rule of a test"));
    assert_eq!(world.row(run.id).state, "started");
}

#[test]
fn a_cancel_that_takes_three_tries_says_200_once_and_means_it() {
    let world = World::new();
    let run = world.run_in(State::Started);
    let lost = Fault::AfterCommit(DbError::Transient);
    world.runtime.faults.borrow_mut().extend([lost, Fault::BeforeCommit(DbError::Transient)]);
    let reply = world.ask(&cancel::OPERATION, run.id, &json!({"reason": "why"}));
    assert_eq!((reply.status, reply.outcome, reply.run_id), (200, "cancelled", Some(run.id)));
    assert_eq!(world.row(run.id).cancel_reason.as_deref(), Some("why"));
}

#[test]
fn a_body_that_was_not_read_is_refused_before_the_database_is_asked() {
    let world = World::new();
    let run = world.run_in(State::Started);
    let request = Request {
        request_id: "request-1",
        id: &run.id.to_string(),
        query: "",
        client: None,
        authorization: Some(&format!("Bearer {KEY}")),
        cookie: None,
        origin: None,
        own_origin: ORIGIN,
        assertion: None,
        if_none_match: None,
        slugs: ("", ""),
        bookmark: None,
        idempotency_key: None,
        content_type: None,
        wants_websocket: false,
        github: GitHub::default(),
        lease: None,
        body: Err(&ApiError::BodyTooLarge(64 * 1024)),
        now: world.now.get(),
    };
    let before = world.runtime.batches.get();
    assert_eq!(world.answer(&cancel::OPERATION, &request).status, 413);
    assert_eq!(world.runtime.batches.get(), before);
}

#[test]
fn a_path_allows_the_methods_that_the_table_gives_it() {
    let allowed = |path: &str| match find("BREW", path).map(Operation::name) {
        Err(ApiError::MethodNotAllowed(allow)) => Some(allow),
        Err(ApiError::NoSuchRoute) => None,
        other => panic!("{path}: {other:?}"),
    };
    assert_eq!(allowed("/api/test-runs").as_deref(), Some("PUT, GET, HEAD"));
    assert_eq!(allowed("/api/test-runs/7/cancel").as_deref(), Some("POST"));
    assert_eq!(allowed("/api/keys/7").as_deref(), Some("DELETE"));
    assert_eq!(allowed("/api/projects/7").as_deref(), Some("PATCH"));
    assert_eq!(allowed("/api/badges/projects/shop/environments/staging.json").as_deref(), Some("GET, HEAD"));
    for nowhere in [
        "",
        "/",
        "/api",
        "/api/test-runs/",
        "/api/test-runs//cancel",
        "/api/test-runs/7/cancel/",
        "/api/test-runs/7/stop",
    ] {
        assert_eq!(allowed(nowhere), None, "{nowhere}");
    }
}

#[test]
fn a_word_of_the_table_is_no_id() {
    let served = |method, path| find(method, path).map(Operation::name).ok();
    assert_eq!(served("POST", "/api/test-runs/cancel").as_deref(), Some("POST /api/test-runs/cancel"));
    assert_eq!(served("GET", "/api/test-runs/cancel"), None);
    assert_eq!(
        served("HEAD", "/api/test-runs/x").as_deref(),
        Some("GET /api/test-runs/:id"),
        "a bad id is said to be one"
    );
}
