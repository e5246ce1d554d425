//! A bucket moves from one database to another, and whatever happens on the way, nothing is lost and one database serves it.

use std::collections::{BTreeMap, BTreeSet};

use estop::buckets::{Bucket, Map};
use estop::database::error::DbError;
use estop::database::{Database, Home};
use estop::http::reply::Reply;
use estop::key::{KeyHash, PlainKey};
use estop::moving::{STAYING, TABLES};
use estop::operations::{admin, bulk_cancel, cancel, claim, finish, heartbeat, register, show};
use estop::sweeper;
use pollster::block_on;
use serde_json::{Value as Json, json};

use crate::sqlite::{Fault, SqliteRuntime};
use crate::world::{ADMIN, Ask, KEY, NOW, SCHEMA, World, empty_database};

/// A key of bucket `k3`, and one of `b1`.
fn key(bucket: &str) -> String {
    PlainKey::from_random(Bucket::parse(bucket).expect("a bucket"), [7; 32]).reveal()
}

fn sql_in(world: &World, number: i64, sql: &str) {
    world.runtime.numbered(number).borrow().execute_batch(sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
}

fn count_in(world: &World, number: i64, sql: &str) -> i64 {
    world
        .runtime
        .numbered(number)
        .borrow()
        .query_row(sql, [], |row| row.get(0))
        .unwrap_or_else(|error| panic!("{error}: {sql}"))
}

fn project(world: &World, number: i64, id: i64, bucket: &str) {
    let (base, hash) = ((number << 44) + id * 10, KeyHash::of(&key(bucket)));
    sql_in(
        world,
        number,
        &format!(
            "INSERT INTO projects (id, slug, name, request_id, created_at, bucket) VALUES ({id}, 'p{id}', 'P', 'r{id}', 0, '{bucket}'); \
             INSERT INTO environments (id, project_id, slug, name, request_id, created_at) VALUES ({base}, {id}, 'staging', 'S', 'r{id}', 0); \
             INSERT INTO keys (id, project_id, user, name, hash, can_read, can_cancel, can_run, created_at) \
             VALUES ({base}, {id}, 'ada', 'CI', '{}', 1, 1, 1, 0)",
            hash.as_str()
        ),
    );
}

/// Three databases. Project 3 in bucket `k3` and project 1 in `00` are in `DB`, project 5 in `b1` is in `DB_1`.
fn bare() -> World {
    let db = empty_database();
    db.execute_batch(SCHEMA).expect("the schema");
    let mut world = World::over(SqliteRuntime::on(db).with_more([1, 2]));
    world.config.buckets = Map::parse("b1=1").expect("a map");
    world.sql("INSERT INTO projects (id, slug, name, request_id, created_at) VALUES (1, 'one', 'One', 'x', 1)");
    world.sql("INSERT INTO environments (id, project_id, slug, name, request_id, created_at) VALUES (1, 1, 'staging', 'S', 'x', 1)");
    world.add_key(KEY, 1, (1, 1, 1), None, None);
    project(&world, 0, 3, "k3");
    let last = (1_i64 << 44) - 1;
    sql_in(&world, 1, &format!("INSERT INTO this_database VALUES (1, 1, {last}, {last}, {last})"));
    sql_in(&world, 1, "INSERT INTO buckets (bucket, state, since, frozen) VALUES ('b1', 'here', 0, 0)");
    sql_in(&world, 0, "INSERT INTO buckets (bucket, state, moved_to, since, frozen) VALUES ('b1', 'moved', 1, 0, 0)");
    project(&world, 1, 5, "b1");
    world
}

/// The same, with a history in every table.
fn full() -> World {
    let world = bare();
    for (project, number) in [(3, 0), (1, 0), (5, 1)] {
        sql_in(
            &world,
            number,
            &format!(
                "INSERT INTO webhooks (project_id, url, events, format, origin, created_at, request_id, request_hash) \
                 VALUES ({project}, 'https://x.example/', '[\"run.started\",\"run.cancelled\",\"run.ended\"]', 'standard', 'o', 1, 'w{project}', 'h'); \
                 INSERT INTO webhooks (project_id, url, events, format, origin, created_at, request_id, request_hash, deleted_at) \
                 VALUES ({project}, '', '[]', 'standard', 'o', 1, 'x{project}', 'h', 2); \
                 INSERT INTO daily_runs VALUES ({project}, 0, 20000, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, '{{\"10\":1}}', '{{}}'); \
                 INSERT INTO daily_runs VALUES ({project}, 7, 20000, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, '{{\"10\":1}}', '{{}}'); \
                 INSERT INTO daily_runs VALUES ({project}, 7, 20001, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, '{{\"10\":1}}', '{{}}')"
            ),
        );
    }
    sql_in(
        &world,
        0,
        "INSERT INTO bulk_cancels (request_id, run_ids, created_at, created_by) VALUES ('github:d', '[1]', 1, 'github')",
    );
    for key in [KEY.to_owned(), key("k3"), key("b1")] {
        history(&world, &key);
    }
    // Project 3's oldest run is archived.
    world.sql("DELETE FROM closed_runs WHERE run_id = (SELECT min(id) FROM runs WHERE project_id = 3)");
    world.sql(
        "INSERT INTO archives (project_id, last_run, first_run, run_ids, runs, events, shards, archived_at) \
         SELECT 3, min(id), min(id), ',' || min(id) || ',', 1, 2, 0, 7 FROM runs WHERE project_id = 3",
    );
    world.sql("DELETE FROM runs WHERE id = (SELECT last_run FROM archives)");
    world.sql("INSERT INTO check_runs SELECT id, id * 3, 'acme/shop' FROM runs WHERE started_at IS NOT NULL");
    world
}

/// Runs in many states, with odd texts.
fn history(world: &World, key: &str) {
    let ask = |operation, id: i64, body: Json| {
        let reply = world.send(&Ask::new(operation).with_key(key).about(id).body(&body));
        assert_eq!(reply.status, 200, "{reply:?}");
        data_of(&reply)
    };
    let registered = |more: Json| {
        let mut body = json!({"environment": "staging"});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        ask(&register::OPERATION, 0, body)["test_run"]["id"].as_i64().expect("an id")
    };
    let claimed = |id: i64, shard: i64| {
        ask(&claim::OPERATION, id, json!({"shard": shard}))["lease"]["token"].as_str().expect("a token").to_owned()
    };
    let cancelled = registered(json!({"branch": "o'Hara \"é\" \u{1f6d1}\\n"}));
    ask(&cancel::OPERATION, cancelled, json!({"reason": "line\nand\ttab"}));
    let ended = registered(json!({"metadata": {"n": 12, "text": "[1,2]"}, "tags": ["a", "b"]}));
    let lease = claimed(ended, 1);
    ask(
        &finish::OPERATION,
        ended,
        json!({"lease": lease, "state": "ended", "result": "failed",
        "failures": [{"title": "a title", "file": "x.ts", "line": 3, "message": "m"}]}),
    );
    let stopping =
        registered(json!({"total_shards": 3, "build": {"commit": "0".repeat(40), "url": "https://ci.example/1"}}));
    let _ = (claimed(stopping, 1), claimed(stopping, 3));
    ask(&cancel::OPERATION, stopping, json!({}));
    let _ = registered(json!({}));
    let bulk = registered(json!({"branch": "bulk"}));
    ask(&bulk_cancel::OPERATION, 0, json!({"ids": [bulk]}));
}

fn data_of(reply: &Reply) -> Json {
    let json: Json = serde_json::from_str(&reply.body).expect("JSON");
    json["data"].clone()
}

/// What tells the rows of project 3 from others, in each table.
const OURS: [(&str, &str); 14] = [
    ("projects", "bucket = 'k3'"),
    ("environments", "project_id = 3"),
    ("keys", "project_id = 3"),
    ("runs", "project_id = 3"),
    ("run_shards", "run_id IN (SELECT id FROM runs WHERE project_id = 3)"),
    ("run_events", "run_id IN (SELECT id FROM runs WHERE project_id = 3)"),
    ("check_runs", "run_id IN (SELECT id FROM runs WHERE project_id = 3)"),
    ("bulk_cancels", "request_id LIKE '30:%'"),
    ("daily_runs", "project_id = 3"),
    ("archives", "project_id = 3"),
    ("closed_runs", "run_id IN (SELECT id FROM runs WHERE project_id = 3)"),
    ("admin_events", "project_id = 3"),
    ("webhooks", "project_id = 3"),
    ("deliveries", "webhook_id IN (SELECT id FROM webhooks WHERE project_id = 3)"),
];

/// The rows of each table, with their types: project 3's, or all others.
fn dump(world: &World, number: i64, ours: bool) -> BTreeMap<String, BTreeSet<String>> {
    let db = world.runtime.numbered(number).borrow();
    OURS.iter()
        .map(|(table, condition)| {
            let columns = if *table == "closed_runs" { "run_id" } else { "*" };
            let nobodys = match *table {
                _ if ours => "",
                "admin_events" | "webhooks" => " AND project_id <> 0",
                "deliveries" => " AND webhook_id <> 0",
                _ => "",
            };
            let not = if ours { "" } else { "NOT " };
            let sql = format!("SELECT {columns} FROM {table} WHERE {not}({condition}){nobodys}");
            let mut statement = db.prepare(&sql).expect("SQL");
            let width = statement.column_count();
            let rows = statement.query_map([], |row| {
                (0..width)
                    .map(|index| row.get::<_, rusqlite::types::Value>(index).map(|value| format!("{value:?}")))
                    .collect()
            });
            let rows: Vec<Vec<String>> = rows.expect("rows").collect::<Result<_, _>>().expect("values");
            let count = rows.len();
            let set: BTreeSet<String> = rows.into_iter().map(|row| row.join("|")).collect();
            assert_eq!(set.len(), count, "{table} has a row twice");
            ((*table).to_owned(), set)
        })
        .collect()
}

/// What SQLite has of the schema: to see that no trigger is missing or changed.
fn schema(world: &World, number: i64) -> BTreeSet<String> {
    let db = world.runtime.numbered(number).borrow();
    let mut statement = db.prepare("SELECT name || coalesce(sql, '') FROM sqlite_schema").expect("SQL");
    statement.query_map([], |row| row.get(0)).expect("rows").collect::<Result<_, _>>().expect("texts")
}

fn move_once(world: &World, to: i64) -> Reply {
    let ask = Ask { id: "k3".to_owned(), ..Ask::new(&admin::buckets::MOVE) };
    world.send(&ask.with_key(ADMIN).body(&json!({"to": to})))
}

fn abort_once(world: &World) -> Reply {
    world.send(&Ask { id: "k3".to_owned(), ..Ask::new(&admin::buckets::CALL_OFF) }.with_key(ADMIN))
}

/// Repeats it until it is done; gives the last report, or the refusal.
fn until_done(once: impl Fn() -> Reply) -> Result<Json, Box<Reply>> {
    for _ in 0..200 {
        let reply = once();
        if reply.status != 200 {
            return Err(Box::new(reply));
        }
        let report = data_of(&reply)["move"].clone();
        if report["done"] == true {
            return Ok(report);
        }
    }
    panic!("it does not end");
}

fn register_in(world: &World, bucket: &str) -> Reply {
    let key = if bucket == "00" { KEY.to_owned() } else { key(bucket) };
    world.send(&Ask::new(&register::OPERATION).with_key(&key).body(&json!({"environment": "staging"})))
}

fn id_of(reply: &Reply) -> i64 {
    data_of(reply)["test_run"]["id"].as_i64().unwrap_or_else(|| panic!("{reply:?}"))
}

#[test]
fn a_bucket_moves_with_all_that_it_has() {
    let world = full();
    let (before, others) = (dump(&world, 0, true), [0, 1].map(|number| dump(&world, number, false)));
    assert!(before.iter().all(|(table, rows)| !rows.is_empty() || panic!("{table} has no row to move")));
    let schemas = [0, 1].map(|number| schema(&world, number));
    let report = until_done(|| move_once(&world, 1)).expect("a move");
    let rows: usize = before.values().map(BTreeSet::len).sum();
    assert_eq!(
        (report["copied"].as_u64(), report["checked"].as_u64()),
        (Some(rows as u64), Some(rows as u64)),
        "{report}"
    );
    assert_eq!(
        (report["from"].as_i64(), report["to"].as_i64(), report["phase"].as_str()),
        (Some(0), Some(1), Some("idle"))
    );
    assert_eq!(dump(&world, 1, true), before);
    assert!(dump(&world, 0, true).values().all(BTreeSet::is_empty), "{:?}", dump(&world, 0, true));
    assert_eq!([0, 1].map(|number| dump(&world, number, false)), others);
    assert_eq!([0, 1].map(|number| schema(&world, number)), schemas);
}

/// What happens to one batch of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mishap {
    /// The Worker dies before it.
    Dies,
    /// It is committed, and the Worker dies.
    Forgets,
    /// Its answer is lost, and the Worker asks again.
    Loses,
}

/// Moves project 3, with a mishap at this batch; `None` once the move has fewer.
fn move_with(world: &World, to: i64, batch: u32, mishap: Mishap) -> Option<Reply> {
    world.runtime.after.set(batch);
    let fault = match mishap {
        Mishap::Dies => Fault::BeforeCommit(DbError::Deadline),
        Mishap::Forgets => Fault::AfterCommit(DbError::Deadline),
        Mishap::Loses => Fault::AfterCommit(DbError::Transient),
    };
    world.runtime.faults.borrow_mut().push_back(fault);
    let outcome = until_done(|| move_once(world, to));
    world.runtime.after.set(0);
    let is_over = world.runtime.faults.borrow_mut().pop_front().is_some();
    match outcome {
        _ if is_over => None,
        Ok(report) => Some(Reply::data("moved", json!({"move": report}))),
        Err(reply) => {
            assert_eq!(reply.status, 503, "{reply:?}");
            Some(*reply)
        }
    }
}

/// Where project 3 is served, as it must be in one place: a run is registered there, in an isolate that has just begun with the old
/// map. Nothing else is written anywhere.
fn served(world: &mut World) -> Option<i64> {
    world.runtime.forget_all();
    let runs = |world: &World| [0, 1, 2].map(|number| count_in(world, number, "SELECT count(*) FROM runs"));
    let before = runs(world);
    let reply = register_in(world, "k3");
    let after = runs(world);
    match reply.status {
        200 => {
            let grown: Vec<usize> = (0..3).filter(|number| after[*number] == before[*number] + 1).collect();
            let [number] = grown[..] else { panic!("{before:?} {after:?}") };
            assert_eq!(after.iter().sum::<i64>(), before.iter().sum::<i64>() + 1);
            assert_eq!(id_of(&reply) >> 44, number as i64, "an id of its own");
            Some(number as i64)
        }
        _ => {
            assert_eq!((reply.status, after), (503, before), "{reply:?}");
            assert!(reply.headers.iter().any(|(name, _)| *name == "Retry-After"), "{reply:?}");
            None
        }
    }
}

/// Others are served all the time.
fn others_work(world: &World) {
    for (bucket, number) in [("00", 0), ("b1", 1)] {
        let reply = register_in(world, bucket);
        assert_eq!((reply.status, id_of(&reply) >> 44), (200, number), "{reply:?}");
    }
}

/// All that project 3 has, wherever it is.
fn everywhere(world: &World) -> BTreeMap<String, BTreeSet<String>> {
    let mut all = dump(world, 0, true);
    for (table, rows) in dump(world, 1, true) {
        all.entry(table).or_default().extend(rows);
    }
    all
}

fn survives(mishap: Mishap) {
    let mut flipped = 0;
    for batch in 0.. {
        assert!(batch < 300, "it does not end");
        for calls_off in [false, true] {
            let mut world = full();
            let schemas = [0, 1].map(|number| schema(&world, number));
            let Some(_) = move_with(&world, 1, batch, mishap) else {
                assert!(batch > 20 && (flipped > 3 || mishap == Mishap::Loses), "{batch} {flipped}");
                return;
            };
            let name = format!("batch {batch}, {mishap:?}, {calls_off}");
            assert_eq!([0, 1].map(|number| schema(&world, number)), schemas, "{name}");
            others_work(&world);
            let served_at = served(&mut world);
            let all = everywhere(&world);
            let home = if calls_off {
                match until_done(|| abort_once(&world)) {
                    Ok(report) => report["from"].as_i64().expect("a number"),
                    Err(reply) => {
                        assert_eq!((reply.status, served_at == Some(0)), (409, false), "{name}: {reply:?}");
                        flipped += 1;
                        until_done(|| move_once(&world, 1)).expect("a move");
                        1
                    }
                }
            } else {
                until_done(|| move_once(&world, 1)).expect("a move");
                1
            };
            assert_eq!(dump(&world, home, true), all, "{name}");
            assert!(dump(&world, 1 - home, true).values().all(BTreeSet::is_empty), "{name}");
            assert_eq!([0, 1].map(|number| schema(&world, number)), schemas, "{name}");
            others_work(&world);
            assert_eq!(served(&mut world), Some(home), "{name}");
            for number in [0, 1] {
                assert_eq!(count_in(&world, number, "SELECT count(*) FROM buckets WHERE frozen = 1"), 0, "{name}");
            }
            if home == 0 {
                // And once more.
                let all = everywhere(&world);
                until_done(|| move_once(&world, 1)).expect("a move");
                assert_eq!(dump(&world, 1, true), all, "{name}");
                assert_eq!(served(&mut world), Some(1), "{name}");
            }
        }
    }
}

#[test]
fn a_worker_that_dies_before_any_batch_of_a_move_loses_nothing() {
    survives(Mishap::Dies);
}

#[test]
fn a_worker_that_dies_after_any_batch_of_a_move_loses_nothing() {
    survives(Mishap::Forgets);
}

#[test]
fn an_answer_of_any_batch_of_a_move_may_be_lost() {
    survives(Mishap::Loses);
}

/// Who had it before knows already where it is, while its old rows are not all gone.
#[test]
fn a_move_from_a_database_in_between_is_finished_too() {
    for batch in (16..40).step_by(2) {
        let world = full();
        until_done(|| move_once(&world, 1)).expect("a move");
        let all = everywhere(&world);
        let stopped = move_with(&world, 2, batch, Mishap::Dies);
        until_done(|| move_once(&world, 2)).expect("a move");
        assert_eq!(dump(&world, 2, true), all, "{batch}");
        assert!(dump(&world, 1, true).values().all(BTreeSet::is_empty), "{batch}");
        let frozen = [0, 1, 2].map(|number| count_in(&world, number, "SELECT count(*) FROM buckets WHERE frozen = 1"));
        assert_eq!(frozen, [0, 0, 0], "{batch}");
        if stopped.is_none() {
            assert!(batch > 24, "{batch}");
            return;
        }
    }
}

#[test]
fn a_run_goes_on_in_the_other_database() {
    let mut world = bare();
    let key = key("k3");
    let ask = |world: &World, operation, id: i64, body: Json| {
        world.send(&Ask::new(operation).with_key(&key).about(id).body(&body))
    };
    let run = id_of(&register_in(&world, "k3"));
    let lease = data_of(&ask(&world, &claim::OPERATION, run, json!({})))["lease"]["token"]
        .as_str()
        .expect("a token")
        .to_owned();
    world.pass(70_000);
    assert_eq!(ask(&world, &heartbeat::OPERATION, run, json!({"lease": lease})).status, 200);
    // Stops in the middle.
    assert!(move_with(&world, 1, 10, Mishap::Dies).is_some());
    world.pass(70_000);
    let refused = ask(&world, &heartbeat::OPERATION, run, json!({"lease": lease}));
    assert_eq!((refused.status, refused.outcome), (503, "d1_moving"), "{refused:?}");
    until_done(|| move_once(&world, 1)).expect("a move");
    world.runtime.forget_all();
    assert_eq!(ask(&world, &heartbeat::OPERATION, run, json!({"lease": lease})).status, 200);
    assert_eq!(ask(&world, &cancel::OPERATION, run, json!({"reason": "why"})).status, 200);
    let told = ask(&world, &heartbeat::OPERATION, run, json!({"lease": lease}));
    assert_eq!(data_of(&told)["stop"]["reason"], "why");
    let confirmed = ask(&world, &finish::OPERATION, run, json!({"lease": lease, "state": "ended", "result": "passed"}));
    assert_eq!(confirmed.status, 412, "{confirmed:?}");
    let shown = data_of(&ask(&world, &show::OPERATION, run, json!({})));
    assert_eq!(
        (&shown["test_run"]["state"], &shown["test_run"]["stop"]["outcome"]),
        (&json!("cancelled"), &json!("graceful")),
        "{shown}"
    );
    assert_eq!(count_in(&world, 0, "SELECT count(*) FROM runs WHERE project_id = 3"), 0);
}

#[test]
fn no_runner_is_taken_for_lost_because_of_a_move() {
    for (aborts, number) in [(false, 1), (true, 0)] {
        let world = bare();
        let key = key("k3");
        let ask =
            |operation, id: i64, body: Json| world.send(&Ask::new(operation).with_key(&key).about(id).body(&body));
        let (run, stopping) = (id_of(&register_in(&world, "k3")), id_of(&register_in(&world, "k3")));
        for id in [run, stopping] {
            assert_eq!(ask(&claim::OPERATION, id, json!({})).status, 200);
        }
        assert_eq!(ask(&cancel::OPERATION, stopping, json!({})).status, 200);
        assert!(move_with(&world, 1, 10, Mishap::Dies).is_some());
        world.pass(600_000);
        if aborts { until_done(|| abort_once(&world)) } else { until_done(|| move_once(&world, 1)) }.expect("an end");
        world.pass(30_000);
        let home = Home::Database(number);
        let database = Database { runtime: &world.runtime, config: &world.config, home };
        block_on(sweeper::tick(&database, world.now.get())).expect("a tick");
        let lost = "SELECT count(*) FROM runs WHERE cancel_cause = 'stale' OR stop_outcome = 'lost'";
        assert_eq!(count_in(&world, number, lost), 0, "aborts: {aborts}");
    }
}

#[test]
fn no_id_is_given_twice() {
    let mut world = full();
    let greatest = |number: i64, table: &str| count_in(&world, number, &format!("SELECT max(id) FROM {table}"));
    let tables = ["runs", "environments", "keys", "webhooks", "deliveries", "admin_events"];
    let before = tables.map(|table| greatest(0, table));
    until_done(|| move_once(&world, 1)).expect("a move");
    let (mine, theirs) = (id_of(&register_in(&world, "k3")), id_of(&register_in(&world, "00")));
    assert_eq!(mine >> 44, 1);
    assert!(theirs > before[0] && theirs >> 44 == 0, "{theirs} {before:?}");
    sql_in(
        &world,
        0,
        "INSERT INTO webhooks (project_id, url, events, format, origin, created_at, request_id, request_hash) \
         VALUES (1, 'https://x.example/', '[\"run.started\"]', 'standard', 'o', 1, 'new', 'h'); \
         INSERT INTO deliveries (webhook_id, step, event, message_id, data, at, created_at, state) VALUES (1, 0, 'test', '', '{}', 0, 0, 'failed')",
    );
    for (table, before) in
        tables.iter().zip(before).filter(|(table, _)| ["webhooks", "deliveries", "admin_events"].contains(table))
    {
        assert!(count_in(&world, 0, &format!("SELECT max(id) FROM {table}")) > before, "{table}");
    }
    let floors = count_in(&world, 0, "SELECT last_run FROM this_database");
    assert!(floors >= before[0]);
    let events =
        "SELECT count(*) FROM admin_events WHERE what = 'bucket_moved' AND subject = 'k3' AND detail = 'to database 1'";
    assert_eq!(count_in(&world, 0, events), 1);
    // On to another database: its ids come after all of before, too.
    until_done(|| move_once(&world, 2)).expect("a move");
    world.runtime.forget_all();
    let newest = id_of(&register_in(&world, "k3"));
    assert!(newest > mine && newest >> 44 == 2, "{newest}");
    assert_eq!(
        count_in(&world, 0, "SELECT moved_to FROM buckets WHERE bucket = 'k3'"),
        2,
        "who knew it first knows it still"
    );
}

#[test]
fn a_bucket_with_projects_moves_upwards_and_one_without_anywhere() {
    let world = full();
    until_done(|| move_once(&world, 2)).expect("a move");
    let refused = move_once(&world, 1);
    assert_eq!((refused.status, refused.outcome), (409, "conflict"), "{refused:?}");
    assert!(refused.body.contains("greater number"), "{}", refused.body);
    assert_eq!(until_done(|| abort_once(&world)).expect("nothing")["phase"], "idle");
    let empty = |id: &str, to: i64| {
        let ask = Ask { id: id.to_owned(), ..Ask::new(&admin::buckets::MOVE) };
        until_done(|| world.send(&ask.clone().with_key(ADMIN).body(&json!({"to": to})))).expect("a move")
    };
    for to in [2, 1, 2, 0, 0, 1] {
        empty("zz", to);
        let rows =
            |number| count_in(&world, number, "SELECT count(*) FROM buckets WHERE bucket = 'zz' AND state = 'here'");
        assert_eq!([0, 1, 2].map(rows), [0, 1, 2].map(|number| i64::from(number == to)), "{to}");
    }
}

#[test]
fn a_move_that_is_under_way_goes_nowhere_else() {
    let world = full();
    assert!(move_with(&world, 1, 12, Mishap::Dies).is_some());
    let refused = move_once(&world, 2);
    assert_eq!((refused.status, refused.outcome), (409, "conflict"), "{refused:?}");
    assert!(refused.body.contains("--abort"), "{}", refused.body);
    for (id, body, message) in [
        ("k3", json!({"to": 3}), "DB_3"),
        ("k3", json!({"to": 512}), "0 to 511"),
        ("K3", json!({"to": 1}), "two lower-case"),
        ("k", json!({"to": 1}), "two lower-case"),
    ] {
        let ask = Ask { id: id.to_owned(), ..Ask::new(&admin::buckets::MOVE) };
        let refused = world.send(&ask.with_key(ADMIN).body(&body));
        assert!(refused.status == 400 && refused.body.contains(message), "{refused:?}");
    }
}

/// An old Worker is late: it read something to write a long time ago.
#[test]
fn what_was_overtaken_writes_nothing() {
    for batch in 4..60 {
        let world = full();
        let mut all = everywhere(&world);
        assert!(!std::mem::take(all.get_mut("closed_runs").expect("a table")).is_empty());
        let moved = std::rc::Rc::new(std::cell::Cell::new(false));
        let seen = std::rc::Rc::clone(&moved);
        // Before this batch, somebody else does the whole move, or calls it off and does it again.
        let config = world.config.clone();
        *world.runtime.before_batch.borrow_mut() = Some((
            batch,
            Box::new(move |runtime| {
                let bucket = Bucket::parse("k3").expect("a bucket");
                if batch % 2 == 0 {
                    for _ in 0..100 {
                        let done = pollster::block_on(estop::moving::call_off(runtime, &config, bucket, NOW.0));
                        if done.is_err() || done.is_ok_and(|report| report.done) {
                            break;
                        }
                    }
                }
                for _ in 0..100 {
                    let report =
                        pollster::block_on(estop::moving::go_on(runtime, &config, bucket, NOW.0, 1)).expect("a piece");
                    if report.done {
                        // And life goes on there: the runs that waited for it are counted.
                        runtime.numbered(1).borrow().execute_batch("DELETE FROM closed_runs").expect("a count");
                        seen.set(true);
                        return;
                    }
                }
            }),
        ));
        for _ in 0..20 {
            let reply = move_once(&world, 1);
            assert!(matches!(reply.status, 200 | 503), "{batch}: {reply:?}");
            if moved.get() {
                break;
            }
        }
        assert_eq!(dump(&world, 1, true), all, "{batch}");
        until_done(|| move_once(&world, 1)).expect("a move");
        assert_eq!(dump(&world, 1, true), all, "{batch}");
        assert!(dump(&world, 0, true).values().all(BTreeSet::is_empty), "{batch}");
    }
}

#[test]
fn a_copy_that_differs_is_made_once_more_and_then_the_move_stands_still() {
    let world = full();
    let all = dump(&world, 0, true);
    // Somebody writes past the service, before each comparison.
    let spoils = |more: &str| {
        let sql = format!(
            "CREATE TRIGGER spoils AFTER UPDATE ON buckets WHEN NEW.state = 'arriving' AND NEW.progress ->> '$.sealed' {more} \
             BEGIN UPDATE daily_runs SET passed = passed + 1 WHERE project_id = 3; END"
        );
        sql_in(&world, 1, &sql);
    };
    spoils("");
    let refused = until_done(|| move_once(&world, 1)).expect_err("a difference");
    assert_eq!((refused.status, refused.outcome), (409, "conflict"), "{refused:?}");
    assert!(refused.body.contains("daily_runs") && refused.body.contains("--abort"), "{}", refused.body);
    assert_eq!(move_once(&world, 1).status, 409);
    until_done(|| abort_once(&world)).expect("an end");
    assert_eq!(dump(&world, 0, true), all);
    let epoch = count_in(&world, 0, "SELECT progress ->> '$.epoch' FROM buckets WHERE bucket = 'k3'");
    sql_in(&world, 1, "DROP TRIGGER spoils");
    spoils(&format!("AND NEW.progress ->> '$.epoch' = {}", epoch + 1));
    assert!(dump(&world, 1, true).values().all(BTreeSet::is_empty));
    until_done(|| move_once(&world, 1)).expect("a move");
    assert_eq!(dump(&world, 1, true), all);
}

#[test]
fn a_worker_with_other_bindings_writes_nowhere() {
    let world = full();
    until_done(|| move_once(&world, 1)).expect("a move");
    let config = world.config;
    let db = world.runtime.db.into_inner();
    let mut other = World::over(SqliteRuntime::on(db).with_more([2]));
    other.config = config;
    let reply = register_in(&other, "k3");
    assert_eq!((reply.status, reply.outcome), (503, "d1_moved"), "{reply:?}");
    assert_eq!(count_in(&other, 0, "SELECT count(*) FROM runs WHERE project_id = 3"), 0);
}

#[test]
fn each_table_moves_or_stays() {
    let world = bare();
    let db = world.runtime.db.borrow();
    let mut statement = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").expect("SQL");
    let tables: BTreeSet<String> =
        statement.query_map([], |row| row.get(0)).expect("rows").collect::<Result<_, _>>().expect("names");
    let moving: BTreeSet<String> = TABLES.iter().map(|table| table.name.to_owned()).collect();
    let staying: BTreeSet<String> = STAYING.iter().map(|name| (*name).to_owned()).collect();
    assert!(moving.is_disjoint(&staying));
    assert_eq!(&moving | &staying, tables, "a new table goes along with its bucket, or is named as one that stays");
    assert_eq!(moving, OURS.iter().map(|(name, _)| (*name).to_owned()).collect());
}

#[test]
fn many_rows_and_large_ones_move_in_pieces() {
    let world = bare();
    world.sql(
        "INSERT INTO runs (project_id, environment_id, state, request_id, created_at, created_by, waiting_since, metadata) \
         SELECT 3, 30, 'queued', '30:' || value, value, 'ada', value, iif(value % 50 = 0, '{\"a\":\"' || hex(zeroblob(30000)) || '\"}', NULL) \
           FROM (WITH RECURSIVE n(value) AS (VALUES (1) UNION ALL SELECT value + 1 FROM n WHERE value < 1500) SELECT value FROM n)",
    );
    let all = dump(&world, 0, true);
    world.runtime.batches.set(0);
    let reply = move_once(&world, 1);
    assert!(data_of(&reply)["move"]["done"] == false && world.runtime.batches.get() <= 24, "{reply:?}");
    until_done(|| move_once(&world, 1)).expect("a move");
    assert_eq!(dump(&world, 1, true), all);
}

#[test]
fn it_is_said_which_database_has_what() {
    let world = full();
    let list = || data_of(&world.send(&Ask::new(&admin::buckets::LIST).with_key(ADMIN)));
    until_done(|| move_once(&world, 2)).expect("a move");
    let listed = list();
    assert_eq!(listed["setting"], "b1=1 k3=2");
    let numbers = |name: &str| {
        listed["databases"].as_array().expect("a list").iter().map(|one| one[name].clone()).collect::<Vec<_>>()
    };
    assert_eq!(numbers("number"), [0, 1, 2]);
    assert_eq!(numbers("projects"), [1, 1, 1]);
    assert_eq!(numbers("buckets"), ["00-b0 b2-k2 k4-zz", "b1", "k3"]);
    assert_eq!(listed["moves"], json!([]));
    world.runtime.dead.borrow_mut().insert(2);
    let listed = list();
    assert_eq!(
        (&listed["setting"], &listed["databases"][2]["answers"], &listed["databases"][2]["buckets"]),
        (&json!("b1=1 k3=2"), &json!(false), &json!("k3"))
    );
    world.runtime.dead.borrow_mut().clear();
    world.runtime.dead.borrow_mut().insert(0);
    assert_eq!(list()["setting"], Json::Null);
    world.runtime.dead.borrow_mut().clear();
    let ask = Ask { id: "b1".to_owned(), ..Ask::new(&admin::buckets::MOVE) };
    world.runtime.after.set(8);
    world.runtime.faults.borrow_mut().push_back(Fault::BeforeCommit(DbError::Deadline));
    assert_eq!(world.send(&ask.with_key(ADMIN).body(&json!({"to": 2}))).status, 503);
    assert_eq!(list()["moves"][0]["bucket"], "b1", "{}", list());
}

/// An attempt was under way when its bucket froze, and its end is recorded, wherever that is, or it is due again.
#[test]
fn a_delivery_that_is_under_way_is_sent_at_least_once() {
    let ends = "UPDATE deliveries SET state = 'delivered', due_at = NULL, attempted_at = 7, status = 200 WHERE attempts = 1 AND state = 'due'";
    for batch in 4..30 {
        let world = full();
        let takes =
            format!("UPDATE deliveries SET fresh = 0, attempts = 1, due_at = {} WHERE state = 'due'", NOW.0 + 60_000);
        sql_in(&world, 0, &takes);
        let ours = "FROM deliveries WHERE webhook_id IN (SELECT id FROM webhooks WHERE project_id = 3)";
        let (all, due) = (
            format!("SELECT count(*) {ours}"),
            format!("SELECT count(*) {ours} AND (state = 'due' OR attempted_at = 7)"),
        );
        let before = (count_in(&world, 0, &all), count_in(&world, 0, &due));
        assert!(before.1 > 0);
        let records =
            move |runtime: &SqliteRuntime| runtime.numbered(0).borrow().execute_batch(ends).expect("a record");
        *world.runtime.before_batch.borrow_mut() = Some((batch, Box::new(records)));
        until_done(|| move_once(&world, 1)).expect("a move");
        let after = (count_in(&world, 1, &all), count_in(&world, 1, &due));
        assert!(after.0 == before.0 && after.1 >= before.1, "{batch}: {before:?} {after:?}");
    }
}
