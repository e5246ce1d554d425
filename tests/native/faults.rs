//! The database fails, before or after it has committed: nobody is told 412 about their own success.

use estop::operations::{admin, cancel, register};
use estop::run::{Event, after};
use estop::runtime::{DbError, Runtime as _};
use estop_protocol::run::{Finish, State};
use serde_json::json;

use crate::world::{ADMIN, Ask, Fault, World, data};

const PASSING: [Fault; 2] = [Fault::BeforeCommit(DbError::Transient), Fault::AfterCommit(DbError::Transient)];

#[test]
fn every_write_survives_a_lost_answer_as_its_own_success() {
    let writes = [
        (State::Started, Event::Cancel),
        (State::Queued, Event::Cancel),
        (State::Queued, Event::Claim),
        (State::Started, Event::Heartbeat),
        (State::Started, Event::Finish(Finish::Ended)),
        (State::Started, Event::Finish(Finish::Error)),
    ];
    for fault in PASSING {
        for (state, event) in writes {
            let world = World::new();
            let mut run = world.run_in(state);
            world.runtime.faults.borrow_mut().extend([fault.clone(), fault.clone()]);
            let before = world.runtime.batches.get();
            assert!(world.apply(&mut run, event), "{event:?} in {state:?} with {fault:?}");
            assert_eq!(world.runtime.batches.get() - before, 3, "two failures, then the answer");
            assert_eq!(world.terminal_events(run.id), usize::from(after(state, event).is_some_and(State::is_over)));
        }
    }
}

#[test]
fn a_registration_whose_answer_got_lost_makes_one_run() {
    let world = World::new();
    world.runtime.faults.borrow_mut().push_back(Fault::AfterCommit(DbError::Transient));
    let reply = world.send(&Ask::new(&register::OPERATION).body(&json!({"environment": "staging"})));
    assert_eq!(data(&reply)["test_run"]["id"], 1);
    let count: i64 =
        world.runtime.db.borrow().query_row("SELECT count(*) FROM runs", [], |r| r.get(0)).expect("a count");
    assert_eq!(count, 1);
}

#[test]
fn a_creation_whose_answer_got_lost_is_no_conflict_with_itself() {
    let world = World::new();
    let create = || {
        let ask = Ask::new(&admin::projects::CREATE).with_key(ADMIN);
        world.send(&ask.body(&json!({"name": "New", "slug": "new"})))
    };
    world.runtime.faults.borrow_mut().push_back(Fault::AfterCommit(DbError::Transient));
    assert_eq!(create().status, 200);
    assert_eq!(create().status, 409);
}

#[test]
fn overload_deadline_and_bugs_are_not_answered_with_more_load() {
    let refused = DbError::Refused("a rule".to_owned());
    for (error, status) in [(DbError::Overloaded, 503), (DbError::Deadline, 503), (refused, 500)] {
        let world = World::new();
        let run = world.run_in(State::Started);
        world.runtime.faults.borrow_mut().push_back(Fault::BeforeCommit(error.clone()));
        let before = world.runtime.batches.get();
        let reply = world.ask(&cancel::OPERATION, run.id, &json!({}));
        assert_eq!((reply.status, reply.outcome), (status, error.name()));
        // After a refusal one more asks for the schema's version.
        assert_eq!(world.runtime.batches.get() - before, if status == 500 { 2 } else { 1 });
        assert_eq!(world.row(run.id).state, "started");
    }
}

#[test]
fn a_failure_that_does_not_pass_ends_after_four_tries() {
    let world = World::new();
    let run = world.run_in(State::Started);
    world.runtime.faults.borrow_mut().extend(vec![Fault::BeforeCommit(DbError::Transient); 9]);
    let before = world.runtime.batches.get();
    let reply = world.ask(&cancel::OPERATION, run.id, &json!({}));
    assert_eq!((reply.status, reply.outcome), (503, "d1_transient"));
    assert_eq!(world.runtime.batches.get() - before, 4);
}

#[test]
fn retries_stay_within_the_deadline() {
    let mut world = World::new();
    world.config.d1_deadline = 3;
    let run = world.run_in(State::Started);
    world.runtime.faults.borrow_mut().extend(vec![Fault::BeforeCommit(DbError::Transient); 9]);
    let reply = world.ask(&cancel::OPERATION, run.id, &json!({}));
    assert_eq!((reply.status, reply.outcome), (503, "d1_transient"));
    assert!(world.runtime.elapsed() < 20, "{}", world.runtime.elapsed());
}

#[test]
fn the_same_idempotency_key_gets_the_same_answer_and_another_one_does_not() {
    let world = World::new();
    let run = world.run_in(State::Started);
    let ask = |key| Ask::new(&cancel::OPERATION).about(run.id).idempotent(key).body(&json!({"reason": "why"}));
    let first = world.send(&ask("a"));
    assert_eq!(first.status, 200);
    assert!(first.body.contains(&format!("ada stopped it at {}", world.now.get())), "{first:?}");
    world.pass(5000);
    assert_eq!(world.send(&ask("a")), first);
    assert_eq!(world.send(&ask("b")).status, 412);
    let colleague = world.add_key("estop_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB", 1, (1, 1, 1), None, None);
    assert_eq!(world.send(&ask("a").with_key(&colleague)).status, 412, "another key's cancel is not ours");
}
