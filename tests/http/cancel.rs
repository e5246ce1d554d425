//! The stop button.

use serde_json::json;

use crate::client::{NOBODYS, Project};

#[test]
fn a_queued_run_is_cancelled_once_and_over_from_then_on() {
    let project = Project::new();
    let id = project.queued();
    let answer = project.cancel(id);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json().as_object().map(|o| o.len()), Some(1), "the contract's message alone");
    let run = project.show(id);
    assert_eq!(run["state"], "cancelled");
    assert_eq!(run["cancel"]["reason"], "wrong branch");
    assert_eq!(run["cancel"]["cause"], "user");
    assert_eq!(run["cancel"]["by"], "ada@example.com");
    assert_eq!(
        run["stop"],
        json!({"outcome": "never_started", "confirmed_at": null, "duration_ms": null, "kill": null, "late_result_at": null})
    );
    let at = run["cancel"]["at"].as_str().expect("a time");
    assert_eq!(answer.message(), format!("Test run {id} is cancelled: ada@example.com stopped it at {at}."));

    let again = project.cancel(id);
    assert_eq!(again.status, 412, "{again:?}");
    assert_eq!(again.json().as_object().map(|o| o.len()), Some(1), "the contract's message alone");
    assert_eq!(again.message(), format!("Test run {id} is over: ada@example.com cancelled it at {at}."));
    assert_eq!(project.history(id), ["queued", "cancelled"]);
}

#[test]
fn no_body_is_no_reason() {
    let project = Project::new();
    for (body, kind) in
        [("", None), ("{}", Some("application/json")), (r#"{"reason":"  \n "}"#, Some("application/json"))]
    {
        let id = project.queued();
        let bearer = format!("Bearer {}", project.key);
        let mut headers = vec![("Authorization", bearer.as_str())];
        headers.extend(kind.map(|kind| ("Content-Type", kind)));
        let answer = project.server.send("POST", &format!("/api/test-runs/{id}/cancel"), &headers, body.as_bytes());
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(project.show(id)["cancel"]["reason"].is_null());
    }
}

#[test]
fn a_reason_is_kept_as_it_was_said() {
    let project = Project::new();
    let longest = "é".repeat(1024);
    for reason in ["Größe: 10 µm\n\tzweite Zeile 🛑", "'; DROP TABLE runs; --", "\"quoted\" \\ {}", longest.as_str()]
    {
        let id = project.queued();
        assert_eq!(project.post(&format!("/api/test-runs/{id}/cancel"), &json!({"reason": reason})).status, 200);
        assert_eq!(project.show(id)["cancel"]["reason"], reason);
    }
}

#[test]
fn the_412_says_what_is_the_case() {
    let project = Project::new();
    let (id, token) = project.started();
    project.finish(id, &token).ok();
    let ended = project.show(id)["ended_at"].as_str().expect("a time").to_owned();
    let answer = project.cancel(id);
    assert_eq!(
        (answer.status, answer.message()),
        (412, format!("Test run {id} is over: it ended (passed) at {ended}."))
    );

    let (id, token) = project.started();
    let body = json!({"lease": token, "state": "error", "error_code": "merge_conflict"});
    project.post(&format!("/api/test-runs/{id}/finish"), &body).ok();
    let answer = project.cancel(id);
    assert_eq!(answer.status, 412);
    assert!(
        answer.message().starts_with(&format!("Test run {id} is over: it broke (merge_conflict) at ")),
        "{answer:?}"
    );
    assert!(project.show(id)["cancel"].is_null(), "a refused cancel leaves no trace");
}

#[test]
fn the_same_idempotency_key_gets_the_same_200_again() {
    let project = Project::new();
    let id = project.queued();
    let bearer = format!("Bearer {}", project.key);
    let cancel = |key: &str, reason: &str| {
        let headers =
            [("Authorization", bearer.as_str()), ("Content-Type", "application/json"), ("Idempotency-Key", key)];
        let body = json!({"reason": reason}).to_string();
        project.server.send("POST", &format!("/api/test-runs/{id}/cancel"), &headers, body.as_bytes())
    };
    let first = cancel("try 1", "first");
    assert_eq!(first.status, 200);
    let again = cancel("try 1", "first");
    assert_eq!((again.status, &again.text), (200, &first.text));
    // The contract's route knows no 422.
    let other = cancel("try 1", "second");
    other.is_error(400);
    assert!(other.message().contains("Idempotency-Key"), "{other:?}");
    assert_eq!(cancel("try 2", "third").status, 412);
    assert_eq!(project.cancel(id).status, 412);
    assert_eq!(project.show(id)["cancel"]["reason"], "first");
    assert_eq!(project.history(id), ["queued", "cancelled"]);
}

#[test]
fn the_runner_learns_who_stopped_it_and_why_and_confirms() {
    let project = Project::new();
    let (id, token) = project.started();
    assert!(project.heartbeat(id, &token).ok()["data"]["stop"].is_null());
    project.cancel(id).ok();
    assert_eq!(project.show(id)["stop"]["outcome"], "stopping");

    let beat = project.heartbeat(id, &token).ok();
    let run = project.show(id);
    assert_eq!(beat["data"]["state"], "cancelled");
    assert_eq!(
        beat["data"]["stop"],
        json!({"reason": "wrong branch", "cause": "user", "by": "ada@example.com", "at": run["cancel"]["at"], "grace_seconds": 10, "lease_lost": false, "kill": false})
    );

    let body = json!({"lease": token, "state": "ended", "result": "failed", "stop": {"outcome": "killed"}});
    let answer = project.post(&format!("/api/test-runs/{id}/finish"), &body);
    assert_eq!(answer.status, 412, "{answer:?}");
    assert!(answer.message().contains("ada@example.com cancelled it"), "{answer:?}");
    let after = project.show(id);
    assert_eq!((&after["state"], &after["cancel"], &after["result"]), (&run["state"], &run["cancel"], &json!(null)));
    assert_eq!(after["stop"]["outcome"], "killed");
    assert!(after["stop"]["confirmed_at"].is_string() && after["stop"]["duration_ms"].is_u64(), "{after}");
}

#[test]
fn a_run_that_never_was_is_404() {
    let project = Project::new();
    project.cancel(NOBODYS).is_error(404);
}
