//! Whatever comes, the answer is JSON and no 5xx: nothing that a client sends makes the Worker panic or hang.

use serde_json::{Value, json};

use crate::client::{Project, unique};

/// Bodies that somebody might send by mistake or on purpose.
fn bodies(token: &str) -> Vec<Vec<u8>> {
    let deep =
        |open: &str, close: &str| format!("{{\"reason\":{}{}}}", open.repeat(5000), close.repeat(5000)).into_bytes();
    let wrong: Vec<Value> = vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(1e308),
        json!("x"),
        json!("\u{0}"),
        json!([]),
        json!({}),
        json!([[{}]]),
    ];
    let fields = [
        "reason",
        "environment",
        "build",
        "branch",
        "metadata",
        "tags",
        "total_shards",
        "runner",
        "lease",
        "state",
        "result",
        "error_code",
        "counts",
        "stop",
        "name",
        "slug",
        "project_id",
        "scopes",
        "user",
        "expires_at",
    ];
    let mut bodies: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"\0".to_vec(),
        b"\xff\xfe{}".to_vec(),
        b"[".repeat(60_000),
        b"{".repeat(60_000),
        b"{\"a\":".repeat(10_000),
        deep("[", "]"),
        deep("{\"a\":", "}"),
        b"{\"reason\":1e999999}".to_vec(),
        b"{\"reason\":-0}".to_vec(),
        b"{\"total_shards\":99999999999999999999999999}".to_vec(),
        b"{\"reason\":\"\\u0000\"}".to_vec(),
        b"{\"reason\":\"\\ud83d\"}".to_vec(),
        "{\"reason\":\"\u{202e}\u{feff}\"}".as_bytes().to_vec(),
        format!("{{\"lease\":\"{token}\"}}").into_bytes(),
        format!("{{\"{}\":1}}", "k".repeat(60_000)).into_bytes(),
    ];
    for field in fields {
        for value in &wrong {
            let mut body = json!({"environment": "staging", "lease": token, "state": "ended", "result": "passed", "name": "n", "slug": unique(), "project_id": 1, "user": "u", "scopes": ["read"]});
            body[field] = value.clone();
            bodies.push(body.to_string().into_bytes());
        }
    }
    bodies
}

#[test]
fn no_body_on_any_route_makes_a_5xx() {
    let project = Project::new();
    let (id, token) = project.started();
    let (key, admin) = (format!("Bearer {}", project.key), format!("Bearer {}", crate::client::ADMIN));
    let run = format!("/api/test-runs/{id}");
    let routes = [
        ("POST", format!("{run}/cancel"), &key),
        ("PUT", "/api/test-runs".to_owned(), &key),
        ("POST", format!("{run}/claim"), &key),
        ("POST", format!("{run}/heartbeat"), &key),
        ("POST", format!("{run}/finish"), &key),
        ("POST", "/api/projects".to_owned(), &admin),
        ("POST", format!("/api/projects/{}/environments", project.id), &admin),
        ("POST", "/api/keys".to_owned(), &admin),
    ];
    let bodies = bodies(&token);
    std::thread::scope(|scope| {
        for (method, path, bearer) in &routes {
            let (project, bodies) = (&project, &bodies);
            scope.spawn(move || {
                for body in bodies {
                    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
                    let answer = project.server.send(method, path, &headers, body);
                    let shown = String::from_utf8_lossy(body.get(..80).unwrap_or(body)).into_owned();
                    assert!(
                        matches!(answer.status, 200 | 400 | 404 | 409 | 412),
                        "{method} {path} {shown}: {answer:?}"
                    );
                    answer.json();
                }
            });
        }
    });
    assert_eq!(project.server.send("GET", "/healthz", &[], b"").status, 200, "the Worker lives");
}

#[test]
fn no_path_query_or_header_makes_a_5xx() {
    let project = Project::new();
    let long = "a".repeat(8000);
    for part in [
        "%00",
        "%ff",
        "%C0%AF",
        "..%2f",
        "%2e%2e",
        "{}",
        "%22",
        "'",
        "*",
        ";",
        "%F0%9F%9B%91",
        "NaN",
        "Infinity",
        "-0",
        "1e1",
        "9".repeat(2000).as_str(),
        long.as_str(),
    ] {
        for path in [
            format!("/api/test-runs/{part}"),
            format!("/api/test-runs/{part}/cancel"),
            format!("/{part}"),
            format!("/api/test-runs?page={part}"),
            format!("/api/test-runs?{part}"),
            format!("/api/test-runs?branch={part}"),
            format!("/api/keys?before={part}"),
        ] {
            for method in ["GET", "POST", "PUT", "DELETE"] {
                for token in [project.key.as_str(), crate::client::ADMIN] {
                    let answer = project.server.call(token, method, &path, None);
                    assert!(answer.status < 500, "{method} {path}: {answer:?}");
                    answer.json();
                }
            }
        }
    }
    let bearer = format!("Bearer {}", project.key);
    let id = project.queued();
    for (name, value) in [
        ("Authorization", long.as_str()),
        ("Idempotency-Key", long.as_str()),
        ("Content-Type", long.as_str()),
        ("Content-Type", ";;;"),
        ("Accept", "text/html"),
        ("Expect", "nothing"),
        ("X-Forwarded-For", "ß"),
        ("Cookie", long.as_str()),
    ] {
        let mut headers = vec![(name, value)];
        if name != "Authorization" {
            headers.push(("Authorization", &bearer));
        }
        let answer = project.server.send("GET", &format!("/api/test-runs/{id}"), &headers, b"");
        assert!(answer.status < 500, "{name}: {answer:?}");
        answer.json();
    }
}
