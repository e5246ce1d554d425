//! The stop button for many runs at once.

use serde_json::{Value, json};

use crate::client::{NOBODYS, Project};

fn bulk(project: &Project, body: Value) -> Value {
    project.post("/api/test-runs/cancel", &body).ok()["data"].take()
}

fn ids(runs: &Value) -> Vec<i64> {
    runs.as_array().expect("runs").iter().map(|run| run["id"].as_i64().expect("an id")).collect()
}

#[test]
fn ids_are_cancelled_reported_or_not_found() {
    let project = Project::new();
    let (queued, (started, token)) = (project.queued(), project.started());
    let (done, done_token) = project.started();
    project.finish(done, &done_token).ok();
    let others = Project::new().queued();
    let data = bulk(&project, json!({"ids": [queued, started, done, others, NOBODYS], "reason": "bad deploy"}));
    assert_eq!(ids(&data["cancelled"]), [queued, started]);
    let first = &data["cancelled"][0];
    assert_eq!(
        (&first["state"], &first["environment"], &first["actor"]),
        (&json!("queued"), &json!("staging"), &json!("ada@example.com"))
    );
    assert_eq!(data["already_over"][0]["id"], done);
    assert!(data["already_over"][0]["message"].as_str().is_some_and(|m| m.contains("it ended (passed)")), "{data}");
    assert_eq!(data["not_found"], json!([others, NOBODYS]));
    assert_eq!((&data["more"], &data["dry_run"]), (&json!(false), &json!(false)));
    assert_eq!(project.heartbeat(started, &token).ok()["data"]["stop"]["reason"], "bad deploy");
    assert_eq!(project.history(queued), ["queued", "cancelled"]);
}

#[test]
fn a_dry_run_says_which_and_a_filter_stops_at_its_limit() {
    let project = Project::new();
    let register = |ci: i64| {
        let body = json!({"environment": "staging", "branch": "main", "metadata": {"ci_run_id": ci}});
        project.call("PUT", "/api/test-runs", Some(&body)).ok()["data"]["test_run"]["id"].as_i64().expect("an id")
    };
    let mine: Vec<i64> = (0..3).map(|_| register(7)).collect();
    let other = register(8);
    let filter = json!({"branch": "main", "metadata": {"ci_run_id": 7}});
    let dry = bulk(&project, json!({"filter": filter, "dry_run": true, "limit": 2}));
    assert_eq!(
        (ids(&dry["cancelled"]), &dry["more"], &dry["dry_run"]),
        (mine[..2].to_vec(), &json!(true), &json!(true))
    );
    assert_eq!(project.show(mine[0])["state"], "queued");
    let first = bulk(&project, json!({"filter": filter, "limit": 2}));
    assert_eq!((&first["more"], ids(&first["cancelled"])), (&json!(true), mine[..2].to_vec()));
    let rest = bulk(&project, json!({"filter": filter, "cursor": first["next"]}));
    assert_eq!((ids(&rest["cancelled"]), &rest["more"], &rest["next"]), (vec![mine[2]], &json!(false), &Value::Null));
    assert_eq!(project.show(other)["state"], "queued");
}

#[test]
fn a_bulk_cancel_that_is_not_in_order_is_refused_by_field() {
    let project = Project::new();
    let id = project.queued();
    for (body, field) in [
        (json!({}), "ids"),
        (json!({"ids": [id], "filter": {"state": "queued"}}), "ids"),
        (json!({"ids": []}), "ids"),
        (json!({"ids": [0]}), "ids"),
        (json!({"ids": (1..=101).collect::<Vec<i64>>()}), "ids"),
        (json!({"ids": [id], "limit": 5}), "limit"),
        (json!({"filter": {}}), "filter"),
        (json!({"filter": {"state": "ended"}}), "filter.state"),
        (json!({"filter": {"state": "running"}}), "filter.state"),
        (json!({"filter": {"environment": "stagin"}}), "filter.environment"),
        (json!({"filter": {"older_than_minutes": -1}}), "filter.older_than_minutes"),
        (json!({"filter": {"metadata": {"a": []}}}), "filter.metadata"),
        (json!({"filter": {"state": "queued"}, "limit": 0}), "limit"),
        (json!({"filter": {"state": "queued"}, "limit": 1001}), "limit"),
        (json!({"ids": [id], "reason": "x".repeat(1025)}), "reason"),
    ] {
        let answer = project.post("/api/test-runs/cancel", &body);
        answer.is_error(400);
        assert!(answer.message().contains(&format!("`{field}`")), "{body}: {answer:?}");
    }
    assert_eq!(project.show(id)["state"], "queued");
}
