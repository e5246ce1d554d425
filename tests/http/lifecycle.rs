//! Register, claim, heartbeat, finish.

use serde_json::{Value, json};

use crate::client::{NOBODYS, Project};

fn keyed(project: &Project, key: &str, method: &str, path: &str, body: &Value) -> crate::client::Answer {
    let bearer = format!("Bearer {}", project.key);
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json"), ("Idempotency-Key", key)];
    project.server.send(method, path, &headers, body.to_string().as_bytes())
}

#[test]
fn a_run_is_registered_with_everything_that_was_said_of_it() {
    let project = Project::new();
    let said = json!({
        "environment": "production",
        "build": {"url": "https://ci.example.com/7", "branch": "main", "commit": "abc1234", "commit_url": "https://git.example.com/abc1234", "version": "1.2.3"},
        "metadata": {"ci_run_id": 42, "pipeline": "nightly", "load": 0.5},
        "tags": ["e2e", "größe"],
        "github_actor": "octocat",
        "total_shards": 4
    });
    let data = project.call("PUT", "/api/test-runs", Some(&said)).ok()["data"].take();
    assert_eq!(data["trigger"], json!({"success": true}));
    assert_eq!(data["test_run"]["state"], "queued");
    assert_eq!(data["test_run"]["test_run_branch"], "main");
    let run = project.show(data["test_run"]["id"].as_i64().expect("an id"));
    assert_eq!(run["environment"], json!({"id": project.production, "name": "production", "slug": "production"}));
    for name in ["build", "metadata", "tags", "github_actor", "total_shards"] {
        assert_eq!(run[name], said[name], "{name}");
    }
    assert_eq!(run["created_at"], data["test_run"]["created_at"]);
    assert_eq!(run["created_by"], "ada@example.com");
    for name in [
        "result",
        "error_code",
        "counts",
        "started_at",
        "group",
        "fail_fast",
        "ended_at",
        "cancel",
        "stop",
        "superseded_by",
    ] {
        assert!(run[name].is_null() && run.as_object().is_some_and(|o| o.contains_key(name)), "{name}: {run}");
    }
}

#[test]
fn an_unknown_environment_is_refused_with_the_known_ones() {
    let project = Project::new();
    let answer = project.call("PUT", "/api/test-runs", Some(&json!({"environment": "stagin"})));
    answer.is_error(400);
    assert_eq!(
        answer.message(),
        "Field `environment`: there is no `stagin` in this project; known are production, staging."
    );
}

#[test]
fn a_registration_sent_twice_with_one_idempotency_key_makes_one_run() {
    let project = Project::new();
    let body = json!({"environment": "staging", "branch": "main"});
    let first = keyed(&project, "job-7", "PUT", "/api/test-runs", &body);
    let again = keyed(&project, "job-7", "PUT", "/api/test-runs", &body);
    assert_eq!((first.status, &first.text), (200, &again.text));
    assert_ne!(keyed(&project, "job-8", "PUT", "/api/test-runs", &body).text, first.text);
    assert_eq!(project.get("/api/test-runs").ok()["pagination"]["total"], 2);
}

#[test]
fn a_claim_gives_a_lease_once() {
    let project = Project::new();
    let id = project.queued();
    let path = format!("/api/test-runs/{id}/claim");
    let claimed = project.post(&path, &json!({"runner": "ci-7"})).ok()["data"].take();
    assert_eq!(claimed["test_run"], json!({"id": id, "state": "started", "shard": 1}));
    assert_eq!(claimed["lease"]["heartbeat_seconds"], 2);
    let run = project.show(id);
    assert_eq!(
        (&run["state"], &run["shards"][0]["runner"], &run["started_by"]),
        (&json!("started"), &json!("ci-7"), &json!("ada@example.com"))
    );
    assert_eq!(run["shards"][0]["lease"]["expires_at"], claimed["lease"]["expires_at"]);
    assert!(!run.to_string().contains(claimed["lease"]["token"].as_str().expect("a token")), "the token is told once");
    let second = project.post(&path, &json!({}));
    assert_eq!(second.status, 412);
    assert!(second.message().starts_with(&format!("Test run {id} has a runner already, since ")), "{second:?}");
}

#[test]
fn a_claim_repeated_with_its_idempotency_key_gets_its_own_lease_again() {
    let project = Project::new();
    let path = format!("/api/test-runs/{}/claim", project.queued());
    let first = keyed(&project, "c1", "POST", &path, &json!({}));
    assert_eq!((first.status, keyed(&project, "c1", "POST", &path, &json!({})).text), (200, first.text));
    assert_eq!(keyed(&project, "c2", "POST", &path, &json!({})).status, 412);
}

#[test]
fn a_run_that_is_over_cannot_be_claimed() {
    let project = Project::new();
    let id = project.queued();
    project.cancel(id).ok();
    let answer = project.call("POST", &format!("/api/test-runs/{id}/claim"), None);
    assert_eq!(answer.status, 412);
    assert!(answer.message().contains("ada@example.com cancelled it"), "{answer:?}");
}

#[test]
fn a_finish_records_result_and_counts() {
    let project = Project::new();
    let (id, token) = project.started();
    let counts = json!({"total": 9, "success": 5, "failed": 1, "skipped": 2, "flaky": 1});
    let body = json!({"lease": token, "state": "ended", "result": "failed", "counts": counts});
    let answer = project.post(&format!("/api/test-runs/{id}/finish"), &body).ok();
    assert_eq!(answer["data"]["test_run"], json!({"id": id, "state": "ended", "result": "failed"}));
    let run = project.show(id);
    assert_eq!(
        (&run["result"], &run["counts"], &run["ended_by"]),
        (&json!("failed"), &counts, &json!("ada@example.com"))
    );
    assert!(run["ended_at"].is_string() && run["lease"].is_null());
    assert_eq!(project.history(id), ["queued", "started", "ended"]);

    let again = project.finish(id, &token);
    assert_eq!(again.status, 412, "{again:?}");
    assert_eq!(project.show(id)["result"], "failed");
}

#[test]
fn a_finish_repeated_with_its_idempotency_key_gets_its_200_again() {
    let project = Project::new();
    let (id, token) = project.started();
    let body = json!({"lease": token, "state": "ended", "result": "passed"});
    let path = format!("/api/test-runs/{id}/finish");
    let first = keyed(&project, "f1", "POST", &path, &body);
    assert_eq!((first.status, keyed(&project, "f1", "POST", &path, &body).text), (200, first.text));
}

#[test]
fn a_run_can_break() {
    let project = Project::new();
    let (id, token) = project.started();
    let body = json!({"lease": token, "state": "error", "error_code": "report_not_generated"});
    let answer = project.post(&format!("/api/test-runs/{id}/finish"), &body).ok();
    assert_eq!(answer["data"]["test_run"], json!({"id": id, "state": "error", "result": null}));
    assert_eq!(project.show(id)["error_code"], "report_not_generated");
}

#[test]
fn state_result_and_error_code_must_fit_each_other() {
    let project = Project::new();
    let (id, token) = project.started();
    for (body, field) in [
        (json!({"lease": token, "state": "ended"}), "result"),
        (json!({"lease": token, "state": "error"}), "error_code"),
        (json!({"lease": token, "state": "ended", "result": "passed", "error_code": "merge_conflict"}), "error_code"),
        (json!({"lease": token, "state": "error", "error_code": "merge_conflict", "result": "failed"}), "result"),
        (json!({"lease": token, "state": "cancelled"}), "state"),
        (json!({"lease": token, "state": "ended", "result": "ok"}), "result"),
        (json!({"lease": token, "state": "ended", "result": "passed", "counts": {"total": -1}}), "counts.total"),
        (json!({"lease": token, "state": "ended", "result": "passed", "stop": {"outcome": "lost"}}), "stop.outcome"),
        (json!({"state": "ended", "result": "passed"}), "lease"),
    ] {
        let answer = project.post(&format!("/api/test-runs/{id}/finish"), &body);
        answer.is_error(400);
        assert!(answer.message().contains(field), "{answer:?}");
    }
    assert_eq!(project.show(id)["state"], "started");
}

#[test]
fn a_foreign_or_stale_lease_is_409_and_changes_nothing() {
    let project = Project::new();
    let (id, token) = project.started();
    let (_, foreign) = project.started();
    let queued = project.queued();
    let before = project.show(id);
    project.heartbeat(id, &foreign).is_error(409);
    project.finish(id, &foreign).is_error(409);
    project.heartbeat(queued, &foreign).is_error(409);
    project.finish(queued, &foreign).is_error(409);
    assert_eq!(project.show(id), before);
    project.finish(id, &token).ok();
    project.heartbeat(id, &token).is_error(409);
    project.cancel(queued).ok();
    project.heartbeat(queued, &token).is_error(409);
    project.finish(queued, &foreign).is_error(409);
    assert_eq!(project.show(queued)["stop"]["outcome"], "never_started");
}

#[test]
fn what_never_was_is_404_to_a_key_and_409_to_a_lease() {
    let project = Project::new();
    project.post(&format!("/api/test-runs/{NOBODYS}/claim"), &json!({})).is_error(404);
    // Without a credential nobody learns which runs there are.
    project.heartbeat(NOBODYS, "x").is_error(409);
    project.finish(NOBODYS, "x").is_error(409);
    project.get(&format!("/api/test-runs/{NOBODYS}")).is_error(404);
    project.get(&format!("/api/test-runs/{NOBODYS}/events")).is_error(404);
    project.get(&format!("/api/test-runs/{NOBODYS}/failures")).is_error(404);
}
