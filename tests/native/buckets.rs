//! Several databases: a batch goes to the one that has its bucket, follows one that moved, and writes nowhere else.

use estop::buckets::{Bucket, Map};
use estop::operations::{cancel, register};
use serde_json::json;

use crate::sqlite::SqliteRuntime;
use crate::world::{Ask, SCHEMA, World, data, empty_database};

/// A key of bucket `k3`.
fn key() -> String {
    estop::key::PlainKey::from_random(Bucket::parse("k3").expect("a bucket"), [7; 32]).reveal()
}

/// A world with the databases of these numbers, and this map.
fn world_of(numbers: &[i64], map: &str) -> World {
    let db = empty_database();
    db.execute_batch(SCHEMA).expect("the schema");
    let mut world = World::over(SqliteRuntime::on(db).with_more(numbers.iter().copied()));
    world.config.buckets = Map::parse(map).expect("a map");
    world
}

/// A project with an environment and a key, in bucket `k3` of this database.
fn project(world: &World, number: i64) {
    let hash = estop::key::KeyHash::of(&key());
    let sql = format!(
        "INSERT INTO projects (id, slug, name, request_id, created_at, bucket) VALUES (3, 'p', 'P', 'r', 0, 'k3'); \
         INSERT INTO environments (id, project_id, slug, name, request_id, created_at) VALUES (5, 3, 'staging', 'S', 'r', 0); \
         INSERT INTO keys (id, project_id, user, name, hash, can_read, can_cancel, can_run, created_at) \
         VALUES (9, 3, 'ada', 'CI', '{}', 1, 1, 1, 0);",
        hash.as_str()
    );
    sql_in(world, number, &sql);
}

fn sql_in(world: &World, number: i64, sql: &str) {
    world.runtime.numbered(number).borrow().execute_batch(sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
}

fn state(world: &World, number: i64, state: &str, moved_to: Option<i64>) {
    let moved_to = moved_to.map_or_else(|| "NULL".to_owned(), |to| to.to_string());
    let moved_from = if state == "arriving" { "0" } else { "NULL" };
    let frozen = i64::from(state == "leaving" || state == "arriving");
    let values = format!("('k3', '{state}', {moved_to}, {moved_from}, 0, {frozen})");
    sql_in(
        world,
        number,
        &format!("INSERT OR REPLACE INTO buckets (bucket, state, moved_to, moved_from, since, frozen) VALUES {values}"),
    );
}

fn count(world: &World, number: i64) -> i64 {
    world
        .runtime
        .numbered(number)
        .borrow()
        .query_row("SELECT count(*) FROM runs", [], |row| row.get(0))
        .expect("a count")
}

fn register(world: &World) -> estop::http::reply::Reply {
    let key = key();
    world.send(&Ask::new(&register::OPERATION).with_key(&key).body(&json!({"environment": "staging"})))
}

#[test]
fn a_run_has_an_id_of_its_databases_own() {
    let world = world_of(&[1, 2], "k3=2");
    state(&world, 2, "here", None);
    project(&world, 2);
    for n in 0..2 {
        let reply = register(&world);
        assert_eq!(data(&reply)["test_run"]["id"], (2_i64 << 44) + n, "{reply:?}");
    }
    let number: i64 = world
        .runtime
        .numbered(2)
        .borrow()
        .query_row("SELECT number FROM this_database", [], |row| row.get(0))
        .expect("a number");
    assert_eq!((number, count(&world, 0), count(&world, 1)), (2, 0, 0));
}

#[test]
fn a_bucket_that_has_moved_is_followed_once_and_then_known() {
    let mut world = world_of(&[1, 2], "k3=1");
    state(&world, 1, "moved", Some(2));
    state(&world, 2, "here", None);
    project(&world, 2);
    world.runtime.batches.set(0);
    assert_eq!(register(&world).status, 200);
    assert_eq!(world.runtime.batches.replace(0), 4, "refused, why: the version and the bucket, and there");
    assert_eq!(register(&world).status, 200);
    assert_eq!(world.runtime.batches.get(), 1);
    world.runtime.forget_all();
    assert_eq!(register(&world).status, 200);
    assert_eq!((count(&world, 1), count(&world, 2)), (0, 3));
}

#[test]
fn a_bucket_whose_old_rows_are_still_there_is_followed_too() {
    let world = world_of(&[1], "");
    project(&world, 0);
    assert_eq!(register(&world).status, 200);
    project(&world, 1);
    sql_in(&world, 0, "INSERT INTO buckets (bucket, state, moved_to, since, frozen) VALUES ('k3', 'moved', 1, 0, 1)");
    state(&world, 1, "here", None);
    assert_eq!(register(&world).status, 200);
    assert_eq!((count(&world, 0), count(&world, 1)), (1, 1));
}

#[test]
fn nothing_is_written_while_a_bucket_is_on_its_way() {
    let world = world_of(&[1], "");
    project(&world, 0);
    let run = data(&register(&world))["test_run"]["id"].as_i64().expect("an id");
    for (here, there) in [("leaving", "arriving"), ("moved", "arriving")] {
        state(&world, 0, here, Some(1));
        state(&world, 1, there, None);
        for reply in [register(&world), world.send(&Ask::new(&cancel::OPERATION).with_key(&key()).about(run))] {
            assert_eq!((reply.status, reply.outcome), (503, "d1_moving"), "{here}: {reply:?}");
            assert!(reply.headers.iter().any(|(name, value)| *name == "Retry-After" && value == "2"), "{reply:?}");
        }
    }
    assert_eq!((count(&world, 0), count(&world, 1)), (1, 0));
}

#[test]
fn a_worker_that_lacks_the_database_is_503_and_one_whose_map_is_wrong_finds_the_bucket() {
    let world = world_of(&[1], "");
    project(&world, 0);
    state(&world, 0, "moved", Some(7));
    let reply = register(&world);
    assert_eq!((reply.status, reply.outcome, count(&world, 0)), (503, "d1_moved", 0), "{reply:?}");
    assert!(reply.detail.expect("a detail").contains("BUCKETS"));
    let wrong = world_of(&[1], "k3=1");
    project(&wrong, 0);
    assert_eq!(register(&wrong).status, 200, "DB has what is nowhere else");
    assert_eq!((count(&wrong, 0), count(&wrong, 1)), (1, 0));
}

#[test]
fn a_worker_with_one_database_knows_that_buckets_have_moved_away() {
    let mut world = world_of(&[], "");
    project(&world, 0);
    assert_eq!(register(&world).status, 200);
    let last = (1_i64 << 44) - 1;
    state(&world, 0, "moved", Some(1));
    sql_in(
        &world,
        0,
        &format!(
            "INSERT OR IGNORE INTO this_database VALUES (1, 0, {last}, {last}, {last}); DELETE FROM keys WHERE false"
        ),
    );
    world.runtime.forget_all();
    for _ in 0..2 {
        let reply = register(&world);
        assert_eq!((reply.status, reply.outcome), (503, "d1_moved"), "{reply:?}");
    }
    assert_eq!(count(&world, 0), 1);
}

#[test]
fn two_databases_whose_bindings_are_exchanged_are_not_written_to() {
    let world = world_of(&[1, 2], "k3=1");
    sql_in(&world, 1, "INSERT INTO this_database VALUES (1, 2, 35184372088831, 35184372088831, 35184372088831)");
    state(&world, 1, "here", None);
    project(&world, 1);
    let reply = register(&world);
    assert_eq!((reply.status, reply.outcome, count(&world, 1)), (503, "d1_other_database", 0), "{reply:?}");
}
