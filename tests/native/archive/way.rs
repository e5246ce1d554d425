//! The way into the bucket: nothing is lost on it, and nothing doubled.

use std::collections::{BTreeMap, BTreeSet};

use estop::archive::step;
use estop::config::Archive;
use estop::operations::{cancel, events, failures, show};
use estop::run::Timeout;
use estop::runtime::DbError;
use estop_protocol::run::State;
use pollster::block_on;
use serde_json::{Value as Json, json};

use super::{DAY, LARGE, TABLES, count, ids, kept, left, of_kind, old_runs, rows, turn, world};
use crate::world::{Ask, Fault, MINUTE, World, data};

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
