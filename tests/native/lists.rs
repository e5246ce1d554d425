//! The lists that are paged by id: projects, environments, keys.

use estop::http::operation::Operation;
use estop::operations::{admin, environments};
use serde_json::{Value, json};

use crate::world::{ADMIN, Ask, World};

fn send(world: &World, ask: &Ask<'_>) -> Value {
    let reply = world.send(ask);
    assert_eq!(reply.status, 200, "{reply:?}");
    serde_json::from_str(&reply.body).expect("JSON")
}

fn slugs(items: &Value) -> Vec<&str> {
    items.as_array().expect("items").iter().map(|item| item["slug"].as_str().expect("a slug")).collect()
}

#[test]
fn projects_are_listed_newest_first_page_by_page() {
    let world = World::new();
    let page = |query| send(&world, &Ask::new(&admin::projects::LIST).with_key(ADMIN).query(query));
    let all = page("");
    assert_eq!(slugs(&all["data"]["projects"]), ["two", "one"]);
    assert_eq!(all["pagination"], json!({"per_page": 100, "next_before": null}));
    assert_eq!(all["data"]["projects"][0]["concurrency"], json!({"scope": "none", "behaviour": "cancel_previous"}));
    let first = page("per_page=1");
    assert_eq!((slugs(&first["data"]["projects"]), &first["pagination"]["next_before"]), (vec!["two"], &json!(2)));
    let rest = page("per_page=1&before=2");
    assert_eq!(slugs(&rest["data"]["projects"]), ["one"]);
}

#[test]
fn environments_are_listed_for_the_admin_and_for_the_projects_own_keys() {
    let world = World::new();
    let admin = |query| Ask::new(&admin::environments::LIST).about(1).with_key(ADMIN).query(query);
    let own = |query| Ask::new(&environments::OPERATION).query(query);
    for query in ["", "per_page=1", "before=2", "before=1"] {
        assert_eq!(send(&world, &admin(query)), send(&world, &own(query)), "{query}");
    }
    let all = send(&world, &own(""));
    assert_eq!(
        all["data"]["environments"][1],
        json!({"id": 1, "name": "Staging", "slug": "staging", "disabled": false})
    );
    assert_eq!(slugs(&all["data"]["environments"]), ["production", "staging"]);
    assert_eq!(send(&world, &own("before=1"))["data"]["environments"], json!([]));
}

#[test]
fn a_project_without_environments_has_none_and_an_unknown_one_is_404() {
    let world = World::new();
    world.sql("INSERT INTO projects (id, slug, name, request_id, created_at) VALUES (7, 'new', 'New', 'n', 1)");
    let list = |id| world.send(&Ask::new(&admin::environments::LIST).about(id).with_key(ADMIN));
    assert!(list(7).body.contains(r#""environments":[]"#));
    assert_eq!(list(8).status, 404);
}

#[test]
fn a_misspelt_parameter_is_refused_by_name() {
    let world = World::new();
    let operations: [&Operation; 3] = [&admin::projects::LIST, &admin::environments::LIST, &environments::OPERATION];
    for operation in operations {
        for (query, name) in [("befor=1", "`befor`"), ("per_page=101", "`per_page`"), ("before=0", "`before`")] {
            let key = if operation.pattern.contains("projects") { ADMIN } else { crate::world::KEY };
            let reply = world.send(&Ask::new(operation).about(1).with_key(key).query(query));
            assert!(reply.status == 400 && reply.body.contains(name), "{reply:?}");
        }
    }
}
