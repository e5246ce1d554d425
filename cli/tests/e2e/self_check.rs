//! `estop self-check` finds what is wrong, and says what to do.

use serde_json::{Value, json};

use crate::client::Project;
use crate::proxy::{Mode, Proxy, http, respond_with};
use crate::relay::Relay;
use crate::support::{Ended, Running, estop};

/// What it says of each check: `(service, key, clock, websocket, processes)`.
fn statuses(ended: &Ended) -> Vec<&str> {
    ended.stdout.lines().map(|line| line.split_whitespace().next().unwrap_or_default()).collect()
}

fn check(url: &str, key: &str) -> Ended {
    Running::of(estop(url, key).arg("self-check")).end()
}

/// `wrangler dev` tells no date, so there is no clock to compare.
const FINE: [&str; 5] = ["ok", "ok", "skipped", "ok", "ok"];

#[test]
fn where_all_is_well_it_says_with_whose_key_and_for_which_project() {
    let project = Project::new();
    let ended = check(&project.server.url, &project.key).expect_code(0);
    assert_eq!(statuses(&ended), FINE, "{ended:?}");
    let version = env!("CARGO_PKG_VERSION");
    for part in [
        format!("{} is estop {version} and answers within ", project.server.url),
        format!("ada@example.com (a test's) in project {}, scopes read, cancel, run\n", project.slug),
        "opened and answered within ".to_owned(),
    ] {
        assert!(ended.stdout.contains(&part), "{part}: {ended:?}");
    }
    assert!(ended.stderr.is_empty(), "{ended:?}");
}

#[test]
fn programs_get_json_and_the_other_name_is_doctor() {
    let project = Project::new();
    let mut command = estop(&project.server.url, &project.key);
    let ended = Running::of(command.args(["doctor", "--json", "--no-push"])).end().expect_code(0);
    let report: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let checks = report["checks"].as_array().expect("checks");
    let names: Vec<_> = checks.iter().map(|check| check["check"].as_str().expect("a name")).collect();
    assert_eq!(names, ["service", "key", "clock", "websocket", "processes"]);
    assert_eq!((&checks[0]["status"], &checks[3]["status"]), (&json!("ok"), &json!("skipped")), "{report}");
}

#[test]
fn a_service_that_is_not_there_or_another_is_said_once() {
    let ended = check("http://127.0.0.1:1", "a-key").expect_code(124);
    assert_eq!(statuses(&ended)[..4], ["FAILED", "skipped", "skipped", "skipped"], "{ended:?}");
    assert_eq!(ended.stdout.matches("Check ESTOP_URL").count(), 1, "{ended:?}");
    let blog = Proxy::before("http://127.0.0.1:1", respond_with("200 OK", "", "<html>"));
    let ended = check(&blog.url, "a-key").expect_code(122);
    assert_eq!(statuses(&ended)[..4], ["FAILED", "skipped", "skipped", "skipped"], "{ended:?}");
    assert!(ended.stdout.contains("does not look like an estop service"), "{ended:?}");
    check("estop.example.com", "a-key").expect_code(2);
}

#[test]
fn a_key_that_is_missing_wrong_or_revoked_is_told_apart() {
    let project = Project::new();
    let (revoked, id) = project.key("ci", &["run"], None);
    project.server.admin("DELETE", &format!("/api/keys/{id}"), None);
    for (key, code, says) in [
        ("", 2, "ESTOP_KEY is not set"),
        ("estop_wrong", 122, "This key is not known here. Check that it was copied whole."),
        (&revoked, 122, "This key was revoked. Ask whoever administers estop for a new one."),
    ] {
        let ended = check(&project.server.url, key).expect_code(code);
        assert_eq!(statuses(&ended)[..4], ["ok", "FAILED", "skipped", "skipped"], "{ended:?}");
        assert!(ended.stdout.contains(says), "{ended:?}");
    }
}

#[test]
fn a_key_for_ci_is_fine_and_its_scopes_are_told() {
    let project = Project::new();
    let (key, _) = project.key("ci@example.com", &["run"], None);
    let ended = check(&project.server.url, &key).expect_code(0);
    assert_eq!(statuses(&ended)[..4], ["ok", "ok", "skipped", "skipped"], "{ended:?}");
    assert!(ended.stdout.contains("scopes run; not read, cancel\n"), "{ended:?}");
}

#[test]
fn a_network_that_lets_no_websocket_through_is_a_warning() {
    let project = Project::new();
    let relay = Relay::before(&project.server.url);
    relay.refuse(Some(("502 Bad Gateway", "<html>")));
    let ended = check(&relay.url, &project.key).expect_code(0);
    assert_eq!(statuses(&ended)[..4], ["ok", "ok", "skipped", "warning"], "{ended:?}");
    assert!(ended.stdout.contains("was answered with 502") && ended.stdout.contains("ESTOP_NO_PUSH=1"), "{ended:?}");
}

#[test]
fn a_network_that_swallows_websockets_is_noticed_in_time() {
    let project = Project::new();
    let relay = Relay::before(&project.server.url);
    relay.swallow();
    let ended = check(&relay.url, &project.key).expect_code(0);
    assert_eq!(statuses(&ended)[..4], ["ok", "ok", "skipped", "warning"], "{ended:?}");
}

/// A service with this clock, where nobody can sign in.
fn stand_in(date: &str, list: &str) -> Proxy {
    let answer = |body: Value| http("200 OK", &format!("Date: {date}\r\n"), &body.to_string());
    let no_route = json!({"data": null, "error": {"message": "Nothing is served at this path."}});
    Proxy::before(
        "http://127.0.0.1:1",
        Mode::Responds(vec![
            ("GET /healthz", answer(json!({"data": {"status": "ok", "schema": {"worker": 10, "database": 9}}}))),
            ("GET /openapi.json", answer(json!({"info": {"version": "0.2.0"}}))),
            ("GET /api/session", http("404 Not Found", "", &no_route.to_string())),
            ("GET /api/test-runs?", list.to_owned()),
        ]),
    )
}

#[test]
fn a_clock_that_is_off_and_a_schema_that_is_behind_are_warnings() {
    let service = stand_in("Thu, 01 Jan 2026 00:00:00 GMT", &http("200 OK", "", "{}"));
    let ended = check(&service.url, "a-key").expect_code(0);
    assert_eq!(statuses(&ended)[..4], ["warning", "ok", "warning", "warning"], "{ended:?}");
    assert!(ended.stdout.contains("has schema 9 and it needs 10"), "{ended:?}");
    assert!(ended.stdout.contains("ahead of the service's. Leases do not go by it"), "{ended:?}");
    let service = stand_in("Fri, 01 Jan 2100 00:00:00 GMT", &http("200 OK", "", "{}"));
    assert!(check(&service.url, "a-key").expect_code(0).stdout.contains(" behind the service's"));
}

#[test]
fn where_nobody_can_sign_in_a_key_is_still_tried() {
    let refused = |status, message: &str| {
        let body = json!({"data": null, "error": {"message": message}});
        http(status, "", &body.to_string())
    };
    let date = "Thu, 01 Jan 2026 00:00:00 GMT";
    let lacks = stand_in(date, &refused("403 Forbidden", "This key lacks the scope `read`."));
    let ended = check(&lacks.url, "a-key").expect_code(0);
    assert!(ended.stdout.contains("valid, but lacks the scope read"), "{ended:?}");
    let unknown = stand_in(date, &refused("401 Unauthorized", "This key is not known here."));
    check(&unknown.url, "a-key").expect_code(122);
}
