//! A person's session over real HTTP: what the browser gets and sends, and what another origin's page can do with it.

use estop::key::KeyHash;
use estop::session::{LASTS, Session};
use estop_protocol::time::Timestamp;
use serde_json::json;

use crate::client::{Answer, Project, Server};
use crate::line::Line;

/// The secret that scripts/dev gives the Worker.
const SECRET: &str = "local-sessions";

const EVIL: &str = "https://evil.example";

fn sign_in(server: &Server, key: &str, origin: Option<&str>) -> Answer {
    let mut headers = vec![("Content-Type", "application/json")];
    headers.extend(origin.map(|origin| ("Origin", origin)));
    server.send("POST", "/api/session", &headers, json!({"key": key}).to_string().as_bytes())
}

/// What the browser sends back.
fn cookie(project: &Project) -> String {
    let answer = sign_in(&project.server, &project.key, Some(&project.server.url));
    assert_eq!((answer.status, answer.text.as_str()), (204, ""), "{answer:?}");
    let set = answer.header("set-cookie").expect("a cookie");
    let (pair, attributes) = set.split_once("; ").expect("attributes");
    assert_eq!(attributes, "Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=43200");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(!pair.contains(&project.key), "a cookie is no key");
    pair.to_owned()
}

fn by(cookie: &str, server: &Server, method: &str, path: &str, origin: Option<&str>) -> Answer {
    let mut headers = vec![("Cookie", cookie)];
    headers.extend(origin.map(|origin| ("Origin", origin)));
    server.send(method, path, &headers, b"")
}

/// No page of another origin may read it.
#[track_caller]
fn is_closed(answer: &Answer) {
    let opens = |name: &str| name.starts_with("access-control");
    assert!(answer.headers.keys().all(|name| !opens(name.as_str())), "{answer:?}");
}

#[test]
fn a_person_signs_in_sees_as_whom_stops_a_run_and_signs_out() {
    let project = Project::new();
    let (own, server) = (project.server.url.as_str(), &project.server);
    let (id, _) = project.started();
    let cookie = cookie(&project);
    let session = by(&cookie, server, "GET", "/api/session", None).ok()["data"].take();
    assert_eq!(
        (&session["session"]["user"], &session["project"]["id"]),
        (&json!("ada@example.com"), &json!(project.id))
    );
    assert!(session["session"]["expires_at"].is_string(), "{session}");
    let by_key = project.get("/api/session").ok();
    assert!(by_key["data"]["session"]["expires_at"].is_null(), "{by_key}");
    assert_eq!(by(&cookie, server, "GET", "/api/test-runs", None).ok()["data"]["test_runs"]["items"][0]["id"], id);
    let cancelled = by(&cookie, server, "POST", &format!("/api/test-runs/{id}/cancel"), Some(own));
    assert_eq!(cancelled.status, 200, "{cancelled:?}");
    assert_eq!(project.show(id)["cancel"]["by"], "ada@example.com");
    let out = by(&cookie, server, "DELETE", "/api/session", Some(own));
    assert_eq!(
        (out.status, out.header("set-cookie").map(|set| set.contains("=; ") && set.ends_with("Max-Age=0"))),
        (204, Some(true))
    );
}

#[test]
fn a_page_of_another_origin_can_neither_read_nor_stop_nor_watch_nor_sign_anybody_in() {
    let project = Project::new();
    let server = &project.server;
    let (id, _) = project.started();
    let cookie = cookie(&project);
    let cancel = format!("/api/test-runs/{id}/cancel");
    for origin in [None, Some(EVIL), Some("null"), Some("http://127.0.0.1:1"), Some("")] {
        for (method, path) in [("POST", cancel.as_str()), ("PUT", "/api/test-runs"), ("DELETE", "/api/session")] {
            let answer = by(&cookie, server, method, path, origin);
            answer.is_error(403);
            is_closed(&answer);
        }
        let answer = sign_in(server, &project.key, origin);
        answer.is_error(403);
        assert_eq!(answer.header("set-cookie"), None);
        for path in ["/api/watch".to_owned(), format!("/api/test-runs/{id}/watch")] {
            let mut headers = vec![("Cookie", cookie.as_str())];
            headers.extend(origin.map(|origin| ("Origin", origin)));
            assert_eq!(Line::open(server, &path, &headers).err(), Some(403), "{path} from {origin:?}");
        }
    }
    // What a page asks for by GET, it may only read if the answer says so; and where it names itself, it gets nothing.
    let read = by(&cookie, server, "GET", "/api/test-runs", None);
    read.clone().ok();
    is_closed(&read);
    let named = by(&cookie, server, "GET", "/api/test-runs", Some(EVIL));
    named.is_error(403);
    is_closed(&named);
    for path in ["/api/test-runs", cancel.as_str(), "/api/session"] {
        let ask = [("Origin", EVIL), ("Access-Control-Request-Method", "POST")];
        let preflight = server.send("OPTIONS", path, &ask, b"");
        assert!(matches!(preflight.status, 404 | 405), "{preflight:?}");
        is_closed(&preflight);
    }
    assert_eq!(project.show(id)["state"], "started");
    let headers = [("Cookie", cookie.as_str()), ("Origin", server.url.as_str())];
    assert!(Line::open(server, "/api/watch", &headers).is_ok(), "its own page may watch");
}

#[test]
fn a_session_ends_with_its_key_at_the_next_request() {
    let project = Project::new();
    let (key, id) = project.key("grace@example.com", &["read", "cancel"], None);
    let mut theirs = Project::new();
    theirs.key = key;
    let cookie = cookie(&theirs);
    by(&cookie, &project.server, "GET", "/api/test-runs", None).ok();
    project.server.admin("DELETE", &format!("/api/keys/{id}"), None).ok();
    for path in ["/api/test-runs", "/api/session"] {
        let answer = by(&cookie, &project.server, "GET", path, None);
        answer.is_error(401);
        assert!(answer.message().contains("revoked"), "{answer:?}");
    }
    sign_in(&project.server, &theirs.key, Some(&project.server.url)).is_error(401);
}

#[test]
fn a_cookie_that_is_forged_tampered_with_or_expired_is_401() {
    let project = Project::new();
    let honest = cookie(&project);
    let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().expect("a clock").as_millis()).expect("milliseconds");
    let made = |secret: &str, ends: i64| {
        let session = Session { key: KeyHash::of(&project.key), ends: Timestamp(ends) };
        session.cookie(secret).split(';').next().expect("a pair").to_owned()
    };
    assert_eq!(by(&made(SECRET, now + LASTS), &project.server, "GET", "/api/test-runs", None).status, 200);
    let (content, seal) = honest.rsplit_once('.').expect("a seal");
    for cookie in [
        made("another secret", now + LASTS),
        made(SECRET, now - 1),
        content.to_owned(),
        format!("{content}0.{seal}"),
        format!("__Host-estop={}", project.key),
        "__Host-estop=".to_owned(),
    ] {
        let answer = by(&cookie, &project.server, "GET", "/api/test-runs", None);
        answer.is_error(401);
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    for admin in [("GET", "/api/keys"), ("GET", "/api/projects")] {
        by(&honest, &project.server, admin.0, admin.1, Some(&project.server.url)).is_error(401);
    }
}
