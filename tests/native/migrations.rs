//! The migrations lead where `schema.sql` says, and the Worker knows how far they got.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use estop::database::{MIGRATIONS, SCHEMA_VERSION};
use estop::operations::{cancel, health, heartbeat};
use estop_protocol::run::State;
use rusqlite::Connection;
use serde_json::json;

use crate::world::{Ask, KEY, SCHEMA, World, data, empty_database};

/// The text of a migration.
pub fn migration(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(format!("{name}.sql"));
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Applies all migrations from number `from`.
pub fn migrate(db: &Connection, from: usize) {
    for name in &MIGRATIONS[from - 1..] {
        db.execute_batch(&migration(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// The text of every table, index, trigger and view, without what SQLite does not care for either.
fn schema(db: &Connection) -> BTreeMap<String, String> {
    let mut select =
        db.prepare("SELECT type || ' ' || name, sql FROM sqlite_schema WHERE sql IS NOT NULL").expect("SQL");
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?))).expect("rows");
    rows.map(|row| row.map(|(name, sql)| (name, normalized(&sql)))).collect::<Result<_, _>>().expect("texts")
}

fn normalized(sql: &str) -> String {
    let code: String = sql.lines().map(|line| line.split("--").next().unwrap_or_default().to_owned() + " ").collect();
    let words = code.split_whitespace().collect::<Vec<_>>().join(" ");
    ["( ", " )", " (", ") ", " ,", ", "].iter().fold(words, |text, around| text.replace(around, around.trim()))
}

#[test]
fn the_files_are_the_ones_that_the_worker_knows() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut found: Vec<String> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().trim_end_matches(".sql").to_owned())
        .collect();
    found.sort();
    assert_eq!(found, MIGRATIONS);
    for (index, name) in MIGRATIONS.iter().enumerate() {
        assert!(name.starts_with(&format!("{:04}_", index + 1)), "{name}");
    }
}

#[test]
fn all_migrations_of_an_empty_database_lead_to_the_schema() {
    let (migrated, fresh) = (empty_database(), empty_database());
    migrate(&migrated, 1);
    fresh.execute_batch(SCHEMA).expect("the schema");
    let (migrated_schema, fresh_schema) = (schema(&migrated), schema(&fresh));
    assert_eq!(
        migrated_schema.keys().collect::<Vec<_>>(),
        fresh_schema.keys().collect::<Vec<_>>(),
        "the same tables, indexes and triggers"
    );
    for (name, text) in &fresh_schema {
        assert_eq!(&migrated_schema[name], text, "{name}: left by migrations/, right by schema.sql");
    }
    let version = |db: &Connection| -> i64 {
        db.query_row("SELECT version FROM schema_version", [], |row| row.get(0)).expect("a version")
    };
    assert_eq!((version(&migrated), version(&fresh)), (SCHEMA_VERSION, SCHEMA_VERSION));
}

#[test]
fn each_migration_sets_the_version_to_its_own_number() {
    let db = empty_database();
    for (index, name) in MIGRATIONS.iter().enumerate() {
        db.execute_batch(&migration(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let version: i64 = db.query_row("SELECT version FROM schema_version", [], |row| row.get(0)).unwrap_or(1);
        assert_eq!(version, i64::try_from(index).expect("few") + 1, "{name}");
    }
}

/// A world whose schema has only so many migrations, and whose isolate has not asked for its version yet.
fn world_at(version: usize) -> World {
    let db = empty_database();
    for name in &MIGRATIONS[..version] {
        db.execute_batch(&migration(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let world = World::on(db);
    world.runtime.forget_schema();
    world
}

#[test]
fn a_database_that_lacks_a_migration_is_503_and_the_log_says_which() {
    for (version, next) in MIGRATIONS.iter().enumerate().skip(1) {
        let world = world_at(version);
        world.sql(
            "INSERT INTO projects (id, slug, name, request_id, created_at) VALUES (1, 'one', 'One', 'x', 1); \
             INSERT INTO environments (id, project_id, slug, name, request_id, created_at) VALUES (1, 1, 's', 'S', 'x', 1)",
        );
        world.add_key(KEY, 1, (1, 1, 1), None, None);
        let run = world.run_in(State::Queued);
        for ask in [Ask::new(&cancel::OPERATION).about(run.id), Ask::new(&health::OPERATION)] {
            let reply = world.send(&ask);
            assert_eq!((reply.status, reply.outcome), (503, "d1_schema_too_old"), "version {version}: {reply:?}");
            assert!(reply.body.contains(&format!("schema version {version} and needs {SCHEMA_VERSION}")), "{reply:?}");
            let detail = reply.detail.expect("a detail");
            assert!(detail.contains(&format!("migrations/{}.sql is missing", next)), "{detail}");
        }
        let state = format!("SELECT state FROM runs WHERE id = {}", run.id);
        let state: String = world.runtime.db.borrow().query_row(&state, [], |row| row.get(0)).expect("the run");
        assert_eq!(state, "queued", "nothing is written to a schema that is too old");
    }
}

#[test]
fn a_shard_that_runs_during_the_upgrade_is_as_it_was_and_tells_its_progress_from_then_on() {
    let before = MIGRATIONS.iter().position(|name| *name == "0015_progress").expect("the migration");
    let world = world_at(before);
    world.sql(
        "INSERT INTO projects (id, slug, name, request_id, created_at) VALUES (1, 'one', 'One', 'x', 1); \
         INSERT INTO environments (id, project_id, slug, name, request_id, created_at) VALUES (1, 1, 's', 'S', 'x', 1)",
    );
    world.add_key(KEY, 1, (1, 1, 1), None, None);
    let id = world.run_in(State::Queued).id;
    let now = world.now.get().0;
    world.sql(&format!(
        "INSERT INTO run_shards (run_id, shard, state, lease_token, lease_renewed_at, lease_expires_at, started_at, started_by, \
         claim_request_id, counts, failed) VALUES ({id}, 1, 'started', '00.1.t', {now}, {now} + 120000, {now}, 'ada', 'c', \
         '{{\"total\":5,\"failed\":1}}', 1)"
    ));
    let row = |columns: &str| -> String {
        let sql = format!("SELECT json_array({columns}) FROM run_shards WHERE run_id = {id}");
        world.runtime.db.borrow().query_row(&sql, [], |row| row.get(0)).expect("the shard")
    };
    let columns = "state, counts, failed, lease_token, lease_renewed_at, lease_expires_at, started_at, started_by, claim_request_id";
    let as_it_was = row(columns);
    migrate(&world.runtime.db.borrow(), before + 1);
    assert_eq!((row(columns), row("progress, failures").as_str()), (as_it_was, "[null,null]"));
    let beat =
        json!({"lease": "00.1.t", "progress": {"total": 5, "done": 3, "failed": 2}, "failures": [{"title": "pays"}]});
    assert_eq!(world.ask(&heartbeat::OPERATION, id, &beat).outcome, "renewed");
    assert!(row("progress").contains("\\\"done\\\":3"), "{}", row("progress"));
}

#[test]
fn a_webhook_stays_what_it_is_during_the_upgrade_and_hears_on() {
    let before = MIGRATIONS.iter().position(|name| *name == "0017_check_runs").expect("the migration");
    let world = world_at(before);
    world.sql(
        "INSERT INTO projects (id, slug, name, repo_name, request_id, created_at) VALUES (1, 'one', 'One', 'acme/shop', 'x', 1); \
         INSERT INTO environments (id, project_id, slug, name, request_id, created_at) VALUES (1, 1, 's', 'S', 'x', 1); \
         INSERT INTO webhooks (id, project_id, url, events, format, origin, created_at, request_id, request_hash, failing_since) \
         VALUES (7, 1, 'https://x.example/', '[\"run.cancelled\"]', 'slack', 'o', 1, 'w', 'h', 5)",
    );
    let cancel = || {
        let id = world.run_in(State::Queued).id;
        world.sql(&format!(
            "UPDATE runs SET version = version + 1, state = 'cancelled', cancelled_at = created_at, cancel_cause = 'user', \
             cancel_by = 'ada', cancel_request_id = 'c', stop_outcome = 'never_started' WHERE id = {id}"
        ));
    };
    let all = |columns: &str, table: &str| -> String {
        let sql = format!("SELECT json_group_array(json_array({columns})) FROM {table}");
        world.runtime.db.borrow().query_row(&sql, [], |row| row.get(0)).expect("rows")
    };
    cancel();
    let hook = "id, url, events, format, origin, created_at, generation, failing_since, disabled_at, deleted_at";
    let delivery = "webhook_id, run_id, step, event, message_id, data, at, state, due_at, fresh, attempts";
    let (hooks, sent) = (all(hook, "webhooks"), all(delivery, "deliveries"));
    assert!(sent.contains("run.cancelled"), "{sent}");
    migrate(&world.runtime.db.borrow(), before + 1);
    assert_eq!((all(hook, "webhooks"), all(delivery, "deliveries")), (hooks, sent));
    assert_eq!(
        (all("github", "webhooks"), all("github_repo", "projects")),
        ("[[null]]".into(), "[[\"acme/shop\"]]".into())
    );
    cancel();
    assert_eq!(all("step", "deliveries"), "[[4],[4]]");
}

#[test]
fn the_version_is_asked_for_once_an_isolate_and_in_the_same_round_trip() {
    let world = World::new();
    let run = world.run_in(State::Started);
    world.runtime.forget_schema();
    let before = world.runtime.batches.get();
    assert_eq!(world.ask(&cancel::OPERATION, run.id, &json!({})).status, 200);
    assert_eq!(world.runtime.batches.get() - before, 1);
    assert!(estop::runtime::Runtime::checked(&world.runtime, 0).is_some());
}

#[test]
fn health_tells_both_versions_and_how_full_the_database_is() {
    let world = World::new();
    let mut health = data(&world.send(&Ask::new(&health::OPERATION)));
    let database = health["database"].take();
    assert_eq!(
        health,
        json!({"status": "ok", "schema": {"worker": SCHEMA_VERSION, "database": SCHEMA_VERSION}, "access": true, "database": null})
    );
    assert_eq!(database["most_bytes"], 500_000_000);
    assert!(database["bytes"].as_i64().is_some_and(|bytes| (10_000..10_000_000).contains(&bytes)), "{database}");
}

#[test]
fn what_a_later_schema_has_renamed_is_an_upgrade_and_in_our_own_it_is_a_bug() {
    for (version, expected) in [(SCHEMA_VERSION + 1, (503, "d1_upgrading")), (SCHEMA_VERSION, (500, "d1_refused"))] {
        let world = World::new();
        let run = world.run_in(State::Started);
        world.sql(&format!(
            "UPDATE schema_version SET version = {version}; DROP TRIGGER runs_supersede; DROP TRIGGER runs_promote; \
             DROP INDEX runs_by_active_group; ALTER TABLE keys RENAME COLUMN can_cancel TO may_cancel"
        ));
        let reply = world.ask(&cancel::OPERATION, run.id, &json!({}));
        assert_eq!((reply.status, reply.outcome), expected, "{reply:?}");
        assert_eq!(world.row(run.id).state, "started", "nothing was written");
    }
}
