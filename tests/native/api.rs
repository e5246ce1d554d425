//! Requests and replies without a server: what cannot be had over HTTP, because the server under test is set up
//! otherwise or its database does not fail on demand.

use estop::api::{ROUTES, Reply, Request, Route, handle};
use estop::error::ApiError;
use estop::host::DbError;
use estop::key::LOCAL_DEMO;
use estop::run::State;
use pollster::block_on;
use serde_json::Value;

use crate::world::{Fault, KEY, World};

fn request<'a>(world: &World, route: Route, id: &'a str, authorization: &'a str, body: &'a str) -> Request<'a> {
    Request {
        route,
        id,
        query: "",
        authorization: Some(authorization),
        idempotency_key: None,
        content_type: Some("application/json"),
        body: Ok(body.as_bytes()),
        now: world.now.get(),
    }
}

fn send(world: &World, route: Route, id: &str, authorization: &str, body: &str) -> Reply {
    block_on(handle(&world.host, &world.config, &request(world, route, id, authorization, body)))
}

const ADMIN_ROUTES: [Route; 6] = [
    Route::CreateProject,
    Route::SetConcurrency,
    Route::CreateEnvironment,
    Route::CreateKey,
    Route::ListKeys,
    Route::RevokeKey,
];

#[test]
fn without_an_admin_token_the_admin_routes_do_not_exist() {
    let world = World::new();
    let nowhere = Reply::from(ApiError::NoSuchRoute);
    for route in ADMIN_ROUTES {
        for header in ["Bearer ", "Bearer local-admin", ""] {
            assert_eq!(send(&world, route, "1", header, "{}"), nowhere, "{route:?}");
        }
    }
    assert_eq!(world.host.batches.get(), 0);
}

#[test]
fn the_demo_key_opens_nothing_in_a_deployment_even_if_its_row_is_there() {
    let mut world = World::new();
    let run = world.run_in(State::Started);
    world.add_key(LOCAL_DEMO, 1, (1, 1, 1), None, None);
    let header = format!("Bearer {LOCAL_DEMO}");
    let id = run.id.to_string();
    let reply = send(&world, Route::Cancel, &id, &header, "{}");
    assert_eq!((reply.status, reply.outcome), (401, "unknown_key"));
    world.config.local = true;
    assert_eq!(send(&world, Route::Cancel, &id, &header, "{}").status, 200);
}

/// A body that each route takes.
fn body(route: Route, token: &str) -> String {
    match route {
        Route::Register => r#"{"environment":"staging"}"#.to_owned(),
        Route::Heartbeat => format!(r#"{{"lease":"{token}"}}"#),
        Route::Finish => format!(r#"{{"lease":"{token}","state":"ended","result":"passed"}}"#),
        Route::BulkCancel => r#"{"ids":[1]}"#.to_owned(),
        Route::SetConcurrency => r#"{"scope":"project","behaviour":"queue_new"}"#.to_owned(),
        Route::CreateProject | Route::CreateEnvironment => r#"{"name":"N","slug":"n"}"#.to_owned(),
        Route::CreateKey => r#"{"project_id":1,"user":"u","name":"n","scopes":["read"]}"#.to_owned(),
        _ => String::new(),
    }
}

#[test]
fn a_database_that_does_not_answer_is_503_with_retry_after_on_every_route() {
    for error in [DbError::Overloaded, DbError::Deadline, DbError::Refused] {
        for (_, _, route) in ROUTES.into_iter().filter(|(_, _, route)| *route != Route::OpenApi) {
            let mut world = World::new();
            world.config.admin_token = Some("admin".to_owned());
            let run = world.run_in(State::Started);
            world.host.faults.borrow_mut().push_back(Fault::BeforeCommit(error));
            let key = if ADMIN_ROUTES.contains(&route) { "Bearer admin".to_owned() } else { format!("Bearer {KEY}") };
            let reply = send(&world, route, &run.id.to_string(), &key, &body(route, &run.token));
            assert_eq!((reply.status, reply.outcome), (503, error.name()), "{route:?}");
            assert!(reply.headers.iter().any(|(name, value)| *name == "Retry-After" && value == "2"), "{route:?}");
            let json: Value = serde_json::from_str(&reply.body).expect("JSON");
            assert!(json["data"].is_null() && json["error"]["message"].is_string(), "{route:?}");
            assert!(!reply.body.contains("SQL") && !reply.body.contains("D1"), "{}", reply.body);
        }
    }
}

#[test]
fn a_cancel_that_takes_three_tries_says_200_once_and_means_it() {
    let world = World::new();
    let run = world.run_in(State::Started);
    let lost = Fault::AfterCommit(DbError::Transient);
    world.host.faults.borrow_mut().extend([lost, Fault::BeforeCommit(DbError::Transient)]);
    let key = format!("Bearer {KEY}");
    let reply = send(&world, Route::Cancel, &run.id.to_string(), &key, r#"{"reason":"why"}"#);
    assert_eq!((reply.status, reply.outcome, reply.run_id), (200, "cancelled", Some(run.id)));
    assert_eq!(world.row(run.id).cancel_reason.as_deref(), Some("why"));
}

#[test]
fn a_body_that_was_not_read_is_refused_before_the_database_is_asked() {
    let world = World::new();
    let run = world.run_in(State::Started);
    let id = run.id.to_string();
    let key = format!("Bearer {KEY}");
    let too_large = ApiError::BodyTooLarge;
    let request = Request { body: Err(&too_large), ..request(&world, Route::Cancel, &id, &key, "") };
    let before = world.host.batches.get();
    assert_eq!(block_on(handle(&world.host, &world.config, &request)).status, 413);
    assert_eq!(world.host.batches.get(), before);
}
