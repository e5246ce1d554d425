//! What bad input gets: the design's table, row by row.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::json;

use crate::client::{Answer, Project, Server};

/// Sends a body as it is to a route of a fresh queued run, and checks that a refusal wrote nothing.
fn cancel_with(project: &Project, content_type: Option<&str>, body: &[u8]) -> Answer {
    let id = project.queued();
    let bearer = format!("Bearer {}", project.key);
    let mut headers = vec![("Authorization", bearer.as_str())];
    headers.extend(content_type.map(|kind| ("Content-Type", kind)));
    let answer = project.server.send("POST", &format!("/api/test-runs/{id}/cancel"), &headers, body);
    let expected = if answer.status == 200 { "cancelled" } else { "queued" };
    assert_eq!(project.show(id)["state"], expected);
    answer
}

const JSON: Option<&str> = Some("application/json");

#[test]
fn an_id_is_a_plain_decimal_integer_from_1() {
    let project = Project::new();
    for id in [
        "0", "-1", "01", "1.0", "1e3", "+1", "%31", "x", "1x", "0x1", "%D9%A1", "١", "1%20", "%00", "null", "1_0",
        "1,0",
    ] {
        let paths = [
            ("POST", "/cancel"),
            ("GET", ""),
            ("GET", "/events"),
            ("GET", "/failures"),
            ("POST", "/claim"),
            ("POST", "/heartbeat"),
            ("POST", "/finish"),
        ];
        for (method, rest) in paths {
            // Another script's digits can only travel percent-encoded; ureq would do the same.
            let id = id.replace('١', "%D9%A1");
            project.call(method, &format!("/api/test-runs/{id}{rest}"), None).is_error(400);
        }
    }
}

#[test]
fn an_id_too_large_to_exist_is_404_and_nobodys_neighbour() {
    let project = Project::new();
    let nines = "9".repeat(400);
    for id in [
        "9007199254740992",
        "9007199254740993",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551617",
        "99999999999999999999",
        nines.as_str(),
    ] {
        project.call("POST", &format!("/api/test-runs/{id}/cancel"), None).is_error(404);
        project.get(&format!("/api/test-runs/{id}")).is_error(404);
    }
}

#[test]
fn a_body_that_is_not_a_json_object_is_400() {
    let project = Project::new();
    for body in [
        "{",
        "[]",
        "\"x\"",
        "null",
        "1",
        "true",
        "{'reason':'x'}",
        "{\"reason\":}",
        "{} {}",
        "nonsense",
        "{\"reason\":\"\\ud800\"}",
        " ",
        "\u{feff}{}",
    ] {
        cancel_with(&project, JSON, body.as_bytes()).is_error(400);
    }
    for body in [&b"{\"reason\":\"\xff\"}"[..], b"\x00", b"{\"reason\":\"\xed\xa0\x80\"}"] {
        cancel_with(&project, JSON, body).is_error(400);
    }
}

#[test]
fn a_field_given_twice_is_400_and_named() {
    let project = Project::new();
    for body in [r#"{"reason":"a","reason":"b"}"#, r#"{"reason":"a","\u0072eason":"b"}"#] {
        let answer = cancel_with(&project, JSON, body.as_bytes());
        answer.is_error(400);
        assert!(answer.message().contains("`reason` is given twice"), "{answer:?}");
    }
    cancel_with(&project, JSON, br#"{"x":{"y":1,"y":2}}"#).is_error(400);
}

#[test]
fn a_reason_is_a_string_within_limits() {
    let project = Project::new();
    for value in [
        json!(null),
        json!(7),
        json!(true),
        json!([]),
        json!({}),
        json!("x".repeat(1025)),
        json!("a\u{0}b"),
        json!("a\rb"),
        json!("\u{7f}"),
        json!("a\u{85}b"),
    ] {
        let answer = cancel_with(&project, JSON, json!({"reason": value}).to_string().as_bytes());
        answer.is_error(400);
        assert!(answer.message().contains("`reason`"), "{answer:?}");
    }
    assert_eq!(cancel_with(&project, JSON, json!({"reason": "🛑".repeat(1024)}).to_string().as_bytes()).status, 200);
}

#[test]
fn unknown_fields_of_a_cancel_are_ignored() {
    let project = Project::new();
    assert_eq!(cancel_with(&project, JSON, br#"{"why":"x","force":true,"nested":{"a":[null]}}"#).status, 200);
}

#[test]
fn a_body_that_is_not_json_by_its_type_is_400() {
    let project = Project::new();
    for kind in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp"]
    {
        let answer = cancel_with(&project, Some(kind), b"{}");
        answer.is_error(400);
        assert!(answer.message().contains("application/json"), "{answer:?}");
        assert_eq!(cancel_with(&project, Some(kind), b"").status, 200, "there is nothing to misread");
    }
    assert_eq!(cancel_with(&project, Some("application/json; charset=utf-8"), b"{}").status, 200);
    assert_eq!(cancel_with(&project, None, b"{}").status, 200);
}

/// Sends bytes and reads what comes until the server closes.
fn raw(server: &Server, request: &[u8]) -> String {
    let address = server.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(std::time::Duration::from_secs(20))).expect("a timeout");
    let mut answer = Vec::new();
    // The server may answer and close before it has read all; then writing the rest fails, as it should.
    let _ = stream.write_all(request);
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// One test for all that is not read to its end, on a server of its own: see `Server::cut`. What it needs is made before
/// the first cut, and only read after it.
#[test]
fn a_body_over_64_kib_is_413_and_the_rest_is_not_read() {
    let project = Project::on(Server::cut());
    let runs: Vec<i64> = (0..5).map(|_| project.queued()).collect();
    let bearer = format!("Bearer {}", project.key);
    let padded = |size: usize| {
        let mut body = br#"{"reason":"x"}"#.to_vec();
        body.resize(size, b' ');
        body
    };
    let cancel = |run: i64, size: usize| {
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        project.server.send("POST", &format!("/api/test-runs/{run}/cancel"), &headers, &padded(size))
    };
    let head = |run: i64| {
        format!(
            "POST /api/test-runs/{run}/cancel HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {bearer}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
    };
    assert_eq!(cancel(runs[0], 64 * 1024).status, 200, "the limit itself is fine");
    let short = head(runs[1]) + "5\r\n{\"rea\r\n9\r\nson\":\"x\"}\r\n0\r\n\r\n";
    let answer = raw(&project.server, short.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 200"), "a chunked body is read: {answer}");
    assert_eq!(project.show(runs[1])["cancel"]["reason"], "x");

    cancel(runs[2], 64 * 1024 + 1).is_error(413);
    cancel(runs[3], 1024 * 1024).is_error(413);
    let mut long = head(runs[4]).into_bytes();
    for _ in 0..70 {
        long.extend_from_slice(format!("400\r\n{}\r\n", " ".repeat(1024)).as_bytes());
    }
    for run in &runs[2..4] {
        assert_eq!(project.show(*run)["state"], "queued");
    }
    // The last chunk never comes: who waited for the whole body would never answer. This comes last, because after a
    // chunked body that was cut the proxy of `wrangler dev` lets the next request hang.
    let answer = raw(&project.server, &long);
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[test]
fn an_idempotency_key_is_1_to_255_printable_ascii_characters() {
    let project = Project::new();
    let id = project.queued();
    let bearer = format!("Bearer {}", project.key);
    let long = "k".repeat(256);
    for key in ["", "é", "a\tb", long.as_str()] {
        let headers = [("Authorization", bearer.as_str()), ("Idempotency-Key", key)];
        let answer = project.server.send("POST", &format!("/api/test-runs/{id}/cancel"), &headers, b"");
        answer.is_error(400);
        assert!(answer.message().contains("Idempotency-Key"), "{answer:?}");
    }
    assert_eq!(project.show(id)["state"], "queued");
}

#[test]
fn registrations_are_refused_by_field_and_write_nothing() {
    let project = Project::new();
    let many: Vec<String> = (0..51).map(|n| n.to_string()).collect();
    for (body, field) in [
        (json!({}), "environment"),
        (json!({"environment": 7}), "environment"),
        (json!({"environment": ""}), "environment"),
        (json!({"environment": "Staging"}), "environment"),
        (json!({"environment": "staging", "branch": "a", "build": {"branch": "a"}}), "branch"),
        (json!({"environment": "staging", "branch": ""}), "branch"),
        (json!({"environment": "staging", "branch": "a\nb"}), "branch"),
        (json!({"environment": "staging", "branch": "b".repeat(256)}), "branch"),
        (json!({"environment": "staging", "build": "main"}), "build"),
        (json!({"environment": "staging", "build": {"commit": 7}}), "build.commit"),
        (json!({"environment": "staging", "metadata": {"a": true}}), "metadata.a"),
        (json!({"environment": "staging", "metadata": {"a": {}}}), "metadata.a"),
        (json!({"environment": "staging", "metadata": []}), "metadata"),
        (json!({"environment": "staging", "tags": "e2e"}), "tags"),
        (json!({"environment": "staging", "tags": [7]}), "tags[0]"),
        (json!({"environment": "staging", "tags": many}), "tags"),
        (json!({"environment": "staging", "total_shards": 0}), "total_shards"),
        (json!({"environment": "staging", "total_shards": 1.5}), "total_shards"),
        (json!({"environment": "staging", "total_shards": "4"}), "total_shards"),
        (json!({"environment": "staging", "github_actor": []}), "github_actor"),
    ] {
        let answer = project.call("PUT", "/api/test-runs", Some(&body));
        answer.is_error(400);
        assert!(answer.message().contains(&format!("`{field}`")), "{body}: {answer:?}");
    }
    assert_eq!(project.get("/api/test-runs").ok()["pagination"]["total"], 0);
}

#[test]
fn queries_are_refused_by_parameter() {
    let project = Project::new();
    for query in [
        "page=0",
        "page=x",
        "per_page=101",
        "state=running",
        "result=ok",
        "environment_ids=a",
        "interval_in_days=0",
        "before=0",
        "stat=ended",
        "page=1&page=1",
        "branch=",
    ] {
        let answer = project.get(&format!("/api/test-runs?{query}"));
        answer.is_error(400);
        assert!(answer.message().contains(&format!("`{}`", query.split('=').next().unwrap_or_default())), "{answer:?}");
    }
}

#[test]
fn a_path_that_is_not_served_is_404_and_another_method_405_with_allow() {
    let server = Server::plain();
    // `/` is the page's.
    for path in [
        "/api",
        "/api/test-runs/",
        "/api/test-runs/1/",
        "/api/test-runs//cancel",
        "/api/test-runs/1/cancel/",
        "/API/test-runs",
        "/nothing",
        "/api/projects/1/x",
    ] {
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"] {
            server.send(method, path, &[], b"").is_error(404);
        }
    }
    for (method, path, allow) in [
        ("GET", "/api/test-runs/1/cancel", "POST"),
        ("PUT", "/api/test-runs/1/cancel", "POST"),
        ("PROPFIND", "/api/test-runs/1/cancel", "POST"),
        ("OPTIONS", "/api/test-runs/1/cancel", "POST"),
        ("POST", "/api/test-runs", "PUT, GET, HEAD"),
        ("PROPFIND", "/api/test-runs", "PUT, GET, HEAD"),
        ("PATCH", "/api/test-runs/1", "GET, HEAD"),
        ("DELETE", "/healthz", "GET, HEAD"),
        ("GET", "/api/keys/1", "DELETE"),
        ("GET", "/api/projects/1", "PATCH"),
        ("DELETE", "/api/projects", "POST, GET, HEAD"),
        ("POST", "/api/environments", "GET, HEAD"),
        ("GET", "/api/test-runs/cancel", "POST"),
        ("OPTIONS", "/api/test-runs/cancel", "POST"),
    ] {
        let answer = server.send(method, path, &[], b"");
        answer.is_error(405);
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
    }
    assert_eq!(server.send("HEAD", "/api/test-runs/1/cancel", &[], b"").status, 405);
}

#[test]
fn head_is_get_without_the_body() {
    let project = Project::new();
    let id = project.queued();
    let bearer = format!("Bearer {}", project.key);
    let answer = project.server.send("HEAD", &format!("/api/test-runs/{id}"), &[("Authorization", &bearer)], b"");
    assert_eq!((answer.status, answer.text.as_str()), (200, ""));
}
