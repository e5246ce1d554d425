//! `estop cancel`, `kill`, `list`, `show`, `wait` and the commands that take the admin token.

use serde_json::{Value, json};

use crate::client::{ADMIN, Project, Server, eventually, unique};
use crate::proxy::{Mode, Proxy, http, respond_with};
use crate::support::{Ended, Running, estop, start};

fn call(project: &Project, arguments: &[&str]) -> Ended {
    start(project, arguments).end()
}

#[test]
fn a_cancel_reports_its_outcome() {
    let project = Project::new();
    let id = project.queued().to_string();
    let ended = call(&project, &["cancel", &id, "--reason", "wrong branch"]).expect_code(0);
    assert!(ended.stdout.contains("is cancelled"), "{ended:?}");
    let ended = call(&project, &["cancel", &id]).expect_code(123);
    assert!(ended.stderr.contains("is over") && ended.stdout.is_empty(), "{ended:?}");
    let ended = call(&project, &["cancel", "9007199254740991"]).expect_code(122);
    assert!(ended.stderr.contains("Check the id"), "{ended:?}");
    let mut nowhere = estop("http://127.0.0.1:1", &project.key);
    let ended = Running::of(nowhere.args(["cancel", &id])).end().expect_code(124);
    assert!(ended.stderr.lines().count() == 2 && ended.stderr.contains("retrying"), "{ended:?}");
    let mut nowhere = estop("http://127.0.0.1:1", &project.key);
    let ended = Running::of(nowhere.args(["wait", &id, "--timeout", "1"])).end().expect_code(124);
    assert!(ended.stderr.contains("Check ESTOP_URL"), "{ended:?}");
}

#[test]
fn lists_are_tables_for_people_and_json_for_programs() {
    let project = Project::new();
    let id = project.queued();
    project.cancel(id);
    let ended = call(&project, &["list", "--state", "cancelled"]).expect_code(0);
    assert!(ended.stdout.contains("cancelled (never started)") && ended.stdout.contains("wrong branch"), "{ended:?}");
    assert!(!ended.stdout.contains('\u{1b}'), "colours are for terminals");
    let ended = call(&project, &["list", "--json"]).expect_code(0);
    let json: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(json["data"]["test_runs"]["items"][0]["id"], json!(id));
    let ended = call(&project, &["show", &id.to_string()]).expect_code(0);
    assert!(ended.stdout.contains("registered") && ended.stdout.contains("wrong branch"), "{ended:?}");
}

#[test]
fn wait_ends_with_the_run_and_exits_with_its_outcome() {
    let project = Project::new();
    let (passed, token) = project.started();
    let waiting = start(&project, &["wait", &passed.to_string()]);
    project.finish(passed, &token).ok();
    waiting.end().expect_code(0);
    let (failed, token) = project.started();
    project
        .post(
            &format!("/api/test-runs/{failed}/finish"),
            &json!({"lease": token, "state": "ended", "result": "failed"}),
        )
        .ok();
    call(&project, &["wait", &failed.to_string()]).expect_code(1);
    let cancelled = project.queued();
    call(&project, &["wait", &cancelled.to_string(), "--timeout", "1"]).expect_code(124);
    project.cancel(cancelled);
    let ended = call(&project, &["wait", &cancelled.to_string()]).expect_code(120);
    assert!(ended.stdout.contains("wrong branch"), "{ended:?}");
}

#[test]
fn the_admin_sets_up_a_project_from_nothing() {
    let project = Project::new();
    let admin = |arguments: &[&str]| {
        let mut command = estop(&project.server.url, "");
        Running::of(command.env("ESTOP_ADMIN_TOKEN", ADMIN).args(arguments)).end().expect_code(0)
    };
    let slug = unique();
    let made = admin(&["projects", "create", "--name", "The shop", "--slug", &slug, "--json"]);
    let made: Value = serde_json::from_str(&made.stdout).expect("JSON");
    let id = made["data"]["project"]["id"].to_string();
    admin(&["environments", "create", "--project", &id, "--name", "Staging", "--slug", "staging"]);
    let key =
        admin(&["keys", "create", "--project", &id, "--user", "ci", "--name", "ci", "--scope", "run", "--token-only"]);
    let mut command = estop(&project.server.url, key.stdout.trim());
    Running::of(command.args(["run", "-e", "staging", "--", "true"])).end().expect_code(0);
    let listed = admin(&["keys", "list", "--project", &id]);
    let person = admin(&["people", "add", "Ada@Example.com", "--project", &id, "--scope", "read", "--scope", "cancel"]);
    assert!(person.stdout.contains("ada@example.com  company account  read, cancel"), "{person:?}");
    assert!(person.stderr.contains(&format!("{}/session/access?project={id}", project.server.url)), "{person:?}");
    assert!(admin(&["keys", "list", "--project", &id]).stdout.contains("ada@example.com"));
    let odd = ["people", "add", "ada", "--project", &id, "--scope", "read"];
    let mut command = estop(&project.server.url, "");
    let refused = Running::of(command.env("ESTOP_ADMIN_TOKEN", ADMIN).args(odd)).end().expect_code(122);
    assert!(refused.stderr.contains("`address`"), "{refused:?}");
    let key_id = listed.stdout.lines().nth(1).and_then(|line| line.split_whitespace().next()).expect("a key");
    admin(&["keys", "revoke", key_id]);
    let mut command = estop(&project.server.url, key.stdout.trim());
    Running::of(command.args(["run", "-e", "staging", "--", "true"])).end().expect_code(122);
    let mut command = estop(&project.server.url, "");
    Running::of(command.env("ESTOP_ADMIN_TOKEN", "wrong").args(["keys", "list"])).end().expect_code(122);
}

#[test]
fn completions_are_printed_for_shells() {
    let project = Project::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(call(&project, &["completions", shell]).expect_code(0).stdout.contains("estop"));
    }
}

#[test]
fn a_stop_can_be_waited_for() {
    let project = Project::new();
    let (id, token) = project.started();
    let (id, lease) = (id.to_string(), json!({"lease": token}));
    let ended = call(&project, &["cancel", &id, "--wait", "--timeout", "1s"]).expect_code(124);
    assert!(ended.stdout.contains("is cancelled") && ended.stderr.contains(&format!("`estop kill {id}`")), "{ended:?}");
    let waiting = start(&project, &["wait", &id, "--stopped"]);
    let again = start(&project, &["cancel", &id, "--wait"]);
    let finish =
        json!({"lease": lease["lease"], "state": "ended", "result": "passed", "stop": {"outcome": "terminated"}});
    assert_eq!(project.post(&format!("/api/test-runs/{id}/finish"), &finish).status, 412);
    let said = format!("test run {id} stopped on SIGTERM in ");
    let ended = waiting.end().expect_code(120);
    assert!(ended.stdout.contains(&said) && ended.stdout.contains(" s."), "{ended:?}");
    let ended = again.end().expect_code(123);
    assert!(ended.stdout.contains(&said), "{ended:?}");
    let shown = call(&project, &["show", &id]).expect_code(0);
    assert!(shown.stdout.contains("stop confirmed") && shown.stdout.contains(" s after the cancel"), "{shown:?}");
    // One that no runner held has stopped at once.
    let queued = project.queued().to_string();
    let ended = call(&project, &["cancel", &queued, "--wait"]).expect_code(0);
    assert!(ended.stdout.contains(&format!("test run {queued} never started.")), "{ended:?}");
    call(&project, &["cancel", &queued, "7", "--wait"]).expect_code(2);
    // Programs get the cancel's answer and the run.
    let queued = project.queued().to_string();
    let ended = call(&project, &["cancel", &queued, "--wait", "--json"]).expect_code(0);
    let lines: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(lines[0]["message"].is_string(), "{lines:?}");
    assert_eq!((lines.len(), &lines[1]["data"]["test_run"]["stop"]["outcome"]), (2, &json!("never_started")));
    // A run that ended by itself has no stop to wait for.
    let (passed, token) = project.started();
    project.finish(passed, &token).ok();
    let ended = call(&project, &["cancel", &passed.to_string(), "--wait"]).expect_code(123);
    assert!(ended.stdout.is_empty(), "{ended:?}");
    call(&project, &["wait", &passed.to_string(), "--stopped"]).expect_code(0);
}

#[test]
fn a_stop_that_nobody_confirms_is_not_taken_for_one() {
    let project = Project::on(Server::short());
    let (id, _) = project.started();
    let id = id.to_string();
    let waiting = [
        start(&project, &["cancel", &id, "--wait", "--timeout", "60s"]),
        start(&project, &["wait", &id, "--stopped", "--timeout", "1m"]),
    ];
    eventually("a lost runner", || {
        project.server.tick();
        (project.show(id.parse().expect("an id"))["stop"]["outcome"] == "lost").then_some(())
    });
    for waiting in waiting {
        let ended = waiting.end().expect_code(121);
        assert!(ended.stdout.contains("was lost") && ended.stdout.contains("Check the machine r1."), "{ended:?}");
    }
}

#[test]
fn a_kill_reports_its_outcome() {
    // The service is a stand-in: a run that is still stopping is at hand for a moment only.
    let error = r#"{"data":null,"error":{"message":"There is no such test run."}}"#;
    let proxy = Proxy::before(
        "http://127.0.0.1:1",
        Mode::Responds(vec![
            ("POST /api/test-runs/7/kill ", http("200 OK", "", r#"{"message":"Test run 7 is being killed."}"#)),
            ("POST /api/test-runs/8/kill ", http("412 Precondition Failed", "", r#"{"message":"It has stopped."}"#)),
            ("POST /api/test-runs/9/kill ", http("404 Not Found", "", error)),
        ]),
    );
    let kill = |id: &str| Running::of(estop(&proxy.url, "a-key").args(["kill", id])).end();
    assert_eq!(kill("7").expect_code(0).stdout, "Test run 7 is being killed.\n");
    let ended = kill("8").expect_code(123);
    assert!(ended.stderr.contains("It has stopped.") && ended.stdout.is_empty(), "{ended:?}");
    let ended = kill("9").expect_code(122);
    assert!(ended.stderr.contains("no such test run. Check the id."), "{ended:?}");
}

#[test]
fn a_wait_outlasts_an_outage_and_does_what_the_service_asks() {
    let project = Project::new();
    let id = project.queued();
    project.cancel(id);
    let busy = r#"{"data":null,"error":{"message":"Too many requests."}}"#;
    let proxy = Proxy::before(&project.server.url, respond_with("429 Too Many Requests", "Retry-After: 2\r\n", busy));
    let arguments = ["wait", &id.to_string(), "--stopped", "--timeout", "30"];
    let mut waiting = Running::of(estop(&proxy.url, &project.key).args(arguments));
    waiting.says("still waiting");
    assert_eq!(proxy.seen(), 1);
    proxy.switch(Mode::Through);
    waiting.end().expect_code(120);
}
