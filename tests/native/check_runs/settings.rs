//! Which projects have it, and which services can.

use estop::config::Config;
use estop::operations::admin::webhooks as room;
use serde_json::{Value, json};

use super::{GitHub, change, changed, flush, started, world};
use crate::world::{ADMIN, Ask, World, data};

#[test]
fn a_project_has_it_only_with_a_repository_of_githubs() {
    let world = World::new();
    for (body, field) in [
        (json!({"check_runs": true}), "`check_runs`"),
        (json!({"cancel_ci": true, "name": "Renamed"}), "`cancel_ci`"),
        (json!({"check_runs": true, "repo_name": "shop"}), "`repo_name`"),
        (json!({"check_runs": true, "repo_name": "acme/shop/x"}), "`repo_name`"),
        (json!({"check_runs": true, "repo_name": "acme/.."}), "`repo_name`"),
        (json!({"check_runs": true, "repo_name": "acme/shop?x"}), "`repo_name`"),
        (json!({"check_runs": true, "repo_name": "../x"}), "`repo_name`"),
        (json!({"check_runs": true, "repo_name": "acme/"}), "`repo_name`"),
    ] {
        let refused = change(&world, &body);
        assert!(refused.status == 400 && refused.body.contains(field), "{body}: {refused:?}");
    }
    let project = changed(&world, &json!({}));
    assert_eq!((&project["name"], &project["repo_name"]), (&json!("One"), &json!(null)), "nothing of it");
    assert_eq!((&project["check_runs"], &project["cancel_ci"]), (&json!(false), &json!(false)));
    let project = changed(&world, &json!({"check_runs": true, "cancel_ci": true, "repo_name": "acme/.github"}));
    assert_eq!((&project["check_runs"], &project["cancel_ci"]), (&json!(true), &json!(true)));
    let project = changed(&world, &json!({"cancel_ci": false}));
    assert_eq!((&project["check_runs"], &project["cancel_ci"]), (&json!(true), &json!(false)));
    let project = changed(&world, &json!({"repo_name": "none of GitHub's"}));
    assert_eq!(project["check_runs"], false);
    let db = world.runtime.db.borrow();
    let mut select = db.prepare("SELECT what FROM admin_events WHERE project_id = 1 ORDER BY id").expect("SQL");
    let whats: Vec<String> =
        select.query_map([], |row| row.get(0)).expect("rows").map(|row| row.expect("a text")).collect();
    let ends = [
        "repository_changed",
        "check_runs_turned_on",
        "cancel_ci_turned_on",
        "cancel_ci_turned_off",
        "repository_changed",
        "check_runs_turned_off",
    ];
    assert!(whats.ends_with(&ends.map(str::to_owned)), "{whats:?}");
}

#[test]
fn a_service_that_is_no_app_turns_nothing_on() {
    let mut world = World::new();
    world.config.github_api = None;
    let refused = change(&world, &json!({"check_runs": true, "repo_name": "acme/shop"}));
    assert!(refused.status == 400 && refused.body.contains("docs/github.md"), "{refused:?}");
    assert_eq!(changed(&world, &json!({"check_runs": false}))["check_runs"], false);
}

#[test]
fn what_goes_to_github_is_no_webhook_of_anybodys() {
    let world = world(&json!({"check_runs": true, "cancel_ci": true}));
    let admin =
        |operation, id: i64, body: &Value| world.send(&Ask::new(operation).about(id).with_key(ADMIN).body(body));
    for n in 0..10 {
        let made = admin(&room::CREATE, 1, &json!({"url": format!("https://example.com/{n}")}));
        assert_eq!(made.status, 200, "they are not counted among the ten: {made:?}");
    }
    assert_eq!(data(&admin(&room::LIST, 1, &json!({})))["webhooks"].as_array().map(Vec::len), Some(10));
    let ids: Vec<i64> = {
        let db = world.runtime.db.borrow();
        let mut select = db.prepare("SELECT id FROM webhooks WHERE github IS NOT NULL").expect("SQL");
        select.query_map([], |row| row.get(0)).expect("rows").map(|id| id.expect("an id")).collect()
    };
    assert_eq!(ids.len(), 2);
    flush(&world, &GitHub::default());
    started(&world);
    for id in ids {
        for operation in [&room::SHOW, &room::CHANGE, &room::DELETE, &room::ROTATE, &room::DELIVERIES, &room::TEST] {
            let reply = admin(operation, id, &json!({}));
            assert_eq!(reply.status, 404, "{}: {reply:?}", operation.name());
        }
    }
    let project = changed(&world, &json!({}));
    assert_eq!((&project["check_runs"], &project["cancel_ci"]), (&json!(true), &json!(true)));
    let delivery: i64 = world
        .runtime
        .db
        .borrow()
        .query_row(
            "SELECT d.id FROM deliveries d JOIN webhooks w ON w.id = d.webhook_id WHERE w.github IS NOT NULL",
            [],
            |r| r.get(0),
        )
        .expect("a delivery");
    world.sql(&format!("UPDATE deliveries SET state = 'failed', due_at = NULL, fresh = 0 WHERE id = {delivery}"));
    assert_eq!(admin(&room::REDELIVER, delivery, &json!({})).status, 404);
}

#[test]
fn the_app_has_an_id_and_a_key_and_an_api() {
    let config = |id: &str, key: &str, api: &str, secret: &str, local: &str| {
        let (config, complaints) = Config::read(|name| match name {
            "GITHUB_APP_ID" => Some(id.into()),
            "GITHUB_APP_PRIVATE_KEY" => Some(key.into()),
            "GITHUB_API" => Some(api.into()),
            "WEBHOOK_SECRET" => Some(secret.into()),
            "ESTOP_LOCAL" => Some(local.into()),
            _ => None,
        });
        (config.github_api, complaints)
    };
    let is = |api: &str| (Some(api.to_owned()), Vec::<String>::new());
    assert_eq!(config("1", "k", "", "s", "0"), is("https://api.github.com"));
    assert_eq!(config("1", "k", "https://ghe.example.com/api/v3/", "s", "0"), is("https://ghe.example.com/api/v3"));
    assert_eq!(config("1", "k", "http://127.0.0.1:1", "s", "1"), is("http://127.0.0.1:1"));
    assert_eq!(config("", "", "https://api.github.com", "", "0"), (None, vec![]));
    for (id, key, api, secret, named) in [
        ("1", "", "", "s", "GITHUB_APP_PRIVATE_KEY"),
        ("", "k", "", "s", "GITHUB_APP_ID"),
        ("1", "k", "", "", "WEBHOOK_SECRET"),
        ("1", "k", "http://127.0.0.1:1", "s", "GITHUB_API"),
        ("1", "k", "https://api.github.com/x", "s", "GITHUB_API"),
        ("1", "k", "https://user@api.github.com", "s", "GITHUB_API"),
    ] {
        let (api, complaints) = config(id, key, api, secret, "0");
        assert!(api.is_none() && complaints.len() == 1 && complaints[0].contains(named), "{complaints:?}");
    }
}
