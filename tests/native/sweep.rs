//! The sweeper: which run each timeout reaches, what it writes, and what it costs.

use estop::run::Event;
use estop::runtime::DbError;
use estop::sweeper::{ROUNDS, Tally, tick};
use estop_protocol::run::{Finish, State};
use pollster::block_on;

use crate::world::{Fault, LEASE, MINUTE, Run, World};

fn sweep(world: &World) -> Tally {
    block_on(tick(&world.database(), world.now.get())).expect("a tick")
}

#[test]
fn nothing_is_swept_before_its_timeout() {
    let world = World::new();
    let ids: Vec<i64> = State::ALL.iter().copied().map(|state| world.run_in(state).id).collect();
    world.pass(LEASE + world.config.lapsed_after - 1);
    let before: Vec<_> = ids.iter().map(|id| world.row(*id)).collect();
    let counted = Tally { counted: 2, ..Tally::default() };
    assert_eq!(sweep(&world), counted, "no timeout is due, so none is looked at; two runs are over");
    assert_eq!(ids.iter().map(|id| world.row(*id)).collect::<Vec<_>>(), before);
}

#[test]
fn a_run_that_nobody_claims_is_cancelled_with_its_wait_in_the_reason() {
    let world = World::new();
    let queued = world.run_in(State::Queued);
    world.pass(world.config.unclaimed_after);
    assert_eq!(sweep(&world).unclaimed, 1);
    let row = world.row(queued.id);
    assert_eq!(row.cancel_reason.as_deref(), Some("no runner claimed it for 1 h 0 min"));
    assert_eq!((row.cancel_cause.as_deref(), row.cancel_by.as_deref()), (Some("stale"), Some("system:sweeper")));
    assert_eq!(row.cancelled_at, Some(world.now.get().0));
    assert_eq!(row.stop_outcome.as_deref(), Some("never_started"));
}

#[test]
fn a_run_that_waits_behind_another_is_not_taken_for_one_that_nobody_claims() {
    for behaviour in ["queue_new", "cancel_previous"] {
        let world = World::new();
        world.sql(&format!(
            "UPDATE projects SET concurrency_scope = 'project', concurrency_behaviour = '{behaviour}' WHERE id = 1"
        ));
        let body = serde_json::json!({"environment": "staging", "protected": true});
        let mut first = Run { id: world.register(&body), token: String::new() };
        assert!(world.apply(&mut first, Event::Claim));
        let mut second =
            Run { id: world.register(&serde_json::json!({"environment": "staging"})), token: String::new() };
        // The first one is alive all the while.
        let mut waited = 0;
        while waited < 2 * world.config.unclaimed_after {
            world.pass(LEASE / 2 + 1);
            waited += LEASE / 2 + 1;
            assert!(world.apply(&mut first, Event::Heartbeat));
            assert_eq!(sweep(&world).unclaimed, 0, "{behaviour}: it could not be claimed");
        }
        assert!(world.apply(&mut first, Event::Finish(Finish::Ended)));
        assert_eq!(world.row(second.id).state, "queued", "{behaviour}");
        // From now on it could.
        world.pass(world.config.unclaimed_after - 1);
        assert_eq!(sweep(&world).unclaimed, 0, "{behaviour}");
        world.pass(1);
        assert_eq!(sweep(&world).unclaimed, 1, "{behaviour}");
        assert_eq!(
            world.row(second.id).cancel_reason.as_deref(),
            Some("no runner claimed it for 1 h 0 min"),
            "{behaviour}: its time runs from the end of the first"
        );
        assert!(!world.apply(&mut second, Event::Claim));
    }
}

#[test]
fn a_run_whose_lease_was_never_renewed_lapses_too() {
    let world = World::new();
    let run = world.run_in(State::Started);
    world.pass(6 * MINUTE + 12_345);
    assert_eq!(sweep(&world).lapsed, 1);
    let row = world.row(run.id);
    assert_eq!(
        row.cancel_reason.as_deref(),
        Some("no heartbeat for at least 5 min 12 s"),
        "6:12 since the claim, less half a lease"
    );
    assert_eq!(row.stop_outcome.as_deref(), Some("lost"));
}

#[test]
fn a_renewed_lease_counts_from_its_renewal() {
    let world = World::new();
    let mut run = world.run_in(State::Started);
    world.pass(LEASE);
    world.apply(&mut run, Event::Heartbeat);
    world.pass(LEASE + world.config.lapsed_after - 1);
    assert_eq!(sweep(&world).lapsed, 0);
    world.pass(1);
    assert_eq!(sweep(&world).lapsed, 1);
    assert_eq!(world.row(run.id).cancel_reason.as_deref(), Some("no heartbeat for at least 1 min 30 s"));
}

#[test]
fn a_run_that_goes_on_too_long_is_stopped_however_alive() {
    let world = World::new();
    let mut run = world.run_in(State::Started);
    while world.now.get().since(crate::world::NOW) < world.config.over_age_after {
        assert_eq!(sweep(&world).over_age, 0);
        world.pass(LEASE);
        assert!(world.apply(&mut run, Event::Heartbeat));
    }
    assert_eq!(sweep(&world).over_age, 1);
    let row = world.row(run.id);
    assert_eq!(row.cancel_reason.as_deref(), Some("still running after 6 h 0 min"));
    assert_eq!(row.stop_outcome.as_deref(), Some("stopping"), "its runner lives and will be told");
}

#[test]
fn a_stop_that_nobody_confirms_is_lost_when_the_lease_has_run_out() {
    let world = World::new();
    let run = world.run_in(State::Cancelled);
    world.pass(LEASE + world.config.unconfirmed_after - 1);
    assert_eq!(sweep(&world).unconfirmed, 0);
    world.pass(1);
    let decided = world.row(run.id);
    assert_eq!(sweep(&world).unconfirmed, 1);
    let row = world.row(run.id);
    assert_eq!(row.stop_outcome.as_deref(), Some("lost"));
    assert_eq!((row.cancel_by, row.cancelled_at), (decided.cancel_by, decided.cancelled_at));
    assert_eq!(row.stop_closed_at, Some(world.now.get().0));
    assert_eq!(sweep(&world).unconfirmed, 0);
}

#[test]
fn two_ticks_at_once_sweep_a_run_once() {
    let world = World::new();
    let run = world.run_in(State::Started);
    world.pass(LEASE * 2);
    assert_eq!((sweep(&world).lapsed, sweep(&world).lapsed), (1, 0));
    assert_eq!(world.terminal_events(run.id), 1);
}

#[test]
fn a_tick_whose_answer_got_lost_sweeps_a_run_once() {
    let world = World::new();
    let run = world.run_in(State::Started);
    world.pass(LEASE * 2);
    world.runtime.faults.borrow_mut().push_back(Fault::AfterCommit(DbError::Transient));
    sweep(&world);
    assert_eq!(world.terminal_events(run.id), 1);
    assert_eq!(world.row(run.id).stop_outcome.as_deref(), Some("lost"));
}

#[test]
fn a_finish_that_comes_after_the_tick_is_refused_and_one_before_it_stands() {
    let world = World::new();
    let (mut late, mut early) = (world.run_in(State::Started), world.run_in(State::Started));
    world.pass(LEASE * 2);
    assert!(world.apply(&mut early, Event::Finish(Finish::Ended)));
    assert_eq!(sweep(&world).lapsed, 1);
    assert!(!world.apply(&mut late, Event::Finish(Finish::Ended)));
    assert_eq!((world.row(late.id).state.as_str(), world.row(early.id).state.as_str()), ("cancelled", "ended"));
}

#[test]
fn a_tick_is_bounded_oldest_first_and_carries_on() {
    let mut world = World::new();
    world.config.sweep_rows = 3;
    let ids: Vec<i64> = (0..20)
        .map(|_| {
            world.pass(1);
            world.run_in(State::Started).id
        })
        .collect();
    world.pass(LEASE * 2);
    let first = sweep(&world);
    assert_eq!(first, Tally { lapsed: 12, counted: 12, rounds: ROUNDS, more: true, ..Tally::default() });
    let states: Vec<String> = ids.iter().map(|id| world.row(*id).state).collect();
    assert!(states[..12].iter().all(|s| s == "cancelled") && states[12..].iter().all(|s| s == "started"), "{states:?}");
    assert_eq!(sweep(&world), Tally { lapsed: 8, counted: 8, rounds: 3, more: false, ..Tally::default() });
}

#[test]
fn a_database_that_fails_ends_the_tick_and_the_next_one_carries_on() {
    let world = World::new();
    world.run_in(State::Started);
    world.pass(LEASE * 2);
    world.runtime.faults.borrow_mut().push_back(Fault::BeforeCommit(DbError::Overloaded));
    let (tally, error) = block_on(tick(&world.database(), world.now.get())).expect_err("a failure");
    assert_eq!((tally.lapsed, error), (0, DbError::Overloaded));
    assert_eq!(sweep(&world).lapsed, 1);
}

#[test]
fn spans_are_said_as_people_say_them() {
    for (age, words) in [
        (59_999, "59 s"),
        (60_000, "1 min 0 s"),
        (312_000, "5 min 12 s"),
        (3_599_999, "59 min 59 s"),
        (3_600_000, "1 h 0 min"),
        (90_061_000, "25 h 1 min"),
    ] {
        let mut world = World::new();
        world.config.unclaimed_after = 1000;
        let run = world.run_in(State::Queued);
        world.pass(age);
        sweep(&world);
        assert_eq!(world.row(run.id).cancel_reason, Some(format!("no runner claimed it for {words}")));
    }
}

/// Each queued run asks whether a runner holds its group: one look, however many are in it.
#[test]
fn a_crowded_group_costs_a_tick_one_look_a_run() {
    let steps = |runs: i64| {
        let world = World::new();
        world.sql(&format!(
            "UPDATE projects SET concurrency_scope = 'project' WHERE id = 1;
             INSERT INTO runs (project_id, environment_id, state, request_id, created_at, created_by, waiting_since,
                               concurrency_group, protected)
             SELECT 1, 1, 'queued', 'h' || value, 1, 'ada', 1, 'project', 1 FROM (WITH RECURSIVE n(value) AS
               (VALUES (1) UNION ALL SELECT value + 1 FROM n WHERE value < {runs}) SELECT value FROM n)"
        ));
        let mut last = Run { id: runs, token: String::new() };
        assert!(world.apply(&mut last, Event::Claim));
        let db = world.runtime.db.borrow();
        let text = include_str!("../../src/sweeper/due.sql");
        let mut statement = db.prepare(text).expect("SQL");
        let now = world.now.get().0;
        let due: String =
            statement.query_row(rusqlite::params![now, 0, 9, now, 9, 9], |row| row.get(0)).expect("a row");
        assert_eq!(
            due, r#"{"stale":false,"closed":false,"expired":false,"deliveries":false}"#,
            "none of them could have been claimed"
        );
        statement.get_status(rusqlite::StatementStatus::VmStep)
    };
    let (few, many) = (steps(100), steps(1_000));
    assert!(many < 15 * few, "{few} steps for 100 runs, {many} for 1,000");
}
