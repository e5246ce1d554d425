//! `estop run --exclusive` when its lease runs out. The service is a stand-in, because the Worker's leases are long.

use serde_json::{Value, json};

use crate::proxy::{Mode, Proxy, http};
use crate::support::{Running, Scratch, estop, lives};

pub const LEASE_TOKEN: &str = "the-token-of-the-lease";

/// Registers and claims a run whose lease lasts two seconds, answers heartbeats and finishes with these.
pub fn service(heartbeat: (&'static str, Value), finish: (&'static str, Value)) -> Proxy {
    service_with_lease("2026-11-22T09:30:02.000Z", heartbeat, finish)
}

/// The run is registered at 09:30:00.
fn service_with_lease(expires_at: &str, heartbeat: (&'static str, Value), finish: (&'static str, Value)) -> Proxy {
    let registered = json!({"data": {
        "trigger": {"success": true},
        "test_run": {"id": 7, "state": "queued", "test_run_branch": null, "created_at": "2026-11-22T09:30:00.000Z"},
    }});
    let claimed = json!({"data": {
        "test_run": {"id": 7, "state": "started"},
        "lease": {"token": LEASE_TOKEN, "expires_at": expires_at, "heartbeat_seconds": 1},
    }});
    let answer = |(status, body): (&str, Value)| http(status, "", &body.to_string());
    let responses = vec![
        ("/claim", answer(("200 OK", claimed))),
        ("/heartbeat", answer(heartbeat)),
        ("/finish", answer(finish)),
        ("", answer(("200 OK", registered))),
    ];
    Proxy::before("http://127.0.0.1:1", Mode::Responds(responses))
}

fn unavailable() -> (&'static str, Value) {
    ("503 Service Unavailable", json!({"data": null, "error": {"message": "The database is too busy."}}))
}

pub fn finished() -> (&'static str, Value) {
    ("200 OK", json!({"data": {"test_run": {"id": 7, "state": "error", "result": null}}}))
}

fn run(proxy: &Proxy, options: &[&str], script: &str) -> Running {
    let arguments = [&["run", "-e", "staging", "--finish-within", "1"], options, &["--", "sh", "-c", script]].concat();
    Running::of(estop(&proxy.url, "a-key").args(arguments))
}

const OBEYS: &str = "trap 'echo stopped; exit 0' INT; echo pid=$$; while :; do sleep 0.05; done";

#[test]
fn an_exclusive_run_stops_when_its_lease_runs_out() {
    let proxy = service(unavailable(), finished());
    let mut running = run(&proxy, &["--exclusive"], OBEYS);
    let pid = running.word_after("pid=");
    let ended = running.end().expect_code(121);
    assert!(ended.stdout.contains("stopped") && !lives(&pid), "{ended:?}");
    assert!(
        ended.stderr.contains("the lease of test run 7 ran out") && ended.stderr.contains("--exclusive"),
        "{ended:?}"
    );
    assert!(
        ended.stderr.contains("stopped gracefully") && !ended.stderr.contains("could not be recorded"),
        "{ended:?}"
    );
}

#[test]
fn an_exclusive_run_that_ignores_signals_is_killed() {
    let proxy = service(unavailable(), unavailable());
    let script = "trap '' INT TERM; echo pid=$$; while :; do sleep 0.05; done";
    let scratch = Scratch::new();
    let options = ["--exclusive", "--grace", "0", "--kill-after", "0", "--finish-file", scratch.path()];
    let mut running = run(&proxy, &options, script);
    let pid = running.word_after("pid=");
    let ended = running.end().expect_code(121);
    assert!(ended.stderr.contains("had to be killed") && !lives(&pid), "{ended:?}");
    assert!(ended.stderr.contains("could not be recorded"), "{ended:?}");
}

#[test]
fn heartbeats_that_renew_the_lease_keep_an_exclusive_run_going() {
    let beat = json!({"data": {
        "state": "started", "lease": {"expires_at": "2026-11-22T09:40:00.000Z"}, "stop": null,
    }});
    // Of each renewal two seconds count, the length that the claim had.
    let proxy = service(("200 OK", beat), finished());
    run(&proxy, &["--exclusive"], "sleep 2.5; exit 4").end().expect_code(4);
}

#[test]
fn other_runs_go_on_without_a_lease() {
    let proxy = service(unavailable(), finished());
    let ended = run(&proxy, &[], "sleep 3; exit 4").end().expect_code(4);
    assert!(ended.stderr.contains("The tests go on"), "{ended:?}");
}

#[test]
fn an_exclusive_run_does_not_start_under_a_lease_that_is_over() {
    let proxy = service_with_lease("2026-11-22T09:30:00.000Z", unavailable(), finished());
    let ended = run(&proxy, &["--exclusive"], "echo ran").end().expect_code(121);
    assert!(ended.stdout.is_empty() && ended.stderr.contains("ran out before the command could start"), "{ended:?}");
}

#[test]
fn an_exclusive_run_does_not_start_without_the_service() {
    let arguments = ["run", "-e", "staging", "--exclusive", "--start-within", "0", "--", "echo", "ran"];
    let ended = Running::of(estop("http://127.0.0.1:1", "a-key").args(arguments)).end().expect_code(122);
    assert!(ended.stdout.is_empty() && ended.stderr.contains("not started because of --exclusive"), "{ended:?}");
}

#[test]
fn only_the_service_itself_can_say_that_the_lease_is_gone() {
    for status in ["401 Unauthorized", "403 Forbidden", "404 Not Found"] {
        let gone = (status, json!({"data": null, "error": {"message": "There is no such test run."}}));
        let ended = run(&service(gone, finished()), &[], OBEYS).end().expect_code(121);
        assert!(ended.stderr.contains("lost its lease") && ended.stderr.contains("no such test run"), "{ended:?}");
        let someone_elses = (status, json!({"message": "Log in first."}));
        let ended = run(&service(someone_elses, finished()), &[], "sleep 2.5; exit 4").end().expect_code(4);
        assert!(!ended.stderr.contains("lost its lease"), "{ended:?}");
    }
}

#[test]
fn the_command_gets_no_secrets_unless_it_is_to_have_the_key() {
    let script = "echo \"$ESTOP_KEY,$ESTOP_ADMIN_TOKEN,$ESTOP_RUN_ID\"";
    for (options, output) in [(&[][..], ",,7\n"), (&["--pass-key"], "a-key,,7\n")] {
        let proxy = service(unavailable(), finished());
        let arguments = [&["run", "-e", "staging"], options, &["--", "sh", "-c", script]].concat();
        let mut command = estop(&proxy.url, "a-key");
        let ended = Running::of(command.env("ESTOP_ADMIN_TOKEN", "admin").args(arguments)).end().expect_code(0);
        assert_eq!(ended.stdout, output);
    }
}
