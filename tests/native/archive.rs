//! The archive: which runs move to the bucket, that none is lost or doubled on the way, and how they are read there.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use estop::archive::{Tally, step};
use estop::config::Archive;
use estop::database::{Database, Home};
use estop::operations::{
    admin, bulk_cancel, cancel, claim, events, export, failures, finish, heartbeat, kill, list, show,
};
use estop::run::{Event, KEEP_LATE_FOR, Timeout};
use estop::runtime::DbError;
use estop::sweeper::{self, REPEAT_FOR};
use estop_protocol::run::{Finish, State};
use pollster::block_on;
use rusqlite::types::Value as Cell;
use serde_json::{Value as Json, json};

use crate::world::{ADMIN, Ask, Fault, MINUTE, Run, World, data};

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

#[test]
fn old_runs_move_to_the_bucket_as_they_are() {
    let world = world();
    let runs = old_runs(&world);
    let before = TABLES.map(|(_, table)| rows(&world, table));
    assert_eq!((before[0].len(), before[2].len()), (4, 3));
    let tally = turn(&world).expect("a turn");
    assert_eq!((tally.project, tally.archived, tally.bucket_failed), (1, 4, false));
    assert_eq!([left(&world, "runs"), left(&world, "run_events"), left(&world, "run_shards")], [1, 1, 0]);
    let lines = kept(&world);
    for ((kind, _), before) in TABLES.iter().zip(before) {
        let kept = of_kind(&lines, kind);
        assert_eq!(kept.len(), before.len(), "{kind}: none twice");
        assert_eq!(kept.into_iter().collect::<BTreeSet<_>>(), before, "{kind}");
    }
    assert_eq!(
        lines[0],
        json!({"kind": "archive", "version": 1, "project": 1, "first_run": runs[0].id, "last_run": runs[3].id})
    );
    assert_eq!((lines[1]["row"]["slug"].as_str(), lines[2]["row"]["slug"].as_str()), (Some("one"), Some("staging")));
    assert_eq!(turn(&world), None, "there is no more");
}

#[test]
fn what_is_shown_of_an_archived_run_is_what_was_shown_before() {
    let world = world();
    let runs = old_runs(&world);
    let shown = |run: &Run| {
        let mut all = [&show::OPERATION, &events::OPERATION, &failures::OPERATION].map(|operation| {
            let reply = world.send(&Ask::new(operation).about(run.id));
            assert_eq!(reply.status, 200, "{reply:?}");
            data(&reply)
        });
        let archived = all[0]["test_run"].as_object_mut().expect("a run").remove("archived");
        (archived, all)
    };
    let before: Vec<_> = runs.iter().map(shown).collect();
    assert!(before.iter().all(|(archived, _)| archived.is_none()));
    assert_eq!(turn(&world).expect("a turn").archived, 4);
    let reads = world.runtime.bucket_reads.get();
    let batches = world.runtime.batches.get();
    let after: Vec<_> = runs.iter().map(shown).collect();
    for (run, ((_, before), (archived, after))) in runs.iter().zip(before.iter().zip(&after)) {
        assert_eq!(archived, &Some(json!(true)));
        assert_eq!(before, after, "{}", run.id);
    }
    assert_eq!(world.runtime.bucket_reads.get() - reads, 12, "one read of the bucket each");
    assert_eq!(world.runtime.batches.get() - batches, 12, "and one round trip");
}

#[test]
fn the_failed_tests_of_an_archived_run_are_read_from_its_shards() {
    let world = world();
    let run = world.run_in(State::Started);
    let failed: Vec<Json> =
        (0..3).map(|n| json!({"title": format!("t{n}"), "file": "a.ts", "line": n, "message": "\"no\""})).collect();
    let progress = json!({"lease": run.token, "progress": {"done": 3, "failed": 3}, "failures": failed});
    assert_eq!(world.ask(&heartbeat::OPERATION, run.id, &progress).status, 200);
    assert_eq!(world.ask(&finish::OPERATION, run.id, &World::finish_body(&run.token, Finish::Ended)).status, 200);
    let before = data(&world.send(&Ask::new(&failures::OPERATION).about(run.id)));
    assert_eq!(before["failures"].as_array().map(Vec::len), Some(3));
    world.pass(31 * DAY);
    world.run_in(State::Queued);
    assert_eq!(turn(&world).expect("a turn").archived, 1);
    assert_eq!(data(&world.send(&Ask::new(&failures::OPERATION).about(run.id))), before);
}

#[test]
fn an_archived_run_takes_no_more_changes_and_says_why() {
    let world = world();
    let runs = old_runs(&world);
    turn(&world).expect("a turn");
    let id = runs[0].id;
    for operation in [&cancel::OPERATION, &claim::OPERATION, &kill::OPERATION] {
        let reply = world.ask(operation, id, &json!({}));
        let expected = json!({"message": format!("Test run {id} is over: it is archived.")});
        assert_eq!((reply.status, reply.body), (412, expected.to_string()), "{}", operation.name());
    }
    let lease = &runs[0].token;
    for (operation, body) in [
        (&heartbeat::OPERATION, json!({"lease": lease})),
        (&finish::OPERATION, World::finish_body(lease, Finish::Ended)),
    ] {
        assert_eq!(world.ask(operation, id, &body).status, 409, "{}", operation.name());
    }
    let reply = world.send(&Ask::new(&bulk_cancel::OPERATION).body(&json!({"ids": [id]})));
    assert_eq!((reply.status, data(&reply)["cancelled"].as_array().map(Vec::len)), (200, Some(0)), "{reply:?}");
}

#[test]
fn an_archived_run_of_another_project_does_not_exist() {
    let world = world();
    let runs = old_runs(&world);
    let other = world.add_key("estop_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB", 2, (1, 1, 1), None, None);
    let blind = world.add_key("estop_CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC", 1, (0, 0, 0), None, None);
    turn(&world).expect("a turn");
    for operation in [
        &show::OPERATION,
        &events::OPERATION,
        &failures::OPERATION,
        &cancel::OPERATION,
        &claim::OPERATION,
        &kill::OPERATION,
    ] {
        let ask = |key, id| world.send(&Ask::new(operation).about(id).with_key(key).body(&json!({})));
        let reply = ask(&other, runs[0].id);
        assert_eq!((reply.status, &reply.body), (404, &ask(&other, 999).body), "{}", operation.name());
        assert_eq!(ask(&blind, runs[0].id).status, 403, "{}", operation.name());
    }
    assert_eq!(world.runtime.bucket_reads.get(), 0);
}

#[test]
fn a_run_between_two_archived_ones_that_is_another_projects_stays_theirs() {
    let world = world();
    let mine = world.run_in(State::Ended);
    world.sql("INSERT INTO runs (project_id, environment_id, state, request_id, created_at, created_by, waiting_since) VALUES (2, 3, 'queued', 'theirs', 1, 'bob', 1)");
    let theirs = mine.id + 1;
    world.run_in(State::Ended);
    world.pass(31 * DAY);
    world.run_in(State::Queued);
    assert_eq!(turn(&world).expect("a turn").archived, 2);
    assert_eq!(world.send(&Ask::new(&show::OPERATION).about(theirs)).status, 404);
    assert_eq!(world.ask(&cancel::OPERATION, theirs, &json!({})).status, 404);
    assert_eq!(world.row(theirs).state, "cancelled", "the tick found it stale; it is not archived");
}

#[test]
fn a_list_says_up_to_where_runs_are_archived() {
    let world = world();
    let runs = old_runs(&world);
    let listed = || data(&world.send(&Ask::new(&list::OPERATION)))["archived_through"].clone();
    assert_eq!(listed(), Json::Null);
    turn(&world).expect("a turn");
    assert_eq!(listed(), json!(runs[3].id));
}

#[test]
fn only_what_is_old_closed_and_counted_is_archived() {
    let lost = KEEP_LATE_FOR / DAY + 31;
    for (days, retention, what, expected) in [
        (31, 30, State::Ended, 1),
        (30, 30, State::Ended, 0),
        (5000, 0, State::Ended, 0),
        (31, 90, State::Ended, 0),
        (400, 30, State::Started, 0),
        (400, 30, State::Queued, 0),
        (400, 30, State::Pending, 0),
        // Its runner never confirmed.
        (400, 30, State::Cancelled, 0),
        (lost, 30, State::Cancelled, 0),
    ] {
        let world = world();
        world.sql(&format!("UPDATE projects SET retention_days = {retention}"));
        world.run_in(what);
        count(&world);
        world.pass(days * DAY);
        world.run_in(State::Queued);
        let archived = block_on(step(&world.database(), world.now.get())).expect("a step");
        assert_eq!(archived.map_or(0, |tally| tally.archived), expected, "{what:?} after {days} days of {retention}");
    }
}

#[test]
fn a_lost_runners_result_is_waited_for_as_long_as_it_is_taken() {
    let world = world();
    world.sql("UPDATE projects SET retention_days = 1");
    let run = world.run_in(State::Cancelled);
    world.pass(10 * MINUTE);
    assert_eq!(world.sweep(Timeout::Unconfirmed), [run.id]);
    world.pass(KEEP_LATE_FOR - DAY);
    world.run_in(State::Queued);
    assert_eq!(turn(&world), None);
    assert_eq!(world.ask(&finish::OPERATION, run.id, &World::finish_body(&run.token, Finish::Ended)).status, 412);
    world.pass(2 * DAY);
    assert_eq!(turn(&world).expect("a turn").archived, 1);
    let events = data(&world.send(&Ask::new(&events::OPERATION).about(run.id)));
    assert_eq!(events["events"][4]["cause"], "late_result");
}

#[test]
fn a_run_that_stays_keeps_those_behind_it() {
    let world = world();
    let old = world.run_in(State::Ended);
    world.run_in(State::Started);
    world.run_in(State::Ended);
    count(&world);
    world.pass(31 * DAY);
    world.run_in(State::Queued);
    let tally = block_on(step(&world.database(), world.now.get())).expect("a step").expect("a turn");
    assert_eq!(tally.archived, 1, "the one before it");
    assert_eq!(world.send(&Ask::new(&show::OPERATION).about(old.id)).status, 200);
    assert_eq!(left(&world, "runs"), 3);
}

#[test]
fn runs_that_wait_to_be_counted_are_not_archived() {
    let world = world();
    old_runs(&world);
    let error = block_on(step(&world.database(), world.now.get())).expect_err("not counted");
    assert!(
        matches!(&error, DbError::Refused(what) if what.contains("a run is counted before it is archived")),
        "{error:?}"
    );
    assert_eq!(left(&world, "runs"), 5);
    assert_eq!(turn(&world).expect("a turn").archived, 4);
    assert_eq!(world.runtime.bucket.borrow().as_ref().map(BTreeMap::len), Some(1), "the same object");
}

#[test]
fn no_id_is_given_twice() {
    let world = world();
    let register = || world.register(&json!({"environment": "staging"}));
    let (_, last) = (register(), register());
    world.pass(DAY);
    count(&world);
    world.pass(32 * DAY);
    assert_eq!(turn(&world).expect("a turn").archived, 1, "the newest run stays");
    assert_eq!(turn(&world), None);
    assert_eq!(register(), last + 1);
    assert_eq!(left(&world, "runs"), 2);
}

#[test]
fn every_project_has_its_turn_and_an_archive_its_bounds() {
    let mut world = world();
    world.config.archive_runs = 2;
    world.add_key("estop_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB", 2, (1, 1, 1), None, None);
    for n in 0..10 {
        let (project, environment) = if n % 2 == 0 { (1, 1) } else { (2, 3) };
        world.sql(&format!(
            "INSERT INTO runs (project_id, environment_id, state, request_id, created_at, created_by, waiting_since) \
             VALUES ({project}, {environment}, 'queued', 'old{n}', 1, 'ada', 1)"
        ));
    }
    // Ids may have gaps.
    world.sql("INSERT INTO projects (id, slug, name, request_id, created_at) VALUES (100, 'far', 'Far', 'far', 1)");
    count(&world);
    world.pass(31 * DAY);
    world.run_in(State::Queued);
    let mut turns = Vec::new();
    for _ in 0..6 {
        let tally = block_on(step(&world.database(), world.now.get())).expect("a step").expect("a turn");
        turns.push((tally.project, tally.archived));
        world.pass(MINUTE);
    }
    turns[..4].sort_unstable();
    assert_eq!(turns[..4], [(1, 2), (1, 2), (2, 2), (2, 2)]);
    turns[4..].sort_unstable();
    assert_eq!(turns[4..], [(1, 1), (2, 1)]);
    assert_eq!(block_on(step(&world.database(), world.now.get())), Ok(None));
    assert_eq!(left(&world, "archives"), 6);
}

#[test]
fn without_a_bucket_nothing_is_deleted_unless_the_operator_says_so() {
    let mut world = world();
    let runs = old_runs(&world);
    *world.runtime.bucket.borrow_mut() = None;
    assert_eq!(turn(&world), None);
    assert_eq!(left(&world, "runs"), 5);
    world.config.archive = Archive::None;
    assert_eq!(turn(&world).expect("a turn").archived, 4);
    assert_eq!([left(&world, "runs"), left(&world, "run_events"), left(&world, "run_shards")], [1, 1, 0]);
    let id = runs[0].id;
    assert_eq!(world.send(&Ask::new(&show::OPERATION).about(id)).status, 404, "it is nowhere");
    assert_eq!(world.ask(&cancel::OPERATION, id, &json!({})).status, 412);
}

/// A fault in each place, and then ticks until nothing is left to do: every run is archived once.
#[test]
fn a_fault_before_or_after_any_step_loses_nothing_and_doubles_nothing() {
    type Harm = Box<dyn Fn(&World)>;
    let mut faults: Vec<Harm> = Vec::new();
    for well in 0..3 {
        for fault in [Fault::BeforeCommit(DbError::Overloaded), Fault::AfterCommit(DbError::Overloaded)] {
            faults.push(Box::new(move |world: &World| {
                world.runtime.after.set(well);
                world.runtime.faults.borrow_mut().push_back(fault.clone());
            }));
        }
    }
    for taken in [false, true] {
        faults.push(Box::new(move |world: &World| world.runtime.bucket_faults.borrow_mut().push_back(taken)));
    }
    for (index, fault) in faults.iter().enumerate() {
        let mut world = world();
        world.config.archive_runs = 3;
        let runs = old_runs(&world);
        let before = TABLES.map(|(_, table)| rows(&world, table));
        count(&world);
        fault(&world);
        for _ in 0..5 {
            let _ = block_on(step(&world.database(), world.now.get()));
            world.pass(MINUTE);
        }
        let lines = kept(&world);
        for ((kind, _), before) in TABLES.iter().zip(before) {
            let kept = of_kind(&lines, kind);
            assert_eq!(
                (kept.len(), kept.into_iter().collect::<BTreeSet<_>>()),
                (before.len(), before),
                "fault {index}: {kind}"
            );
        }
        assert_eq!((left(&world, "runs"), left(&world, "archives")), (1, 2), "fault {index}");
        for id in ids(&runs) {
            assert_eq!(world.send(&Ask::new(&show::OPERATION).about(id)).status, 200, "fault {index}");
        }
    }
}

#[test]
fn ticks_at_once_archive_each_run_once() {
    let world = world();
    old_runs(&world);
    count(&world);
    // Both have read before either records: the second finds nothing as it was.
    let stored = world.undone(|| {
        assert_eq!(turn(&world).expect("a turn").archived, 4);
        world.runtime.bucket.borrow().clone()
    });
    *world.runtime.bucket.borrow_mut() = stored;
    assert_eq!(turn(&world).expect("a turn").archived, 4);
    assert_eq!(world.runtime.bucket.borrow().as_ref().map(BTreeMap::len), Some(1));
    assert_eq!(left(&world, "archives"), 1);
}

#[test]
fn a_bucket_that_fails_is_503_and_not_404() {
    let world = world();
    let runs = old_runs(&world);
    turn(&world).expect("a turn");
    for bucket in [Some(BTreeMap::new()), None] {
        *world.runtime.bucket.borrow_mut() = bucket;
        for operation in [&show::OPERATION, &events::OPERATION, &failures::OPERATION] {
            let reply = world.send(&Ask::new(operation).about(runs[0].id));
            assert_eq!((reply.status, reply.outcome), (503, "no_archive"), "{reply:?}");
        }
    }
}

#[test]
fn the_schema_lets_nothing_go_but_what_an_archive_covers() {
    let world = world();
    let runs = old_runs(&world);
    let newest = runs[3].id + 1;
    let id = runs[0].id;
    refused(&world, &format!("DELETE FROM runs WHERE id = {id}"), "a run is deleted once it is archived");
    refused(&world, &format!("DELETE FROM run_events WHERE run_id = {id}"), "an event is deleted with its run");
    refused(&world, &format!("DELETE FROM run_shards WHERE run_id = {id}"), "a shard is deleted with its run");
    let archive = |first: i64, last: i64, runs: i64, ids: &str| {
        format!(
            "INSERT INTO archives (project_id, first_run, last_run, runs, run_ids, events, shards, archived_at) \
             VALUES (1, {first}, {last}, {runs}, '{ids}', 0, 0, 1)"
        )
    };
    let list = |ids: &[i64]| ids.iter().fold(",".to_owned(), |text, id| format!("{text}{id},"));
    let all = ids(&runs);
    refused(&world, &archive(id, all[3], 4, &list(&all)), "a run is counted before it is archived");
    count(&world);
    refused(&world, &archive(all[1], all[3], 3, &list(&all[1..])), "an archive has the oldest runs of its project");
    refused(&world, &archive(id, all[3], 3, &list(&all[..3])), "an archive has every run of its range");
    refused(&world, &archive(id, all[3], 4, &list(&all[..3])), "an archive has every run of its range");
    refused(&world, &archive(id, all[3] + 1000, 5, &list(&all)), "an archive has every run of its range");
    world.sql(&format!("UPDATE runs SET version = version + 1, state = 'cancelled', cancelled_at = {}, cancel_cause = 'user', cancel_by = 'a', \
        cancel_request_id = 'r', stop_outcome = 'never_started' WHERE id = {newest}", world.now.get().0));
    count(&world);
    let with_newest: Vec<i64> = all.iter().copied().chain([newest]).collect();
    refused(&world, &archive(id, newest, 5, &list(&with_newest)), "the newest run stays");
    world.sql(&archive(id, all[1], 2, &list(&all[..2])));
    refused(&world, &format!("DELETE FROM runs WHERE id = {}", all[2]), "a run is deleted once it is archived");
    refused(&world, "UPDATE archives SET last_run = 99", "an archive never changes");
    refused(&world, "DELETE FROM archives", "an archive is never deleted");
    world.sql(&format!("DELETE FROM runs WHERE id <= {}", all[1]));
    assert_eq!(left(&world, "run_events WHERE run_id <= 2"), 0);
    refused(&world, &archive(id, all[1], 2, &list(&all[..2])), "UNIQUE constraint failed");
}

#[test]
fn a_run_that_is_not_over_is_in_no_archive() {
    let world = world();
    let mut run = world.run_in(State::Started);
    world.run_in(State::Queued);
    let archive = format!(
        "INSERT INTO archives (project_id, first_run, last_run, runs, run_ids, events, shards, archived_at) \
         VALUES (1, {0}, {0}, 1, ',{0},', 0, 0, 1)",
        run.id
    );
    refused(&world, &archive, "over and stopped");
    assert!(world.apply(&mut run, Event::Cancel));
    refused(&world, &archive, "over and stopped");
}

#[test]
fn what_webhooks_heard_of_archived_runs_goes_with_them() {
    let world = world();
    world.sql(
        "INSERT INTO webhooks (id, project_id, url, events, format, origin, created_at, request_id, request_hash) \
         VALUES (1, 1, 'https://x/', '[\"run.ended\",\"run.cancelled\"]', 'standard', 'o', 1, 'w', 'h')",
    );
    old_runs(&world);
    let kept = world.run_in(State::Ended).id;
    world.sql(&format!(
        "UPDATE deliveries SET state = 'delivered', due_at = NULL, fresh = 0, attempted_at = 1 WHERE run_id <> 3; \
         UPDATE deliveries SET state = 'delivered', due_at = NULL, fresh = 0, attempted_at = 1 WHERE run_id = {kept}"
    ));
    turn(&world).expect("a turn");
    let db = world.runtime.db.borrow();
    let mut select = db.prepare("SELECT run_id FROM deliveries ORDER BY id").expect("SQL");
    let left: Vec<i64> = select.query_map([], |row| row.get(0)).expect("rows").collect::<Result<_, _>>().expect("ids");
    assert_eq!(left, [3, kept], "what is still to come stays, and so does a run's that is not archived");
}

#[test]
fn bulk_cancels_are_forgotten_after_thirty_days() {
    let world = world();
    let run = world.run_in(State::Queued);
    let cancelled = || {
        let reply = world.send(&Ask::new(&bulk_cancel::OPERATION).idempotent("b").body(&json!({"ids": [run.id]})));
        data(&reply)["cancelled"].as_array().map(Vec::len)
    };
    assert_eq!(cancelled(), Some(1));
    world.pass(REPEAT_FOR);
    count(&world);
    assert_eq!((cancelled(), left(&world, "bulk_cancels")), (Some(1), 1), "a repeat is known");
    world.pass(1);
    count(&world);
    assert_eq!(left(&world, "bulk_cancels"), 0);
}

#[test]
fn an_admin_says_how_long_a_project_keeps_its_runs() {
    let world = world();
    let change = |body: Json| world.send(&Ask::new(&admin::projects::CHANGE).about(1).with_key(ADMIN).body(&body));
    for days in [0, 1, 3650] {
        let reply = change(json!({"retention_days": days}));
        assert_eq!((reply.status, &data(&reply)["project"]["retention_days"]), (200, &json!(days)));
    }
    for odd in [json!(-1), json!(3651), json!(1.5), json!("30")] {
        let reply = change(json!({"retention_days": odd}));
        assert!(reply.status == 400 && reply.body.contains("retention_days"), "{reply:?}");
    }
    assert_eq!(change(json!({"name": "Renamed"})).status, 200);
    let listed = data(&world.send(&Ask::new(&admin::projects::LIST).with_key(ADMIN)));
    let days: Vec<&Json> =
        listed["projects"].as_array().expect("projects").iter().map(|one| &one["retention_days"]).collect();
    assert_eq!(days, [&json!(30), &json!(3650)]);
    let events = data(&world.send(&Ask::new(&admin::events::LIST).with_key(ADMIN)));
    let details: Vec<&Json> = events["events"]
        .as_array()
        .expect("events")
        .iter()
        .filter(|event| event["what"] == "retention_changed" && event["project_id"] == 1)
        .map(|event| &event["detail"])
        .collect();
    assert_eq!(details[..3], [&json!("1 → 3650 days"), &json!("0 → 1 days"), &json!("30 → 0 days")]);
}

#[test]
fn an_export_has_what_is_archived_and_what_is_not_once() {
    let mut world = world();
    world.config.archive_runs = 3;
    let runs = old_runs(&world);
    let before = TABLES.map(|(_, table)| rows(&world, table));
    turn(&world).expect("a turn");
    let lost = world.run_in(State::Cancelled);
    world.sweep(Timeout::Unconfirmed);
    let export = |after: i64| data(&world.send(&Ask::new(&export::OPERATION).query(&format!("after={after}"))));
    let (mut lines, mut after) = (Vec::new(), Some(0));
    while let Some(from) = after {
        let mut page = export(from);
        lines.append(page["lines"].as_array_mut().expect("lines"));
        after = page["next_after"].as_i64();
    }
    for ((kind, _), before) in TABLES.iter().zip(before) {
        let exported = of_kind(&lines, kind);
        assert_eq!((exported.len(), exported.into_iter().collect::<BTreeSet<_>>()), (before.len(), before), "{kind}");
    }
    assert!(lines.iter().all(|line| line["run"] != lost.id), "its result may still come");
    // From the middle of a member, too.
    let page = export(runs[0].id);
    let first = page["lines"]
        .as_array()
        .expect("lines")
        .iter()
        .find(|line| line["kind"] == "run")
        .map(|line| line["run"].clone());
    assert_eq!(first, Some(json!(runs[1].id)));
    let bad = world.send(&Ask::new(&export::OPERATION).query("after=-1"));
    assert_eq!(bad.status, 400);
}

#[test]
fn a_run_that_changes_while_it_is_put_into_the_bucket_is_archived_as_it_is_then() {
    let world = world();
    let run = world.run_in(State::Cancelled);
    world.sweep(Timeout::Unconfirmed);
    world.pass(45 * DAY);
    world.run_in(State::Queued);
    *world.runtime.during_put.borrow_mut() = Some(
        r#"UPDATE run_shards SET late_result = '{"state":"ended","result":"passed","error_code":null,"counts":null,"at":5}'"#,
    );
    assert_eq!(turn(&world).expect("a turn").archived, 0);
    assert_eq!((left(&world, "runs"), left(&world, "archives")), (2, 0));
    assert_eq!(turn(&world).expect("a turn").archived, 1);
    let shown = data(&world.send(&Ask::new(&show::OPERATION).about(run.id)));
    assert_eq!(shown["test_run"]["shards"][0]["late_result"]["result"], "passed");
}

#[test]
fn an_event_that_comes_while_its_run_is_put_into_the_bucket_is_archived_too() {
    let world = world();
    let run = old_runs(&world)[3].id;
    // As when GitHub takes the order to cancel a workflow run: the run has no new version.
    *world.runtime.during_put.borrow_mut() = Some(
        "DROP TRIGGER run_events_are_true; \
         INSERT INTO run_events (run_id, step, at, from_state, to_state, cause, by) \
         VALUES (4, 8, 5, 'cancelled', 'cancelled', 'ci_cancelled', 'system:github')",
    );
    assert_eq!(turn(&world).expect("a turn").archived, 0);
    assert_eq!((run, left(&world, "runs"), left(&world, "archives")), (4, 5, 0));
    assert_eq!(turn(&world).expect("a turn").archived, 4);
    let events = data(&world.send(&Ask::new(&events::OPERATION).about(run)));
    assert!(events["events"].as_array().expect("events").iter().any(|event| event["cause"] == "ci_cancelled"));
}

fn export(world: &World, after: i64) -> (Vec<i64>, Json) {
    let page = data(&world.send(&Ask::new(&export::OPERATION).query(&format!("after={after}"))));
    let lines = page["lines"].as_array().expect("lines").iter().filter(|line| line["kind"] == "run");
    (lines.filter_map(|line| line["run"].as_i64()).collect(), page["next_after"].clone())
}

#[test]
fn an_export_has_runs_that_are_archived_between_its_batches() {
    let world = world();
    let runs = old_runs(&world);
    count(&world);
    let (config, now) = (world.config.clone(), world.now.get());
    *world.runtime.before_batch.borrow_mut() = Some((
        1,
        Box::new(move |runtime| {
            let database = Database { runtime, config: &config, home: Home::FIRST };
            let tally = block_on(step(&database, now)).expect("a step").expect("a turn");
            assert_eq!(tally.archived, 4);
        }),
    ));
    assert_eq!(export(&world, 0), (ids(&runs), json!(runs[3].id)));
    assert_eq!(left(&world, "runs"), 1, "they were archived meanwhile");
}

/// A failed test of some 32 KB.
const LARGE: &str = "json_array(json_object('title', 't', 'message', printf('%.32000c', 'x')))";

#[test]
fn a_page_of_an_export_has_its_bounds() {
    let world = world();
    let runs: Vec<i64> = (0..20).map(|_| world.run_in(State::Ended).id).collect();
    assert_eq!(export(&world, 0), (runs.clone(), json!(runs[19])));
    world.sql(&format!("DROP TRIGGER run_shards_stay; UPDATE run_shards SET failures = {LARGE}"));
    let (first, next) = export(&world, 0);
    assert!((10..16).contains(&first.len()), "{first:?}");
    let (rest, _) = export(&world, next.as_i64().expect("more"));
    assert_eq!([first, rest].concat(), runs, "none is left out");
}

#[test]
fn a_run_that_is_too_large_goes_without_its_shards_failures() {
    let world = world();
    let run = world.run_in(State::Ended).id;
    world.sql(&format!("DROP TRIGGER run_shards_stay; UPDATE run_shards SET failures = {LARGE}"));
    let columns: Vec<String> = {
        let db = world.runtime.db.borrow();
        let mut select = db.prepare("SELECT name FROM pragma_table_info('run_shards')").expect("SQL");
        select.query_map([], |row| row.get(0)).expect("rows").collect::<Result<_, _>>().expect("names")
    };
    let other = |name: &String| match name.as_str() {
        "shard" => "n".to_owned(),
        "lease_token" | "claim_request_id" | "finish_request_id" => format!("{name} || n"),
        _ => name.clone(),
    };
    world.sql(&format!(
        "DROP TRIGGER run_shards_claimed; \
         INSERT INTO run_shards ({}) WITH n(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM n WHERE n < 70) SELECT {} FROM run_shards CROSS JOIN n",
        columns.join(", "),
        columns.iter().map(other).collect::<Vec<_>>().join(", ")
    ));
    world.pass(31 * DAY);
    world.run_in(State::Queued);
    let shown = || data(&world.send(&Ask::new(&failures::OPERATION).about(run)));
    let before = shown();
    assert_eq!(before["failures"].as_array().map(Vec::len), Some(50));
    assert_eq!(turn(&world).expect("a turn").archived, 1);
    assert_eq!(shown(), before, "what is shown stays");
    let lines = kept(&world);
    let shards: Vec<&Json> = lines.iter().filter(|line| line["kind"] == "shard").collect();
    assert_eq!(shards.len(), 70);
    assert!(shards.iter().all(|line| line["row"]["failures"].is_null() && line["row"]["state"] == "ended"));
}

#[test]
fn runs_of_many_shards_are_archived_few_at_a_time() {
    let world = world();
    for n in 0..5 {
        world.sql(&format!(
            "INSERT INTO runs (project_id, environment_id, state, request_id, created_at, created_by, waiting_since, total_shards) \
             VALUES (1, 1, 'queued', 'many{n}', 1, 'ada', 1, 150)"
        ));
    }
    count(&world);
    world.pass(31 * DAY);
    world.run_in(State::Queued);
    for expected in [2, 2, 1] {
        let tally = block_on(step(&world.database(), world.now.get())).expect("a step").expect("a turn");
        assert_eq!(tally.archived, expected);
    }
}
