//! Set-up: what a key may be, and what a change of a limit says.

use estop::operations::admin;
use estop::operations::{cancel, claim, register};
use serde_json::json;

use crate::world::{ADMIN, Ask, World, data};

#[test]
fn nobody_signs_as_a_part_of_estop_however_it_is_written() {
    let world = World::new();
    let create = |user: &str| {
        let body = json!({"project_id": 1, "user": user, "name": "n", "scopes": ["read"]});
        world.send(&Ask::new(&admin::keys::CREATE).with_key(ADMIN).body(&body))
    };
    for user in [
        "system:sweeper",
        "SYSTEM:sweeper",
        " system:x",
        "sys\u{200b}tem:x",
        "\u{feff}system:x",
        "s y s t e m : x",
        "system\u{2060}:x",
        "\u{202e}system:x",
        "ſystem:x",
        "system\u{e0020}:x",
    ] {
        let reply = create(user);
        assert!(reply.status == 400 && reply.body.contains("`user`"), "{user:?}: {reply:?}");
    }
    for user in ["systems@example.com", "the system: operator", "système: x"] {
        assert_eq!(create(user).status, 200, "{user}");
    }
    assert_eq!(data(&create("  ada@example.com\u{a0}"))["key"]["user"], "ada@example.com");
    for nobody in ["   ", "\u{200b}\u{feff}"] {
        assert_eq!(create(nobody).status, 400, "{nobody:?}");
    }
}

#[test]
fn a_key_expires_in_the_future_or_never() {
    let world = World::new();
    let now = world.now.get();
    let create = |at: estop_protocol::time::Timestamp| {
        let body = json!({"project_id": 1, "user": "u", "name": "n", "scopes": ["read"], "expires_at": at});
        world.send(&Ask::new(&admin::keys::CREATE).with_key(ADMIN).body(&body))
    };
    for past in [now.plus(-1), now] {
        let reply = create(past);
        assert!(reply.status == 400 && reply.body.contains("`expires_at`"), "{reply:?}");
    }
    assert_eq!(create(now.plus(1)).status, 200);
}

#[test]
fn a_change_of_the_limit_names_the_runs_that_an_earlier_one_holds() {
    let world = World::new();
    let limit = |scope: &str| {
        let body = json!({"scope": scope, "behaviour": "queue_new"});
        let reply = world.send(&Ask::new(&admin::projects::LIMIT).about(1).with_key(ADMIN).body(&body));
        assert_eq!(reply.status, 200, "{reply:?}");
        data(&reply)["under_earlier_limit"].clone()
    };
    let new = |branch: &str| world.register(&json!({"environment": "staging", "branch": branch}));
    let free = new("main");
    assert_eq!(limit("environment"), json!([free]), "it has no limit at all");
    let first = new("main");
    assert_eq!(limit("branch_environment"), json!([free, first]));
    let second = new("main");
    assert_eq!(limit("environment"), json!([free, second]), "back again: the first one is of this limit");
    for id in [free, first, second] {
        world.ask(&cancel::OPERATION, id, &json!({}));
    }
    assert_eq!(limit("project"), json!([]), "all of them are over");
    // One that is cancelled and still stopping holds its limit.
    let stopping = new("main");
    assert_eq!(world.ask(&claim::OPERATION, stopping, &json!({})).status, 200);
    assert_eq!(world.ask(&cancel::OPERATION, stopping, &json!({})).status, 200);
    assert_eq!(limit("environment"), json!([stopping]));
}

#[test]
fn a_run_of_an_earlier_limit_is_named_however_many_stand_before_it() {
    let world = World::new();
    let free = world.register(&json!({"environment": "staging"}));
    assert_eq!(world.ask(&claim::OPERATION, free, &json!({})).status, 200);
    world.sql(
        "INSERT INTO runs (project_id, environment_id, state, request_id, created_at, created_by, waiting_since, concurrency_group, protected) \
           SELECT 1, 1, 'queued', 'h' || value, value, 'ada', value, 'project', 1 FROM (WITH RECURSIVE n(value) AS \
           (VALUES (1) UNION ALL SELECT value + 1 FROM n WHERE value < 1050) SELECT value FROM n)",
    );
    let body = json!({"scope": "project", "behaviour": "queue_new"});
    let reply = world.send(&Ask::new(&admin::projects::LIMIT).about(1).with_key(ADMIN).body(&body));
    assert_eq!(data(&reply)["under_earlier_limit"], json!([free]));
}

#[test]
fn what_a_run_brings_along_is_bounded_and_its_links_are_of_the_web() {
    let world = World::new();
    let send = |extra: serde_json::Value| {
        let mut body = json!({"environment": "staging"});
        body.as_object_mut().expect("an object").extend(extra.as_object().expect("an object").clone());
        world.send(&Ask::new(&register::OPERATION).body(&body))
    };
    let tags: Vec<String> = (0..16).map(|n| format!("{n}").repeat(120)).collect();
    let metadata = json!({"a": "x".repeat(1000), "b": "y".repeat(1000), "c": "z".repeat(1000), "d": "w".repeat(1000)});
    assert_eq!(send(json!({"metadata": metadata, "tags": tags})).status, 200);
    let build = json!({"url": format!("https://example.com/{}", "x".repeat(2000))});
    let reply = send(json!({"metadata": metadata, "tags": tags, "build": build}));
    assert!(reply.status == 400 && reply.body.contains("8192 bytes"), "{reply:?}");
    for url in ["https://ci.example.com/1", "HTTP://x", "http://[::1]/"] {
        assert_eq!(send(json!({"build": {"url": url, "commit_url": url}})).status, 200, "{url}");
    }
    for url in
        ["javascript:alert(1)", "ftp://x", "//x", "data:text/html,x", "https:x", " https://x", "ht\u{200b}tps://x"]
    {
        for field in ["url", "commit_url"] {
            let reply = send(json!({"build": {field: url}}));
            assert!(reply.status == 400 && reply.body.contains(&format!("build.{field}")), "{url}: {reply:?}");
        }
    }
}

fn change(world: &World, operation: &estop::http::operation::Operation, body: &serde_json::Value) -> serde_json::Value {
    let reply = world.send(&Ask::new(operation).about(1).with_key(ADMIN).body(body));
    assert_eq!(reply.status, 200, "{reply:?}");
    data(&reply)
}

#[test]
fn what_is_not_given_stays_as_it_is() {
    let world = World::new();
    let project = |body| change(&world, &admin::projects::CHANGE, &body)["project"].clone();
    assert_eq!(project(json!({}))["badges"], false);
    let renamed = project(json!({"name": "Shop"}));
    assert_eq!(
        (&renamed["name"], &renamed["slug"], &renamed["badges"]),
        (&json!("Shop"), &json!("one"), &json!(false))
    );
    let badges = project(json!({"badges": true}));
    assert_eq!((&badges["name"], &badges["badges"]), (&json!("Shop"), &json!(true)));
    let environment = |body| change(&world, &admin::environments::CHANGE, &body)["environment"].clone();
    assert_eq!(environment(json!({"disabled": true}))["disabled"], true);
    let renamed = environment(json!({"name": "Stage"}));
    assert_eq!(renamed, json!({"id": 1, "name": "Stage", "slug": "staging", "disabled": true}));
    for (operation, body) in [
        (&admin::projects::CHANGE, json!({"name": ""})),
        (&admin::projects::CHANGE, json!({"slug": "x"})),
        (&admin::projects::CHANGE, json!({"badges": 1})),
        (&admin::environments::CHANGE, json!({"name": "a\nb"})),
    ] {
        assert_eq!(world.send(&Ask::new(operation).about(1).with_key(ADMIN).body(&body)).status, 400, "{body}");
    }
    for operation in [&admin::projects::CHANGE, &admin::environments::CHANGE] {
        assert_eq!(world.send(&Ask::new(operation).about(99).with_key(ADMIN).body(&json!({}))).status, 404);
    }
}

#[test]
fn a_disabled_environment_takes_no_new_runs_and_keeps_those_that_it_has() {
    let world = World::new();
    let shards = json!({"environment": "staging", "group": "g", "total_shards": 2});
    let id = world.register(&shards);
    change(&world, &admin::environments::CHANGE, &json!({"disabled": true}));
    let refused = world.send(&Ask::new(&register::OPERATION).body(&json!({"environment": "staging"})));
    assert!(refused.status == 400 && refused.body.contains("disabled"), "{refused:?}");
    let unknown = world.send(&Ask::new(&register::OPERATION).body(&json!({"environment": "nowhere"})));
    assert!(unknown.body.contains("known are production."), "{unknown:?}");
    let joined = world.send(&Ask::new(&register::OPERATION).body(&shards));
    assert_eq!((joined.status, &data(&joined)["test_run"]["id"]), (200, &json!(id)), "its other shard joins it");
    assert_eq!(world.ask(&claim::OPERATION, id, &json!({})).status, 200);
    assert_eq!(world.ask(&cancel::OPERATION, id, &json!({})).status, 200);
    change(&world, &admin::environments::CHANGE, &json!({"disabled": false}));
    world.register(&json!({"environment": "staging"}));
}

#[test]
fn what_an_admin_changes_is_written_down_once() {
    let world = World::new();
    let before: i64 = world
        .runtime
        .db
        .borrow()
        .query_row("SELECT count(*) FROM admin_events", [], |row| row.get(0))
        .expect("a count");
    world.pass(1000);
    for _ in 0..2 {
        change(&world, &admin::projects::CHANGE, &json!({"name": "Shop", "badges": true}));
        world.pass(1);
        change(&world, &admin::environments::CHANGE, &json!({"disabled": true}));
        world.pass(1);
        let limit = json!({"scope": "environment", "behaviour": "queue_new"});
        change(&world, &admin::projects::LIMIT, &limit);
    }
    let key = json!({"project_id": 1, "user": "grace", "name": "laptop", "scopes": ["read", "run"]});
    let made = data(&world.send(&Ask::new(&admin::keys::CREATE).with_key(ADMIN).body(&key)));
    let id = made["key"]["id"].as_i64().expect("an id");
    for _ in 0..2 {
        world.send(&Ask::new(&admin::keys::REVOKE).about(id).with_key(ADMIN));
    }
    let reply = world.send(&Ask::new(&admin::events::LIST).with_key(ADMIN).query("per_page=6"));
    let events = data(&reply)["events"].clone();
    let shown: Vec<(&str, &str, &str)> = events
        .as_array()
        .expect("events")
        .iter()
        .map(|event| {
            let at = event["at"].as_str().expect("a time");
            assert!(at.starts_with("2027-01-15T08:00:01.0") && event["project_id"] == 1, "{event}");
            let text = |name: &str| event[name].as_str().unwrap_or_default();
            (text("what"), text("subject"), text("detail"))
        })
        .collect();
    let (made, revoked) = (format!("key {id}, laptop: read, run"), format!("key {id}, laptop"));
    assert_eq!(
        shown,
        [
            ("key_revoked", "grace", revoked.as_str()),
            ("key_created", "grace", made.as_str()),
            ("limit_changed", "one", "environment, queue_new"),
            ("environment_disabled", "staging", ""),
            ("badges_turned_on", "one", ""),
            ("project_renamed", "one", "One → Shop"),
        ]
    );
    assert_eq!(events[0]["id"], json!(before + 6), "each once");
}
