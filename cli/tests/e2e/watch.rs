//! `estop watch`.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::client::{Project, eventually};
use crate::relay::Relay;
use crate::support::{Running, estop, start, start_at};

/// The states of a run in what was printed as JSON, in order.
fn states(stdout: &str, id: i64) -> Vec<String> {
    let runs = stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    runs.filter(|run| run["id"] == id).map(|run| run["state"].as_str().expect("a state").to_owned()).collect()
}

#[test]
fn a_run_is_followed_until_its_tests_have_stopped() {
    let project = Project::new();
    let (id, token) = project.started();
    let mut watching = start(&project, &["watch", &id.to_string()]);
    watching.says("started");
    assert_eq!(project.cancel(id).status, 200);
    watching.says("cancelled (stopping)");
    assert!(watching.is_running(), "the tests still run");
    let stop = json!({"lease": token, "state": "ended", "result": "passed", "stop": {"outcome": "killed"}});
    project.post(&format!("/api/test-runs/{id}/finish"), &stop);
    let ended = watching.end().expect_code(120);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{ended:?}");
    assert!(
        lines[2].contains("cancelled (killed)") && lines[2].ends_with("ada@example.com: wrong branch"),
        "{ended:?}"
    );
}

#[test]
fn it_ends_as_the_run_does() {
    let project = Project::new();
    let (id, token) = project.started();
    let watching = start(&project, &["watch", &id.to_string(), "--no-push"]);
    assert_eq!(project.finish(id, &token).status, 200);
    watching.end().expect_code(0);
    start(&project, &["watch", &id.to_string()]).end().expect_code(0);
    let ended = start(&Project::new(), &["watch", &id.to_string()]).end().expect_code(122);
    assert!(ended.stderr.contains("Check the id"), "{ended:?}");
}

#[test]
fn the_project_is_followed_through_a_cut_and_what_was_over_before_is_not_shown() {
    let project = Project::new();
    let (over, token) = project.started();
    project.finish(over, &token);
    let open = project.queued();
    let relay = Relay::before(&project.server.url);
    let mut watching = start_at(&relay.url, &project, &["watch", "--json"]);
    watching.says(&format!("\"id\":{open},"));
    eventually("an open line", || (relay.seen("GET /api/test-runs?") == 2).then_some(()));
    let (heard, token) = project.started();
    watching.says(&format!("\"id\":{heard},"));
    // What happens while there is no line is found by the look after it opens again.
    relay.refuse(Some(("502 Bad Gateway", "<html>")));
    relay.kill();
    project.finish(heard, &token);
    relay.refuse(None);
    watching.says("\"state\":\"ended\"");
    assert_eq!(project.cancel(open).status, 200);
    watching.says("\"state\":\"cancelled\"");
    watching.signal(Signal::INT);
    let ended = watching.end();
    assert_eq!(states(&ended.stdout, over), [""; 0], "{ended:?}");
    assert_eq!(states(&ended.stdout, open), ["queued", "cancelled"], "{ended:?}");
    let states = states(&ended.stdout, heard);
    assert_eq!(
        (states.first().map(String::as_str), states.last().map(String::as_str)),
        (Some("queued"), Some("ended"))
    );
}

#[test]
fn a_key_that_is_revoked_ends_it() {
    let project = Project::new();
    let (key, id) = project.key("eve", &["read"], None);
    project.queued();
    let mut watching = Running::of(estop(&project.server.url, &key).args(["watch", "--no-push"]));
    watching.says("queued");
    assert_eq!(project.server.admin("DELETE", &format!("/api/keys/{id}"), None).status, 200);
    watching.end().expect_code(122);
}
