//! The service is down, slow or broken, and the tests go on.

use serde_json::json;

use crate::client::{ADMIN, Project, eventually, unique};
use crate::proxy::{Mode, Proxy, respond_with};
use crate::support::{Running, estop, lives, start_at};

fn unavailable() -> Mode {
    let body = r#"{"data":null,"error":{"message":"estop is being upgraded. Try again in a moment."}}"#;
    respond_with("503 Service Unavailable", "Retry-After: 1\r\n", body)
}

/// The service has a bug.
fn broken() -> Mode {
    let body = r#"{"data":null,"error":{"message":"Something is wrong in estop. Report it with request id 7f3a."}}"#;
    respond_with("500 Internal Server Error", "", body)
}

#[test]
fn an_outage_at_the_start_does_not_keep_the_tests_from_running() {
    let project = Project::new();
    for mode in [Mode::Closed, unavailable(), broken(), respond_with("502 Bad Gateway", "", "<html>")] {
        let proxy = Proxy::before(&project.server.url, mode);
        let arguments = ["run", "-e", "staging", "--start-within", "1", "--", "sh", "-c", "echo ran; exit 4"];
        let ended = start_at(&proxy.url, &project, &arguments).end().expect_code(4);
        assert_eq!(ended.stdout, "ran\n");
        assert!(ended.stderr.contains("runs without estop"), "{ended:?}");
    }
}

#[test]
fn an_outage_keeps_the_tests_from_running_if_the_service_is_required() {
    let project = Project::new();
    let proxy = Proxy::before(&project.server.url, Mode::Closed);
    let arguments = ["run", "-e", "staging", "--require-service", "--start-within", "1", "--", "echo", "ran"];
    let ended = start_at(&proxy.url, &project, &arguments).end().expect_code(122);
    assert!(ended.stdout.is_empty() && ended.stderr.contains("--require-service"), "{ended:?}");
}

#[test]
fn a_start_waits_for_a_service_that_asks_for_time() {
    let project = Project::new();
    let proxy = Proxy::before(&project.server.url, unavailable());
    let mut running = start_at(&proxy.url, &project, &["run", "-e", "staging", "--", "true"]);
    running.says("retrying");
    proxy.switch(Mode::Through);
    let id = running.id();
    running.end().expect_code(0);
    assert_eq!(project.show(id)["result"], "passed");
}

#[test]
fn a_cancel_during_an_outage_stops_the_run_once_the_service_is_back() {
    let project = Project::new();
    let proxy = Proxy::before(&project.server.url, Mode::Through);
    let script = "trap 'exit 0' INT; echo pid=$$; while :; do sleep 0.1; done";
    let mut running = start_at(&proxy.url, &project, &["run", "-e", "staging", "--", "sh", "-c", script]);
    let pid = running.word_after("pid=");
    let id = running.id();
    proxy.switch(Mode::Closed);
    running.says("The tests go on");
    assert_eq!(project.cancel(id).status, 200);
    eventually("more tries", || (proxy.seen() >= 2).then_some(()));
    assert!(lives(&pid));
    proxy.switch(Mode::Through);
    let ended = running.end().expect_code(120);
    assert_eq!(ended.stderr.matches("The tests go on").count(), 1, "{ended:?}");
    assert!(ended.stderr.contains("the service is back") && !lives(&pid), "{ended:?}");
    assert_eq!(project.show(id)["stop"]["outcome"], "graceful");
}

#[test]
fn a_result_is_recorded_once_the_service_is_back() {
    let project = Project::new();
    let proxy = Proxy::before(&project.server.url, Mode::Through);
    let mut running =
        start_at(&proxy.url, &project, &["run", "-e", "staging", "--", "sh", "-c", "echo ready; read line; exit 5"]);
    running.says("ready");
    let id = running.id();
    proxy.switch(unavailable());
    running.type_in("go\n");
    running.says("to record the result. Ctrl-C ends that");
    proxy.switch(Mode::Through);
    let ended = running.end().expect_code(5);
    assert!(ended.stderr.ends_with(&format!("the result of test run {id} is recorded\n")), "{ended:?}");
    assert_eq!(project.show(id)["result"], "failed");
}

#[test]
fn a_lost_lease_stops_the_command() {
    let project = Project::new();
    let proxy = Proxy::before(&project.server.url, Mode::Through);
    let script = "trap 'exit 0' INT; echo pid=$$; while :; do sleep 0.1; done";
    let mut running = start_at(&proxy.url, &project, &["run", "-e", "staging", "--", "sh", "-c", script]);
    let pid = running.word_after("pid=");
    proxy.switch(respond_with(
        "409 Conflict",
        "",
        r#"{"data":null,"error":{"message":"This lease does not hold it."}}"#,
    ));
    let ended = running.end().expect_code(121);
    assert!(ended.stderr.contains("This lease does not hold it.") && !lives(&pid), "{ended:?}");
}

#[test]
fn a_cancel_is_retried_until_there_is_a_response() {
    let project = Project::new();
    for mode in [unavailable(), broken()] {
        let id = project.queued();
        let proxy = Proxy::before(&project.server.url, mode);
        let mut running = start_at(&proxy.url, &project, &["cancel", &id.to_string(), "--reason", "wrong branch"]);
        running.says("retrying");
        assert!(proxy.seen() >= 1);
        proxy.switch(Mode::Through);
        running.end().expect_code(0);
        assert_eq!(project.show(id)["cancel"]["reason"], json!("wrong branch"));
    }
}

#[test]
fn a_key_that_is_revoked_meanwhile_takes_nothing_from_a_run_that_has_its_lease() {
    let project = Project::new();
    let (key, key_id) = project.key("ci", &["run"], None);
    let mut command = estop(&project.server.url, &key);
    let mut running =
        Running::of(command.args(["run", "-e", "staging", "--", "sh", "-c", "echo ready; read line; exit 6"]));
    running.says("ready");
    let id = running.id();
    assert_eq!(project.server.admin("DELETE", &format!("/api/keys/{key_id}"), None).status, 200);
    running.type_in("go\n");
    running.end().expect_code(6);
    assert_eq!(project.show(id)["result"], "failed");
    // It can still be cancelled, too.
    let (key, key_id) = project.key("ci", &["run"], None);
    let mut command = estop(&project.server.url, &key);
    let script = "trap 'exit 0' INT; echo ready; while :; do sleep 0.1; done";
    let mut running = Running::of(command.args(["run", "-e", "staging", "--", "sh", "-c", script]));
    running.says("ready");
    let id = running.id();
    assert_eq!(project.server.admin("DELETE", &format!("/api/keys/{key_id}"), None).status, 200);
    assert_eq!(project.cancel(id).status, 200);
    running.end().expect_code(120);
    assert_eq!(project.show(id)["stop"]["outcome"], "graceful");
}

#[test]
fn a_bug_in_the_service_does_not_stop_the_tests() {
    let project = Project::new();
    let proxy = Proxy::before(&project.server.url, Mode::Through);
    let arguments = ["run", "-e", "staging", "--", "sh", "-c", "echo ready; read line; exit 6"];
    let mut running = start_at(&proxy.url, &project, &arguments);
    running.says("ready");
    let id = running.id();
    proxy.switch(broken());
    running.says("request id 7f3a. The tests go on");
    proxy.switch(Mode::Through);
    running.says("the service is back");
    running.type_in("go\n");
    running.end().expect_code(6);
    assert_eq!(project.show(id)["result"], "failed");
}

#[test]
fn a_bug_in_the_service_is_reported_with_its_request_id() {
    let project = Project::new();
    let proxy = Proxy::before(&project.server.url, broken());
    let ended = start_at(&proxy.url, &project, &["wait", "7", "--timeout", "1"]).end().expect_code(124);
    assert!(ended.stderr.contains("still waiting") && ended.stderr.contains("request id 7f3a"), "{ended:?}");
    assert!(ended.stderr.contains("returned 500") && !ended.stderr.contains("ESTOP_URL"), "{ended:?}");
}

#[test]
fn what_the_admin_creates_is_retried_and_created_once() {
    let project = Project::new();
    let id = project.id.to_string();
    let proxy = Proxy::before(&project.server.url, Mode::Through);
    let slug = unique();
    for (arguments, list) in [
        (&["projects", "create", "--name", "Shop", "--slug", &slug][..], None),
        (
            &["environments", "create", "--project", &id, "--name", "New", "--slug", "new"],
            Some(("environments", "New")),
        ),
        (
            &["keys", "create", "--project", &id, "--user", "ci", "--name", "once", "--scope", "run"],
            Some(("keys", "once")),
        ),
        (
            &["webhooks", "add", "https://example.com/once", "--project", &id],
            Some(("webhooks", "https://example.com/once")),
        ),
        (&["people", "add", "eve@example.com", "--project", &id, "--scope", "read"], Some(("keys", "eve@"))),
    ] {
        proxy.switch(unavailable());
        let mut command = estop(&proxy.url, "");
        let mut running = Running::of(command.env("ESTOP_ADMIN_TOKEN", ADMIN).args(arguments));
        running.says("retrying");
        proxy.switch(Mode::Through);
        running.end().expect_code(0);
        if let Some((list, mark)) = list {
            let mut command = estop(&project.server.url, "");
            let ended =
                Running::of(command.env("ESTOP_ADMIN_TOKEN", ADMIN).args([list, "list", "--project", &id])).end();
            assert_eq!(ended.stdout.matches(mark).count(), 1, "{ended:?}");
        }
    }
}

#[test]
fn an_address_that_is_not_estops_is_not_blamed_on_the_id() {
    let project = Project::new();
    let id = project.queued().to_string();
    let blog = Proxy::before(&project.server.url, respond_with("404 Not Found", "", "<html>Not here</html>"));
    for url in [format!("{}/foo", project.server.url), blog.url.clone()] {
        for arguments in [&["show", &id][..], &["cancel", &id], &["list"], &["run", "-e", "staging", "--", "true"]] {
            let ended = start_at(&url, &project, arguments).end().expect_code(122);
            assert!(ended.stderr.contains(&format!("{url} does not look like an estop service")), "{ended:?}");
            assert!(ended.stderr.contains("ESTOP_URL") && !ended.stderr.contains("the id"), "{ended:?}");
        }
    }
}
