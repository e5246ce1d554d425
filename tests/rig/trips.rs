//! What a request costs in round trips: one, and none where the database need not be asked.

use serde_json::json;

use crate::raw;
use crate::workerd::Rig;

#[test]
fn every_authenticated_route_asks_the_database_once() {
    let rig = Rig::start();
    let project = rig.project();
    let (id, token) = project.started();
    let (over, waiting) = (project.queued(), project.queued());
    project.cancel(over);
    let run = format!("/api/test-runs/{id}");
    let environments = format!("/api/projects/{}/environments", project.id);
    let concurrency = format!("/api/projects/{}/concurrency", project.id);
    let webhooks = format!("/api/projects/{}/webhooks", project.id);
    let lease = json!({"lease": token});
    let finish = json!({"lease": token, "state": "ended", "result": "passed"});
    let key = json!({"project_id": project.id, "user": "u", "name": "n", "scopes": ["read"]});
    let person = json!({"project_id": project.id, "address": "@example.com", "scopes": ["read"]});
    let named = json!({"name": "Other", "slug": "other"});
    rig.backend.count();
    // The exception: first which runs, then what is stored of them.
    assert_eq!((project.get("/api/export").status, rig.backend.count().0), (200, 2));
    assert_eq!((project.get("/api/export?after=99").status, rig.backend.count().0), (200, 1));
    for (admin, method, path, body, status) in [
        (false, "PUT", "/api/test-runs", Some(json!({"environment": "staging"})), 200),
        (false, "GET", "/api/test-runs", None, 200),
        (false, "GET", "/api/test-runs?before=3&state=queued", None, 200),
        (false, "GET", &run, None, 200),
        (false, "GET", &format!("{run}/events"), None, 200),
        (false, "GET", &format!("{run}/failures"), None, 200),
        (false, "POST", &format!("/api/test-runs/{waiting}/claim"), None, 200),
        (false, "POST", &format!("{run}/heartbeat"), Some(lease), 200),
        (false, "POST", &format!("{run}/finish"), Some(finish), 200),
        (false, "POST", &format!("/api/test-runs/{waiting}/cancel"), None, 200),
        (false, "POST", &format!("/api/test-runs/{over}/cancel"), None, 412),
        (false, "POST", "/api/test-runs/99/cancel", None, 404),
        (false, "POST", &format!("/api/test-runs/{over}/kill"), None, 412),
        (false, "POST", "/api/test-runs/cancel", Some(json!({"ids": [over, 99]})), 200),
        (true, "POST", "/api/projects", Some(named.clone()), 200),
        (true, "POST", &environments, Some(named), 200),
        (true, "PUT", &concurrency, Some(json!({"scope": "none", "behaviour": "queue_new"})), 200),
        (true, "POST", "/api/keys", Some(key), 200),
        (true, "GET", "/api/keys", None, 200),
        (true, "POST", "/api/people", Some(person), 200),
        (true, "GET", "/api/projects", None, 200),
        (true, "GET", &environments, None, 200),
        (false, "GET", "/api/environments", None, 200),
        (false, "GET", "/api/cancels?cause=user", None, 200),
        (false, "GET", "/api/analytics/test-runs?environment=staging", None, 200),
        (false, "GET", "/api/session", None, 200),
        (true, "PATCH", &format!("/api/projects/{}", project.id), Some(json!({"badges": true})), 200),
        (true, "PATCH", &format!("/api/environments/{}", project.environment), Some(json!({"disabled": true})), 200),
        (true, "GET", "/api/admin-events", None, 200),
        (true, "GET", "/api/buckets", None, 200),
        (true, "POST", "/api/buckets/zz/move", Some(json!({"to": 0})), 200),
        (true, "DELETE", "/api/buckets/zz/move", None, 200),
        (true, "POST", &webhooks, Some(json!({"url": "https://example.com/"})), 200),
        (true, "GET", &webhooks, None, 200),
        (true, "GET", "/api/webhooks/1", None, 200),
        (true, "PATCH", "/api/webhooks/1", Some(json!({"disabled": true})), 200),
        (true, "POST", "/api/webhooks/1/rotate", None, 200),
        (true, "POST", "/api/webhooks/1/test", None, 409),
        (true, "GET", "/api/webhooks/1/deliveries", None, 200),
        (true, "POST", "/api/deliveries/1/redeliver", None, 404),
        (true, "DELETE", "/api/webhooks/1", None, 204),
        (false, "GET", "/api/badges/projects/x/environments/y.json", None, 200),
        (true, "DELETE", "/api/keys/1", None, 200),
        (false, "GET", &run, None, 401),
    ] {
        let token = if admin { crate::client::ADMIN } else { &project.key };
        let answer = rig.server.call(token, method, path, body.as_ref());
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        assert_eq!(rig.backend.count().0, 1, "round trips of {method} {path} ({status})");
    }
}

/// A key's text says the project's bucket, which an isolate asks the directory for once.
#[test]
fn an_isolate_asks_once_for_the_bucket_that_a_key_is_made_for() {
    let mut rig = Rig::start();
    let project = rig.project();
    rig.kill_and_start_again();
    let key = json!({"project_id": project.id, "user": "u", "name": "n", "scopes": ["read"]});
    rig.backend.count();
    for trips in [2, 1, 1] {
        rig.server.admin("POST", "/api/keys", Some(&key)).ok();
        assert_eq!(rig.backend.count().0, trips);
    }
}

#[test]
fn a_request_that_shows_no_key_or_makes_no_sense_costs_no_round_trip() {
    let rig = Rig::start();
    let project = rig.project();
    for (token, method, path, body, status) in [
        ("", "GET", "/openapi.json", None, 200),
        ("", "POST", "/api/test-runs/1/cancel", None, 401),
        ("estop_short", "GET", "/api/test-runs", None, 401),
        ("wrong", "POST", "/api/projects", None, 401),
        (&project.key, "POST", "/api/test-runs/01/cancel", None, 400),
        (&project.key, "POST", "/api/test-runs/1/cancel", Some(json!({"reason": 1})), 400),
        (&project.key, "GET", "/api/test-runs?page=0", None, 400),
        (&project.key, "DELETE", "/api/test-runs/1", None, 405),
        (&project.key, "GET", "/nowhere", None, 404),
    ] {
        let answer = rig.server.call(token, method, path, body.as_ref());
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        assert_eq!(rig.backend.count(), (0, 0), "{method} {path}");
    }
}

#[test]
fn a_tick_at_any_time_sweeps_what_is_stale_by_then() {
    let rig = Rig::start();
    let project = rig.project();
    let id = project.queued();
    let born: i64 = rig.backend.value(&format!("SELECT created_at FROM runs WHERE id = {id}"));
    rig.backend.count();
    rig.tick(born + 3_599_000);
    // An isolate's first batch asks for the schema's version as well, which the project's requests have done.
    assert_eq!(rig.backend.count(), (1, 1), "the question whether anything is due");
    assert_eq!(project.show(id)["state"], "queued");
    rig.tick(born + 3_600_000);
    let run = project.show(id);
    assert_eq!((&run["state"], &run["cancel"]["cause"]), (&json!("cancelled"), &json!("stale")));
}

#[test]
fn a_long_body_without_a_length_is_refused_and_the_next_request_served() {
    let rig = Rig::start();
    let project = rig.project();
    let id = project.queued();
    let head = format!(
        "POST /api/test-runs/{id}/cancel HTTP/1.1\r\nHost: estop\r\nAuthorization: Bearer {}\r\nContent-Type: application/json",
        project.key
    );
    // Chunks outrank a length (RFC 9112 section 6.3), which is a lie here.
    let two_ways = format!("{head}\r\nContent-Length: 2");
    rig.backend.count();
    for (head, length, whole) in [
        (&head, 65 * 1024, true),
        (&head, 1024 * 1024, true),
        (&head, 10 * 1024 * 1024, true),
        (&head, 80 * 1024, false),
        (&two_ways, 65 * 1024, true),
        (&two_ways, 10 * 1024 * 1024, true),
    ] {
        let body = [b"{}", vec![b' '; length].as_slice()].concat();
        let heard = raw::send(&rig.address, &raw::chunked(head, &body, whole), whole).expect("an answer");
        assert!(heard.status == 413 && heard.is_json(), "{heard:?}");
        assert_eq!(rig.backend.count(), (0, 0));
        assert_eq!(project.show(id)["state"], "queued");
        assert_eq!(rig.backend.count().0, 1);
    }
    let body = format!("{{\"reason\":\"in pieces\"{}}}", " ".repeat(60 * 1024));
    let heard = raw::send(&rig.address, &raw::chunked(&head, body.as_bytes(), true), true).expect("an answer");
    assert_eq!((heard.status, &project.show(id)["cancel"]["reason"]), (200, &json!("in pieces")));
}
