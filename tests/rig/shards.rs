//! Runs with several shards, and what one does with them over HTTP.

use serde_json::{Value, json};

use crate::client::Project;

/// The registration of shard `shard` of 2, by a job of this group.
pub fn group(name: &str, shard: i64) -> Value {
    json!({"environment": "staging", "total_shards": 2, "group": name, "shard": shard})
}

/// Registers a run.
pub fn register(project: &Project, body: &Value) -> i64 {
    let registered = project.call("PUT", "/api/test-runs", Some(body)).ok();
    registered["data"]["test_run"]["id"].as_i64().expect("an id")
}

/// Registers a run of two shards.
pub fn of_two(project: &Project) -> i64 {
    register(project, &json!({"environment": "staging", "total_shards": 2}))
}

/// Claims a shard; gives its lease token.
pub fn claim(project: &Project, id: i64, shard: i64) -> String {
    let claimed = project.post(&format!("/api/test-runs/{id}/claim"), &json!({"shard": shard, "runner": "r1"})).ok();
    claimed["data"]["lease"]["token"].as_str().expect("a token").to_owned()
}
