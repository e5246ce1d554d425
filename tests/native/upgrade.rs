//! A database of 0.1.0, with data in every state, is migrated: nothing is lost, everything works on, and what 0.1.0's own
//! statements still do to it while the new Worker is being uploaded is right or fails.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use estop::database::MIGRATIONS;
use estop::key::KeyHash;
use estop::operations::show;
use estop::run::{Event, Timeout};
use estop_protocol::run::{Finish, State, StopOutcome};
use rusqlite::types::{Null, ToSql, Value};
use rusqlite::{Connection, params};
use serde_json::json;

use crate::machine::{self, Model};
use crate::migrations::{migrate, migration};
use crate::old_worker::OldWorker;
use crate::world::{KEY, NOW, Run, World, empty_database};

pub fn record(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/upgrade/0.1.0").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The database as 0.1.0 left it.
fn old_database() -> Connection {
    let db = empty_database();
    db.execute_batch(&record("database.sql")).expect("the dump");
    db.pragma_update(None, "foreign_keys", true).expect("a pragma");
    db
}

/// The same, migrated to `version`.
fn migrated_to(version: usize) -> World {
    let db = old_database();
    // As wrangler does it: a database of 0.1.0 has no record of migrations, so it gets the first one too.
    for name in &MIGRATIONS[..version] {
        db.execute_batch(&migration(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    World::on(db)
}

fn upgraded() -> World {
    migrated_to(MIGRATIONS.len())
}

/// Every row of a table by its columns, under the names that they had in 0.1.0.
fn rows(db: &Connection, table: &str) -> Vec<BTreeMap<String, Value>> {
    let mut select = db.prepare(&format!("SELECT * FROM {table} ORDER BY 1, 2")).expect("SQL");
    let names: Vec<String> = select.column_names().map(str::to_owned).collect();
    let old_name = |name: &str| if name == "concurrency_group" { "slot".to_owned() } else { name.to_owned() };
    let added = [
        "active_group",
        "held_group",
        "valid_until",
        "open_state",
        "stop_terminated",
        "request_hash",
        "claim_request_hash",
        "finish_request_hash",
        "cancel_request_hash",
        "next",
        "salt",
        "version",
        "fail_fast",
        "run_group",
        "attempt",
        "open_shards",
        "finished_shards",
        "failed_tests",
        "kill_at",
        "kill_by",
        "kill_request_id",
        "late_at",
        "actor",
        "badges",
        "last_used_on",
        "stop_on_close",
        "github_repo",
        "bucket",
        "retention_days",
        "disabled",
        "changed_at",
        "access",
        "granted_by",
    ];
    let is_new = |name: &str| added.contains(&name) || (table == "keys" && name == "request_id");
    let row = |row: &rusqlite::Row<'_>| {
        let cells = names.iter().enumerate().filter(|(_, name)| !is_new(name));
        cells.map(|(index, name)| Ok((old_name(name), row.get(index)?))).collect()
    };
    select.query_map([], row).expect("rows").collect::<Result<_, _>>().expect("values")
}

#[test]
fn no_row_and_no_event_is_lost_or_changed() {
    let (old, new) = (old_database(), upgraded());
    let new = new.runtime.db.borrow();
    for table in ["projects", "environments", "keys", "runs", "run_events", "bulk_cancels"] {
        let before = rows(&old, table);
        assert!(before.len() > 1, "{table} has something to lose");
        if table != "runs" {
            assert_eq!(before, rows(&new, table), "{table}");
        }
    }
    // What a run had of its lease and its finish, its one shard has now.
    let on_shards = "SELECT r.*, s.runner, s.lease_token, s.lease_renewed_at, s.lease_expires_at, s.claim_request_id, s.finish_request_id \
                     FROM runs r LEFT JOIN run_shards s ON s.run_id = r.id";
    new.execute_batch(&format!("CREATE TEMP VIEW old_runs AS {on_shards}")).expect("a view");
    let (mut before, mut after) = (rows(&old, "runs"), rows(&new, "old_runs"));
    for (before, after) in before.iter_mut().zip(&mut after) {
        // One that is not over has one shard, and so has one of which nothing was said.
        let shards = (before.remove("total_shards"), after.remove("total_shards"));
        let is_over = matches!(&before["state"], Value::Text(state) if matches!(state.as_str(), "ended" | "error"));
        let expected = if is_over && shards.0 != Some(Value::Null) { shards.0 } else { Some(Value::Integer(1)) };
        if before["state"] != Value::Text("cancelled".to_owned()) {
            assert_eq!(shards.1, expected, "{before:?}");
        }
    }
    assert_eq!(before, after);
    let shards = "SELECT count(*) FROM runs r JOIN run_shards s ON s.run_id = r.id AND s.shard = 1 WHERE s.started_at = r.started_at \
                  AND s.result IS r.result AND s.error_code IS r.error_code AND s.counts IS r.counts AND s.ended_at IS r.ended_at";
    let of_claimed = "SELECT count(*) FROM runs WHERE lease_token IS NOT NULL";
    let count = |db: &Connection, sql: &str| -> i64 { db.query_row(sql, [], |row| row.get(0)).expect("a count") };
    assert_eq!(count(&new, shards), count(&old, of_claimed), "every claimed run has its shard");
    let states: i64 = new.query_row("SELECT count(DISTINCT state) FROM runs", [], |row| row.get(0)).expect("a count");
    assert_eq!(states, 6, "every state is there");
    let broken: i64 =
        new.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |r| r.get(0)).expect("a count");
    let sound: String = new.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("a word");
    assert_eq!((broken, sound.as_str()), (0, "ok"));
}

#[test]
fn migrating_from_the_first_version_on_is_the_same() {
    let db = old_database();
    migrate(&db, 2);
    let schema = |db: &Connection| -> Vec<(String, String)> {
        let mut select =
            db.prepare("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name").expect("SQL");
        select.query_map([], |r| Ok((r.get(0)?, r.get(1)?))).expect("rows").collect::<Result<_, _>>().expect("texts")
    };
    assert_eq!(schema(&db), schema(&upgraded().runtime.db.borrow()));
}

#[test]
fn the_machine_holds_on_the_upgraded_database() {
    machine::agrees(upgraded);
}

/// An old run of project 1, whose token the dump has, and what the machine says of it.
fn old_runs() -> Vec<(Run, Model)> {
    let db = old_database();
    let mut select = db
        .prepare("SELECT id, coalesce(lease_token, 'nobody''s'), state, stop_outcome FROM runs WHERE project_id = 1")
        .expect("SQL");
    let named = |state: String| State::ALL.iter().copied().find(|known| known.name() == state).expect("a state");
    let outcome =
        |stop: String| StopOutcome::ALL.iter().copied().find(|known| known.name() == stop).expect("an outcome");
    let rows = select.query_map([], |row| {
        let stop: Option<String> = row.get(3)?;
        let model = Model { state: named(row.get(2)?), stop: stop.map(outcome) };
        Ok((Run { id: row.get(0)?, token: row.get(1)? }, model))
    });
    rows.expect("rows").collect::<Result<_, _>>().expect("runs")
}

#[test]
fn the_machine_holds_on_every_old_run() {
    let runs = old_runs();
    assert!(runs.len() > 20);
    for (mut run, mut model) in runs {
        for event in Event::ALL {
            let (mut run, mut model) = (run.clone(), model);
            let world = upgraded();
            // A lease that has run out can be claimed again: another matter.
            let has_run_out = world.row(run.id).lease_expires_at.is_some_and(|end| end <= world.now.get().0);
            if event == Event::Claim && model.state == State::Started && has_run_out {
                continue;
            }
            let what = format!("{event:?} on old run {}", run.id);
            assert_eq!(world.apply(&mut run, event), model.apply(event), "{what}");
            model.check(&world, &run, &what);
        }
        // And two in a row, on one database.
        let world = upgraded();
        for event in [Event::Cancel, Event::Finish(Finish::Ended)] {
            assert_eq!(world.apply(&mut run, event), model.apply(event), "{event:?} on old run {}", run.id);
            model.check(&world, &run, "after both");
        }
    }
}

/// What an old statement that only reads gives, for every run; `None` if the schema has another name for something.
fn reads(db: &Connection, name: &str) -> Option<Vec<String>> {
    let key = KeyHash::of(KEY);
    let (key, now) = (key.as_str(), NOW.0);
    let text = record(&format!("statements/{name}.sql"));
    let mut prepared = match db.prepare(text.trim_end()) {
        Ok(prepared) => prepared,
        Err(error) => {
            assert!(error.to_string().contains("no such "), "{name}: {error}");
            return None;
        }
    };
    let mut answers = Vec::new();
    for id in 1..=36 {
        let ids = format!("[{id},99]");
        let all: [&dyn ToSql; 9] = match name {
            "list_head" | "list_items" => [&key, &now, &20, &(id - 1), &Null, &Null, &Null, &Null, &Null],
            "list_filtered_head" | "list_filtered_items" => [&key, &now, &"queued", &"queued", &1, &2, &0, &1000, &20],
            "report_given" => [&key, &now, &"key:x", &ids, &Null, &Null, &Null, &Null, &Null],
            "report_matching" | "explain_matching" => {
                [&key, &now, &"key:x", &Null, &Null, &"started", &Null, &Null, &100]
            }
            "list_keys" => [&99, &20, &Null, &Null, &Null, &Null, &Null, &Null, &Null],
            "list_project_keys" => [&99, &20, &1, &Null, &Null, &Null, &Null, &Null, &Null],
            "show_project" | "explain_revoke_key" => [&id, &Null, &Null, &Null, &Null, &Null, &Null, &Null, &Null],
            "explain_create_key" => [&key, &Null, &Null, &Null, &Null, &Null, &Null, &Null, &Null],
            _ => [&key, &now, &id, &"key:ci-400", &"x", &Null, &Null, &Null, &Null],
        };
        // The last of a filtered list's ten.
        let more: [&dyn ToSql; 1] = [&0];
        let count = prepared.parameter_count();
        let params: Vec<&dyn ToSql> = all.into_iter().chain(more).take(count).collect();
        let rows = prepared.query_map(params.as_slice(), |row| row.get::<_, String>("row")).expect("rows");
        answers.extend(rows.map(|row| row.unwrap_or_else(|error| panic!("{name}: {error}"))));
    }
    Some(answers)
}

#[test]
fn old_statements_that_read_give_the_same_over_each_new_schema_or_fail() {
    let before = old_database();
    for version in 2..=MIGRATIONS.len() {
        let world = migrated_to(version);
        let after = world.runtime.db.borrow();
        let mut failed = Vec::new();
        for name in OLD_READS {
            let expected = reads(&before, name).expect("its own schema");
            assert!(!expected.is_empty(), "{name} reads something");
            match reads(&after, name) {
                Some(given) => assert_eq!(given, expected, "{name} over version {version}"),
                None => failed.push(name),
            }
        }
        let expected = match version {
            ..3 => vec![],
            3 | 4 => vec!["explain_claim", "explain_register"],
            5 => vec!["explain_claim", "explain_register", "explain_matching", "report_matching"],
            _ => vec![
                "show",
                "list_items",
                "list_filtered_items",
                "explain_cancel",
                "explain_claim",
                "explain_heartbeat",
                "explain_finish",
                "explain_register",
                "explain_matching",
                "report_matching",
            ],
        };
        assert_eq!(failed, expected, "version {version}");
    }
}

/// Every statement of 0.1.0 that only reads.
const OLD_READS: [&str; 20] = [
    "health",
    "show",
    "events",
    "list_head",
    "list_items",
    "list_filtered_head",
    "list_filtered_items",
    "explain_cancel",
    "explain_claim",
    "explain_heartbeat",
    "explain_finish",
    "explain_register",
    "explain_given",
    "explain_matching",
    "report_given",
    "report_matching",
    "list_keys",
    "list_project_keys",
    "show_project",
    "explain_create_key",
];

#[test]
fn every_old_statement_is_tried() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/upgrade/0.1.0/statements");
    for version in 2..=MIGRATIONS.len() {
        let world = migrated_to(version);
        let db = world.runtime.db.borrow();
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let text = fs::read_to_string(&path).expect("a file");
            if let Err(error) = db.prepare(text.trim_end()) {
                let words = error.to_string();
                let gone = words.contains("no such ") || words.contains("has no column named slot");
                assert!(gone, "{} over version {version}: {words}", path.display());
            }
        }
    }
}

#[test]
fn every_old_run_can_be_shown_and_the_waiting_ones_are_promoted_as_ever() {
    let world = upgraded();
    let old = rows(&world.runtime.db.borrow(), "runs");
    for run in old.iter().filter(|run| run["project_id"] == Value::Integer(1)) {
        let Value::Integer(id) = run["id"] else { panic!("an id") };
        assert_eq!(world.ask(&show::OPERATION, id, &json!({})).status, 200, "run {id}");
    }
    // Run 30 is pending behind run 25 in its group: ending that lets it start.
    assert_eq!((world.row(25).state.as_str(), world.row(30).state.as_str()), ("queued", "pending"));
    world.sql(
        "UPDATE runs SET version = version + 1, state = 'cancelled', cancelled_at = 1, cancel_cause = 'user', cancel_by = 'ada', \
         cancel_request_id = 'r', stop_outcome = 'never_started' WHERE id = 25",
    );
    assert_eq!(world.row(30).state, "queued");
}

#[test]
fn old_statements_over_each_new_schema_are_right_or_fail() {
    for version in 2..=MIGRATIONS.len() {
        let mut failed = Vec::new();
        for state in State::ALL.iter().copied() {
            for event in Event::ALL {
                let what = format!("0.1.0's {event:?} in {state:?} over version {version}");
                let world = migrated_to(version);
                let old = OldWorker { world: &world, key: KeyHash::of(KEY) };
                let mut run = old.run_in(state, version);
                let mut model = Model::of(state);
                let before = world.row(run.id);
                match old.apply(&mut run, event) {
                    // 0.1.0 swept runs that wait behind others, too.
                    Some(took) if (state, event) == (State::Pending, Event::Sweep(Timeout::Unclaimed)) => {
                        assert!(took && world.row(run.id).state == "cancelled", "{what}");
                    }
                    Some(took) => {
                        assert_eq!(took, model.apply(event), "{what}");
                        model.check(&world, &run, &what);
                    }
                    None => {
                        assert_eq!(world.row(run.id), before, "{what}");
                        failed.push(event);
                    }
                }
            }
        }
        // What CHANGELOG says of 0.2.0: claims and ticks of the sweeper, in every state.
        let sweeps = [Timeout::Unclaimed, Timeout::Lapsed, Timeout::OverAge].map(Event::Sweep);
        let in_each = match version {
            ..3 => vec![],
            3 | 4 => vec![Event::Claim],
            5 => [&[Event::Claim], sweeps.as_slice()].concat(),
            // All of them know the lease on the run itself.
            _ => Event::ALL.into_iter().filter(|event| *event != Event::Sweep(Timeout::Incomplete)).collect(),
        };
        assert_eq!(failed, in_each.repeat(6), "version {version}");
    }
}

#[test]
fn old_registrations_lists_and_bulk_cancels_over_the_new_schema_are_right_or_fail() {
    let world = upgraded();
    let old = OldWorker { world: &world, key: KeyHash::of(KEY) };
    let (key, now) = (KeyHash::of(KEY), NOW.0);
    let key = key.as_str();
    let count = || -> i64 {
        world.runtime.db.borrow().query_row("SELECT count(*) FROM runs", [], |row| row.get(0)).expect("a count")
    };
    let before = count();
    let registered =
        old.batch(&[("register", params![key, now, "own:r", "staging", "main", Null, Null, "[]", Null, Null, 0])]);
    assert_eq!((registered, count()), (None, before), "it names `slot`, so nothing is registered");
    assert_eq!(old.batch(&[("list_items", params![key, now, 20, 0])]), None);
    let run = world.run_in(State::Started);
    let ids = format!("[{}]", run.id);
    let rows = old.batch(&[
        ("choose_given", params![key, now, "own:b", ids]),
        ("cancel_chosen", params![key, now, "own:b", "why"]),
        ("report_chosen", params![key, now, "own:b"]),
    ]);
    assert_eq!(rows, None);
    assert_eq!(world.row(run.id).state, "started");
}
