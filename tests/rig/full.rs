//! A database that is full, or nearly.

use serde_json::json;

use crate::backend::Fault;
use crate::workerd::Rig;

#[test]
fn a_database_that_is_nearly_full_takes_no_runs_and_goes_on_with_those_it_has() {
    let rig = Rig::start();
    let project = rig.project();
    let (id, token) = project.started();
    let register = || project.call("PUT", "/api/test-runs", Some(&json!({"environment": "staging"})));
    // 95 % of the 500 MB that are the default.
    rig.backend.pretend_size(474_999_999);
    assert_eq!(register().status, 200);
    rig.backend.pretend_size(475_000_000);
    // The size comes with each answer.
    let queued = project.queued();
    let refused = register();
    refused.is_error(507);
    assert!(refused.message().contains("DATABASE_BYTES"), "{refused:?}");
    let stranger = rig.server.call(
        &format!("estop_{}", "A".repeat(43)),
        "PUT",
        "/api/test-runs",
        Some(&json!({"environment": "staging"})),
    );
    stranger.is_error(401);
    assert_eq!(project.heartbeat(id, &token).status, 200);
    assert_eq!(project.cancel(id).status, 200);
    assert_eq!(project.post(&format!("/api/test-runs/{queued}/claim"), &json!({})).status, 200);
    // Room was made: the refusal itself brought the news.
    rig.backend.pretend_size(100);
    register();
    assert_eq!(register().status, 200);
}

#[test]
fn a_full_database_is_told_as_what_it_is_and_not_asked_again() {
    let rig = Rig::start();
    let project = rig.project();
    let (id, _) = project.started();
    for words in ["Exceeded maximum DB size", "database or disk is full: SQLITE_FULL"] {
        rig.backend.inject(Fault::ErrorBefore(words), 9);
        rig.backend.count();
        project.call("PUT", "/api/test-runs", Some(&json!({"environment": "staging"}))).is_error(507);
        assert_eq!(rig.backend.count().0, 1, "{words}");
        let cancel = project.cancel(id);
        assert_eq!(rig.backend.count().0, 1, "{words}");
        cancel.is_error(503);
        assert!(cancel.message().contains("full") && cancel.header("retry-after").is_some(), "{cancel:?}");
        rig.backend.heal();
    }
    assert_eq!(project.cancel(id).status, 200);
}
