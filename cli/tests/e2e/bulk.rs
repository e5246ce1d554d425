//! `estop cancel` for many runs: what is shown, what is asked first, and where nobody can be asked.

use serde_json::{Value, json};

use crate::client::Project;
use crate::proxy::{Proxy, respond_with};
use crate::support::{Ended, Running, estop, start};

fn call(project: &Project, arguments: &[&str]) -> Ended {
    start(project, arguments).end()
}

fn register(project: &Project, runs: usize) -> Vec<i64> {
    let body = json!({"environment": "staging", "branch": "main", "metadata": {"ci_run_id": 42}});
    let one = || project.call("PUT", "/api/test-runs", Some(&body)).ok()["data"]["test_run"]["id"].as_i64();
    (0..runs).map(|_| one().expect("an id")).collect()
}

/// The words of the table's line for this run.
fn row(ended: &Ended, id: i64) -> Option<Vec<&str>> {
    let rows = ended.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.into_iter().find(|row| row.first() == Some(&id.to_string().as_str()))
}

#[test]
fn many_runs_are_cancelled_at_once_and_a_dry_run_only_lists_them() {
    let project = Project::new();
    let ids = register(&project, 3);
    let matching = ["cancel", "--branch", "main", "--metadata", "ci_run_id=42"];
    let ended = call(&project, &[&matching[..], &["--dry-run"]].concat()).expect_code(0);
    for id in &ids {
        let row = row(&ended, *id).expect("a row");
        assert_eq!(row[1..5], ["queued", "staging", "main", "ada@example.com"], "{ended:?}");
        assert_eq!(project.show(*id)["state"], "queued");
    }
    assert!(
        ended.stdout.starts_with("ID ") && ended.stdout.ends_with("3 test runs would be cancelled.\n"),
        "{ended:?}"
    );

    let ended = call(&project, &[&matching[..], &["--limit", "1", "--reason", "bad deploy"]].concat()).expect_code(0);
    assert!(ended.stdout.ends_with("1 test run is cancelled.\n"), "{ended:?}");
    assert!(ended.stderr.contains("more test runs may match than --limit 1 allows"), "{ended:?}");
    let cancelled = |id: &&i64| project.show(**id)["state"] == "cancelled";
    let first = *ids.iter().find(cancelled).expect("one of them");
    assert_eq!((ids.iter().filter(cancelled).count(), row(&ended, first).is_some()), (1, true));
    assert_eq!(project.show(first)["cancel"]["reason"], "bad deploy");

    let texts: Vec<String> = ids.iter().map(i64::to_string).collect();
    let by_id = [&["cancel"], &texts.iter().map(String::as_str).collect::<Vec<_>>()[..]].concat();
    let ended = call(&project, &by_id).expect_code(0);
    assert!(
        ended.stdout.contains("2 test runs are cancelled.")
            && ended.stdout.contains(&format!("Test run {first} is over")),
        "{ended:?}"
    );
    call(&project, &by_id).expect_code(123);
    call(&project, &["cancel", &texts[0], "9007199254740991"]).expect_code(122);
    let ended = call(&project, &matching).expect_code(0);
    assert_eq!(ended.stdout, "No test run matches.\n");
}

#[test]
fn a_cursor_is_followed_to_the_end() {
    let project = Project::new();
    let ids = register(&project, 5);
    // Two at a time, so that the service says where to go on.
    let page = json!({"filter": {"branch": "main"}, "dry_run": true, "limit": 2});
    assert!(project.post("/api/test-runs/cancel", &page).ok()["data"]["next"].is_string());
    let ended = call(&project, &["cancel", "--branch", "main", "--json"]).expect_code(0);
    let json: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(json["data"]["cancelled"].as_array().map(Vec::len), Some(ids.len()));
    assert_eq!((&json["data"]["more"], &json["data"]["next"]), (&json!(false), &json!(null)));
    assert_eq!((&json["data"]["dry_run"], &json["data"]["not_found"]), (&json!(false), &json!([])));
}

#[test]
fn many_runs_or_only_a_state_take_a_yes_where_nobody_can_be_asked() {
    let project = Project::new();
    let ids = register(&project, 21);
    for arguments in [&["--branch", "main"][..], &["--state", "queued"]] {
        let ended = call(&project, &[&["cancel"], arguments].concat()).expect_code(2);
        assert!(ended.stderr.contains("nothing was cancelled") && ended.stderr.contains("--yes"), "{ended:?}");
        assert!(ended.stdout.is_empty(), "{ended:?}");
        call(&project, &[&["cancel", "--dry-run"], arguments].concat()).expect_code(0);
    }
    assert!(ids.iter().all(|id| project.show(*id)["state"] == "queued"));
    let ended = call(&project, &["cancel", "--state", "queued", "-y"]).expect_code(0);
    assert!(ended.stdout.contains("21 test runs are cancelled."), "{ended:?}");
}

#[test]
fn a_service_that_goes_round_in_circles_is_not_followed_for_ever() {
    let run = json!({"id": 7, "state": "queued", "environment": "staging", "branch": "fix \u{1b}[2J", "actor": "ada", "age_seconds": 300});
    let page = json!({"data": {
        "dry_run": true, "cancelled": [run], "already_over": [], "not_found": [], "more": true, "next": "a",
    }});
    let proxy = Proxy::before("http://127.0.0.1:1", respond_with("200 OK", "", &page.to_string()));
    let arguments = ["cancel", "--branch", "main", "--dry-run"];
    let ended = Running::of(estop(&proxy.url, "a-key").args(arguments)).end().expect_code(122);
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    assert!(ended.stderr.contains("not where to go on") && proxy.seen() == 2, "{ended:?}");
    assert_eq!(ended.stdout.matches("fix \\u{1b}[2J").count(), 2, "{ended:?}");
    assert!(ended.stdout.ends_with("2 test runs would be cancelled.\n"), "{ended:?}");
}
