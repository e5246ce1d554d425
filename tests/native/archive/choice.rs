//! Which runs are archived, and when.

use std::collections::{BTreeMap, BTreeSet};

use estop::archive::step;
use estop::operations::{admin, events, finish, show};
use estop::run::{KEEP_LATE_FOR, Timeout};
use estop::runtime::DbError;
use estop_protocol::run::{Finish, State};
use pollster::block_on;
use rusqlite::{OptionalExtension as _, StatementStatus};
use serde_json::{Value as Json, json};

use super::{DAY, count, left, old_runs, turn, world};
use crate::world::{ADMIN, Ask, MINUTE, World, data};

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
    turns.sort_unstable();
    assert_eq!(turns, [(1, 1), (1, 2), (1, 2), (2, 1), (2, 2), (2, 2)]);
    assert_eq!(block_on(step(&world.database(), world.now.get())), Ok(None));
    assert_eq!(left(&world, "archives"), 6);
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

/// The project that is chosen in some minute, and what the choice costs, in steps of SQLite's virtual machine.
fn chosen(world: &World, minute: i64) -> (Option<i64>, i32) {
    let db = world.runtime.db.borrow();
    let mut statement = db.prepare_cached(include_str!("../../../src/archive/choose.sql")).expect("SQL");
    let at = world.now.get().0 + minute * MINUTE;
    let row: Option<String> =
        statement.query_row((at, 1, 500_000, 0), |row| row.get(0)).optional().expect("at most one row");
    let project = row.map(|row| serde_json::from_str::<[i64; 8]>(&row).expect("numbers")[0]);
    (project, statement.reset_status(StatementStatus::VmStep))
}

/// A world with these projects, and 1 and 2.
fn with_projects(ids: &[i64]) -> World {
    let world = world();
    for id in ids.iter().filter(|id| **id > 2) {
        world.sql(&format!(
            "INSERT INTO projects (id, slug, name, request_id, created_at, retention_days) VALUES ({id}, 'p{id}', 'P', 'p{id}', 1, 30); \
             INSERT INTO environments (project_id, slug, name, request_id, created_at) VALUES ({id}, 's', 'S', 'e{id}', 1)"
        ));
    }
    world
}

#[test]
fn every_project_has_its_turn_soon_whatever_holes_their_ids_have_and_whatever_ticks_are_left_out() {
    let far = 1_i64 << 44;
    for (what, ids, soon) in [
        ("a few more than twenty", (1..=30).collect::<Vec<_>>(), 6),
        ("few, each far from the next", (1..=15).map(|n| n * 1000).collect(), 6),
        ("a hole", (1..=45).chain([1_000_000]).collect(), 6),
        ("several holes", (1..=30).chain(far..far + 30).chain(3 * far..3 * far + 30).collect(), 6),
        ("many", (1..=150).collect(), 6),
        ("very unevenly", (1..=60).map(|n| n * n % 1511).collect(), 35),
    ] {
        let world = with_projects(&ids);
        // Each has something.
        world.sql(
            "INSERT INTO runs (project_id, environment_id, state, request_id, created_at, created_by, waiting_since) \
             SELECT project_id, min(id), 'queued', 'of' || project_id, 1, 'ada', 1 FROM environments GROUP BY project_id",
        );
        count(&world);
        world.pass(31 * DAY);
        world.run_in(State::Queued);
        let all: BTreeSet<i64> = ids.iter().copied().chain([1, 2]).collect();
        let soon = soon * i64::try_from(all.len()).expect("few");
        for (every, start) in [(1, 0), (1, 12_345), (2, 0), (2, 1), (5, 7)] {
            let mut had = BTreeSet::new();
            for tick in 0..soon {
                had.extend(chosen(&world, start + tick * every).0);
                if had.len() == all.len() {
                    break;
                }
            }
            assert_eq!(had, all, "{what}, every {every} minutes");
        }
    }
}

#[test]
fn whose_turn_it_is_costs_no_more_where_there_are_many_projects() {
    let most = |many: i64| {
        let world = with_projects(&(1..=many).collect::<Vec<_>>());
        (0..40).map(|minute| chosen(&world, minute).1).max().expect("some")
    };
    // One halving more for each time that their number doubles.
    let [few, many] = [25, 400].map(most);
    assert!(many <= few + 4 * 60, "{few} steps of 25 projects, {many} of 400");
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
