//! The database fails, before or after it has committed: nobody is told 412 about their own success.

use estop::error::ApiError;
use estop::host::DbError;
use estop::run::{Event, Finish, State};
use estop::store::admin;
use estop::store::run::{self as store, CancelOutcome, RegisterOutcome};
use estop::wire::requests::RegisterRequest;
use pollster::block_on;

use crate::world::{Fault, NOW, World};

const PASSING: [Fault; 4] = [
    Fault::BeforeCommit(DbError::Transient),
    Fault::AfterCommit(DbError::Transient),
    Fault::BeforeCommit(DbError::Garbled),
    Fault::AfterCommit(DbError::Garbled),
];

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
            world.host.faults.borrow_mut().extend([fault, fault]);
            let before = world.host.batches.get();
            assert!(world.apply(&mut run, event), "{event:?} in {state:?} with {fault:?}");
            assert_eq!(world.host.batches.get() - before, 3, "two failures, then the answer");
            assert_eq!(world.terminal_events(run.id), usize::from(state.after(event).is_some_and(State::is_over)));
        }
    }
}

#[test]
fn a_registration_whose_answer_got_lost_makes_one_run() {
    let world = World::new();
    world.host.faults.borrow_mut().push_back(Fault::AfterCommit(DbError::Transient));
    let request: RegisterRequest = serde_json::from_str(r#"{"environment":"staging"}"#).expect("a request");
    let run = request.checked().expect("a run");
    let outcome = block_on(store::register(&world.host, &world.caller(&world.key), "own:1", &run));
    assert!(matches!(outcome, Ok(RegisterOutcome::Registered(run)) if run.id == 1));
    let count: i64 = world.host.db.borrow().query_row("SELECT count(*) FROM runs", [], |r| r.get(0)).expect("a count");
    assert_eq!(count, 1);
}

#[test]
fn a_creation_whose_answer_got_lost_is_no_conflict_with_itself() {
    let world = World::new();
    let project = serde_json::from_str(r#"{"name":"New","slug":"new"}"#).expect("a request");
    world.host.faults.borrow_mut().push_back(Fault::AfterCommit(DbError::Transient));
    let made = block_on(admin::create_project(&world.host, 5000, NOW, "own:1", &project));
    assert!(made.is_ok(), "{made:?}");
    let again = block_on(admin::create_project(&world.host, 5000, NOW, "own:2", &project));
    assert!(matches!(again, Err(ApiError::Conflict(_))), "{again:?}");
}

#[test]
fn overload_deadline_and_refusal_are_not_answered_with_more_load() {
    for error in [DbError::Overloaded, DbError::Deadline, DbError::Refused] {
        let world = World::new();
        let run = world.run_in(State::Started);
        world.host.faults.borrow_mut().push_back(Fault::BeforeCommit(error));
        let before = world.host.batches.get();
        let outcome = world.cancel_with(&world.key, run.id, "own:1", None);
        assert!(matches!(outcome, Err(ApiError::Unavailable(e)) if e == error), "{outcome:?}");
        assert_eq!(world.host.batches.get() - before, 1);
        assert_eq!(world.row(run.id).state, "started");
    }
}

#[test]
fn a_failure_that_does_not_pass_ends_after_four_tries() {
    let world = World::new();
    let run = world.run_in(State::Started);
    world.host.faults.borrow_mut().extend([Fault::BeforeCommit(DbError::Transient); 9]);
    let before = world.host.batches.get();
    let outcome = world.cancel_with(&world.key, run.id, "own:1", None);
    assert!(matches!(outcome, Err(ApiError::Unavailable(DbError::Transient))), "{outcome:?}");
    assert_eq!(world.host.batches.get() - before, 4);
}

#[test]
fn repeats_stay_within_the_deadline() {
    let mut world = World::new();
    world.config.d1_deadline = 3;
    let run = world.run_in(State::Started);
    world.host.faults.borrow_mut().extend([Fault::BeforeCommit(DbError::Transient); 9]);
    let outcome = world.cancel_with(&world.key, run.id, "own:1", None);
    assert!(matches!(outcome, Err(ApiError::Unavailable(DbError::Transient))), "{outcome:?}");
    use estop::host::Host as _;
    assert!(world.host.elapsed() < 20, "{}", world.host.elapsed());
}

#[test]
fn the_same_idempotency_key_gets_the_same_answer_and_another_one_does_not() {
    let world = World::new();
    let run = world.run_in(State::Started);
    let outcome = |request_id: &str, key| match world.cancel_with(key, run.id, request_id, Some("why")) {
        Ok(CancelOutcome::Cancelled { at, by }) => Some((at, by)),
        Ok(CancelOutcome::AlreadyOver(_)) => None,
        Err(error) => panic!("{error:?}"),
    };
    let first = outcome("key:a", &world.key);
    assert_eq!(first, Some((world.now.get(), "ada".to_owned())));
    world.pass(5000);
    assert_eq!(outcome("key:a", &world.key), first);
    assert_eq!(outcome("key:b", &world.key), None);
    let colleague = world.add_key("estop_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB", 1, (1, 1, 1), None, None);
    assert_eq!(outcome("key:a", &colleague), None, "another key's cancel is not ours");
}
