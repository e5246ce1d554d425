//! The WebAssembly starts anew after a trap, in the same isolate, and every request does what it says.

use serde_json::json;

use crate::client::Project;
use crate::workerd::Rig;

/// A run's whole life, each of its statements sent twice.
fn lives(project: &Project) {
    for _ in 0..2 {
        let (id, token) = project.started();
        assert_eq!(project.show(id)["state"], "started");
        assert_eq!(project.heartbeat(id, &token).json()["data"]["stop"], json!(null));
        assert_eq!(project.cancel(id).status, 200);
        assert_eq!(project.heartbeat(id, &token).json()["data"]["stop"]["by"], "ada@example.com");
        assert_eq!(project.finish(id, &token).status, 412);
        assert_eq!(project.show(id)["stop"]["outcome"], "graceful");
        let events = project.get(&format!("/api/test-runs/{id}/events")).ok();
        assert_eq!(events["data"]["events"].as_array().map(Vec::len), Some(4), "{events}");
    }
}

#[test]
fn after_a_crash_every_request_does_what_it_says() {
    let rig = Rig::start_that_crashes();
    let project = rig.project();
    let revoke = |id: i64| rig.server.admin("DELETE", &format!("/api/keys/{id}"), None);
    revoke(999).is_error(404);
    for life in 0..3 {
        assert_eq!(rig.server.send("GET", "/crash", &[], b"").status, 200);
        for _ in 0..2 {
            let keys = rig.server.admin("GET", "/api/keys?before=1000", None).ok();
            assert_eq!(keys["data"]["keys"][0]["revoked_at"], json!(null), "life {life}");
        }
        lives(&project);
    }
    assert_eq!(rig.log().matches("Reinitializing").count(), 3, "{}", rig.log());
}
