//! A result that could not be recorded: it is kept in a file, and `estop finish` sends it later.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::client::{Project, Server, eventually};
use crate::proxy::{Mode, Proxy, http, respond_with};
use crate::support::{Ended, Running, Scratch, estop, start_at};

/// A run whose command has ended and whose result the service, which is down, does not get.
struct Unrecorded {
    project: Project,
    proxy: Proxy,
    scratch: Scratch,
    id: i64,
    ended: Ended,
}

fn arguments<'a>(scratch: &'a Scratch, options: &[&'a str], script: &'a str) -> Vec<&'a str> {
    let run = ["run", "-e", "staging", "--finish-file", scratch.path()];
    [&run, options, &["--", "sh", "-c", script]].concat()
}

impl Unrecorded {
    fn new(project: Project, exit_code: i32) -> Self {
        let (scratch, proxy) = (Scratch::new(), Proxy::before(&project.server.url, Mode::Through));
        let script = format!("echo ready; read line; exit {exit_code}");
        let arguments = arguments(&scratch, &["--finish-within", "1"], &script);
        let mut running = start_at(&proxy.url, &project, &arguments);
        running.says("ready");
        let id = running.id();
        proxy.switch(Mode::Closed);
        running.type_in("go\n");
        let ended = running.end().expect_code(exit_code);
        Self { project, proxy, scratch, id, ended }
    }

    fn file(&self) -> PathBuf {
        self.scratch.0.join(format!("estop-finish-{}.json", self.id))
    }

    fn send(&self) -> Ended {
        let file = self.file();
        let mut command = estop(&self.proxy.url, "");
        command.env_remove("ESTOP_KEY").args(["finish", "--from", file.to_str().expect("a path")]);
        Running::of(&mut command).end()
    }
}

#[test]
fn a_result_is_kept_while_the_service_is_down_and_recorded_later() {
    for (exit_code, result) in [(0, "passed"), (5, "failed")] {
        let run = Unrecorded::new(Project::new(), exit_code);
        let (id, file) = (run.id, run.file());
        let said = format!(
            "The result of test run {id} ({result}) could not be recorded. Send it later with: estop finish --from {}\n",
            file.display()
        );
        assert!(run.ended.stderr.ends_with(&said), "{:?}", run.ended);
        assert_eq!(std::fs::metadata(&file).expect("the file").permissions().mode() & 0o777, 0o600);
        let kept: Value = serde_json::from_slice(&std::fs::read(&file).expect("the file")).expect("JSON");
        assert_eq!(
            (&kept["version"], &kept["test_run"], &kept["request"]["result"]),
            (&json!(1), &json!(id), &json!(result))
        );
        assert_eq!(run.project.show(id)["state"], "started");

        run.proxy.switch(Mode::Through);
        let ended = run.send().expect_code(0);
        assert_eq!(ended.stdout, format!("The result of test run {id} ({result}) is recorded.\n"));
        assert!(!file.exists() && run.project.show(id)["result"] == result);
        let ended = run.send().expect_code(2);
        assert!(ended.stderr.contains("Check --from"), "{ended:?}");
    }
}

#[test]
fn a_result_stays_in_its_file_as_long_as_nobody_takes_it() {
    let run = Unrecorded::new(Project::new(), 0);
    let before = std::fs::read(run.file()).expect("the file");
    let unknown = r#"{"data":null,"error":{"message":"This lease holds no test run."}}"#;
    for (mode, code, says) in [
        (Mode::Closed, 124, "no response"),
        (respond_with("409 Conflict", "", unknown), 122, "This lease holds no test run. Check that ESTOP_URL"),
        (respond_with("200 OK", "", "<html>Log in</html>"), 122, "does not look like an estop service"),
    ] {
        run.proxy.switch(mode);
        let ended = run.send().expect_code(code);
        assert!(ended.stderr.contains(says) && ended.stderr.contains("is left as it is"), "{ended:?}");
        assert_eq!(std::fs::read(run.file()).expect("the file"), before);
    }
    run.proxy.switch(Mode::Through);
    run.send().expect_code(0);
}

#[test]
fn a_result_that_was_recorded_although_the_answer_was_lost_is_recorded_once() {
    let run = Unrecorded::new(Project::new(), 0);
    let copy = run.scratch.0.join("copy.json");
    std::fs::copy(run.file(), &copy).expect("a copy");
    run.proxy.switch(Mode::Through);
    run.send().expect_code(0);
    std::fs::rename(&copy, run.file()).expect("a file");
    run.send().expect_code(0);
    assert_eq!(run.project.show(run.id)["result"], "passed");
}

#[test]
fn a_result_after_a_cancel_changes_nothing_and_closes_the_stop_record() {
    let run = Unrecorded::new(Project::new(), 0);
    assert_eq!(run.project.cancel(run.id).status, 200);
    run.proxy.switch(Mode::Through);
    let ended = run.send().expect_code(120);
    assert!(ended.stdout.contains("ada@example.com cancelled") && ended.stdout.contains("wrong branch"), "{ended:?}");
    assert!(!run.file().exists());
    let shown = run.project.show(run.id);
    assert_eq!((&shown["state"], &shown["stop"]["outcome"]), (&json!("cancelled"), &json!("graceful")));
}

#[test]
fn a_result_that_comes_after_the_sweeper_is_not_thrown_away_unless_the_service_has_it() {
    let run = Unrecorded::new(Project::on(Server::short()), 0);
    let shown = eventually("a lost runner", || {
        run.project.server.tick();
        Some(run.project.show(run.id)).filter(|shown| shown["stop"]["outcome"] == "lost")
    });
    let refused = |kept: bool| {
        let stop = json!({
            "reason": shown["cancel"]["reason"], "cause": "stale", "by": "system:sweeper", "at": shown["cancel"]["at"],
            "grace_seconds": 10, "lease_lost": true, "kill": false,
        });
        let body = json!({"message": "It is over.", "stop": stop, "late_result_kept": kept});
        respond_with("412 Precondition Failed", "", &body.to_string())
    };
    run.proxy.switch(refused(false));
    let ended = run.send().expect_code(120);
    assert!(ended.stderr.contains("not part of the record") && run.file().exists(), "{ended:?}");
    run.proxy.switch(refused(true));
    let ended = run.send().expect_code(120);
    let kept = format!("test run {}: its result (passed) is kept in the record beside the cancel.", run.id);
    assert!(ended.stdout.contains("system:sweeper cancelled") && ended.stdout.contains(&kept), "{ended:?}");
    assert!(!run.file().exists());
}

#[test]
fn an_interrupt_ends_the_retries_and_the_result_is_kept() {
    let project = Project::new();
    let (scratch, proxy) = (Scratch::new(), Proxy::before(&project.server.url, Mode::Through));
    let mut running = start_at(&proxy.url, &project, &arguments(&scratch, &[], "echo ready; read line; exit 5"));
    running.says("ready");
    let id = running.id();
    proxy.switch(Mode::Closed);
    running.type_in("go\n");
    // The lease is two minutes, less the second to which the service's clock is known.
    let seconds: u64 = running.word_after("retrying for up to ").parse().expect("a number");
    assert!((230..=240).contains(&seconds), "{seconds}");
    running.signal(Signal::INT);
    let ended = running.end().expect_code(5);
    let file = scratch.0.join(format!("estop-finish-{id}.json"));
    assert!(ended.stderr.contains("could not be recorded") && file.exists(), "{ended:?}");
}

#[test]
fn a_late_result_that_the_service_keeps_is_told() {
    let project = Project::new();
    let (scratch, proxy) = (Scratch::new(), Proxy::before(&project.server.url, Mode::Through));
    let mut running = start_at(&proxy.url, &project, &arguments(&scratch, &[], "echo ready; read line"));
    running.says("ready");
    let id = running.id();
    let refused = json!({"message": "It is over.", "stop": {
        "reason": "no heartbeat", "cause": "stale", "by": "system:sweeper", "at": "2026-11-24T09:30:00.000Z",
        "grace_seconds": 10, "lease_lost": true,
    }, "late_result_kept": true});
    let refused = http("412 Precondition Failed", "", &refused.to_string());
    let busy = r#"{"data":null,"error":{"message":"Busy."}}"#;
    let busy = http("503 Service Unavailable", "", busy);
    proxy.switch(Mode::Responds(vec![("/finish", refused), ("", busy)]));
    running.type_in("go\n");
    let ended = running.end().expect_code(121);
    let kept = format!("test run {id}: its result (passed) is kept in the record beside the cancel.");
    assert!(ended.stderr.contains("system:sweeper cancelled") && ended.stderr.contains(&kept), "{ended:?}");
    assert_eq!(std::fs::read_dir(&scratch.0).expect("a folder").count(), 0);
}

#[test]
fn a_result_that_cannot_even_be_kept_is_told_with_its_reason() {
    let project = Project::new();
    let proxy = Proxy::before(&project.server.url, Mode::Through);
    let run = ["run", "-e", "staging", "--finish-within", "0", "--finish-file", "/dev/null/no", "--"];
    let arguments = [&run[..], &["sh", "-c", "echo ready; read line; exit 5"]].concat();
    let mut running = start_at(&proxy.url, &project, &arguments);
    running.says("ready");
    proxy.switch(Mode::Closed);
    running.type_in("go\n");
    let ended = running.end().expect_code(5);
    assert!(ended.stderr.contains("nor kept in a file") && ended.stderr.contains("--finish-file"), "{ended:?}");
}

/// Whoever kills estop while it tries to record a result leaves that to the guard, which has it from estop.
#[test]
fn a_killed_estop_leaves_its_result_to_the_guard() {
    let project = Project::new();
    let (scratch, proxy) = (Scratch::new(), Proxy::before(&project.server.url, Mode::Through));
    let arguments = arguments(&scratch, &[], "echo ready; read line; exit 0");
    let mut running = start_at(&proxy.url, &project, &arguments);
    running.says("ready");
    let id = running.id();
    proxy.switch(Mode::Closed);
    running.type_in("go\n");
    running.says("to record the result");
    running.signal(Signal::KILL);
    running.says("estop was killed");
    proxy.switch(Mode::Through);
    let run = eventually("the guard's finish", || {
        let run = project.show(id);
        (run["state"] != "started").then_some(run)
    });
    assert_eq!((&run["state"], &run["result"]), (&json!("ended"), &json!("passed")), "{run}");
}
