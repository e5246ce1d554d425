//! `kill -9` of estop, of its guard, and of both: nobody is left.

use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::client::{Project, eventually, within};
use crate::exclusive::{LEASE_TOKEN, finished, service};
use crate::support::{Running, descendants, estop, lives, run};

const OBEYS: &str = "trap 'echo heard; exit 0' INT; echo pid=$$; while :; do sleep 0.05; done";
const IGNORES: &str = "trap '' INT TERM; echo pid=$$; while :; do sleep 0.05; done";

pub fn kill(pid: Pid) {
    // It may have gone meanwhile.
    let _ = kill_process(pid, Signal::KILL);
}

fn gone(pids: &[String]) {
    eventually(&format!("the end of {pids:?}"), || pids.iter().all(|pid| !lives(pid)).then_some(()));
}

pub fn is_recorded_as_interrupted(project: &Project, id: i64) {
    let shown = eventually("the guard's finish", || {
        let shown = project.show(id);
        (shown["state"] != "started").then_some(shown)
    });
    assert_eq!((&shown["state"], &shown["error_code"]), (&json!("error"), &json!("worker_interrupted")));
}

#[test]
fn a_killed_estop_leaves_a_guard_that_stops_the_tests_and_records_it() {
    let project = Project::new();
    let mut running = run(&project, &[], OBEYS);
    let pid = running.word_after("pid=");
    let id = running.id();
    let family = descendants(running.pid());
    running.signal(Signal::KILL);
    running.says("heard");
    running.says(&format!("estop was killed; its guard stops the tests of test run {id}"));
    running.says("stopped gracefully");
    assert!(family.contains(&pid));
    gone(&family);
    is_recorded_as_interrupted(&project, id);
}

#[test]
fn the_guard_goes_as_far_as_every_stop_does() {
    let project = Project::new();
    let mut running = run(&project, &["--grace", "1", "--kill-after", "1"], IGNORES);
    let pid = running.word_after("pid=");
    let id = running.id();
    running.signal(Signal::KILL);
    running.says("sending SIGTERM");
    running.says("sending SIGKILL");
    running.says("had to be killed");
    gone(&[pid]);
    is_recorded_as_interrupted(&project, id);
}

#[cfg(target_os = "linux")]
#[test]
fn the_guard_finds_what_left_the_group_and_what_lost_its_parent() {
    let project = Project::new();
    let script = "setsid sh -c 'echo stray=$$; exec sleep 1000' & (setsid sh -c 'echo orphan=$$; exec sleep 1000' &); ";
    let mut running = run(&project, &[], &format!("{script}{OBEYS}"));
    let pids = ["stray=", "orphan=", "pid="].map(|prefix| running.word_after(prefix));
    let id = running.id();
    running.signal(Signal::KILL);
    gone(&pids);
    is_recorded_as_interrupted(&project, id);
}

#[test]
fn a_killed_guard_is_replaced_and_the_tests_notice_nothing() {
    let project = Project::new();
    let mut running = run(&project, &[], "echo ready; read line; exit 5");
    running.says("ready");
    let id = running.id();
    let mut guard = None;
    for _ in 0..3 {
        let found = running.guard(guard);
        kill(found);
        guard = Some(found);
    }
    running.guard(guard);
    running.type_in("go\n");
    let ended = running.end().expect_code(5);
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    assert_eq!(project.show(id)["result"], "failed");
}

#[test]
fn a_guard_that_dies_again_and_again_is_given_up() {
    let project = Project::new();
    let mut running = run(&project, &[], "echo ready; read line; exit 5");
    running.says("ready");
    let mut guard = None;
    for _ in 0..=10 {
        let found = running.guard(guard);
        kill(found);
        guard = Some(found);
    }
    running.says("the guard died more than 10 times in 60 s and is not started again");
    running.type_in("go\n");
    running.end().expect_code(5);
}

#[test]
fn a_new_guard_knows_all_that_the_first_one_did() {
    let project = Project::new();
    let mut running = run(&project, &[], OBEYS);
    let pid = running.word_after("pid=");
    let id = running.id();
    let first = running.guard(None);
    kill(first);
    running.guard(Some(first));
    assert!(lives(&pid));
    running.signal(Signal::KILL);
    running.says("heard");
    gone(&[pid]);
    is_recorded_as_interrupted(&project, id);
}

#[test]
fn signals_that_ask_a_process_to_end_do_not_end_the_guard() {
    let project = Project::new();
    let mut running = run(&project, &[], OBEYS);
    let pid = running.word_after("pid=");
    let guard = running.guard(None);
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
        kill_process(guard, signal).expect("it lives");
    }
    running.signal(Signal::KILL);
    running.says("heard");
    gone(&[pid]);
}

#[test]
fn estop_leaves_no_guard_behind() {
    let project = Project::new();
    let mut running = run(&project, &[], "echo ready; read line");
    running.says("ready");
    let guard = running.guard(None);
    running.type_in("go\n");
    running.end().expect_code(0);
    assert!(!lives(&guard.as_raw_pid().to_string()));
}

#[test]
fn the_lease_is_on_no_command_line_and_in_no_environment() {
    let goes_on = json!({"data": {
        "state": "started", "lease": {"expires_at": "2026-11-22T09:40:00.000Z"}, "stop": null,
    }});
    let proxy = service(("200 OK", goes_on), finished());
    let arguments = ["run", "-e", "staging", "--", "sh", "-c", "env; echo ready; read line"];
    let mut running = Running::of(estop(&proxy.url, "a-key").args(arguments));
    running.says("ready");
    running.guard(None);
    // With their environments.
    let shown = Command::new("ps").args(["axeww"]).output().expect("ps");
    running.type_in("go\n");
    let ended = running.end().expect_code(0);
    let shown = String::from_utf8_lossy(&shown.stdout);
    assert!(shown.contains("estop guard") && !shown.contains(LEASE_TOKEN) && !ended.stdout.contains(LEASE_TOKEN));
}

#[cfg(target_os = "linux")]
#[test]
fn estop_and_guard_killed_at_once_take_the_command_with_them() {
    let project = Project::new();
    let mut running = run(&project, &["--grace", "1000"], IGNORES);
    let pid = running.word_after("pid=");
    let guard = running.guard(None);
    running.signal(Signal::KILL);
    kill(guard);
    within(Duration::from_secs(2), "the command's end", || (!lives(&pid)).then_some(()));
}

#[cfg(target_os = "linux")]
#[test]
fn a_guard_that_is_killed_while_it_stops_the_tests_takes_them_with_it() {
    let project = Project::new();
    let mut running = run(&project, &["--grace", "1000"], IGNORES);
    let pid = running.word_after("pid=");
    let guard = running.guard(None);
    running.signal(Signal::KILL);
    running.says("its guard stops the tests");
    assert!(lives(&pid));
    kill(guard);
    within(Duration::from_secs(2), "the command's end", || (!lives(&pid)).then_some(()));
}

#[test]
fn an_estop_that_ends_by_itself_does_not_kill_what_the_command_left_behind() {
    let project = Project::new();
    // It closes its streams, for whoever reads estop's.
    let script = "trap '' TERM; sleep 1000 >/dev/null 2>&1 & echo pid=$!";
    let mut running = run(&project, &[], script);
    let pid = running.word_after("pid=");
    running.end().expect_code(0);
    assert!(lives(&pid));
    kill(Pid::from_raw(pid.parse().expect("a process id")).expect("a process id"));
}
