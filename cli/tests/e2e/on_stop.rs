//! `--on-stop`: after the tests are gone, before the stop is confirmed.

use rustix::process::Signal;
use serde_json::json;

use crate::client::{Project, eventually, unique};
use crate::exclusive::{finished, service};
use crate::support::{Ended, Running, estop, lives, run};

const OBEYS: &str = "trap 'exit 0' INT; echo pid=$$; while :; do sleep 0.05; done";

/// Cancels a run of `OBEYS` that is to clean up with these options.
fn cancelled(project: &Project, options: &[&str]) -> (Ended, i64) {
    let mut running = run(project, options, OBEYS);
    running.says("pid=");
    let id = running.id();
    assert_eq!(project.cancel(id).status, 200);
    (running.end().expect_code(120), id)
}

#[test]
fn it_runs_after_the_tests_are_gone_and_before_the_stop_is_confirmed() {
    let project = Project::new();
    let done = std::env::temp_dir().join(unique());
    let hook = format!("echo cleaning; while [ ! -e '{}' ]; do sleep 0.05; done; echo clean", done.display());
    let mut running = run(&project, &["--on-stop", &hook], OBEYS);
    let pid = running.word_after("pid=");
    let id = running.id();
    assert_eq!(project.cancel(id).status, 200);
    running.says("cleaning\n");
    assert!(!lives(&pid));
    assert_eq!(project.show(id)["stop"]["outcome"], "stopping");
    std::fs::write(&done, "").expect("a file");
    let ended = running.end().expect_code(120);
    std::fs::remove_file(&done).expect("a file");
    assert!(ended.stdout.ends_with("cleaning\nclean\n"), "{ended:?}");
    assert_eq!(project.show(id)["stop"]["outcome"], "graceful");
}

#[test]
fn heartbeats_go_on_meanwhile_and_a_repeated_order_does_not_start_a_second_stop() {
    let order = json!({"data": {
        "state": "cancelled", "lease": {"expires_at": "2026-11-22T09:40:00.000Z"},
        "stop": {
            "reason": null, "cause": "user", "by": "ada", "at": "2026-11-22T09:30:01.000Z",
            "grace_seconds": 10, "lease_lost": false,
        },
    }});
    let proxy = service(("200 OK", order), finished());
    let script = "trap 'echo heard; sleep 2.5; exit 0' INT; echo pid=$$; while :; do sleep 0.05; done";
    let arguments = ["run", "-e", "staging", "--on-stop", "echo cleaning; sleep 1000", "--on-stop-timeout", "4"];
    let mut running = Running::of(estop(&proxy.url, "a-key").args(arguments).args(["--", "sh", "-c", script]));
    running.says("heard");
    let before = proxy.seen();
    running.says("cleaning\n");
    let meanwhile = proxy.seen();
    let ended = running.end().expect_code(120);
    assert!(meanwhile >= before + 2, "heartbeats while the tests stop: {before} {meanwhile}");
    assert!(proxy.seen() >= meanwhile + 3, "heartbeats while it runs: {meanwhile} {}", proxy.seen());
    assert_eq!((ended.stdout.matches("heard").count(), ended.stderr.matches("cancelled").count()), (1, 1), "{ended:?}");
}

#[test]
fn it_knows_the_run_who_cancelled_it_and_why_and_no_secret() {
    let project = Project::new();
    let hook = "echo \"$ESTOP_RUN_ID,$ESTOP_CANCEL_BY,$ESTOP_CANCEL_REASON,$ESTOP_KEY,$ESTOP_ADMIN_TOKEN\"";
    let (ended, id) = cancelled(&project, &["--on-stop", hook]);
    assert!(ended.stdout.ends_with(&format!("\n{id},ada@example.com,wrong branch,,\n")), "{ended:?}");
}

#[test]
fn it_is_killed_when_its_time_is_up() {
    let project = Project::new();
    let options = ["--on-stop", "sleep 1000 & echo hook=$!; wait", "--on-stop-timeout", "1"];
    let (ended, id) = cancelled(&project, &options);
    let pid = ended.stdout.split_once("hook=").expect("it ran").1.trim();
    eventually("the end of what it started", || (!lives(pid)).then_some(()));
    assert!(ended.stderr.contains("--on-stop was killed after 1 s"), "{ended:?}");
    assert_eq!(project.show(id)["stop"]["outcome"], "graceful");
}

#[test]
fn its_failure_is_told_and_changes_nothing() {
    let project = Project::new();
    for (hook, says) in [("exit 3", "failed with exit code 3"), ("kill -9 $$", "died of signal 9")] {
        let (ended, id) = cancelled(&project, &["--on-stop", hook]);
        assert!(ended.stderr.contains(says), "{ended:?}");
        assert_eq!(project.show(id)["stop"]["outcome"], "graceful");
    }
}

#[test]
fn ctrl_c_ends_it_early() {
    let project = Project::new();
    let mut running = run(&project, &["--on-stop", "echo cleaning; sleep 1000"], OBEYS);
    running.says("pid=");
    let id = running.id();
    assert_eq!(project.cancel(id).status, 200);
    running.says("cleaning\n");
    running.signal(Signal::INT);
    let ended = running.end().expect_code(120);
    assert!(ended.stderr.contains("--on-stop was interrupted"), "{ended:?}");
}

#[test]
fn it_runs_for_a_cancelled_run_alone() {
    let project = Project::new();
    let mut running = run(&project, &["--on-stop", "echo cleaning"], "echo ready; read line; exit 3");
    running.says("ready");
    running.type_in("go\n");
    assert_eq!(running.end().expect_code(3).stdout, "ready\n");
    let mut running = run(&project, &["--on-stop", "echo cleaning"], "echo ready; exec sleep 1000");
    running.says("ready");
    let id = running.id();
    running.signal(Signal::INT);
    assert_eq!(running.end().expect_code(130).stdout, "ready\n");
    assert_eq!(project.show(id)["error_code"], json!("worker_interrupted"));
}
