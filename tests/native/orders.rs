//! Races. D1 runs one batch after the other, so a race is an order of whole batches: we try them all.

use estop::run::{Event, Timeout, shards};
use estop_protocol::run::{ConfirmedStop, ErrorCode, Finish, RunResult, State};

use crate::machine::Model;
use crate::shards::model::Pair;
use crate::world::{Row, Run, World};

/// Every ordered choice of `length` of `events`; the same may come twice (two cancels, two ticks).
fn orders<T: Copy>(events: &[T], length: u32) -> Vec<Vec<T>> {
    (0..events.len().pow(length))
        .map(|n| (0..length).map(|place| events[n / events.len().pow(place) % events.len()]).collect())
        .collect()
}

/// What must not change once a run is over: everything but the stop record.
fn verdict(row: Row) -> Row {
    Row { stop_outcome: None, stop_closed_at: None, ..row }
}

fn check(start: State, orders: &[Vec<Event>]) {
    let world = World::new();
    let run = world.run_in(start);
    for order in orders {
        world.undone(|| check_order(&world, run.clone(), start, order));
    }
}

fn check_order(world: &World, mut run: Run, start: State, order: &[Event]) {
    let what = format!("{start:?} {order:?}");
    let mut model = Model::of(start);
    let mut decided: Option<Row> = None;
    for event in order {
        world.pass(1);
        assert_eq!(world.apply(&mut run, *event), model.apply(*event), "{event:?} of {what}");
        model.check(world, &run, &what);
        if model.state.is_over() {
            let row = verdict(world.row(run.id));
            assert_eq!(decided.get_or_insert_with(|| row.clone()), &row, "the first decision stands: {what}");
        }
    }
    assert_eq!(world.terminal_events(run.id), usize::from(model.state.is_over()), "{what}");
    assert_eq!(world.history(run.id).last().map(String::as_str), Some(model.state.name()), "{what}");
}

#[test]
fn every_order_of_two_writers_agrees_with_the_machine() {
    for start in State::ALL.iter().copied() {
        check(start, &orders(&Event::ALL, 2));
    }
}

#[test]
fn every_order_of_three_writers_agrees_with_the_machine() {
    for start in [State::Pending, State::Queued, State::Started] {
        check(start, &orders(&Event::ALL, 3));
    }
}

/// What two runners of one run, whoever cancels it and the sweeper can do to each other.
const TWO_RUNNERS: [shards::Event; 11] = {
    use shards::Event::{Cancel, Claim, Finish, Heartbeat, Silence, Sweep};
    let stop = ConfirmedStop::Graceful;
    [
        Claim { shard: 1 },
        Claim { shard: 2 },
        Heartbeat { shard: 2, failed: 1 },
        Finish { shard: 1, end: Ok(RunResult::Passed), failed: 0, stop },
        Finish { shard: 2, end: Ok(RunResult::Failed), failed: 1, stop },
        Finish { shard: 2, end: Err(ErrorCode::WorkerInterrupted), failed: 0, stop: ConfirmedStop::Killed },
        Cancel,
        Silence,
        Sweep(Timeout::Lapsed),
        Sweep(Timeout::Incomplete),
        Sweep(Timeout::Unconfirmed),
    ]
};

#[test]
fn every_order_of_three_writers_of_two_shards_agrees_with_the_machine() {
    let [claim_1, claim_2, _, finish_1, .., cancel, silence, _, _, _] = TWO_RUNNERS;
    // With a limit of one failed test, the heartbeat and the finish that have one cancel the run.
    let starts: [(&[shards::Event], Option<u32>); 7] = [
        (&[], None),
        (&[claim_1], None),
        (&[claim_1, claim_2], None),
        (&[claim_1, claim_2], Some(1)),
        (&[claim_1, claim_2, silence], None),
        (&[claim_1, claim_2, finish_1], None),
        (&[claim_1, claim_2, cancel], None),
    ];
    for (start, fail_fast) in starts {
        let mut pair = Pair::new(2, fail_fast);
        pair.all(start, "the start");
        for order in orders(&TWO_RUNNERS, 3) {
            pair.undone(|mut pair| pair.all(&order, &format!("{start:?} {order:?}, fail_fast {fail_fast:?}")));
        }
    }
}

#[test]
fn of_cancel_and_finish_the_first_one_wins() {
    let world = World::new();
    let mut run = world.run_in(State::Started);
    assert!(world.apply(&mut run, Event::Finish(Finish::Ended)));
    assert!(!world.apply(&mut run, Event::Cancel));
    assert_eq!(world.history(run.id), ["queued", "started", "ended"]);

    let mut run = world.run_in(State::Started);
    assert!(world.apply(&mut run, Event::Cancel));
    assert!(!world.apply(&mut run, Event::Finish(Finish::Ended)));
    assert_eq!(world.history(run.id), ["queued", "started", "cancelled"]);
}
