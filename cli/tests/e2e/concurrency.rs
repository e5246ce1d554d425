//! A run that waits for its turn: behind another real run or, where timing matters, because the proxy says so.

use rustix::process::Signal;
use serde_json::json;

use crate::client::{ADMIN, Project};
use crate::proxy::{Mode, Proxy, http};
use crate::support::{Running, estop, run, start_at};

const WAIT: &str = r#"{"message":"Test run 7 goes first, for at most 60 s."}"#;

/// A run that waits behind another.
fn waiting(project: &Project) -> (Running, Proxy, i64) {
    let id = project.queued();
    let registered = json!({"data": {
        "trigger": {"success": true},
        "test_run": {"id": id, "state": "queued", "test_run_branch": null, "created_at": "2026-11-22T09:30:00.000Z"},
    }});
    let responses = vec![
        ("/claim", http("412 Precondition Failed", "Retry-After: 1\r\n", WAIT)),
        ("", http("200 OK", "", &registered.to_string())),
    ];
    let proxy = Proxy::before(&project.server.url, Mode::Responds(responses));
    let mut running = start_at(&proxy.url, project, &["run", "-e", "staging", "--", "echo", "ran"]);
    running.says("Test run 7 goes first");
    (running, proxy, id)
}

#[test]
fn a_run_waits_for_its_turn_and_says_for_which_run() {
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

/// A project that is limited to one run in each environment.
pub fn limited(behaviour: &str) -> Project {
    let project = Project::new();
    let mut admin = estop(&project.server.url, &project.key);
    let id = project.id.to_string();
    admin.env("ESTOP_ADMIN_TOKEN", ADMIN).args([
        "projects",
        "limit",
        &id,
        "--scope",
        "environment",
        "--behaviour",
        behaviour,
    ]);
    let ended = Running::of(&mut admin).end().expect_code(0);
    assert!(ended.stdout.contains(behaviour), "{ended:?}");
    project
}

const OBEYS: &str = "trap 'echo stopped; exit 0' INT; echo ready; while :; do sleep 0.05; done";

#[test]
fn a_newer_run_supersedes_the_older_one_and_starts_once_that_has_stopped() {
    let project = limited("cancel_previous");
    let mut old = run(&project, &[], OBEYS);
    old.says("ready");
    let new = run(&project, &[], "echo mine").end().expect_code(0);
    assert_eq!(new.stdout, "mine\n");
    let old = old.end().expect_code(120);
    assert!(old.stdout.contains("stopped") && old.stderr.contains("took its place"), "{old:?}");
}

#[test]
fn a_queued_run_waits_for_a_protected_one_and_a_third_takes_its_place() {
    let project = limited("queue_new");
    let mut first = run(&project, &["--protected"], OBEYS);
    first.says("ready");
    let mut second = run(&project, &[], "echo never");
    second.says("waits for test run");
    let mut third = run(&project, &[], "echo turn");
    third.says("waits for test run");
    let second = second.end().expect_code(120);
    assert!(second.stdout.is_empty() && second.stderr.contains("took its place"), "{second:?}");
    first.signal(Signal::INT);
    first.end().expect_code(0);
    assert_eq!(third.end().expect_code(0).stdout, "turn\n");
}
