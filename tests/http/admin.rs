//! Set-up behind the admin token.

use estop::buckets::Bucket;
use serde_json::json;

use crate::client::{NOBODYS, Project, Server, unique};

#[test]
fn a_project_is_made_once_for_a_slug() {
    let server = Server::plain();
    let slug = unique();
    let body = json!({"name": "Shop", "slug": slug});
    let project = server.admin("POST", "/api/projects", Some(&body)).ok()["data"]["project"].take();
    assert_eq!((&project["name"], &project["slug"]), (&json!("Shop"), &json!(slug)));
    server.admin("POST", "/api/projects", Some(&body)).is_error(409);
}

#[test]
fn an_environment_is_made_once_for_a_project_and_slug() {
    let project = Project::new();
    let path = format!("/api/projects/{}/environments", project.id);
    let body = json!({"name": "QA", "slug": "qa"});
    let made = project.server.admin("POST", &path, Some(&body)).ok()["data"]["environment"].take();
    assert_eq!((&made["name"], &made["slug"]), (&json!("QA"), &json!("qa")));
    project.server.admin("POST", &path, Some(&body)).is_error(409);
    project.server.admin("POST", &format!("/api/projects/{NOBODYS}/environments"), Some(&body)).is_error(404);
}

#[test]
fn a_keys_text_is_in_the_answer_to_its_post_and_nowhere_else() {
    let project = Project::new();
    let body = json!({"project_id": project.id, "user": "grace", "name": "laptop", "scopes": ["cancel", "read"], "expires_at": "2099-01-01T00:00:00+01:00"});
    let made = project.server.admin("POST", "/api/keys", Some(&body)).ok();
    let token = made["data"]["token"].as_str().expect("a key");
    assert!(Bucket::parse(&token[6..8]).is_some() && token.len() == 57, "{token}");
    let key = &made["data"]["key"];
    assert_eq!(key["scopes"], json!(["read", "cancel"]));
    assert_eq!(key["expires_at"], "2098-12-31T23:00:00.000Z");
    assert_eq!(
        (&key["user"], &key["name"], &key["project_id"]),
        (&json!("grace"), &json!("laptop"), &json!(project.id))
    );
    let listed = project.server.admin("GET", &format!("/api/keys?project_id={}", project.id), None);
    assert!(!listed.text.contains(token) && !listed.text.contains("hash"), "{listed:?}");
    assert_eq!(&listed.json()["data"]["keys"][0], key);
    assert_eq!(listed.json()["data"]["keys"].as_array().map(Vec::len), Some(2));
}

#[test]
fn keys_are_listed_in_pages() {
    let project = Project::new();
    for _ in 0..2 {
        project.key("ada", &["read"], None);
    }
    let path = format!("/api/keys?project_id={}&per_page=2", project.id);
    let first = project.server.admin("GET", &path, None).ok();
    let next = first["pagination"]["next_before"].as_i64().expect("more");
    let second = project.server.admin("GET", &format!("{path}&before={next}"), None).ok();
    assert_eq!(second["data"]["keys"].as_array().map(Vec::len), Some(1));
    assert_eq!(second["pagination"]["next_before"], json!(null));
    assert_eq!(
        project.server.admin("GET", "/api/keys?per_page=1", None).ok()["data"]["keys"].as_array().map(Vec::len),
        Some(1)
    );
}

#[test]
fn a_revoked_key_opens_nothing_from_the_next_request_on() {
    let project = Project::new();
    let (key, id) = project.key("grace", &["read"], None);
    assert_eq!(project.server.call(&key, "GET", "/api/test-runs", None).status, 200);
    let path = format!("/api/keys/{id}");
    let revoked = project.server.admin("DELETE", &path, None).ok();
    assert!(revoked["data"]["key"]["revoked_at"].is_string());
    project.server.call(&key, "GET", "/api/test-runs", None).is_error(401);
    assert_eq!(project.server.admin("DELETE", &path, None).ok(), revoked, "revoking it again changes nothing");
    project.server.admin("DELETE", &format!("/api/keys/{NOBODYS}"), None).is_error(404);
}

#[test]
fn bad_set_ups_are_refused_by_field() {
    let project = Project::new();
    let key = |name: &str, value| {
        let mut body = json!({"project_id": project.id, "user": "grace", "name": "laptop", "scopes": ["read"]});
        body[name] = value;
        body
    };
    for (path, body, status, field) in [
        ("/api/projects", json!({"name": "x"}), 400, "slug"),
        ("/api/projects", json!({"name": "", "slug": "x"}), 400, "name"),
        ("/api/projects", json!({"name": "x", "slug": "Big Slug"}), 400, "slug"),
        ("/api/projects", json!({"name": "x", "slug": "-x"}), 400, "slug"),
        ("/api/projects", json!({"name": 7, "slug": "x"}), 400, "name"),
        ("/api/keys", key("scopes", json!([])), 400, "scopes"),
        ("/api/keys", key("scopes", json!(["write"])), 400, "scopes[0]"),
        ("/api/keys", key("user", json!("system:sweeper")), 400, "user"),
        ("/api/keys", key("user", json!(null)), 400, "user"),
        ("/api/keys", key("project_id", json!(0)), 400, "project_id"),
        ("/api/keys", key("project_id", json!("1")), 400, "project_id"),
        ("/api/keys", key("expires_at", json!("soon")), 400, "expires_at"),
        ("/api/keys", key("project_id", json!(NOBODYS)), 404, "project"),
    ] {
        let answer = project.server.admin("POST", path, Some(&body));
        answer.is_error(status);
        assert!(answer.message().contains(field), "{body}: {answer:?}");
    }
}
