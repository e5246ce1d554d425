//! Bulk cancel: what it chooses, and that a repeat chooses nothing else.

use estop::host::DbError;
use estop::run::{Event, State};
use estop::store::bulk::{BulkOutcome, cancel};
use estop::wire::bulk::BulkRequest;
use pollster::block_on;
use serde_json::{Value, json};

use crate::list::plan;
use crate::world::{Fault, MINUTE, World};

/// The ids that were cancelled by this request, those that were over already, and whether more match.
fn bulk(world: &World, request_id: &str, body: Value) -> (Vec<i64>, Vec<i64>, bool) {
    let request: BulkRequest = serde_json::from_value(body).expect("a request");
    let bulk = request.checked(world.now.get()).expect("in order");
    match block_on(cancel(&world.host, &world.caller(&world.key), request_id, &bulk)).expect("an answer") {
        BulkOutcome::Done { runs, more } => {
            let (mine, over): (Vec<_>, Vec<_>) = runs.iter().partition(|run| run.found.is_mine());
            (mine.iter().map(|run| run.id).collect(), over.iter().map(|run| run.id).collect(), more)
        }
        BulkOutcome::UnknownEnvironment(known) => panic!("unknown; known are {known:?}"),
    }
}

#[test]
fn given_ids_are_cancelled_or_reported_and_others_left_out() {
    let world = World::new();
    let runs: Vec<i64> = State::ALL.into_iter().map(|state| world.run_in(state).id).collect();
    let bystander = world.run_in(State::Started).id;
    let mut ids = runs.clone();
    ids.push(4711);
    let (cancelled, over, more) = bulk(&world, "own:1", json!({"ids": ids, "reason": "all of it"}));
    assert_eq!((cancelled, over, more), (runs[..3].to_vec(), runs[3..].to_vec(), false));
    for id in &runs[..3] {
        let row = world.row(*id);
        assert_eq!((row.state.as_str(), row.cancel_reason.as_deref()), ("cancelled", Some("all of it")));
        assert_eq!(world.terminal_events(*id), 1);
    }
    assert_eq!(world.row(bystander).state, "started");
}

#[test]
fn a_filter_takes_the_oldest_first_and_says_when_more_match() {
    let world = World::new();
    let ids: Vec<i64> = (0..5).map(|_| world.run_in(State::Queued).id).collect();
    assert_eq!(
        bulk(&world, "own:1", json!({"filter": {"state": "queued"}, "limit": 2})),
        (ids[..2].to_vec(), vec![], true)
    );
    assert_eq!(
        bulk(&world, "own:2", json!({"filter": {"state": "queued"}, "limit": 3})),
        (ids[2..].to_vec(), vec![], false)
    );
    assert_eq!(bulk(&world, "own:3", json!({"filter": {"state": "queued"}})), (vec![], vec![], false));
}

#[test]
fn every_condition_narrows() {
    let world = World::new();
    let mut old = world.run_in(State::Started);
    world.pass(10 * MINUTE);
    let young = world.run_in(State::Queued).id;
    world.sql(&format!(
        "UPDATE runs SET branch = 'main', metadata = '{{\"ci\":42,\"job\":\"e2e\"}}' WHERE id = {}; UPDATE runs SET environment_id = 2 WHERE id = {young}",
        old.id
    ));
    let dry = |filter: Value| {
        let request: BulkRequest =
            serde_json::from_value(json!({"filter": filter, "dry_run": true})).expect("a request");
        let bulk = request.checked(world.now.get()).expect("in order");
        match block_on(cancel(&world.host, &world.caller(&world.key), "own:dry", &bulk)) {
            Ok(BulkOutcome::Done { runs, .. }) => runs.iter().map(|run| run.id).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        }
    };
    for (filter, expected) in [
        (json!({"branch": "main"}), vec![old.id]),
        (json!({"branch": "other"}), vec![]),
        (json!({"environment": "production"}), vec![young]),
        (json!({"state": "started"}), vec![old.id]),
        (json!({"older_than_minutes": 10}), vec![old.id]),
        (json!({"older_than_minutes": 0}), vec![old.id, young]),
        (json!({"metadata": {"ci": 42}}), vec![old.id]),
        (json!({"metadata": {"ci": 42.0, "job": "e2e"}}), vec![old.id]),
        (json!({"metadata": {"ci": "42"}}), vec![]),
        (json!({"metadata": {"ci": 42, "job": "unit"}}), vec![]),
        (json!({"branch": "main", "state": "queued"}), vec![]),
    ] {
        assert_eq!(dry(filter.clone()), expected, "{filter}");
    }
    assert!(world.apply(&mut old, Event::Heartbeat), "a dry run changes nothing");
}

#[test]
fn a_repeat_after_a_lost_answer_chooses_no_other_runs() {
    let world = World::new();
    let ids: Vec<i64> = (0..4).map(|_| world.run_in(State::Queued).id).collect();
    world
        .host
        .faults
        .borrow_mut()
        .extend([Fault::AfterCommit(DbError::Transient), Fault::AfterCommit(DbError::Garbled)]);
    let body = json!({"filter": {"older_than_minutes": 0}, "limit": 2});
    assert_eq!(bulk(&world, "key:a", body.clone()), (ids[..2].to_vec(), vec![], true));
    assert_eq!(bulk(&world, "key:a", body.clone()), (ids[..2].to_vec(), vec![], true), "the same key, the same answer");
    assert_eq!(world.row(ids[2]).state, "queued");
    assert_eq!(bulk(&world, "key:b", body), (ids[2..].to_vec(), vec![], false));
}

#[test]
fn what_is_chosen_is_looked_up_and_never_scanned() {
    let world = World::new();
    use estop::sql::bulk as sql;
    for statement in [
        sql::CHOOSE_GIVEN,
        sql::CHOOSE_MATCHING,
        sql::CANCEL_CHOSEN,
        sql::REPORT_CHOSEN,
        sql::REPORT_GIVEN,
        sql::REPORT_MATCHING,
        sql::EXPLAIN_MATCHING,
    ] {
        let plan = plan(&world, statement);
        for line in plan.lines() {
            let harmless = ["CONSTANT ROW", "VIRTUAL TABLE", "subquery", "SCAN r ", "SCAN environments"];
            let bounded =
                line.ends_with("SCAN r") || harmless.iter().any(|h| line.contains(h)) || line.contains("(subquery");
            assert!(!line.contains("SCAN") || bounded, "{line}\n{plan}");
        }
        assert!(!plan.contains("SCAN runs") && !plan.contains("SCAN b") && !plan.contains("SCAN k"), "{plan}");
    }
}
