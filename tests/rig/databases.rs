//! Several databases: each request goes to the one that has its bucket.

use serde_json::json;

use crate::backend::Fault;
use crate::workerd::Rig;

/// A project in this bucket, with an environment and a key: past the Worker, but for the key's creation.
pub fn project_in(rig: &Rig, bucket: &str, number: usize) -> (i64, String) {
    let id = 100 + i64::from_str_radix(bucket, 36).expect("a bucket");
    let directory = format!(
        "INSERT INTO project_directory (id, slug, bucket, request_id) VALUES ({id}, 'p{id}', '{bucket}', 'r{id}')"
    );
    rig.backend.sql(&directory);
    rig.database(number).sql(&format!(
        "INSERT INTO projects (id, slug, name, request_id, created_at, bucket) VALUES ({id}, 'p{id}', 'P', 'r{id}', 0, '{bucket}'); \
         INSERT INTO environments (project_id, slug, name, request_id, created_at) VALUES ({id}, 'staging', 'S', 'r{id}', 0)"
    ));
    let body = json!({"project_id": id, "user": "ada@example.com", "name": "CI", "scopes": ["read", "cancel", "run"]});
    let made = rig.server.admin("POST", "/api/keys", Some(&body)).ok();
    (id, made["data"]["token"].as_str().expect("a key").to_owned())
}

#[test]
fn a_run_lives_in_the_database_that_has_its_bucket() {
    let rig = Rig::start_with_databases(3, "0a-0f=1 k3=2");
    for (bucket, number) in [("00", 0_usize), ("0c", 1), ("k3", 2)] {
        let (_, key) = project_in(&rig, bucket, number);
        assert_eq!(&key[6..8], bucket);
        let call =
            |method: &str, path: &str, body: serde_json::Value| rig.server.call(&key, method, path, Some(&body)).ok();
        let run = call("PUT", "/api/test-runs", json!({"environment": "staging"}))["data"]["test_run"]["id"]
            .as_i64()
            .expect("an id");
        assert_eq!(run >> 44, i64::try_from(number).expect("few"), "{run}");
        let lease = call("POST", &format!("/api/test-runs/{run}/claim"), json!({}))["data"]["lease"]["token"].clone();
        assert!(lease.as_str().expect("a token").starts_with(&format!("{bucket}.1.")), "{lease}");
        for other in 0..3 {
            rig.database(other).count();
        }
        call("POST", &format!("/api/test-runs/{run}/cancel"), json!({"reason": "why"}));
        let trips: Vec<u32> = (0..3).map(|other| rig.database(other).count().0).collect();
        assert_eq!(trips, (0..3).map(|other| u32::from(other == number)).collect::<Vec<_>>(), "one round trip");
        let told = call("POST", &format!("/api/test-runs/{run}/heartbeat"), json!({"lease": lease}));
        assert_eq!(told["data"]["stop"]["reason"], "why");
        let state: String = rig.database(number).value(&format!("SELECT state FROM runs WHERE id = {run}"));
        assert_eq!(state, "cancelled");
    }
}

#[test]
fn a_bucket_on_its_way_is_503_wherever_the_worker_looks_for_it() {
    let rig = Rig::start_with_databases(2, "k3=1");
    let (_, key) = project_in(&rig, "k3", 1);
    // The map has it where it was; there it has moved on, to where it is not whole yet.
    rig.database(1).sql("UPDATE buckets SET state = 'moved', moved_to = 0, frozen = 1 WHERE bucket = 'k3'");
    rig.backend
        .sql("UPDATE buckets SET state = 'arriving', moved_to = NULL, moved_from = 1, frozen = 1 WHERE bucket = 'k3'");
    let register = || rig.server.call(&key, "PUT", "/api/test-runs", Some(&json!({"environment": "staging"})));
    let refused = register();
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("2")), "{refused:?}");
    let runs: i64 = rig.database(1).value("SELECT count(*) FROM runs");
    assert_eq!(runs, 0);
}

/// What `admin` answers of this path.
fn admin(rig: &Rig, method: &str, path: &str, body: serde_json::Value) -> serde_json::Value {
    rig.server.admin(method, path, Some(&body)).ok()["data"].clone()
}

#[test]
fn what_the_api_sets_up_works_in_the_database_of_its_bucket() {
    let rig = Rig::start_with_databases(2, "01-zz=1");
    let project = admin(&rig, "POST", "/api/projects", json!({"name": "Shop", "slug": "shop"}))["project"].clone();
    let id = project["id"].as_i64().expect("an id");
    let bucket = project["bucket"].as_str().expect("a bucket");
    let there: i64 =
        rig.database(1).value(&format!("SELECT count(*) FROM projects WHERE id = {id} AND bucket = '{bucket}'"));
    let here: i64 = rig.backend.value("SELECT count(*) FROM projects");
    assert_eq!((there, here), (1, 0), "{project}");
    let staging = json!({"name": "Staging", "slug": "staging"});
    let environment =
        admin(&rig, "POST", &format!("/api/projects/{id}/environments"), staging)["environment"]["id"].clone();
    let scopes =
        json!({"project_id": id, "user": "ada@example.com", "name": "CI", "scopes": ["read", "cancel", "run"]});
    let made = admin(&rig, "POST", "/api/keys", scopes);
    let (key, key_id) = (made["token"].as_str().expect("a key").to_owned(), made["key"]["id"].clone());
    let call = |method: &str, path: &str| rig.server.call(&key, method, path, Some(&json!({"environment": "staging"})));
    let run = call("PUT", "/api/test-runs").ok()["data"]["test_run"]["id"].clone();
    rig.server.call(&key, "POST", &format!("/api/test-runs/{run}/cancel"), None).ok();
    admin(&rig, "PATCH", &format!("/api/projects/{id}"), json!({"badges": true}));
    let badge = || rig.server.send("GET", "/api/badges/projects/shop/environments/staging.json", &[], b"");
    assert_eq!(badge().json()["message"], "unknown", "cancelled runs say nothing");
    let hook = admin(&rig, "POST", &format!("/api/projects/{id}/webhooks"), json!({"url": "https://example.com/"}));
    let hook = &hook["webhook"]["id"];
    for (method, path, body) in [
        ("PATCH", format!("/api/environments/{environment}"), json!({"disabled": true})),
        ("GET", format!("/api/webhooks/{hook}"), json!({})),
        ("PATCH", format!("/api/webhooks/{hook}"), json!({"disabled": true})),
        ("GET", format!("/api/webhooks/{hook}/deliveries"), json!({})),
        ("DELETE", format!("/api/keys/{key_id}"), json!({})),
    ] {
        let answer = rig.server.admin(method, &path, Some(&body));
        assert_eq!(answer.status, 200, "{method} {path}: {answer:?}");
        let answer = rig.server.admin(method, &path.replace(|c: char| c.is_ascii_digit(), "9"), Some(&body));
        assert_eq!(answer.status, 404, "{method} {path}: {answer:?}");
    }
    assert_eq!(call("GET", "/api/test-runs").status, 401, "the key is revoked");
}

#[test]
fn a_database_that_is_dead_stops_its_own_projects_alone() {
    let rig = Rig::start_with_databases(3, "0a-0f=1 k3=2");
    let [(_, one), (two_id, two)] = [("0c", 1), ("k3", 2)].map(|(bucket, number)| project_in(&rig, bucket, number));
    rig.database(2).sql("UPDATE projects SET badges = 1");
    let list = |key: &str| rig.server.call(key, "GET", "/api/test-runs", None).status;
    let badge = format!("/api/badges/projects/p{two_id}/environments/staging.json");
    let badge = || rig.server.send("GET", &badge, &[], b"").status;
    let lists =
        || ["/api/projects", "/api/keys", "/api/admin-events"].map(|path| rig.server.admin("GET", path, None).status);
    let named =
        |name: &str| rig.server.admin("PATCH", &format!("/api/projects/{two_id}"), Some(&json!({"name": name}))).status;
    assert_eq!((list(&one), list(&two), badge(), lists(), named("a")), (200, 200, 200, [200; 3], 200));
    for (dead, expected) in [(1, (503, 200, 200, [503; 3], 200)), (0, (200, 200, 200, [503; 3], 200))] {
        rig.database(dead).inject(Fault::ErrorBefore("D1 DB is overloaded. Requests queued for too long."), u32::MAX);
        assert_eq!((list(&one), list(&two), badge(), lists(), named("b")), expected, "{dead} is dead");
        let health = rig.server.send("GET", "/healthz", &[], b"");
        let of = |number: usize| health.json()["databases"][number]["status"].clone();
        assert_eq!((health.status, of(dead), of(2)), (503, json!("unavailable"), json!("ok")), "{health:?}");
        rig.database(dead).heal();
    }
    let health = rig.server.send("GET", "/healthz", &[], b"").json();
    assert_eq!(health["data"]["databases"].as_array().map(Vec::len), Some(3), "{health}");
}
