//! List, show, events.

use serde_json::{Value, json};

use crate::client::Project;

fn ids(page: &Value) -> Vec<i64> {
    let items = page["data"]["test_runs"]["items"].as_array().expect("items");
    items.iter().map(|run| run["id"].as_i64().expect("an id")).collect()
}

#[test]
fn a_list_has_the_project_the_runs_and_where_the_page_lies() {
    let project = Project::new();
    let made: Vec<i64> = (0..3).map(|_| project.queued()).collect();
    let page = project.get("/api/test-runs?per_page=2").ok();
    assert_eq!(page["data"]["project"]["id"], project.id);
    assert_eq!(page["data"]["project"]["repo_name"], "acme/shop");
    assert_eq!(ids(&page), [made[2], made[1]]);
    assert_eq!(
        page["pagination"],
        json!({"page": 1, "per_page": 2, "total": 3, "total_pages": 2, "total_is_lower_bound": false, "next_before": made[1]})
    );
    let mut shown = project.show(made[2]);
    assert_eq!(shown.as_object_mut().and_then(|run| run.remove("shards")), Some(json!([])));
    assert_eq!(shown.as_object_mut().and_then(|run| run.remove("took_the_place_of")), Some(json!([])));
    assert_eq!(
        page["data"]["test_runs"]["items"][0], shown,
        "a run looks the same in the list, but for what stands beside it"
    );

    let second = project.get("/api/test-runs?per_page=2&page=2").ok();
    assert_eq!((ids(&second), &second["pagination"]["next_before"]), (vec![made[0]], &Value::Null));
    let onward = project.get(&format!("/api/test-runs?before={}", made[1])).ok();
    assert_eq!((ids(&onward), &onward["pagination"]["total"]), (vec![made[0]], &Value::Null));
}

#[test]
fn an_empty_project_has_an_empty_list() {
    let project = Project::new();
    let page = project.get("/api/test-runs").ok();
    assert_eq!(
        page["pagination"],
        json!({"page": 1, "per_page": 20, "total": 0, "total_pages": 0, "total_is_lower_bound": false, "next_before": null})
    );
}

#[test]
fn every_filter_narrows_the_list() {
    let project = Project::new();
    let register = |body: Value| {
        project.call("PUT", "/api/test-runs", Some(&body)).ok()["data"]["test_run"]["id"].as_i64().expect("an id")
    };
    let main = register(json!({"environment": "staging", "branch": "main"}));
    let feature = register(json!({"environment": "production", "build": {"branch": "feature/a b"}}));
    let (done, token) = project.started();
    project.finish(done, &token).ok();
    project.cancel(main).ok();
    for (query, expected) in [
        ("branch=main".to_owned(), vec![main]),
        ("branch=feature%2Fa+b".to_owned(), vec![feature]),
        ("state=queued".to_owned(), vec![feature]),
        ("state=cancelled&branch=main".to_owned(), vec![main]),
        ("result=passed".to_owned(), vec![done]),
        ("result=failed".to_owned(), vec![]),
        (format!("environment_ids={}", project.production), vec![feature]),
        (format!("environment_ids={},{}", project.production, project.environment), vec![done, feature, main]),
        (format!("id={done}"), vec![done]),
        ("interval_in_days=1".to_owned(), vec![done, feature, main]),
    ] {
        let page = project.get(&format!("/api/test-runs?{query}")).ok();
        assert_eq!(ids(&page), expected, "{query}");
        assert_eq!(page["pagination"]["total"], expected.len(), "{query}");
    }
}

#[test]
fn another_projects_runs_do_not_exist() {
    let (mine, other) = (Project::new(), Project::new());
    let (id, _) = mine.started();
    for (method, path, body) in [
        ("GET", format!("/api/test-runs/{id}"), None),
        ("GET", format!("/api/test-runs/{id}/events"), None),
        ("GET", format!("/api/test-runs/{id}/failures"), None),
        ("POST", format!("/api/test-runs/{id}/cancel"), Some(json!({}))),
        ("POST", format!("/api/test-runs/{id}/claim"), Some(json!({}))),
    ] {
        let before = mine.show(id);
        let theirs = other.call(method, &path, body.as_ref());
        let nobodys = other.call(method, &path.replace(&id.to_string(), "8007199254740991"), body.as_ref());
        theirs.is_error(404);
        assert_eq!(theirs.text, nobodys.text, "the same bytes as for an unknown id: {path}");
        assert_eq!(mine.show(id), before, "{path}");
    }
    assert_eq!(other.get(&format!("/api/test-runs?id={id}")).ok()["pagination"]["total"], 0);
    assert_eq!(
        other.get(&format!("/api/test-runs?environment_ids={}", mine.environment)).ok()["pagination"]["total"],
        0
    );
}

#[test]
fn events_tell_the_story_oldest_first() {
    let project = Project::new();
    let (id, _) = project.started();
    project.cancel(id).ok();
    let run = project.show(id);
    let events = project.get(&format!("/api/test-runs/{id}/events")).ok();
    assert_eq!(
        events["data"]["events"],
        json!([
            {"at": run["created_at"], "from": null, "to": "queued", "cause": "registered", "by": "ada@example.com", "reason": null},
            {"at": run["started_at"], "from": "queued", "to": "started", "cause": "claimed", "by": "ada@example.com", "reason": null},
            {"at": run["cancel"]["at"], "from": "started", "to": "cancelled", "cause": "user", "by": "ada@example.com", "reason": "wrong branch"},
        ])
    );
}
