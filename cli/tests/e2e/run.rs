//! `estop run` while nobody cancels it.

use rustix::process::Signal;
use serde_json::json;

use crate::client::Project;
use crate::support::{Running, estop, lives, run, start};

#[test]
fn the_exit_code_and_the_record_agree() {
    let project = Project::new();
    for (script, code, state, result, error) in [
        ("exit 0", 0, "ended", json!("passed"), json!(null)),
        ("exit 3", 3, "ended", json!("failed"), json!(null)),
        ("exit 255", 255, "ended", json!("failed"), json!(null)),
        ("kill -SEGV $$", 139, "error", json!(null), json!("run_failed_with_error")),
        ("kill -KILL $$", 137, "error", json!(null), json!("run_failed_with_error")),
    ] {
        let mut running = run(&project, &[], script);
        let id = running.id();
        running.end().expect_code(code);
        let shown = project.show(id);
        assert_eq!(
            (&shown["state"], &shown["result"], &shown["error_code"]),
            (&json!(state), &result, &error),
            "{script}"
        );
    }
}

#[test]
fn a_command_that_cannot_start_is_an_error_as_in_a_shell() {
    let project = Project::new();
    // Several times each, for estop has another child then, whose parent waits for any.
    for (command, code) in [("no-such-command-anywhere", 127), ("/etc/passwd", 126)].repeat(5) {
        let mut running = start(&project, &["run", "-e", "staging", "--", command]);
        let id = running.id();
        let ended = running.end().expect_code(code);
        assert!(ended.stderr.contains(command), "{ended:?}");
        assert_eq!(project.show(id)["error_code"], "run_failed_with_error");
    }
}

#[test]
fn streams_pass_through_and_only_lines_marked_estop_are_added_to_stderr() {
    let project = Project::new();
    let mut running = run(&project, &[], "cat; echo to-stderr >&2; echo id=$ESTOP_RUN_ID");
    let id = running.id();
    running.type_in("typed\n");
    let ended = running.end().expect_code(0);
    assert_eq!(ended.stdout, format!("typed\nid={id}\n"));
    let others: Vec<&str> = ended.stderr.lines().filter(|line| !line.starts_with("estop: ")).collect();
    assert_eq!(others, ["to-stderr"]);
}

#[test]
fn flags_and_ci_variables_are_on_the_record() {
    let project = Project::new();
    let options = ["--branch", "mine", "--tag", "a", "--tag", "b", "--metadata", "n=5", "--metadata", "s=x"];
    let mut command = estop(&project.server.url, &project.key);
    command.env("GITHUB_ACTIONS", "true").env("GITHUB_SHA", "c0ffee").env("GITHUB_REF_NAME", "theirs");
    command.env("GITHUB_ACTOR", "ada").env("GITHUB_RUN_ID", "12345").env("ESTOP_ENVIRONMENT", "production");
    let mut running = Running::of(command.arg("run").args(options).args(["--runner", "r7", "--", "true"]));
    let id = running.id();
    running.end().expect_code(0);
    let shown = project.show(id);
    assert_eq!(shown["build"], json!({"branch": "mine", "commit": "c0ffee"}));
    assert_eq!(shown["metadata"], json!({"ci_run_id": 12345, "n": 5, "s": "x"}));
    assert_eq!((&shown["tags"], &shown["total_shards"]), (&json!(["a", "b"]), &json!(1)));
    assert_eq!((&shown["github_actor"], &shown["shards"][0]["runner"]), (&json!("ada"), &json!("r7")));
    assert_eq!(shown["environment"]["slug"], "production");
}

#[test]
fn signals_reach_the_command_and_are_recorded_as_an_interruption() {
    let project = Project::new();
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let mut running = run(&project, &[], "echo ready; exec sleep 1000");
        running.says("ready");
        let id = running.id();
        running.signal(signal);
        running.end().expect_code(code);
        let shown = project.show(id);
        assert_eq!(
            (&shown["state"], &shown["error_code"]),
            (&json!("error"), &json!("worker_interrupted")),
            "{signal:?}"
        );
    }
}

#[test]
fn a_command_that_succeeds_after_a_signal_has_passed() {
    let project = Project::new();
    let mut running = run(&project, &[], "trap 'exit 0' INT; echo ready; while :; do sleep 0.1; done");
    running.says("ready");
    let id = running.id();
    running.signal(Signal::INT);
    running.end().expect_code(0);
    let shown = project.show(id);
    assert_eq!((&shown["state"], &shown["result"]), (&json!("ended"), &json!("passed")));
}

#[test]
fn a_second_interrupt_kills_at_once() {
    let project = Project::new();
    let mut running = run(&project, &[], "trap 'echo heard' INT; echo pid=$$; while :; do sleep 0.1; done");
    let pid = running.word_after("pid=");
    running.signal(Signal::INT);
    running.says("heard");
    // One that comes within half a second is an echo of the first.
    crate::client::eventually("a second interrupt that counts", || {
        running.signal(Signal::INT);
        (!running.is_running()).then_some(())
    });
    running.end().expect_code(137);
    assert!(!lives(&pid));
}

#[test]
fn what_a_command_leaves_behind_is_terminated() {
    let project = Project::new();
    let mut running = run(&project, &[], "sleep 1000 >/dev/null 2>&1 & echo pid=$!");
    let pid = running.word_after("pid=");
    running.end().expect_code(0);
    crate::client::eventually("the end of the leftover", || (!lives(&pid)).then_some(()));
}

#[test]
fn a_refusal_keeps_the_command_from_starting() {
    let project = Project::new();
    let reader = project.key("eve", &["read"], None).0;
    let script = ["--", "sh", "-c", "echo started"];
    for (key, environment, message) in [
        ("estop_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "staging", "ESTOP_KEY"),
        (reader.as_str(), "staging", "scope"),
        (project.key.as_str(), "nowhere", "known are"),
    ] {
        let mut command = estop(&project.server.url, key);
        let ended = Running::of(command.args(["run", "-e", environment]).args(script)).end().expect_code(122);
        assert!(ended.stderr.contains(message) && ended.stdout.is_empty(), "{ended:?}");
        assert!(!ended.stderr.contains(key), "a key is never printed");
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    }
    let mut command = estop(&project.server.url, "");
    let ended = Running::of(command.args(["run", "-e", "staging"]).args(script)).end().expect_code(2);
    assert!(ended.stderr.contains("ESTOP_KEY is not set"), "{ended:?}");
}
