//! The auth matrix: every kind of key that must not do it × every route.

use estop::http::operation::{Access, Operation};
use estop::operations::{OPERATIONS, find};
use serde_json::{Value, json};

use crate::client::{Project, Server};
use crate::line::Line;

/// Every route that needs a key: method, path, a body that is in order, and the scope.
fn routes(id: i64) -> Vec<(&'static str, String, Option<Value>, &'static str)> {
    let run = format!("/api/test-runs/{id}");
    vec![
        ("POST", format!("{run}/cancel"), Some(json!({"reason": "x"})), "cancel"),
        ("POST", "/api/test-runs/cancel".into(), Some(json!({"ids": [id]})), "cancel"),
        ("PUT", "/api/test-runs".into(), Some(json!({"environment": "staging"})), "run"),
        ("POST", format!("{run}/kill"), Some(json!({})), "cancel"),
        ("POST", format!("{run}/claim"), Some(json!({})), "run"),
        ("GET", "/api/test-runs".into(), None, "read"),
        ("GET", run.clone(), None, "read"),
        ("GET", format!("{run}/events"), None, "read"),
        ("GET", format!("{run}/failures"), None, "read"),
        ("GET", "/api/environments".into(), None, "read"),
        ("GET", "/api/export".into(), None, "read"),
        ("GET", "/api/cancels".into(), None, "read"),
        ("GET", "/api/analytics/test-runs".into(), None, "read"),
    ]
}

/// Every route that any key may ask.
const ANY_KEY: [(&str, &str); 1] = [("GET", "/api/session")];

/// Every route of a runner: path, and a body that is in order.
fn lease_routes(id: i64, token: &str) -> Vec<(String, Value)> {
    vec![
        (format!("/api/test-runs/{id}/heartbeat"), json!({"lease": token})),
        (format!("/api/test-runs/{id}/finish"), json!({"lease": token, "state": "ended", "result": "passed"})),
    ]
}

fn admin_routes(project: i64, environment: i64, key: i64, webhook: i64) -> Vec<(&'static str, String, Option<Value>)> {
    vec![
        ("POST", "/api/projects".into(), Some(json!({"name": "x", "slug": crate::client::unique()}))),
        (
            "PUT",
            format!("/api/projects/{project}/concurrency"),
            Some(json!({"scope": "none", "behaviour": "queue_new"})),
        ),
        ("POST", format!("/api/projects/{project}/environments"), Some(json!({"name": "x", "slug": "extra"}))),
        ("POST", "/api/keys".into(), Some(json!({"project_id": project, "user": "x", "name": "x", "scopes": ["run"]}))),
        (
            "POST",
            "/api/people".into(),
            Some(json!({"project_id": project, "address": "@example.com", "scopes": ["read"]})),
        ),
        ("GET", "/api/projects".into(), None),
        ("GET", format!("/api/projects/{project}/environments"), None),
        ("GET", "/api/keys".into(), None),
        ("DELETE", format!("/api/keys/{key}"), None),
        ("PATCH", format!("/api/projects/{project}"), Some(json!({"name": "Another"}))),
        ("PATCH", format!("/api/environments/{environment}"), Some(json!({"disabled": true}))),
        ("GET", "/api/admin-events".into(), None),
        ("GET", "/api/buckets".into(), None),
        ("POST", "/api/buckets/zz/move".into(), Some(json!({"to": 0}))),
        ("DELETE", "/api/buckets/zz/move".into(), None),
        ("POST", format!("/api/projects/{project}/webhooks"), Some(json!({"url": "https://example.com/"}))),
        ("GET", format!("/api/projects/{project}/webhooks"), None),
        ("GET", format!("/api/webhooks/{webhook}"), None),
        ("PATCH", format!("/api/webhooks/{webhook}"), Some(json!({"disabled": true}))),
        ("POST", format!("/api/webhooks/{webhook}/rotate"), None),
        ("POST", format!("/api/webhooks/{webhook}/test"), None),
        ("GET", format!("/api/webhooks/{webhook}/deliveries"), None),
        ("POST", "/api/deliveries/9007199254740991/redeliver".into(), None),
        ("DELETE", format!("/api/webhooks/{webhook}"), None),
    ]
}

#[test]
fn the_matrix_has_every_operation_that_is_not_open() {
    let listed = routes(1).into_iter().map(|(method, path, ..)| (method, path));
    let leases = lease_routes(1, "").into_iter().map(|(path, _)| ("POST", path));
    let listed = listed.chain(ANY_KEY.map(|(method, path)| (method, path.to_owned())));
    let listed =
        listed.chain(leases).chain(admin_routes(1, 1, 1, 1).into_iter().map(|(method, path, _)| (method, path)));
    let mut listed: Vec<String> = listed.map(|(method, path)| find(method, &path).expect("served").name()).collect();
    // WebSockets have a test of their own.
    let watched = |operation: &&Operation| operation.pattern.ends_with("/watch");
    assert_eq!(OPERATIONS.iter().filter(watched).count(), 2);
    let open = |operation: &&Operation| matches!(operation.access, Access::Open(_) | Access::GitHub(_));
    let guarded = OPERATIONS.iter().filter(|operation| !open(operation) && !watched(operation));
    let mut guarded: Vec<String> = guarded.map(Operation::name).collect();
    listed.sort_unstable();
    guarded.sort_unstable();
    assert_eq!(listed, guarded);
}

fn send(
    server: &Server,
    authorization: Option<&str>,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> crate::client::Answer {
    let mut headers = vec![("Content-Type", "application/json")];
    headers.extend(authorization.map(|value| ("Authorization", value)));
    server.send(method, path, &headers, body.map(Value::to_string).unwrap_or_default().as_bytes())
}

#[test]
fn a_key_that_is_missing_garbled_unknown_expired_or_revoked_opens_no_route() {
    let project = Project::new();
    let (id, _) = project.started();
    let before = project.show(id);
    let soon = std::time::UNIX_EPOCH.elapsed().expect("a clock").as_millis() + 1_500;
    let soon = estop_protocol::time::Timestamp(i64::try_from(soon).expect("milliseconds")).to_string();
    let expired = project.key("late", &["read", "cancel", "run"], Some(&soon)).0;
    crate::client::eventually("the key's end", || {
        (project.server.call(&expired, "GET", "/api/environments", None).status == 401).then_some(())
    });
    let (revoked, revoked_id) = project.key("gone", &["read", "cancel", "run"], None);
    project.server.admin("DELETE", &format!("/api/keys/{revoked_id}"), None).ok();
    let key = &project.key;
    let bad = [
        None,
        Some(String::new()),
        Some("Bearer".into()),
        Some(key.clone()),
        Some(format!("Basic {key}")),
        Some(format!("Bearer {}", &key[..56])),
        Some(format!("Bearer {key}x")),
        Some(format!("Bearer {}", key.to_uppercase())),
        Some("Bearer local-admin".into()),
        Some(format!("Bearer estop_{}", "A".repeat(43))),
        Some(format!("Bearer {expired}")),
        Some(format!("Bearer {revoked}")),
    ];
    let any = ANY_KEY.map(|(method, path)| (method, path.to_owned(), None, "any"));
    for (method, path, body, _) in routes(id).into_iter().chain(any) {
        for header in &bad {
            let answer = send(&project.server, header.as_deref(), method, &path, body.as_ref());
            answer.is_error(401);
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{method} {path} {header:?}");
        }
    }
    assert_eq!(project.show(id), before);
    assert_eq!(project.get("/api/test-runs").ok()["pagination"]["total"], 1);
}

#[test]
fn a_websocket_asks_for_a_key_that_may_read() {
    let project = Project::new();
    let (id, _) = project.started();
    let (revoked, revoked_id) = project.key("gone", &["read"], None);
    project.server.admin("DELETE", &format!("/api/keys/{revoked_id}"), None).ok();
    let (narrow, reads) = (project.key("narrow", &["cancel", "run"], None).0, project.key("reads", &["read"], None).0);
    for path in [format!("/api/test-runs/{id}/watch"), "/api/watch".to_owned()] {
        for (key, status) in [("estop_x", Some(401)), (&revoked, Some(401)), (&narrow, Some(403)), (&reads, None)] {
            let bearer = format!("Bearer {key}");
            assert_eq!(Line::open(&project.server, &path, &[("Authorization", &bearer)]).err(), status, "{path}");
        }
        assert_eq!(Line::open(&project.server, &path, &[]).err(), Some(401), "{path}");
        project.call("GET", &path, None).is_error(426);
    }
}

#[test]
fn a_key_without_the_scope_is_told_which() {
    let project = Project::new();
    let (id, _) = project.started();
    let before = project.show(id);
    for (method, path, body, scope) in routes(id) {
        let others: Vec<&str> = ["read", "cancel", "run"].into_iter().filter(|s| *s != scope).collect();
        let key = project.key("narrow", &others, None).0;
        let answer = project.server.call(&key, method, &path, body.as_ref());
        answer.is_error(403);
        assert!(answer.message().contains(&format!("`{scope}`")), "{answer:?}");
        assert_eq!(project.show(id), before);
    }
}

#[test]
fn a_key_with_just_the_scope_is_enough() {
    let project = Project::new();
    let (id, _) = project.started();
    for (method, path, body, scope) in routes(id) {
        let key = project.key("narrow", &[scope], None).0;
        let answer = project.server.call(&key, method, &path, body.as_ref());
        assert!(matches!(answer.status, 200 | 412), "{method} {path}: {answer:?}");
    }
}

#[test]
fn the_admin_routes_open_to_the_admin_token_alone() {
    let project = Project::new();
    let (_, key_id) = project.key("x", &["read"], None);
    let webhook = project.webhook("http://127.0.0.1:9/");
    for (method, path, body) in admin_routes(project.id, project.environment, key_id, webhook) {
        for header in [
            None,
            Some("Bearer local-admi".to_owned()),
            Some("Bearer local-admin2".into()),
            Some("Basic local-admin".into()),
            Some(format!("Bearer {}", project.key)),
        ] {
            let answer = send(&project.server, header.as_deref(), method, &path, body.as_ref());
            answer.is_error(401);
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
    }
    assert_eq!(
        project.server.admin("GET", &format!("/api/keys?project_id={}", project.id), None).ok()["data"]["keys"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );
    for (method, path, body) in admin_routes(project.id, project.environment, key_id, webhook) {
        let answer = project.server.admin(method, &path, body.as_ref());
        // There is no such delivery, and a webhook that is off takes no test.
        let expected = match path.rsplit('/').next() {
            Some("redeliver") => 404,
            Some("test") => 409,
            _ if method == "DELETE" && path.contains("webhooks") => 204,
            _ => 200,
        };
        assert_eq!(answer.status, expected, "{method} {path}: {answer:?}");
    }
}

#[test]
fn the_scheme_may_be_written_in_any_case() {
    let project = Project::new();
    for scheme in ["bearer", "BEARER", "Bearer"] {
        assert_eq!(
            send(&project.server, Some(&format!("{scheme} {}", project.key)), "GET", "/api/test-runs", None).status,
            200
        );
    }
}
