//! A run that waits for its turn. What the service says then comes from the proxy.

use rustix::process::Signal;
use serde_json::json;

use crate::client::Project;
use crate::proxy::{Mode, Proxy, http};
use crate::support::{Running, start_at};

const WAIT: &str = r#"{"message":"Test run 7 goes first, for at most 60 s."}"#;

/// A run that waits behind another.
fn waiting(project: &Project) -> (Running, Proxy, i64) {
    let id = project.queued();
    let registered = json!({"data": {
        "trigger": {"success": true},
        "test_run": {"id": id, "state": "queued", "test_run_branch": null, "created_at": "2026-11-22T09:30:00.000Z"},
    }});
    let says = vec![
        ("/claim", http("412 Precondition Failed", "Retry-After: 1\r\n", WAIT)),
        ("", http("200 OK", "", &registered.to_string())),
    ];
    let proxy = Proxy::before(&project.server.url, Mode::Says(says));
    let mut running = start_at(&proxy.url, project, &["run", "-e", "staging", "--", "echo", "ran"]);
    running.says("Test run 7 goes first");
    (running, proxy, id)
}

#[test]
fn a_run_waits_for_its_turn_and_says_for_whom() {
    let project = Project::new();
    let (running, proxy, id) = waiting(&project);
    proxy.switch(Mode::Through);
    let ended = running.end().expect_code(0);
    assert_eq!((ended.stdout.as_str(), ended.stderr.matches("goes first").count()), ("ran\n", 1));
    assert_eq!(project.show(id)["result"], "passed");
}

#[test]
fn an_interrupt_while_waiting_cancels_the_run() {
    let project = Project::new();
    let (running, proxy, id) = waiting(&project);
    proxy.switch(Mode::Closed);
    running.signal(Signal::INT);
    proxy.switch(Mode::Through);
    let ended = running.end().expect_code(130);
    assert!(ended.stdout.is_empty(), "{ended:?}");
    assert_eq!(project.show(id)["cancel"]["reason"], "interrupted while waiting");
}

#[test]
fn a_run_cancelled_while_it_waits_never_starts() {
    let project = Project::new();
    let (running, proxy, id) = waiting(&project);
    assert_eq!(project.cancel(id).status, 200);
    proxy.switch(Mode::Through);
    let ended = running.end().expect_code(120);
    assert!(ended.stdout.is_empty() && ended.stderr.contains("wrong branch"), "{ended:?}");
    assert_eq!(project.show(id)["stop"]["outcome"], "never_started");
}
