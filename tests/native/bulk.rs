//! Bulk cancel: what it chooses, and that a repeat chooses nothing else.

use estop::operations::bulk_cancel;
use estop::run::Event;
use estop::runtime::DbError;
use estop_protocol::bulk_cancel::BulkCancelled;
use estop_protocol::run::State;
use serde_json::{Value, json};

use crate::world::{Ask, Fault, MINUTE, Run, World, data};

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
        bulk(&world, "2", json!({"filter": {"state": "queued"}, "limit": 4})),
        (ids[2..].to_vec(), vec![], false)
    );
    assert_eq!(bulk(&world, "3", json!({"filter": {"state": "queued"}})), (vec![], vec![], false));
}

#[test]
fn every_condition_narrows() {
    let world = World::new();
    let mut old = Run {
        id: world.register(&json!({"environment": "staging", "branch": "main", "metadata": {"ci": 42, "job": "e2e"}})),
        token: String::new(),
    };
    assert!(world.apply(&mut old, Event::Claim));
    world.pass(10 * MINUTE);
    let young = world.register(&json!({"environment": "production"}));
    let dry = |filter: Value| bulk(&world, "dry", json!({"filter": filter, "dry_run": true})).0;
    for (filter, expected) in [
        (json!({"branch": "main"}), vec![old.id]),
        (json!({"branch": "other"}), vec![]),
        (json!({"environment": "production"}), vec![young]),
        (json!({"state": "started"}), vec![old.id]),
        (json!({"older_than_minutes": 10}), vec![old.id]),
        (json!({"older_than_minutes": 0}), vec![young, old.id]),
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
    let rest = json!({"filter": {"older_than_minutes": 0}, "limit": 3});
    assert_eq!(bulk(&world, "b", rest), (ids[2..].to_vec(), vec![], false));
}

#[test]
fn a_dry_run_tells_what_is_over_even_if_its_own_key_ended_it() {
    let world = World::new();
    let run = world.run_in(State::Queued).id;
    let body = |dry_run| json!({"ids": [run], "dry_run": dry_run});
    assert_eq!(bulk(&world, "a", body(false)), (vec![run], vec![], false));
    assert_eq!(bulk(&world, "a", body(true)), (vec![], vec![run], false));
}

#[test]
fn a_run_is_found_however_many_stand_before_it() {
    let world = World::new();
    world.sql(
        "INSERT INTO runs (project_id, environment_id, state, request_id, created_at, created_by, waiting_since, branch) \
           SELECT 1, 1, 'queued', 'h' || value, value, 'ada', value, 'main' FROM (WITH RECURSIVE n(value) AS \
           (VALUES (1) UNION ALL SELECT value + 1 FROM n WHERE value < 10050) SELECT value FROM n)",
    );
    let mut urgent =
        Run { id: world.register(&json!({"environment": "staging", "branch": "urgent"})), token: String::new() };
    assert!(world.apply(&mut urgent, Event::Claim));
    let found = bulk(&world, "dry", json!({"filter": {"state": "started"}, "dry_run": true}));
    assert_eq!(found, (vec![urgent.id], vec![], false), "an index leads to it");
    let (mut cancelled, mut cursor, mut requests) = (Vec::new(), Value::Null, 0);
    loop {
        let body = json!({"filter": {"branch": "urgent"}, "cursor": cursor});
        let answer = send(&world, &format!("walk {requests}"), &body);
        cancelled.extend(answer.cancelled);
        requests += 1;
        assert_eq!(answer.more, answer.next.is_some());
        let Some(next) = answer.next else { break };
        cursor = next.into();
    }
    assert_eq!((cancelled.iter().map(|run| run.id).collect::<Vec<_>>(), requests), (vec![urgent.id], 11));
    assert_eq!(world.row(urgent.id).state, "cancelled");
}

#[test]
fn a_run_that_moves_on_during_a_walk_is_met_again() {
    let world = World::new();
    world.sql("UPDATE projects SET concurrency_scope = 'project', concurrency_behaviour = 'queue_new' WHERE id = 1");
    let first = world.register(&json!({"environment": "staging", "protected": true}));
    let waiting = world.register(&json!({"environment": "staging"}));
    assert_eq!(world.row(waiting).state, "pending");
    let walk = |cursor: Option<String>| {
        let body = json!({"filter": {"older_than_minutes": 0}, "limit": 1, "cursor": cursor, "dry_run": true});
        let answer = send(&world, "dry", &body);
        (answer.cancelled.iter().map(|run| run.id).collect::<Vec<_>>(), answer.next)
    };
    // The walk is among the pending ones; meanwhile the first ends and the second is promoted.
    let (seen, next) = walk(None);
    assert_eq!(seen, [waiting]);
    assert_eq!(world.ask(&estop::operations::cancel::OPERATION, first, &json!({})).status, 200);
    assert_eq!(world.row(waiting).state, "queued");
    assert_eq!(walk(next).0, [waiting], "among the queued ones");
}

#[test]
fn each_run_comes_with_what_a_person_needs_to_tell_it() {
    let world = World::new();
    let mut run = Run {
        id: world.register(&json!({"environment": "production", "branch": "main", "github_actor": "grace"})),
        token: String::new(),
    };
    assert!(world.apply(&mut run, Event::Claim));
    let plain = world.register(&json!({"environment": "staging"}));
    world.pass(90_500);
    for dry_run in [true, false] {
        let answer = send(&world, "k", &json!({"filter": {"older_than_minutes": 1}, "dry_run": dry_run}));
        let shown = serde_json::to_value(&answer.cancelled).expect("JSON");
        assert_eq!(
            shown,
            json!([
                {"id": plain, "state": "queued", "environment": "staging", "branch": null, "actor": "ada", "age_seconds": 90},
                {"id": run.id, "state": "started", "environment": "production", "branch": "main", "actor": "grace", "age_seconds": 90},
            ]),
            "dry run: {dry_run}"
        );
    }
}

#[test]
fn nothing_misspelt_widens_a_bulk_cancel() {
    let world = World::new();
    let run = world.run_in(State::Started).id;
    for (body, field) in [
        (json!({"filter": {"brnch": "main"}}), "filter.brnch"),
        (json!({"filter": {"branch": "main", "State": "queued"}}), "filter.State"),
        (json!({"ids": [run], "dryRun": true}), "dryRun"),
        (json!({"ids": [run], "cursor": "queued:1"}), "cursor"),
        (json!({"filter": {"branch": "main"}, "cursor": "ended:1"}), "cursor"),
        (json!({"filter": {"branch": "main"}, "cursor": "queued:+1"}), "cursor"),
        (json!({"filter": {"branch": "main"}, "cursor": "queued:01"}), "cursor"),
        (json!({"filter": {"state": "queued"}, "cursor": "started:1"}), "cursor"),
        (json!({"filter": {"metadata": {"a": 1, "b": 1, "c": 1, "d": 1, "e": 1, "f": 1}}}), "filter.metadata"),
    ] {
        let reply = world.send(&Ask::new(&bulk_cancel::OPERATION).body(&body));
        assert_eq!(reply.status, 400, "{body}: {reply:?}");
        assert!(reply.body.contains(&format!("`{field}`")), "{body}: {reply:?}");
    }
    assert_eq!(world.row(run).state, "started");
}
