//! Several databases: how a request that shows neither key nor lease finds the one that it is about.

use std::collections::BTreeSet;

use estop::buckets::{Bucket, Map};
use estop::http::operation::{Access, Method};
use estop::http::reply::Reply;
use estop::http::request::GitHub;
use estop::operations::{OPERATIONS, access, admin, badge, cancel, github, health, register, session};
use estop::runtime::DbError;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::world::{ADMIN, Ask, Fault, World, assertion, data, merged, signature};

/// A world with three databases, and the buckets where the map has them.
fn world(map: &str) -> World {
    let world = World::new();
    let mut world = World { runtime: world.runtime.with_more([1, 2]), ..world };
    world.config.buckets = Map::parse(map).expect("a map");
    for n in 0..1296_u32 {
        let digit = |n: u32| char::from_digit(n, 36).expect("a digit");
        let name: String = [digit(n / 36), digit(n % 36)].iter().collect();
        let number = world.config.buckets.database(Bucket::parse(&name).expect("a bucket"));
        if number > 0 {
            let insert = |database: i64, state: &str| {
                let moved_to = if database == 0 { Some(number) } else { None };
                let sql = "INSERT INTO buckets (bucket, state, moved_to, since, frozen) VALUES (?1, ?2, ?3, 0, 0)";
                on(&world, database, |db| db.execute(sql, rusqlite::params![name, state, moved_to]).expect("a bucket"));
            };
            insert(number, "here");
            insert(0, "moved");
        }
    }
    world
}

fn on<T>(world: &World, database: i64, what: impl FnOnce(&Connection) -> T) -> T {
    what(&world.runtime.numbered(database).borrow())
}

fn sql(world: &World, database: i64, text: &str) {
    on(world, database, |db| db.execute_batch(text).unwrap_or_else(|error| panic!("{error}: {text}")));
}

fn count(world: &World, database: i64, from: &str) -> i64 {
    on(world, database, |db| {
        db.query_row(&format!("SELECT count(*) FROM {from}"), [], |row| row.get(0)).expect("a number")
    })
}

/// Lets a bucket be as if it were on its way from its database, or be there again.
fn freeze(world: &World, database: i64, bucket: &str, frozen: bool) {
    let how = if frozen { "'leaving', moved_to = 2, frozen = 1" } else { "'here', moved_to = NULL, frozen = 0" };
    sql(
        world,
        database,
        &format!(
            "INSERT INTO buckets (bucket, state, since, frozen) VALUES ('{bucket}', 'here', 0, 0) ON CONFLICT DO NOTHING; \
             UPDATE buckets SET state = {how} WHERE bucket = '{bucket}'"
        ),
    );
}

fn admin(operation: &'static estop::http::operation::Operation) -> Ask<'static> {
    Ask::new(operation).with_key(ADMIN)
}

fn batches<T>(world: &World, what: impl FnOnce() -> T) -> (T, u32) {
    let before = world.runtime.batches.get();
    let done = what();
    (done, world.runtime.batches.get() - before)
}

fn ok(reply: &Reply) -> Value {
    assert!(matches!(reply.status, 200 | 204), "{reply:?}");
    if reply.body.is_empty() { Value::Null } else { data(reply) }
}

fn is_503(reply: &Reply, outcome: &str) {
    assert_eq!((reply.status, reply.outcome), (503, outcome), "{reply:?}");
    assert!(reply.headers.iter().any(|(name, value)| *name == "Retry-After" && value == "2"), "{reply:?}");
}

fn creation(slug: &str) -> Ask<'static> {
    admin(&admin::projects::CREATE).body(&json!({"name": "P", "slug": slug}))
}

fn created(world: &World, slug: &str) -> (i64, String) {
    let project = ok(&world.send(&creation(slug)))["project"].clone();
    (project["id"].as_i64().expect("an id"), project["bucket"].as_str().expect("a bucket").to_owned())
}

fn environment(world: &World, project: i64) -> i64 {
    let body = json!({"name": "Staging", "slug": "staging"});
    ok(&world.send(&admin(&admin::environments::CREATE).about(project).body(&body)))["environment"]["id"]
        .as_i64()
        .expect("an id")
}

/// A key for all; its id and its text.
fn key(world: &World, project: i64) -> (i64, String) {
    let body = json!({"project_id": project, "user": "ada", "name": "n", "scopes": ["read", "cancel", "run"]});
    let made = ok(&world.send(&admin(&admin::keys::CREATE).body(&body)));
    (made["key"]["id"].as_i64().expect("an id"), made["token"].as_str().expect("a token").to_owned())
}

#[test]
fn what_is_set_up_by_the_api_lives_and_works_in_the_database_of_its_bucket() {
    let world = world("01-zz=1");
    let ((id, bucket), trips) = batches(&world, || created(&world, "shop"));
    assert_eq!((id, trips), (3, 3), "the directory gives the ids; there are two projects in DB");
    assert_eq!((count(&world, 0, "projects"), count(&world, 1, "projects")), (2, 1));
    assert_eq!(
        count(&world, 0, &format!("project_directory WHERE id = 3 AND slug = 'shop' AND bucket = '{bucket}'")),
        1
    );
    let environment = environment(&world, id);
    let (key_id, token) = key(&world, id);
    assert_eq!((environment >> 44, key_id >> 44, &token[6..8]), (1, 1, bucket.as_str()));
    let run = {
        let body = json!({"environment": "staging", "branch": "main"});
        ok(&world.send(&Ask::new(&register::OPERATION).with_key(&token).body(&body)))["test_run"]["id"]
            .as_i64()
            .expect("an id")
    };
    assert_eq!(run >> 44, 1);
    ok(&world.send(&Ask::new(&cancel::OPERATION).about(run).with_key(&token)));
    let change = json!({"badges": true, "repo_name": "acme/shop", "check_runs": true});
    assert_eq!(ok(&world.send(&admin(&admin::projects::CHANGE).about(id).body(&change)))["project"]["badges"], true);
    let limit = json!({"scope": "project", "behaviour": "queue_new"});
    ok(&world.send(&admin(&admin::projects::LIMIT).about(id).body(&limit)));
    ok(&world.send(&admin(&admin::environments::LIST).about(id)));
    ok(&world.send(&admin(&admin::environments::CHANGE).about(environment).body(&json!({"disabled": true}))));
    let person = json!({"project_id": id, "address": "ada@example.com", "scopes": ["read"]});
    ok(&world.send(&admin(&admin::people::ADMIT).body(&person)));
    let hook =
        ok(&world.send(&admin(&admin::webhooks::CREATE).about(id).body(&json!({"url": "https://example.com/"}))));
    let hook = hook["webhook"]["id"].as_i64().expect("an id");
    assert_eq!(hook >> 44, 1);
    for operation in [&admin::webhooks::SHOW, &admin::webhooks::DELIVERIES, &admin::webhooks::ROTATE] {
        ok(&world.send(&admin(operation).about(hook)));
    }
    let delivery =
        ok(&world.send(&admin(&admin::webhooks::TEST).about(hook)))["delivery"]["id"].as_i64().expect("an id");
    assert_eq!(world.send(&admin(&admin::webhooks::REDELIVER).about(delivery)).status, 409, "it is still to come");
    ok(&world.send(&admin(&admin::webhooks::CHANGE).about(hook).body(&json!({"disabled": true}))));
    ok(&world.send(&admin(&admin::webhooks::DELETE).about(hook)));
    let listed = ok(&world.send(&admin(&admin::keys::LIST).query(&format!("project_id={id}"))));
    assert_eq!(listed["keys"].as_array().expect("keys").len(), 2);
    ok(&world.send(&admin(&admin::keys::REVOKE).about(key_id)));
    assert_eq!(world.send(&Ask::new(&session::SHOW).with_key(&token)).outcome, "revoked_key");
    for (operation, id) in
        [(&admin::environments::CREATE, 99), (&admin::projects::CHANGE, 99), (&admin::keys::REVOKE, 99)]
    {
        let reply = world.send(&admin(operation).about(id).body(&json!({"name": "N", "slug": "n"})));
        let expected = if operation.name() == admin::projects::CHANGE.name() { 400 } else { 404 };
        assert_eq!(reply.status, expected, "{reply:?}");
    }
    assert_eq!(world.send(&admin(&admin::keys::LIST).query("project_id=99")).status, 200, "as with one database");
}

#[test]
fn a_creation_that_was_cut_short_is_finished_by_its_repeat() {
    for fault in [Fault::BeforeCommit, Fault::AfterCommit] {
        for well in 0..3 {
            let world = world("01-zz=1");
            world.runtime.after.set(well);
            world.runtime.faults.borrow_mut().push_back(fault(DbError::Deadline));
            let ask = creation("shop").idempotent("k");
            is_503(&world.send(&ask), "d1_deadline");
            let entered = count(&world, 0, "project_directory");
            let project = ok(&world.send(&ask))["project"].clone();
            assert_eq!((&project["id"], &project["slug"]), (&json!(3), &json!("shop")), "{well}");
            assert_eq!(ok(&world.send(&ask))["project"], project);
            assert!(entered == 2 || count(&world, 0, "project_directory") == entered);
            assert_eq!((count(&world, 0, "projects"), count(&world, 1, "projects")), (2, 1));
        }
    }
}

#[test]
fn a_slug_is_taken_once_whatever_database_has_it() {
    let world = world("01-zz=1");
    let body = |name: &str, slug: &str| admin(&admin::projects::CREATE).body(&json!({"name": name, "slug": slug}));
    ok(&world.send(&body("A", "shop").idempotent("a")));
    for slug in ["shop", "one"] {
        assert_eq!(world.send(&body("B", slug).idempotent("b")).status, 409, "{slug}");
    }
    // The same Idempotency-Key with another request.
    assert_eq!(world.send(&body("B", "shop").idempotent("a")).status, 422);
    assert_eq!(world.send(&body("A", "other").idempotent("a")).status, 422);
    assert_eq!((count(&world, 0, "project_directory"), count(&world, 1, "projects")), (3, 1));
}

#[test]
fn what_is_in_the_directory_alone_belongs_to_whoever_creates_it_first() {
    let world = world("01-zz=1");
    world.runtime.after.set(2);
    world.runtime.faults.borrow_mut().push_back(Fault::BeforeCommit(DbError::Deadline));
    is_503(&world.send(&creation("shop").idempotent("a")), "d1_deadline");
    assert_eq!((count(&world, 0, "project_directory"), count(&world, 1, "projects")), (3, 0));
    let lists = ok(&world.send(&admin(&admin::projects::LIST)));
    assert_eq!(lists["projects"].as_array().expect("projects").len(), 2, "it is none yet");
    let other = admin(&admin::projects::CREATE).body(&json!({"name": "P", "slug": "other"})).idempotent("a");
    assert_eq!(world.send(&other).status, 422);
    assert_eq!(ok(&world.send(&creation("shop").idempotent("b")))["project"]["id"], 3);
    assert_eq!(ok(&world.send(&creation("shop").idempotent("b")))["project"]["id"], 3);
    assert_eq!(world.send(&creation("shop").idempotent("a")).status, 409);
}

#[test]
fn a_new_project_keeps_clear_of_buckets_on_their_way_and_of_databases_that_are_down() {
    let world = world("00-8z=1 90-hz=2");
    sql(&world, 1, "UPDATE buckets SET state = 'leaving', moved_to = 2, frozen = 1 WHERE bucket < '50'");
    sql(&world, 0, "INSERT INTO buckets (bucket, state, moved_to, since, frozen) VALUES ('i0', 'leaving', 1, 0, 1)");
    world.runtime.dead.borrow_mut().clear();
    let mut buckets = BTreeSet::new();
    let (_, trips) = batches(&world, || {
        for n in 0..40 {
            buckets.insert(created(&world, &format!("p{n}")).1);
        }
    });
    assert!(buckets.iter().all(|bucket| bucket.as_str() >= "50"), "{buckets:?}");
    let there = |number: i64| {
        i64::try_from(
            buckets
                .iter()
                .filter(|bucket| world.config.buckets.database(Bucket::parse(bucket).expect("a bucket")) == number)
                .count(),
        )
        .expect("few")
    };
    let [zero, one, two] = [0, 1, 2].map(there);
    assert!(zero > 0 && one > 0 && two > 0, "{buckets:?}");
    let elsewhere: i64 = count(&world, 1, "projects") + count(&world, 2, "projects");
    assert!(i64::from(trips) > 40 + 2 * elsewhere, "{trips} round trips: some were turned away");
    // All that DB has is on its way: there is nowhere to create one.
    let world = self::world("");
    for n in 0..1296_u32 {
        let digit = |n: u32| char::from_digit(n, 36).expect("a digit");
        let name: String = [digit(n / 36), digit(n % 36)].iter().collect();
        freeze(&world, 0, &name, true);
    }
    let (reply, trips) = batches(&world, || world.send(&creation("shop")));
    is_503(&reply, "d1_moving");
    assert_eq!((trips, count(&world, 0, "project_directory")), (4, 2), "four were tried, and nothing was written");
}

#[test]
fn a_bucket_that_leaves_in_the_middle_of_a_creation_lets_it_be_finished_later() {
    let world = world("01-zz=1");
    *world.runtime.before_batch.borrow_mut() = Some((
        2,
        Box::new(|runtime| {
            let sql = "UPDATE buckets SET state = 'leaving', moved_to = 2, frozen = 1";
            runtime.numbered(1).borrow().execute_batch(sql).expect(sql);
        }),
    ));
    let ask = creation("shop").idempotent("a");
    is_503(&world.send(&ask), "d1_moving");
    assert_eq!((count(&world, 0, "project_directory"), count(&world, 1, "projects")), (3, 0));
    sql(&world, 1, "UPDATE buckets SET state = 'moved', frozen = 0");
    sql(
        &world,
        2,
        "INSERT INTO buckets (bucket, state, since, frozen) SELECT value, 'here', 0, 0 FROM json_each('[]')",
    );
    let bucket: String = on(&world, 0, |db| {
        db.query_row("SELECT bucket FROM project_directory WHERE id = 3", [], |row| row.get(0)).expect("a bucket")
    });
    sql(&world, 2, &format!("INSERT INTO buckets (bucket, state, since, frozen) VALUES ('{bucket}', 'here', 0, 0)"));
    // Of the random buckets that are tried first, none has arrived; the entry's own has.
    sql(&world, 1, &format!("UPDATE buckets SET state = 'here', moved_to = NULL WHERE bucket <> '{bucket}'"));
    assert_eq!(ok(&world.send(&ask))["project"]["bucket"], bucket.as_str());
    assert_eq!((count(&world, 1, "projects"), count(&world, 2, "projects")), (0, 1));
}

#[test]
fn a_project_s_bucket_is_asked_for_once_an_isolate() {
    let world = World::new();
    let body = json!({"project_id": 1, "user": "u", "name": "n", "scopes": ["read"]});
    let trips = |ask: &Ask<'_>| {
        let (reply, trips) = batches(&world, || world.send(ask));
        ok(&reply);
        trips
    };
    let create = admin(&admin::keys::CREATE).body(&body);
    assert_eq!([trips(&create), trips(&create)], [2, 1]);
    assert_eq!(trips(&creation("three")), 1);
    let body = json!({"project_id": 3, "user": "u", "name": "n", "scopes": ["read"]});
    assert_eq!(trips(&admin(&admin::keys::CREATE).body(&body)), 1, "whoever created it knows it");
    // Nothing else has to know it where there is one database.
    let person = json!({"project_id": 2, "address": "ada@example.com", "scopes": ["read"]});
    for ask in [
        admin(&admin::people::ADMIT).body(&person),
        admin(&admin::projects::CHANGE).about(2).body(&json!({"badges": true})),
        admin(&admin::environments::LIST).about(2),
        admin(&admin::keys::LIST).query("project_id=2"),
        admin(&admin::webhooks::LIST).about(2),
        Ask { slugs: ("two", "elsewhere.json"), ..Ask::new(&badge::OPERATION).with_key("") },
    ] {
        assert_eq!(trips(&ask), 1, "{ask:?}", ask = ask.operation);
    }
    let unknown = json!({"project_id": 99, "user": "u", "name": "n", "scopes": ["read"]});
    assert_eq!(world.send(&admin(&admin::keys::CREATE).body(&unknown)).outcome, "not_found");
}

/// A project with a webhook and an environment, in database 1, that was moved to database 2 with its ids.
fn moved(world: &World) -> i64 {
    let id = (1_i64 << 44) + 7;
    sql(
        world,
        2,
        &format!(
            "INSERT INTO projects (id, slug, name, request_id, created_at, bucket) VALUES (9, 'nine', 'Nine', 'n', 1, 'k3'); \
             INSERT INTO environments (id, project_id, slug, name, request_id, created_at) VALUES ({id}, 9, 'staging', 'S', 'e', 1); \
             INSERT INTO webhooks (id, project_id, url, events, format, origin, created_at, request_id, request_hash) \
               VALUES ({id}, 9, 'https://example.com/', '[\"run.started\"]', 'standard', 'o', 1, 'w', 'h'); \
             INSERT INTO deliveries (id, webhook_id, step, event, message_id, data, at, created_at, state) \
               VALUES ({id}, {id}, 0, 'test', 'm', '{{}}', 1, 1, 'failed'); \
             INSERT INTO keys (id, project_id, user, name, hash, can_read, can_cancel, can_run, created_at) \
               VALUES ({id}, 9, 'ada', 'n', printf('%064x', 9), 1, 1, 1, 1)"
        ),
    );
    id
}

#[test]
fn what_has_an_id_alone_is_looked_for_where_it_was_given_and_then_further_up() {
    let world = world("k3=2");
    let id = moved(&world);
    let asks = |id: i64| {
        [
            (admin(&admin::environments::CHANGE).about(id).body(&json!({"name": "New"})), "environment"),
            (admin(&admin::webhooks::SHOW).about(id), "webhook"),
            (admin(&admin::webhooks::REDELIVER).about(id), "delivery"),
            (admin(&admin::keys::REVOKE).about(id), "key"),
        ]
    };
    for (ask, what) in asks(id) {
        let (reply, trips) = batches(&world, || world.send(&ask));
        assert_eq!((reply.status, trips), (200, 3), "{what}: {reply:?}");
    }
    for (ask, what) in asks(id + 1) {
        let reply = world.send(&ask);
        assert!(reply.status == 404 && reply.body.contains(what), "{what}: {reply:?}");
    }
    // One that is down matters only if nobody else knows it, and might know it itself.
    for (dead, known, unknown) in [(0, 200, 503), (1, 200, 503), (2, 503, 503)] {
        world.runtime.dead.borrow_mut().insert(dead);
        for (id, expected) in [(id, known), (id + 1, unknown)] {
            let reply = world.send(&admin(&admin::webhooks::SHOW).about(id));
            assert_eq!(reply.status, expected, "{dead}: {reply:?}");
        }
        world.runtime.dead.borrow_mut().clear();
    }
    // DB gave this id, so DB_1 and DB_2 may have it; and the row of nobody's is none.
    assert_eq!(world.send(&admin(&admin::webhooks::SHOW).about(1)).status, 404);
    for marker in [(1_i64 << 44) - 1, (2_i64 << 44) - 1] {
        for operation in [&admin::webhooks::SHOW, &admin::webhooks::DELETE, &admin::webhooks::REDELIVER] {
            assert_eq!(world.send(&admin(operation).about(marker)).status, 404, "{operation:?}");
        }
    }
}

fn ids(
    world: &World,
    operation: &'static estop::http::operation::Operation,
    name: &str,
    query: &str,
) -> (Vec<i64>, Value) {
    let reply = world.send(&admin(operation).query(query));
    let listed =
        ok(&reply)[name].as_array().expect("a list").iter().map(|item| item["id"].as_i64().expect("an id")).collect();
    let whole: Value = serde_json::from_str(&reply.body).expect("JSON");
    (listed, whole["pagination"]["next_before"].clone())
}

#[test]
fn a_list_has_what_all_databases_have_newest_first_and_page_by_page() {
    let world = world("01-bz=1 c0-nz=2");
    for n in 0..12 {
        let (project, _) = created(&world, &format!("p{n}"));
        key(&world, project);
    }
    assert!(count(&world, 1, "projects") > 0 && count(&world, 2, "projects") > 0);
    for (operation, name, expected) in [
        (&admin::projects::LIST, "projects", 14),
        (&admin::keys::LIST, "keys", 13),
        // A project, and its key.
        (
            &admin::events::LIST,
            "events",
            [0, 1, 2].map(|database| count(&world, database, "admin_events WHERE project_id > 0")).iter().sum(),
        ),
    ] {
        let (all, _) = ids(&world, operation, name, "per_page=100");
        assert_eq!(i64::try_from(all.len()).expect("few"), expected, "{name}");
        assert!(all.is_sorted_by(|one, next| one > next), "{name}: {all:?}");
        let (mut paged, mut query) = (Vec::new(), "per_page=5".to_owned());
        loop {
            let (page, next) = ids(&world, operation, name, &query);
            paged.extend(page);
            if next.is_null() {
                break;
            }
            query = format!("per_page=5&before={next}");
        }
        assert_eq!(paged, all, "{name}");
        world.runtime.dead.borrow_mut().insert(2);
        is_503(&world.send(&admin(operation)), "d1_deadline");
        world.runtime.dead.borrow_mut().clear();
    }
    let events = ok(&world.send(&admin(&admin::events::LIST).query("per_page=100")));
    assert!(!events.to_string().contains("database_added"), "{events}");
}

#[test]
fn what_moves_is_listed_once_as_it_is_where_it_goes() {
    let world = world("k3=2");
    moved(&world);
    // As the database has it that it came from, until it is removed there.
    sql(
        &world,
        1,
        "INSERT INTO buckets (bucket, state, moved_to, since, frozen) VALUES ('k3', 'moved', 2, 0, 1); \
         INSERT INTO projects (id, slug, name, request_id, created_at, bucket) VALUES (9, 'nine', 'Old', 'n', 1, 'k3')",
    );
    let projects = ok(&world.send(&admin(&admin::projects::LIST)))["projects"].clone();
    let names: Vec<&str> =
        projects.as_array().expect("a list").iter().map(|project| project["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["Nine", "Two", "One"]);
}

#[test]
fn a_badge_of_another_database_needs_no_db_once_it_is_known() {
    let mut world = world("01-zz=1");
    let (id, _) = created(&world, "shop");
    environment(&world, id);
    let (_, token) = key(&world, id);
    ok(&world.send(&admin(&admin::projects::CHANGE).about(id).body(&json!({"badges": true}))));
    ok(&world.send(&Ask::new(&register::OPERATION).with_key(&token).body(&json!({"environment": "staging"}))));
    sql(
        &world,
        1,
        "UPDATE runs SET version = version + 1, state = 'started', started_at = created_at, started_by = 'r'; \
                    UPDATE runs SET version = version + 1, state = 'ended', result = 'passed', ended_at = started_at, ended_by = 'r', finished_shards = 1",
    );
    world.runtime.forget_all();
    let badge = |slug: &'static str| {
        let ask = Ask { slugs: (slug, "staging.json"), ..Ask::new(&badge::OPERATION).with_key("") };
        batches(&world, || world.send(&ask))
    };
    let (reply, trips) = badge("shop");
    assert!(reply.body.contains("passing") && trips == 2, "{trips}: {reply:?}");
    assert_eq!(badge("shop").1, 1, "and then it is known");
    let (reply, trips) = badge("nothing");
    assert!(reply.body.contains("unknown") && trips == 2, "{trips}: {reply:?}");
    world.runtime.dead.borrow_mut().insert(0);
    assert!(badge("shop").0.body.contains("passing"));
    is_503(&badge("nothing").0, "d1_deadline");
}

#[test]
fn a_closed_pull_request_stops_its_runs_in_every_database() {
    let world = world("01-bz=1 c0-zz=2");
    let mut runs = Vec::new();
    for (database, bucket) in [(0, "00"), (1, "0a"), (2, "k3")] {
        let id = 10 + database;
        let first = database << 44;
        if database > 0 {
            sql(
                &world,
                database,
                &format!("INSERT INTO this_database VALUES (1, {database}, {first} - 1, {first} - 1, {first} - 1)"),
            );
        }
        let now = world.now.get().0;
        sql(
            &world,
            database,
            &format!(
                "INSERT INTO projects (id, slug, name, request_id, created_at, bucket, repo_name, stop_on_close) VALUES ({id}, 'p{id}', 'P', 'r{id}', 1, '{bucket}', 'acme/shop', 1); \
             INSERT INTO environments (id, project_id, slug, name, request_id, created_at) VALUES ({first} + 9, {id}, 'staging', 'S', 'e', 1); \
             INSERT INTO runs (id, project_id, environment_id, state, request_id, created_at, created_by, waiting_since, branch) \
               VALUES ({first} + 5, {id}, {first} + 9, 'queued', 'r', {now}, 'ada', {now}, 'feat')"
            ),
        );
        runs.push(first + 5);
    }
    let deliver = |id: &str| {
        let body = merged("feat", "acme/shop", "acme/shop");
        let signature = signature(&body.to_string());
        let github = GitHub { event: Some("pull_request"), delivery: Some(id), signature: Some(&signature) };
        world.send(&Ask { github, token: "", ..Ask::new(&github::OPERATION) }.body(&body))
    };
    world.runtime.dead.borrow_mut().insert(1);
    is_503(&deliver("d-1"), "d1_deadline");
    let over = |database: i64| count(&world, database, "runs WHERE state = 'cancelled'");
    assert_eq!([0, 1, 2].map(over), [1, 0, 1], "what can be stopped is stopped");
    world.runtime.dead.borrow_mut().clear();
    assert_eq!(ok(&deliver("d-1"))["stopped"], json!(runs), "all of them, as one delivery");
    assert_eq!([0, 1, 2].map(over), [1, 1, 1]);
}

#[test]
fn a_person_is_let_in_by_the_first_database_that_knows_them() {
    let world = world("01-bz=1 c0-zz=2");
    let mut there = Vec::new();
    for n in 0..12 {
        there.push(created(&world, &format!("p{n}")));
    }
    let in_database = |number: i64| {
        let of = |bucket: &str| world.config.buckets.database(Bucket::parse(bucket).expect("a bucket"));
        there.iter().find(|(_, bucket)| of(bucket) == number).expect("one of twelve").clone()
    };
    let admit = |project: i64, address: &str| {
        let body = json!({"project_id": project, "address": address, "scopes": ["read"]});
        ok(&world.send(&admin(&admin::people::ADMIT).body(&body)));
    };
    let (one, two) = (in_database(1), in_database(2));
    admit(one.0, "ada@example.com");
    admit(two.0, "ada@example.com");
    admit(two.0, "@example.com");
    let arrive = |email: &str, query: &str| {
        let token = assertion(email, "k1", world.now.get());
        world.send(&Ask::new(&access::OPERATION).with_key("").of_page(None).vouched(&token).query(query))
    };
    let who = |reply: &Reply| {
        assert_eq!(reply.status, 303, "{reply:?}");
        let set = &reply.headers.iter().find(|(name, _)| *name == "Set-Cookie").expect("a cookie").1;
        let cookie = set.split(';').next().expect("a pair").to_owned();
        let shown = ok(&world.send(&Ask::new(&session::SHOW).with_cookie(&cookie).of_page(None)));
        shown["project"]["id"].as_i64().expect("an id")
    };
    assert_eq!(who(&arrive("ada@example.com", "")), one.0);
    let project = format!("project={}", two.0);
    assert_eq!(who(&arrive("ada@example.com", &project)), two.0);
    assert_eq!(who(&arrive("eve@example.com", "")), two.0, "a row is made for her");
    assert_eq!(arrive("eve@example.org", "").outcome, "not_admitted");
    assert_eq!(arrive("eve@example.com", "project=99").outcome, "not_admitted");
    world.runtime.dead.borrow_mut().insert(1);
    assert_eq!(who(&arrive("ada@example.com", "")), two.0);
    is_503(&arrive("eve@example.org", ""), "d1_deadline");
    is_503(&arrive("ada@example.com", &format!("project={}", one.0)), "d1_deadline");
}

#[test]
fn health_asks_every_database_and_says_which_is_down() {
    let world = world("");
    let ask = Ask::new(&health::OPERATION).with_key("");
    let shown = ok(&world.send(&ask));
    let version = shown["schema"]["worker"].clone();
    let numbers: Vec<i64> = shown["databases"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| one["number"].as_i64().expect("a number"))
        .collect();
    assert_eq!((numbers, &shown["schema"]["database"]), (vec![0, 1, 2], &version));
    assert!(
        shown["databases"][2]["bytes"].as_i64().expect("bytes") > 0 && shown["databases"][2]["schema"] == version,
        "{shown}"
    );
    for dead in [0, 1, 2] {
        world.runtime.dead.borrow_mut().insert(dead);
        let reply = world.send(&ask);
        is_503(&reply, "d1_deadline");
        let body: Value = serde_json::from_str(&reply.body).expect("JSON");
        for number in 0..3 {
            let status = if number == dead { "unavailable" } else { "ok" };
            assert_eq!(body["databases"][usize::try_from(number).expect("few")]["status"], status, "{body}");
        }
        world.runtime.dead.borrow_mut().clear();
    }
    let one = World::new();
    assert_eq!(ok(&one.send(&ask))["databases"], Value::Null);
}

/// All that admin routes write.
fn content(db: &Connection) -> Vec<String> {
    let rows = |table: &str| {
        let mut select = db.prepare(&format!("SELECT * FROM {table}")).expect("a table");
        let columns = select.column_count();
        let row = |row: &rusqlite::Row<'_>| {
            (0..columns).map(|column| Ok(format!("{:?}", row.get_ref(column)?))).collect::<rusqlite::Result<String>>()
        };
        select.query_map([], row).expect("rows").collect::<Result<Vec<_>, _>>().expect("rows")
    };
    ["projects", "environments", "keys", "webhooks", "deliveries", "admin_events"].map(rows).concat()
}

#[test]
fn nothing_behind_the_admin_token_writes_into_a_project_on_its_way() {
    let several = world("01-zz=1");
    let (id, bucket) = created(&several, "shop");
    let one = World::new();
    // With several databases each batch is checked. Where there is one, the schema's triggers are left.
    for (world, database, project, bucket) in [(&several, 1, id, bucket.as_str()), (&one, 0, 1, "00")] {
        let environment = environment(world, if database == 0 { 2 } else { project });
        let environment = if database == 0 { 1 } else { environment };
        let (key, _) = key(world, project);
        let hook =
            ok(&world
                .send(&admin(&admin::webhooks::CREATE).about(project).body(&json!({"url": "https://example.com/"}))));
        let hook = hook["webhook"]["id"].as_i64().expect("an id");
        let delivery =
            ok(&world.send(&admin(&admin::webhooks::TEST).about(hook)))["delivery"]["id"].as_i64().expect("an id");
        sql(world, database, "UPDATE deliveries SET state = 'failed', due_at = NULL, fresh = 0 WHERE fresh = 1");
        freeze(world, database, bucket, true);
        let before = on(world, database, content);
        let (mut asked, new) = (0, json!({"name": "New", "slug": "new"}));
        for operation in OPERATIONS.iter().filter(|operation| matches!(operation.access, Access::Admin(_))) {
            let is = |other: &estop::http::operation::Operation| operation.name() == other.name();
            let (id, body) = match () {
                // A move itself writes into what it moves.
                () if operation.pattern.starts_with("/api/buckets/") => continue,
                () if operation.method == Method::Get || is(&admin::projects::CREATE) => continue,
                () if is(&admin::projects::CHANGE) => (project, json!({"name": "New"})),
                () if is(&admin::projects::LIMIT) => (project, json!({"scope": "project", "behaviour": "queue_new"})),
                () if is(&admin::environments::CREATE) => (project, new.clone()),
                () if is(&admin::environments::CHANGE) => (environment, json!({"name": "New"})),
                () if is(&admin::keys::CREATE) => {
                    (0, json!({"project_id": project, "user": "u", "name": "n", "scopes": ["read"]}))
                }
                () if is(&admin::keys::REVOKE) => (key, Value::Null),
                () if is(&admin::people::ADMIT) => {
                    (0, json!({"project_id": project, "address": "@example.com", "scopes": ["read"]}))
                }
                () if is(&admin::webhooks::CREATE) => (project, json!({"url": "https://example.com/"})),
                () if is(&admin::webhooks::CHANGE) => (hook, json!({"disabled": true})),
                // The schema says nothing of deliveries, as what moves is copied once nothing of it is written.
                () if database == 0 && (is(&admin::webhooks::TEST) || is(&admin::webhooks::REDELIVER)) => continue,
                () if is(&admin::webhooks::REDELIVER) => (delivery, json!({})),
                () => (hook, json!({})),
            };
            let ask = Ask::new(operation).with_key(ADMIN);
            let ask = if id > 0 { ask.about(id) } else { ask };
            is_503(&world.send(&ask.body(&body)), "d1_moving");
            asked += 1;
        }
        assert_eq!(asked, if database == 0 { 11 } else { 13 });
        assert_eq!(on(world, database, content), before, "nothing was written");
        freeze(world, database, bucket, false);
        ok(&world.send(&admin(&admin::environments::CREATE).about(project).body(&new)));
    }
}
