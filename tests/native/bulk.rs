//! Bulk cancel: what it chooses, and that a repeat chooses nothing else.

use estop::operations::bulk_cancel;
use estop::run::Event;
use estop::runtime::DbError;
use estop_protocol::bulk_cancel::BulkCancelled;
use estop_protocol::run::State;
use serde_json::{Value, json};

use crate::world::{Ask, Fault, MINUTE, World, data};

fn send(world: &World, idempotency_key: &str, body: &Value) -> BulkCancelled {
    let reply = world.send(&Ask::new(&bulk_cancel::OPERATION).idempotent(idempotency_key).body(body));
    assert_eq!(reply.status, 200, "{reply:?}");
    serde_json::from_value(data(&reply)).expect("an answer")
}

/// The ids that were cancelled by this request, those that were over already, and whether more match.
fn bulk(world: &World, idempotency_key: &str, body: Value) -> (Vec<i64>, Vec<i64>, bool) {
    let BulkCancelled { cancelled, already_over, more, .. } = send(world, idempotency_key, &body);
    (cancelled.iter().map(|run| run.id).collect(), already_over.iter().map(|run| run.id).collect(), more)
}

#[test]
fn given_ids_are_cancelled_or_reported_and_others_left_out() {
    let world = World::new();
    let runs: Vec<i64> = State::ALL.iter().copied().map(|state| world.run_in(state).id).collect();
    let bystander = world.run_in(State::Started).id;
    let mut ids = runs.clone();
    ids.push(4711);
    let (cancelled, over, more) = bulk(&world, "1", json!({"ids": ids, "reason": "all of it"}));
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
        bulk(&world, "1", json!({"filter": {"state": "queued"}, "limit": 2})),
        (ids[..2].to_vec(), vec![], true)
    );
    assert_eq!(
        bulk(&world, "2", json!({"filter": {"state": "queued"}, "limit": 3})),
        (ids[2..].to_vec(), vec![], false)
    );
    assert_eq!(bulk(&world, "3", json!({"filter": {"state": "queued"}})), (vec![], vec![], false));
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
    let dry = |filter: Value| bulk(&world, "dry", json!({"filter": filter, "dry_run": true})).0;
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
    let lost = Fault::AfterCommit(DbError::Transient);
    world.runtime.faults.borrow_mut().extend([lost.clone(), lost]);
    let body = json!({"filter": {"older_than_minutes": 0}, "limit": 2});
    assert_eq!(bulk(&world, "a", body.clone()), (ids[..2].to_vec(), vec![], true));
    assert_eq!(bulk(&world, "a", body.clone()), (ids[..2].to_vec(), vec![], true), "the same key, the same answer");
    assert_eq!(world.row(ids[2]).state, "queued");
    assert_eq!(bulk(&world, "b", body), (ids[2..].to_vec(), vec![], false));
}

#[test]
fn a_dry_run_tells_what_is_over_even_if_its_own_key_ended_it() {
    let world = World::new();
    let run = world.run_in(State::Queued).id;
    let body = |dry_run| json!({"ids": [run], "dry_run": dry_run});
    assert_eq!(bulk(&world, "a", body(false)), (vec![run], vec![], false));
    assert_eq!(bulk(&world, "a", body(true)), (vec![], vec![run], false));
}
