//! Several databases: each request goes to the one that has its bucket.

use serde_json::json;

use crate::workerd::Rig;

/// A project in this bucket, with an environment and a key: past the Worker, but for the key's creation.
fn project_in(rig: &Rig, bucket: &str, number: usize) -> (i64, String) {
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
