//! What an operator sees: health, the document, the log, and one D1 round trip a request.

use std::collections::HashSet;

use estop::database::SCHEMA_VERSION;
use estop::http::operation::{Access, Operation};
use estop::operations::OPERATIONS;
use serde_json::{Value, json};

use crate::client::{Answer, Project, Server, eventually};

/// The line that the server of users' kind logged for an answer.
pub fn line(answer: &Answer) -> Value {
    line_of(answer, "ESTOP_TEST_LOG")
}

/// The line that a server logged for an answer, in the file that this variable names.
pub fn line_of(answer: &Answer, log: &str) -> Value {
    line_with_id(answer.header("x-request-id").expect("an id"), log)
}

/// The line that a server logged for the request of this id.
pub fn line_with_id(id: &str, log: &str) -> Value {
    let path = std::env::var(log).unwrap_or_else(|_| panic!("{log} is not set: run these tests with `make test`"));
    eventually(&format!("the log line of {id}"), || {
        let log = std::fs::read_to_string(&path).expect("the log");
        let lines: Vec<Value> = log.lines().filter_map(|l| serde_json::from_str(l).ok()).collect();
        lines.into_iter().find(|l: &Value| l["request_id"] == id)
    })
}

#[test]
fn health_asks_the_database() {
    let server = Server::plain();
    let answer = server.send("GET", "/healthz", &[], b"");
    let schema = json!({"worker": SCHEMA_VERSION, "database": SCHEMA_VERSION});
    let mut said = answer.json();
    let database = said["data"]["database"].take();
    assert_eq!(
        (answer.status, said),
        (200, json!({"data": {"status": "ok", "schema": schema, "access": true, "database": null}}))
    );
    assert!(database["bytes"].as_i64() < database["most_bytes"].as_i64() && database["bytes"].is_i64(), "{database}");
    assert_eq!(line(&answer)["d1"]["round_trips"], 1);
}

#[test]
fn the_document_is_served_as_it_is_committed() {
    let answer = Server::plain().send("GET", "/openapi.json", &[], b"");
    assert_eq!(answer.status, 200);
    let committed: Value = serde_norway::from_str(include_str!("../../openapi.yaml")).expect("YAML");
    assert_eq!(answer.text, committed.to_string(), "without its white space");
}

#[test]
fn every_authenticated_request_takes_one_round_trip_whatever_its_answer() {
    let project = Project::new();
    let (id, token) = project.started();
    let queued = project.queued();
    let other = Project::new();
    let finish = json!({"lease": token, "state": "ended", "result": "passed"});
    let key = json!({"project_id": project.id, "user": "x", "name": "x", "scopes": ["run"]});
    let person = json!({"project_id": project.id, "address": "@example.com", "scopes": ["read"]});
    let slug = crate::client::unique();
    let webhooks = format!("/api/projects/{}/webhooks", project.id);
    let webhook = format!("/api/webhooks/{}", project.webhook("http://127.0.0.1:9/"));
    let answers = [
        (project.get("/api/test-runs"), 200),
        (project.get("/api/test-runs?state=queued&branch=main&interval_in_days=3"), 200),
        (project.get(&format!("/api/test-runs?before={id}")), 200),
        (project.get(&format!("/api/test-runs/{id}")), 200),
        (project.get(&format!("/api/test-runs/{id}/events")), 200),
        (project.get(&format!("/api/test-runs/{id}/failures")), 200),
        (project.call("PUT", "/api/test-runs", Some(&json!({"environment": "staging"}))), 200),
        (project.call("PUT", "/api/test-runs", Some(&json!({"environment": "nowhere"}))), 400),
        (project.post(&format!("/api/test-runs/{queued}/claim"), &json!({})), 200),
        (project.post(&format!("/api/test-runs/{queued}/claim"), &json!({})), 412),
        (project.heartbeat(id, &token), 200),
        (project.heartbeat(id, "foreign"), 409),
        (other.cancel(id), 404),
        (
            project.server.call(
                &format!("estop_{}", "B".repeat(43)),
                "POST",
                &format!("/api/test-runs/{id}/cancel"),
                None,
            ),
            401,
        ),
        (project.cancel(queued), 200),
        (project.cancel(queued), 412),
        (project.post(&format!("/api/test-runs/{queued}/kill"), &json!({})), 200),
        (project.post(&format!("/api/test-runs/{id}/kill"), &json!({})), 412),
        (project.post(&format!("/api/test-runs/{id}/finish"), &finish), 200),
        (project.post(&format!("/api/test-runs/{id}/finish"), &finish), 412),
        (project.server.admin("POST", "/api/projects", Some(&json!({"name": "x", "slug": slug}))), 200),
        (
            project.server.admin(
                "POST",
                &format!("/api/projects/{}/environments", project.id),
                Some(&json!({"name": "x", "slug": "x"})),
            ),
            200,
        ),
        (project.server.admin("POST", "/api/keys", Some(&key)), 200),
        (project.server.admin("POST", "/api/people", Some(&person)), 200),
        (project.post("/api/test-runs/cancel", &json!({"ids": [id]})), 200),
        (project.post("/api/test-runs/cancel", &json!({"filter": {"state": "queued"}, "dry_run": true})), 200),
        (
            project.server.admin(
                "PUT",
                &format!("/api/projects/{}/concurrency", project.id),
                Some(&json!({"scope": "none", "behaviour": "queue_new"})),
            ),
            200,
        ),
        (project.server.admin("GET", "/api/keys", None), 200),
        (project.server.admin("GET", "/api/projects?per_page=1", None), 200),
        (project.server.admin("GET", &format!("/api/projects/{}/environments", project.id), None), 200),
        (project.get("/api/environments"), 200),
        (project.get("/api/export?after=9007199254740991"), 200),
        (project.get("/api/cancels"), 200),
        (project.get("/api/cancels?environment=staging&by=ada@example.com"), 200),
        (project.get("/api/analytics/test-runs"), 200),
        (project.get("/api/session"), 200),
        (project.server.admin("DELETE", "/api/keys/9007199254740991", None), 404),
        (project.merged("main", "acme/nowhere"), 200),
        (project.server.admin("PATCH", &format!("/api/projects/{}", project.id), Some(&json!({"name": "x"}))), 200),
        (project.server.admin("PATCH", &format!("/api/environments/{}", project.production), Some(&json!({}))), 200),
        (project.server.admin("GET", "/api/admin-events?per_page=1", None), 200),
        (project.server.admin("GET", "/api/buckets", None), 200),
        (project.server.admin("POST", "/api/buckets/zz/move", Some(&json!({"to": 0}))), 200),
        (project.server.admin("DELETE", "/api/buckets/zz/move", None), 200),
        (project.server.admin("POST", &webhooks, Some(&json!({"url": "https://example.com/"}))), 200),
        (project.server.admin("GET", &webhooks, None), 200),
        (project.server.admin("GET", &webhook, None), 200),
        (project.server.admin("PATCH", &webhook, Some(&json!({"disabled": true}))), 200),
        (project.server.admin("POST", &format!("{webhook}/rotate"), None), 200),
        (project.server.admin("POST", &format!("{webhook}/test"), None), 409),
        (project.server.admin("GET", &format!("{webhook}/deliveries"), None), 200),
        (project.server.admin("POST", "/api/deliveries/9007199254740991/redeliver", None), 404),
        (project.server.admin("DELETE", &webhook, None), 204),
    ];
    let mut routes = HashSet::new();
    for (answer, status) in answers {
        assert_eq!(answer.status, status, "{answer:?}");
        let line = line(&answer);
        assert_eq!(line["d1"]["round_trips"], 1, "{line}");
        routes.insert(line["route"].as_str().expect("a route").to_owned());
    }
    // tests/http/budget.rs counts what a WebSocket costs.
    let counted =
        |operation: &&Operation| !matches!(operation.access, Access::Open(_)) && !operation.pattern.ends_with("/watch");
    for operation in OPERATIONS.iter().filter(counted) {
        assert!(routes.contains(&operation.name()), "{} was not counted", operation.name());
    }
}

#[test]
fn a_refusal_that_needs_no_database_does_not_ask_it() {
    let project = Project::new();
    let answer = project.server.send("POST", "/api/test-runs/1/cancel", &[], b"");
    answer.is_error(401);
    assert_eq!(line(&answer)["d1"]["round_trips"], 0);
    let answer = project.get("/api/test-runs/0");
    answer.is_error(400);
    assert_eq!(line(&answer)["d1"]["round_trips"], 0);
}

#[test]
fn a_request_leaves_one_line_that_says_what_came_of_it_and_no_secret() {
    let project = Project::new();
    let id = project.queued();
    let answer = project.post(&format!("/api/test-runs/{id}/cancel"), &json!({"reason": "a confidential reason"}));
    let line = line(&answer);
    assert_eq!(line["log"], "request");
    assert_eq!((&line["route"], &line["status"]), (&json!("POST /api/test-runs/:id/cancel"), &json!(200)));
    assert_eq!((&line["outcome"], &line["run_id"]), (&json!("cancelled"), &json!(id)));
    assert!(line["ms"].is_number() && line["d1"]["rows_read"].is_number() && line["d1"]["rows_written"].is_number());
    let log = std::fs::read_to_string(std::env::var("ESTOP_TEST_LOG").expect("a log")).expect("the log");
    assert!(!log.contains("confidential") && !log.contains(&project.key), "a secret is in the log");
}

#[test]
fn a_tick_leaves_one_line_with_its_tally() {
    Server::plain().tick();
    let path = std::env::var("ESTOP_TEST_LOG").expect("a log");
    let line = eventually("the tick's line", || {
        let log = std::fs::read_to_string(&path).expect("the log");
        let mut lines = log.lines().filter_map(|l| serde_json::from_str::<Value>(l).ok());
        lines.find(|l| l["log"] == "tick")
    });
    assert!(line["error"].is_null() && line["at"].is_string(), "{line}");
    let rounds = line["swept"]["rounds"].as_u64().expect("a number");
    let counted = u64::from(rounds > 0 || line["swept"]["counted"].as_u64() > Some(0));
    assert_eq!(
        line["d1"]["round_trips"],
        1 + rounds + counted,
        "the question whether anything is due, and what it led to: {line}"
    );
    for timeout in ["unclaimed", "lapsed", "over_age", "unconfirmed"] {
        assert!(line["swept"][timeout].is_number(), "{line}");
    }
}
