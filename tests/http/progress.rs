//! How far tests are and which have failed, over real HTTP.

use serde_json::{Value, json};

use crate::client::{Project, Server};

#[test]
fn a_runner_tells_how_far_its_tests_are_and_which_have_failed() {
    let project = Project::new();
    let (id, token) = project.started();
    let progress =
        json!({"total": 412, "done": 170, "failed": 2, "flaky": 1, "skipped": 3, "current": "checkout › pays"});
    let failures: Vec<Value> =
        (0..50).map(|n| json!({"title": format!("größe {n}"), "line": n, "message": "a\n\tb"})).collect();
    let path = format!("/api/test-runs/{id}/heartbeat");
    project.post(&path, &json!({"lease": token, "progress": progress, "failures": failures})).ok();
    let run = project.show(id);
    assert_eq!((&run["shards"][0]["progress"], &run["version"]), (&progress, &json!(3)));
    let listed = project.get(&format!("/api/test-runs/{id}/failures")).ok()["data"]["failures"].take();
    let last = json!({"shard": 1, "title": "größe 49", "file": null, "line": 49, "message": "a\n\tb"});
    assert_eq!((listed.as_array().map(Vec::len), &listed[49]), (Some(50), &last));
    let finish = json!({"lease": token, "state": "ended", "result": "failed", "progress": {"total": 412, "done": 412, "failed": 1}});
    project.post(&format!("/api/test-runs/{id}/finish"), &finish).ok();
    let counts = json!({"total": 412, "success": 411, "failed": 1, "skipped": 0, "flaky": 0});
    assert_eq!(project.show(id)["counts"], counts);
}

#[test]
fn what_is_too_much_or_not_as_described_is_refused_and_changes_nothing() {
    let project = Project::new();
    let (id, token) = project.started();
    let before = project.show(id);
    let path = format!("/api/test-runs/{id}/heartbeat");
    let failures = |count: usize, chars: usize| -> Value {
        (0..count).map(|n| json!({"title": format!("{n}"), "message": "x".repeat(chars)})).collect()
    };
    for (body, status) in [
        (json!({"lease": token, "failures": failures(50, 1900)}), 413),
        (json!({"lease": token, "failures": failures(50, 1000)}), 400),
        (json!({"lease": token, "failures": failures(51, 1)}), 400),
        (json!({"lease": token, "failures": [{"title": "x", "message": "\u{1b}[31m"}]}), 400),
        (json!({"lease": token, "progress": {"done": -1}}), 400),
        (json!({"lease": token, "progress": {"finished": 1}}), 400),
    ] {
        project.post(&path, &body).is_error(status);
    }
    assert_eq!(project.show(id), before);
    let nobody = Server::plain();
    nobody.send("GET", &format!("/api/test-runs/{id}/failures"), &[], b"").is_error(401);
}
