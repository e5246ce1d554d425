//! `estop run` when someone cancels it: children that obey, ignore signals or fork; lost leases.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::client::{Project, Server, eventually};
use crate::exclusive::service;
use crate::line::Line;
use crate::proxy::{Mode, Proxy, http};
use crate::support::{Ended, Running, estop, lives, run, start};

/// Whether the cancel that `Project::cancel` makes was reported.
fn says_who_and_why(ended: &Ended) -> bool {
    ended.stderr.contains("ada@example.com cancelled test run") && ended.stderr.contains("wrong branch")
}

fn assert_stopped(project: &Project, id: i64, outcome: &str) {
    let shown = project.show(id);
    assert_eq!((&shown["state"], &shown["stop"]["outcome"]), (&json!("cancelled"), &json!(outcome)));
    assert_eq!(shown["cancel"]["reason"], "wrong branch");
}

/// Cancels a run whose script prints its `pid=`, and checks that the process is gone and how the stop was recorded.
fn cancel_and_check(project: &Project, mut running: Running, outcome: &str) {
    let pid = running.word_after("pid=");
    let id = running.id();
    assert_eq!(project.cancel(id).status, 200);
    running.end().expect_code(120);
    assert!(!lives(&pid));
    assert_stopped(project, id, outcome);
}

#[test]
fn a_command_that_handles_sigint_ends_by_itself() {
    let project = Project::new();
    let script = "trap 'echo report written; exit 1' INT; echo ready; while :; do sleep 0.1; done";
    let mut running = run(&project, &[], script);
    running.says("ready");
    let id = running.id();
    assert_eq!(project.cancel(id).status, 200);
    let ended = running.end().expect_code(120);
    assert!(ended.stdout.contains("report written") && says_who_and_why(&ended), "{ended:?}");
    assert_stopped(&project, id, "graceful");
}

#[test]
fn a_command_that_ignores_signals_is_killed() {
    let project = Project::new();
    let script = "trap '' INT TERM; echo pid=$$; while :; do sleep 0.1; done";
    let mut running = run(&project, &["--grace", "1", "--kill-after", "1"], script);
    let pid = running.word_after("pid=");
    let id = running.id();
    assert_eq!(project.cancel(id).status, 200);
    let ended = running.end().expect_code(120);
    assert!(
        says_who_and_why(&ended) && ended.stderr.contains("SIGTERM") && ended.stderr.contains("killed"),
        "{ended:?}"
    );
    assert!(!lives(&pid));
    assert_stopped(&project, id, "killed");
}

#[test]
fn grandchildren_die_too() {
    let project = Project::new();
    // Shells make their background children ignore SIGINT, so this one takes a SIGTERM.
    let running = run(&project, &["--grace", "1"], "sleep 1000 & echo pid=$!; wait");
    cancel_and_check(&project, running, "terminated");
}

#[test]
fn a_grandchild_that_ignores_signals_is_killed_after_its_parent_is_gone() {
    let project = Project::new();
    let script = "sh -c 'trap \"\" INT TERM; echo pid=$$; while :; do sleep 0.1; done' & wait";
    let running = run(&project, &["--grace", "1", "--kill-after", "1"], script);
    cancel_and_check(&project, running, "killed");
}

#[cfg(target_os = "linux")]
#[test]
fn processes_that_left_the_group_die_too() {
    let project = Project::new();
    // setsid gives the sleeper a group of its own, as Playwright does with its browsers.
    let script = "setsid sh -c 'echo pid=$$; exec sleep 1000' & trap 'exit 0' INT; while :; do sleep 0.1; done";
    let running = run(&project, &[], script);
    cancel_and_check(&project, running, "terminated");
}

#[test]
fn an_order_to_kill_leaves_no_grace() {
    let order = json!({
        "reason": null, "cause": "user", "by": "ada", "at": "2026-11-22T09:30:01.000Z", "grace_seconds": 1000,
        "lease_lost": false, "kill": true,
    });
    let beat = json!({"data": {
        "state": "cancelled", "lease": {"expires_at": "2026-11-22T09:40:00.000Z"}, "stop": order,
    }});
    let proxy = service(("200 OK", beat), ("412 Precondition Failed", json!({"message": "over", "stop": order})));
    let script = "trap 'echo heard' INT TERM; echo pid=$$; while :; do sleep 0.1; done";
    let mut command = estop(&proxy.url, "a-key");
    let mut running = Running::of(command.args(["run", "-e", "staging", "--", "sh", "-c", script]));
    let pid = running.word_after("pid=");
    let ended = running.end().expect_code(120);
    assert!(!lives(&pid) && !ended.stdout.contains("heard"), "{ended:?}");
    assert!(ended.stderr.contains("sending SIGKILL") && ended.stderr.contains("had to be killed"), "{ended:?}");
}

#[test]
fn a_second_interrupt_shortens_the_grace() {
    let project = Project::new();
    let script = "trap 'echo heard' INT; echo pid=$$; while :; do sleep 0.1; done";
    let mut running = run(&project, &["--grace", "1000"], script);
    let pid = running.word_after("pid=");
    let id = running.id();
    assert_eq!(project.cancel(id).status, 200);
    running.says("heard");
    running.signal(Signal::INT);
    running.end().expect_code(120);
    assert!(!lives(&pid));
    assert_stopped(&project, id, "killed");
}

#[test]
fn a_command_that_ends_before_it_learns_of_the_cancel_is_cancelled_all_the_same() {
    let project = Project::new();
    let mut running = run(&project, &[], "echo ready; read line");
    running.says("ready");
    let id = running.id();
    // The cancel and the command's end fall into one heartbeat interval, so only the finish learns of the cancel.
    assert_eq!(project.cancel(id).status, 200);
    running.type_in("go\n");
    let ended = running.end().expect_code(120);
    assert!(says_who_and_why(&ended), "{ended:?}");
    assert_stopped(&project, id, "graceful");
}

#[test]
fn a_run_cancelled_during_its_start_agrees_with_its_record() {
    let project = Project::new();
    for _ in 0..5 {
        let mut running =
            run(&project, &["--grace", "1"], "trap 'exit 0' INT TERM; echo started; while :; do sleep 0.1; done");
        let id = running.id();
        assert_eq!(project.cancel(id).status, 200);
        let ended = running.end().expect_code(120);
        assert!(says_who_and_why(&ended), "{ended:?}");
        let outcome = project.show(id)["stop"]["outcome"].clone();
        if ended.stderr.contains("was not started") {
            assert!(ended.stdout.is_empty() && outcome == "never_started", "{outcome} {ended:?}");
        } else {
            assert!(outcome == "graceful", "{outcome} {ended:?}");
        }
    }
}

#[test]
fn a_laptop_that_was_asleep_has_lost_its_lease() {
    let project = Project::on(Server::short());
    let mut running = start(
        &project,
        &["run", "-e", "staging", "--", "sh", "-c", "trap 'exit 0' INT; echo pid=$$; while :; do sleep 0.1; done"],
    );
    let pid = running.word_after("pid=");
    let id = running.id();
    running.signal(Signal::STOP);
    eventually("the sweeper's cancel", || {
        project.server.tick();
        (project.show(id)["state"] == "cancelled").then_some(())
    });
    running.signal(Signal::CONT);
    let ended = running.end().expect_code(121);
    assert!(
        ended.stderr.contains("system:sweeper cancelled")
            && ended.stderr.contains("Another runner may hold the environment")
            && ended.stderr.contains("no heartbeat"),
        "{ended:?}"
    );
    assert!(!lives(&pid));
    assert_eq!(project.show(id)["cancel"]["cause"], "stale");
}

#[test]
fn a_reason_cannot_control_the_terminal() {
    let project = Project::new();
    let mut running = run(&project, &[], "trap 'exit 0' INT; echo ready; while :; do sleep 0.1; done");
    running.says("ready");
    let id = running.id();
    let reason = json!({"reason": "two\nlines \u{202e}turned"});
    assert_eq!(project.post(&format!("/api/test-runs/{id}/cancel"), &reason).status, 200);
    let ended = running.end().expect_code(120);
    assert!(ended.stderr.contains("two\\nlines \\u{202e}turned"), "{ended:?}");
}

/// The answer to the claim was lost, then somebody cancelled, and the repeat is told that the claim was its own.
#[test]
fn a_run_that_was_cancelled_before_the_claim_was_answered_does_not_start() {
    let registered = json!({"data": {
        "trigger": {"success": true},
        "test_run": {"id": 7, "state": "queued", "test_run_branch": null, "created_at": "2026-11-22T09:30:00.000Z"},
    }});
    let claimed = json!({"data": {
        "test_run": {"id": 7, "state": "cancelled"},
        "lease": {"token": "the-lease", "expires_at": "2026-11-22T09:32:00.000Z", "heartbeat_seconds": 1},
    }});
    let refusal = json!({"message": "Test run 7 is over: ada cancelled it."});
    let answer = |status, body: &Value| http(status, "", &body.to_string());
    let proxy = Proxy::before(
        "http://127.0.0.1:1",
        Mode::Responds(vec![
            ("/claim", answer("200 OK", &claimed)),
            ("/finish", answer("412 Precondition Failed", &refusal)),
            ("", answer("200 OK", &registered)),
        ]),
    );
    let mut command = estop(&proxy.url, "a-key");
    let ended = Running::of(command.args(["run", "-e", "staging", "--", "echo", "started"])).end().expect_code(120);
    assert_eq!(ended.stdout, "");
    assert!(ended.stderr.contains("ada cancelled it. The command was not started."), "{ended:?}");
}

#[test]
fn a_cancel_arrives_within_a_heartbeat() {
    let project = Project::new();
    let mut running = run(&project, &[], "trap 'exit 0' INT; echo ready; while :; do sleep 0.05; done");
    running.says("ready");
    let id = running.id();
    assert_eq!(project.cancel(id).status, 200);
    let cancelled = now();
    running.end().expect_code(120);
    // 2.5 s are promised; the rest is for a busy machine.
    assert!(cancelled.elapsed() < Duration::from_secs(5));
}

#[expect(clippy::disallowed_methods, reason = "a test's stopwatch")]
fn now() -> Instant {
    Instant::now()
}

#[test]
fn whoever_watches_the_run_hears_each_step() {
    let project = Project::new();
    let mut running = run(&project, &["--grace", "1"], "trap '' INT; echo ready; while :; do sleep 0.05; done");
    running.says("ready");
    let id = running.id();
    let bearer = format!("Bearer {}", project.key);
    let path = format!("/api/test-runs/{id}/watch");
    let mut watcher = Line::open(&project.server, &path, &[("Authorization", &bearer)]).expect("a line");
    assert_eq!(project.cancel(id).status, 200);
    let steps: Vec<String> =
        (0..3).map(|_| watcher.message("step")["step"].as_str().expect("a step").to_owned()).collect();
    assert_eq!(steps, ["told", "sigint", "sigterm"]);
    running.end().expect_code(120);
    assert_eq!(project.show(id)["stop"]["outcome"], "terminated");
}
