//! The archive: which runs move to the bucket, that none is lost or doubled on the way, and how they are read there.

mod choice;
mod export;
mod forgotten;
mod reads;
mod rules;
mod way;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use estop::archive::{Tally, step};
use estop::operations::{cancel, finish};
use estop::sweeper;
use estop_protocol::run::State;
use pollster::block_on;
use rusqlite::types::Value as Cell;
use serde_json::{Value as Json, json};

use crate::world::{MINUTE, Run, World};

const DAY: i64 = 24 * 60 * MINUTE;

/// A world with a bucket, whose project keeps its runs for 30 days.
fn world() -> World {
    let world = World::new();
    *world.runtime.bucket.borrow_mut() = Some(BTreeMap::new());
    world.sql("UPDATE projects SET retention_days = 30");
    world
}

/// Counts what has closed, and lets the archive's turn come.
fn turn(world: &World) -> Option<Tally> {
    count(world);
    block_on(step(&world.database(), world.now.get())).expect("a step")
}

fn count(world: &World) {
    block_on(sweeper::tick(&world.database(), world.now.get())).expect("a tick");
}

/// Runs in every state that is over, and a newer one that stays.
fn old_runs(world: &World) -> Vec<Run> {
    let mut runs: Vec<Run> =
        [State::Ended, State::Error, State::Cancelled].into_iter().map(|state| world.run_in(state)).collect();
    let stopped = json!({"lease": runs[2].token, "state": "error", "error_code": "run_failed_with_error", "stop": {"outcome": "killed"}});
    assert_eq!(world.ask(&finish::OPERATION, runs[2].id, &stopped).status, 412);
    let never = world.run_in(State::Queued);
    assert_eq!(world.ask(&cancel::OPERATION, never.id, &json!({"reason": "an \"odd\" one:\n…"})).status, 200);
    runs.push(never);
    world.pass(31 * DAY);
    world.run_in(State::Queued);
    runs
}

fn ids(runs: &[Run]) -> Vec<i64> {
    runs.iter().map(|run| run.id).collect()
}

/// Every row of a table that belongs to these runs, by its columns.
fn rows(world: &World, table: &str) -> BTreeSet<String> {
    let db = world.runtime.db.borrow();
    let id = if table == "runs" { "id" } else { "run_id" };
    let newest = "(SELECT max(id) FROM runs)";
    let mut select = db.prepare(&format!("SELECT * FROM {table} WHERE {id} < {newest}")).expect("SQL");
    let virtual_columns = ["open_state", "active_group", "held_group", "actor"];
    let names: Vec<String> = select.column_names().map(str::to_owned).collect();
    let stored = |row: &rusqlite::Row<'_>| {
        let mut cells = serde_json::Map::new();
        for (index, name) in names.iter().enumerate().filter(|(_, name)| !virtual_columns.contains(&name.as_str())) {
            let cell = match row.get(index)? {
                Cell::Null => Json::Null,
                Cell::Integer(n) => n.into(),
                Cell::Text(text) => text.into(),
                other => panic!("{other:?}"),
            };
            cells.insert(name.clone(), cell);
        }
        Ok(Json::Object(cells).to_string())
    };
    select.query_map([], stored).expect("rows").collect::<Result<_, _>>().expect("rows")
}

const TABLES: [(&str, &str); 3] = [("run", "runs"), ("event", "run_events"), ("shard", "run_shards")];

/// What the bucket's objects hold, as gunzip gives it.
fn kept(world: &World) -> Vec<Json> {
    let bucket = world.runtime.bucket.borrow();
    let mut lines = Vec::new();
    for object in bucket.as_ref().expect("a bucket").values() {
        let mut text = String::new();
        flate2::bufread::MultiGzDecoder::new(object.as_slice()).read_to_string(&mut text).expect("gzip");
        lines.extend(text.lines().map(|line| serde_json::from_str::<Json>(line).expect("JSON")));
    }
    lines
}

fn of_kind(lines: &[Json], kind: &str) -> Vec<String> {
    lines.iter().filter(|line| line["kind"] == kind).map(|line| line["row"].to_string()).collect()
}

fn left(world: &World, table: &str) -> i64 {
    world
        .runtime
        .db
        .borrow()
        .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))
        .expect("a count")
}

fn refused(world: &World, sql: &str, rule: &str) {
    let error = world.runtime.db.borrow().execute_batch(sql).expect_err(sql).to_string();
    assert!(error.contains(rule), "{sql}: {error}");
}

/// A failed test of some 32 KB.
const LARGE: &str = "json_array(json_object('title', 't', 'message', printf('%.32000c', 'x')))";
